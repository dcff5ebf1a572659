//! Metadata: given between frames, and written behind the cluster that is open then.

use kvs_media::mkv::Tag;
use kvs_protocol::tag::TAGS_MAX;

use super::super::event::{ProducerEvent, Warning};
use super::Session;

/// Room for the mark that ends a fragment.
const USER_TAGS_MAX: usize = TAGS_MAX - 1;

/// What fragments to come will have.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Each of them.
    persistent: Vec<Tag>,
    /// The next one.
    pending: Vec<Tag>,
}

impl Session {
    /// Describes the open fragment, or else the next one; with `persist` all that follow as well.
    /// An empty value ends that.
    pub(in super::super) fn add_metadata(&mut self, tag: Tag, persist: bool) {
        if persist && tag.value.is_empty() {
            return self
                .metadata
                .persistent
                .retain(|known| known.name != tag.name);
        }
        let mut has_room = true;
        if persist {
            has_room &= put(&mut self.metadata.persistent, &tag);
        }
        let tags = match self.buffer.open_tags() {
            Some(tags) => tags,
            None => &mut self.metadata.pending,
        };
        has_room &= put(tags, &tag);
        if !has_room {
            let name = tag.name;
            self.tell(ProducerEvent::Warning(Warning::TooMuchMetadata { name }));
        }
    }

    /// A fragment has begun.
    pub(super) fn describe(&mut self) {
        let mut tags = self.metadata.persistent.clone();
        for tag in std::mem::take(&mut self.metadata.pending) {
            if !put(&mut tags, &tag) {
                let name = tag.name;
                self.tell(ProducerEvent::Warning(Warning::TooMuchMetadata { name }));
            }
        }
        if let Some(open) = self.buffer.open_tags() {
            *open = tags;
        }
    }
}

/// Adds a tag, or gives the one of its name its value. `false` if there is no room.
fn put(tags: &mut Vec<Tag>, tag: &Tag) -> bool {
    if let Some(known) = tags.iter_mut().find(|known| known.name == tag.name) {
        known.value.clone_from(&tag.value);
        return true;
    }
    let has_room = tags.len() < USER_TAGS_MAX;
    if has_room {
        tags.push(tag.clone());
    }
    has_room
}
