//! Streams and fragments in memory, behind the facade of the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvs_protocol::api::ResourceTags;
use kvs_protocol::{
    AckError, ApiError, DeviceName, ErrorKind, FragmentParts, KmsKeyId, MediaType, StreamName,
    Version,
};

use crate::clock::Clock;

/// Which stream, for ever: a stream made again under an old name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A stream's metadata.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Stream {
    pub id: StreamId,
    pub name: StreamName,
    pub created_ms: u64,
    pub version: Version,
    pub retention_hours: u32,
    pub device_name: Option<DeviceName>,
    pub media_type: Option<MediaType>,
    pub kms_key_id: Option<KmsKeyId>,
    pub tags: ResourceTags,
}

/// A stream to be made.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewStream {
    pub name: StreamName,
    pub version: Version,
    pub retention_hours: u32,
    pub device_name: Option<DeviceName>,
    pub media_type: Option<MediaType>,
    pub kms_key_id: Option<KmsKeyId>,
    pub tags: ResourceTags,
}

/// A fragment to be stored.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewFragment {
    pub stream: StreamId,
    pub number: FragmentParts,
    pub producer_ms: u64,
    pub length_ms: u64,
    pub header: Bytes,
    pub cluster_bytes: u64,
    pub body: Vec<Bytes>,
}

/// What the index says of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct FragmentInfo {
    pub number: FragmentParts,
    pub producer_ms: u64,
    pub length_ms: u64,
    pub bytes: u64,
}

/// Which of a fragment's two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TimeOrigin {
    Server,
    Producer,
}

/// Fragments by their start, both ends inclusive; `after` goes on from a page's last fragment.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Query {
    pub origin: TimeOrigin,
    pub from_ms: u64,
    pub to_ms: u64,
    pub after: Option<FragmentInfo>,
    pub limit: usize,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StoreError {
    #[error("a stream of that name exists")]
    Exists,
    #[error("no such stream")]
    NoStream,
    #[error("interrupted")]
    Interrupted,
    #[error("no such fragment")]
    NoFragment,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u32,
    streams: BTreeMap<String, Arc<Stream>>,
    fragments: BTreeMap<(StreamId, FragmentParts), (FragmentInfo, Arc<NewFragment>)>,
    sequences: BTreeMap<StreamId, (u64, u64)>,
}

/// Reads one fragment.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct FragmentReader {
    pub header_bytes: u64,
    pub cluster_bytes: u64,
    chunks: std::vec::IntoIter<Bytes>,
}

impl FragmentReader {
    /// The next bytes.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.chunks.next())
    }
}

#[allow(missing_docs)]
impl Store {
    pub fn open(clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Inner {
            clock,
            state: Mutex::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn create_stream(&self, new: NewStream) -> Result<Arc<Stream>, StoreError> {
        let mut state = self.lock();
        let key = new.name.as_str().to_owned();
        if state.streams.contains_key(&key) {
            return Err(StoreError::Exists);
        }
        state.next_id += 1;
        let stream = Arc::new(Stream {
            id: StreamId(state.next_id),
            name: new.name,
            created_ms: self.0.clock.now_ms(),
            version: new.version,
            retention_hours: new.retention_hours,
            device_name: new.device_name,
            media_type: new.media_type,
            kms_key_id: new.kms_key_id,
            tags: new.tags,
        });
        state.streams.insert(key, Arc::clone(&stream));
        Ok(stream)
    }

    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.lock().streams.values().cloned().collect()
    }

    pub fn stream(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.lock().streams.get(name.as_str()).cloned()
    }

    pub fn delete_stream(&self, id: StreamId) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.streams.retain(|_, stream| stream.id != id);
        state.fragments.retain(|key, _| key.0 != id);
        Ok(())
    }

    pub fn begin_fragment(
        &self,
        stream: StreamId,
        server_ms: u64,
    ) -> Result<FragmentParts, StoreError> {
        let mut state = self.lock();
        let last = state.sequences.entry(stream).or_default();
        *last = (last.0 + 1, last.1.max(server_ms));
        Ok(FragmentParts {
            sequence: last.0,
            server_ms: last.1,
            random: 7,
        })
    }

    pub fn append(
        &self,
        new: NewFragment,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let bytes = new.body.iter().map(Bytes::len).sum::<usize>() as u64;
        let info = FragmentInfo {
            number: new.number,
            producer_ms: new.producer_ms,
            length_ms: new.length_ms,
            bytes,
        };
        let mut state = self.lock();
        state
            .fragments
            .insert((new.stream, new.number), (info, Arc::new(new)));
        std::future::ready(Ok(()))
    }

    fn all(&self, stream: StreamId) -> Vec<FragmentInfo> {
        let state = self.lock();
        let all = state.fragments.iter().filter(|(key, _)| key.0 == stream);
        all.map(|(_, (info, _))| *info).collect()
    }

    pub fn find(&self, stream: StreamId, query: Query) -> Result<Vec<FragmentInfo>, StoreError> {
        let time = |info: &FragmentInfo| match query.origin {
            TimeOrigin::Server => (info.number.server_ms, info.number),
            TimeOrigin::Producer => (info.producer_ms, info.number),
        };
        let mut found = self.all(stream);
        found.sort_by_key(time);
        found.retain(|info| {
            (query.from_ms..=query.to_ms).contains(&time(info).0)
                && query.after.is_none_or(|after| time(info) > time(&after))
        });
        found.truncate(query.limit);
        Ok(found)
    }

    pub fn newest(&self, stream: StreamId) -> Result<Option<FragmentInfo>, StoreError> {
        Ok(self.all(stream).pop())
    }

    pub fn after(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        Ok(self
            .all(stream)
            .into_iter()
            .find(|info| info.number > number))
    }

    pub fn containing(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        at_ms: u64,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        Ok(self.all(stream).into_iter().find(|info| {
            let start = match origin {
                TimeOrigin::Server => info.number.server_ms,
                TimeOrigin::Producer => info.producer_ms,
            };
            start + info.length_ms >= at_ms
        }))
    }

    pub fn read(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<FragmentReader, StoreError> {
        let state = self.lock();
        let (_, new) = state
            .fragments
            .get(&(stream, number))
            .ok_or(StoreError::NoFragment)?;
        let mut chunks = vec![new.header.clone()];
        chunks.extend(new.body.iter().cloned());
        Ok(FragmentReader {
            header_bytes: new.header.len() as u64,
            cluster_bytes: new.cluster_bytes,
            chunks: chunks.into_iter(),
        })
    }
}

impl StoreError {
    /// What a producer is told.
    pub fn ack_error(&self) -> AckError {
        match self {
            Self::NoStream => AckError::StreamNotActive,
            _ => AckError::ArchivalError,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists => Self::new(ErrorKind::ResourceInUse, "The stream exists already."),
            StoreError::NoStream | StoreError::NoFragment | StoreError::Interrupted => {
                Self::stream_not_found()
            }
        }
    }
}

/// Looks for damage.
pub fn check(
    _data: std::path::PathBuf,
    _master_key: Option<std::path::PathBuf>,
    _full: bool,
) -> Result<Vec<String>, StoreError> {
    Ok(Vec::new())
}
