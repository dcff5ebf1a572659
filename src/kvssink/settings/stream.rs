//! The stream: what it is made with, and what is said of it.

use std::collections::BTreeMap;

use gst::glib;
use gst::prelude::*;
use kvs_client::{NewStream, ServiceError};

use crate::property::{switch, take, text, text_of};

const DEFAULT_RETENTION_HOURS: u32 = 2;
/// CreateStream takes ten years at most.
const RETENTION_HOURS_MAX: u32 = 87_600;
/// The service takes so many tags of a stream.
const TAGS_MAX: usize = 50;

#[derive(Clone)]
pub(super) struct StreamSettings {
    allow_create: bool,
    retention_hours: u32,
    content_type: Option<String>,
    kms_key_id: Option<String>,
    tags: Option<gst::Structure>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            allow_create: true,
            retention_hours: DEFAULT_RETENTION_HOURS,
            content_type: None,
            kms_key_id: None,
            tags: None,
        }
    }
}

impl StreamSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            switch(
                "allow-create-stream",
                "Allow creating the stream",
                "Create the stream if it does not exist",
                true,
            ),
            glib::ParamSpecUInt::builder("retention-period")
                .nick("Retention period")
                .blurb(
                    "How long a stream that is created here keeps its data (hours); 0: not at all",
                )
                .maximum(RETENTION_HOURS_MAX)
                .default_value(DEFAULT_RETENTION_HOURS)
                .mutable_ready()
                .build(),
            text(
                "content-type",
                "Content type",
                "Media type of a stream that is created here, such as video/h264,audio/aac",
            ),
            text(
                "kms-key-id",
                "KMS key",
                "Key that encrypts a stream that is created here; where not set the service's own",
            ),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stream-tags")
                .nick("Stream tags")
                .blurb(
                    "Tags that the stream is to have, each a field that is a string; 50 at most: \
                     stream-tags,site=(string)north",
                )
                .mutable_ready()
                .build(),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "allow-create-stream" => take(&mut self.allow_create, value),
            "retention-period" => take(&mut self.retention_hours, value),
            "content-type" => self.content_type = text_of(value),
            "kms-key-id" => self.kms_key_id = text_of(value),
            "stream-tags" => take(&mut self.tags, value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "allow-create-stream" => self.allow_create.to_value(),
            "retention-period" => self.retention_hours.to_value(),
            "content-type" => self.content_type.to_value(),
            "kms-key-id" => self.kms_key_id.to_value(),
            "stream-tags" => self.tags.to_value(),
            _ => return None,
        })
    }

    /// What the stream is made with; `None` if it may not be made.
    pub(super) fn new_stream(&self) -> Result<Option<NewStream>, ServiceError> {
        let new = NewStream {
            retention_hours: self.retention_hours,
            media_type: self.content_type.clone(),
            kms_key_id: self.kms_key_id.clone(),
            tags: self.tags()?,
            ..NewStream::default()
        };
        Ok(self.allow_create.then_some(new))
    }

    /// The tags that the stream is to have.
    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, ServiceError> {
        let wrong = |what: String| ServiceError::config(format!("stream-tags: {what}"));
        let Some(tags) = &self.tags else {
            return Ok(BTreeMap::new());
        };
        if tags.n_fields() > TAGS_MAX {
            let fields = tags.n_fields();
            return Err(wrong(format!("{fields} tags; {TAGS_MAX} at most")));
        }
        let tags = tags.iter().map(|(name, value)| {
            let value = value
                .get::<String>()
                .map_err(|_| wrong(format!("{name} is no string: write {name}=(string)…")))?;
            Ok((name.to_string(), value))
        });
        tags.collect()
    }
}
