//! Streams as the facade shows them.

use kvs_protocol::api::{ImageGeneration, Notification, ResourceTags, StorageTier};
use kvs_protocol::{DeviceName, KmsKeyId, MediaType, StreamName, Version};
use serde::{Deserialize, Serialize};

/// Which stream, for ever: a stream made again under an old name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct StreamId(pub u32);

/// A stream's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Stream {
    /// Its id in this store.
    pub id: StreamId,
    /// Its name.
    pub name: StreamName,
    /// When it was made, by the server's clock; part of its ARN.
    pub created_ms: u64,
    /// Changes with the metadata.
    pub version: Version,
    /// How long fragments are kept; with 0 none is stored.
    pub retention_hours: u32,
    /// As the creator gave it.
    pub device_name: Option<DeviceName>,
    /// As the creator gave it.
    pub media_type: Option<MediaType>,
    /// As the creator gave it.
    pub kms_key_id: Option<KmsKeyId>,
    /// The stream's own tags, not those of its fragments.
    pub tags: ResourceTags,
    /// Kept and shown.
    #[serde(default)]
    pub storage_tier: StorageTier,
    /// Kept and shown.
    #[serde(default)]
    pub image_generation: Option<ImageGeneration>,
    /// Kept and shown.
    #[serde(default)]
    pub notification: Option<Notification>,
    /// How often it was changed; the store counts.
    #[serde(default)]
    pub revision: u32,
    /// The numbers of its fragments go on behind this one at least; the store's own.
    #[serde(default)]
    pub numbers_from: u64,
}

impl Stream {
    /// A stream that begins.
    pub(super) fn new(id: StreamId, created_ms: u64, new: NewStream) -> Self {
        Self {
            id,
            name: new.name,
            created_ms,
            version: new.version,
            retention_hours: new.retention_hours,
            device_name: new.device_name,
            media_type: new.media_type,
            kms_key_id: new.kms_key_id,
            tags: new.tags,
            storage_tier: new.storage_tier,
            image_generation: None,
            notification: None,
            revision: 0,
            numbers_from: 0,
        }
    }
}

/// A stream to be made.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// Its name, which no other stream has.
    pub name: StreamName,
    /// Its first version.
    pub version: Version,
    /// How long fragments are kept; with 0 none is to be stored.
    pub retention_hours: u32,
    /// Shown back.
    pub device_name: Option<DeviceName>,
    /// Shown back.
    pub media_type: Option<MediaType>,
    /// Shown back.
    pub kms_key_id: Option<KmsKeyId>,
    /// The stream's own tags.
    pub tags: ResourceTags,
    /// Shown back.
    pub storage_tier: StorageTier,
}

impl NewStream {
    /// One of which no more is said.
    pub fn named(name: StreamName, version: Version, retention_hours: u32) -> Self {
        Self {
            name,
            version,
            retention_hours,
            device_name: None,
            media_type: None,
            kms_key_id: None,
            tags: ResourceTags::default(),
            storage_tier: StorageTier::Hot,
        }
    }
}
