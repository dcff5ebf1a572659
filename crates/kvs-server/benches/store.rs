//! How fast the store persists on a real disk, and lists among many fragments.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kvs_server::clock::SystemClock;
use kvs_server::store::{NewFragment, NewStream, Query, Store, StoreConfig, StreamId, TimeOrigin};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const NOW_MS: u64 = 1_700_000_000_000;
/// One second at 4 Mb/s.
const FRAGMENT_BYTES: usize = 500_000;

struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
    streams: Vec<StreamId>,
}

impl Fixture {
    fn new(streams: usize) -> Self {
        let folder = tempfile::tempdir().expect("there is a disk");
        let config = StoreConfig::on_disk(folder.path());
        let store = Store::open(&config, Arc::new(SystemClock::new())).expect("it is new");
        let create = |at| {
            let new = NewStream::named(
                format!("cam-{at}").parse().expect("it is a name"),
                "first".parse().expect("it is a version"),
                10 * 365 * 24,
            );
            store.create_stream(new).expect("it is new").id
        };
        let streams = (0..streams).map(create).collect();
        Self {
            _folder: folder,
            store,
            streams,
        }
    }

    fn fragment(&self, stream: StreamId, server_ms: u64, body: &Bytes) -> NewFragment {
        let number = self
            .store
            .begin_fragment(stream, server_ms)
            .expect("it exists");
        NewFragment {
            stream,
            number,
            producer_ms: number.server_ms,
            length_ms: 1000,
            header: Bytes::from_static(&[7; 300]),
            cluster_bytes: body.len() as u64,
            body: vec![body.clone()],
        }
    }

    /// Each stream stores `fragments`, one after the other.
    async fn persist(&self, fragments: u64, body: &Bytes) {
        let mut writers = JoinSet::new();
        for stream in &self.streams {
            let appends = (0..fragments).map(|_| self.fragment(*stream, NOW_MS, body));
            let (store, appends) = (self.store.clone(), appends.collect::<Vec<_>>());
            writers.spawn(async move {
                for new in appends {
                    store.append(new).await.expect("there is room");
                }
            });
        }
        writers.join_all().await;
    }
}

fn persist(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let body = Bytes::from(vec![7; FRAGMENT_BYTES]);
    let mut group = criterion.benchmark_group("append and persist");
    group.sample_size(10);
    for streams in [1, 64] {
        let fixture = Fixture::new(streams);
        group.throughput(Throughput::Bytes((streams * FRAGMENT_BYTES) as u64));
        group.bench_function(format!("{streams} streams"), |bencher| {
            bencher.iter_custom(|rounds| {
                let start = Instant::now();
                runtime.block_on(fixture.persist(rounds, &body));
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn list(criterion: &mut Criterion) {
    const ROWS: u64 = 100_000;
    const AT_ONCE: u64 = 1000;
    let runtime = Runtime::new().expect("threads can be started");
    let fixture = Fixture::new(1);
    let body = Bytes::from_static(&[7; 100]);
    let stream = fixture.streams[0];
    for first in (0..ROWS).step_by(AT_ONCE as usize) {
        let mut appends = JoinSet::new();
        for at in first..first + AT_ONCE {
            let new = fixture.fragment(stream, NOW_MS + at * 1000, &body);
            appends.spawn_on(fixture.store.append(new), runtime.handle());
        }
        for stored in runtime.block_on(appends.join_all()) {
            stored.expect("there is room");
        }
    }
    let mut group = criterion.benchmark_group("a page of 100 among 100,000");
    for origin in [TimeOrigin::Server, TimeOrigin::Producer] {
        let query = Query {
            origin,
            from_ms: NOW_MS + ROWS / 2 * 1000,
            to_ms: u64::MAX,
            after: None,
            limit: 100,
        };
        group.bench_function(format!("{origin:?}"), |bencher| {
            bencher.iter(|| {
                let page = fixture.store.find(stream, black_box(query));
                assert_eq!(page.expect("the index works").fragments.len(), 100);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, persist, list);
criterion_main!(benches);
