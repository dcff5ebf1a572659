//! What a trigger asks for: from the action signal `trigger`, or the event `kvs-trigger`.

use std::time::Duration;

use gst::subclass::prelude::*;

use super::imp::{CAT, KvsSink};

/// The name of the event's structure.
const EVENT: &str = "kvs-trigger";

/// How much around the latest frame is to go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) before: Duration,
    pub(super) after: Duration,
}

impl Trigger {
    /// From nanoseconds.
    pub(super) const fn new(before_ns: u64, after_ns: u64) -> Self {
        Self {
            before: Duration::from_nanos(before_ns),
            after: Duration::from_nanos(after_ns),
        }
    }
}

/// What a custom event asks for; `None` of another event.
///
/// The error says what is wrong with its fields.
pub(super) fn of_event(structure: &gst::StructureRef) -> Option<Result<Trigger, String>> {
    if !structure.has_name(EVENT) {
        return None;
    }
    let field = |name| {
        let ns = structure.get::<u64>(name);
        ns.map_err(|_| format!("{EVENT} without {name}, a guint64 of nanoseconds"))
    };
    Some(field("before").and_then(|before| Ok(Trigger::new(before, field("after")?))))
}

impl KvsSink {
    /// Uploads what is around the latest frame; `false` if the element uploads without being asked,
    /// or is in NULL.
    pub(super) fn trigger(&self, trigger: Trigger) -> bool {
        match self.upload().filter(|upload| upload.on_trigger) {
            Some(upload) => {
                gst::info!(CAT, imp = self, "asked for what is around now: {trigger:?}");
                upload.producer.trigger(trigger.before, trigger.after);
                true
            }
            None => {
                gst::warning!(
                    CAT,
                    imp = self,
                    "a trigger needs upload=on-trigger, and READY"
                );
                false
            }
        }
    }

    /// The same, from an event.
    pub(super) fn take_trigger(&self, trigger: Result<Trigger, String>) -> bool {
        match trigger {
            Ok(trigger) => self.trigger(trigger),
            Err(error) => {
                gst::element_imp_warning!(self, gst::StreamError::Failed, ("{error}"));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_it_lacks() {
        gst::init().expect("GStreamer initialises");
        let parse = |text: &str| of_event(&text.parse::<gst::Structure>().expect("a structure"));
        assert_eq!(parse("something-else"), None);
        let whole = parse("kvs-trigger,before=(guint64)5000000000,after=(guint64)1");
        assert_eq!(whole, Some(Ok(Trigger::new(5_000_000_000, 1))));
        for (text, field) in [
            ("kvs-trigger,after=(guint64)1", "before"),
            ("kvs-trigger,before=(guint64)1", "after"),
            ("kvs-trigger,before=5,after=(guint64)1", "before"),
        ] {
            let error = parse(text).expect("ours").expect_err(text);
            assert!(error.contains(field), "{error}");
        }
    }
}
