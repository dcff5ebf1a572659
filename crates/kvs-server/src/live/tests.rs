//! Rings against their bounds, and what readers find in them.

use super::*;

/// Gives numbers of one stream.
struct Numbers(u64);

impl Numbers {
    fn begin(&mut self, stream: &LiveStream, stored: bool, at: Instant) -> Arc<Fragment> {
        self.0 += 1;
        let number = FragmentParts {
            sequence: self.0,
            server_ms: self.0,
            random: 0,
        };
        let beginning = Begun {
            producer_ms: self.0,
            header: Bytes::new(),
            stored,
            at,
        };
        let begun = stream.begin(beginning, || Ok(Some(number)));
        begun.expect("it has a number").expect("at hand")
    }

    /// A whole fragment of so many bytes, settled.
    fn whole(&mut self, stream: &LiveStream, stored: bool, bytes: usize, at: Instant) {
        let fragment = self.begin(stream, stored, at);
        stream.grow(&fragment, Bytes::from(vec![0; bytes]), at);
        stream.complete(&fragment, 1);
        stream.settle(&fragment, at);
    }
}

fn stream() -> Arc<LiveStream> {
    Arc::new(LiveStream::new(None, Arc::default()))
}

/// The sequence number of the next fragment in the ring.
fn next(stream: &LiveStream, after: u64, now: Instant) -> Option<u64> {
    let after = FragmentParts {
        sequence: after,
        server_ms: after,
        random: 0,
    };
    match stream.next(after, false, now) {
        Next::Live(fragment) => Some(fragment.number.sequence),
        Next::Stored(up_to) => next(stream, up_to.sequence, now),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn without_retention_five_minutes_are_kept_whether_or_not_more_comes() {
    let (live, mut numbers) = (Arc::new(Live::default()), Numbers(0));
    let stream = live.stream(StreamId(1), || Ok(None)).expect("it is new");
    let start = Instant::now();
    numbers.whole(&stream, false, 10, start);
    numbers.whole(&stream, false, 10, start + Duration::from_secs(200));
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(next(&stream, 0, at(300)), Some(1));
    live.sweep(at(301));
    assert_eq!(live.bytes.load(Ordering::Relaxed), 10);
    assert_eq!(next(&stream, 0, at(301)), Some(2));
    assert_eq!(next(&stream, 0, at(501)), None);
    assert_eq!(live.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_ends_with_the_rings() {
    let (live, mut numbers) = (Arc::new(Live::default()), Numbers(0));
    let stream = live.stream(StreamId(1), || Ok(None)).expect("it is new");
    numbers.whole(&stream, false, 10, Instant::now());
    let sweeping = tokio::spawn(sweep_on(Arc::downgrade(&live)));
    sleep(UNSTORED_AGE_MAX + 2 * SWEEP_INTERVAL).await;
    assert_eq!(live.bytes.load(Ordering::Relaxed), 0);
    drop(live);
    sweeping.await.expect("it ends");
}

#[test]
fn without_retention_200_mb_are_kept_also_behind_a_fragment_that_grows() {
    let (stream, mut numbers, now) = (stream(), Numbers(0), Instant::now());
    let open = numbers.begin(&stream, false, now);
    for _ in 0..25 {
        numbers.whole(&stream, false, 10_000_000, now);
    }
    assert!(lock(&stream.ring).bytes <= UNSTORED_BYTES_MAX);
    assert_eq!(next(&stream, 0, now), Some(1), "the one that grows");
    assert_eq!(next(&stream, 1, now), Some(7));
    assert!(matches!(
        stream.next(open.number, true, now),
        Next::Missed(number) if number.sequence == 6
    ));
    stream.fail(&open);
    assert_eq!(next(&stream, 0, now), Some(7));
}

#[test]
fn behind_a_fragment_that_grows_what_is_stored_keeps_its_place_and_not_its_bytes() {
    let (stream, mut numbers, now) = (stream(), Numbers(0), Instant::now());
    let reader = stream.follow();
    let open = numbers.begin(&stream, true, now);
    numbers.whole(&stream, true, 1000, now);
    assert_eq!(lock(&stream.ring).bytes, 1000, "a reader wants it soon");
    // All the memory there is, taken by others.
    stream
        .all_bytes
        .fetch_add(RINGS_BYTES_MAX, Ordering::Relaxed);
    numbers.whole(&stream, true, 1000, now);
    assert_eq!(lock(&stream.ring).bytes, 1000);
    let second = lock(&stream.ring).fragments[1].number;
    let Next::Live(third) = stream.next(second, true, now) else {
        panic!("it has its place");
    };
    assert_eq!(third.chunk(0), (None, Phase::Released));
    stream.complete(&open, 1);
    stream.settle(&open, now);
    assert_eq!(lock(&stream.ring).bytes, 0);
    assert!(lock(&stream.ring).fragments.is_empty());
    drop(reader);
}

#[tokio::test]
async fn a_fragment_learns_that_it_is_overtaken_and_one_that_is_whole_is_not() {
    let (stream, mut numbers, now) = (stream(), Numbers(0), Instant::now());
    let first = numbers.begin(&stream, true, now);
    stream.complete(&first, 1);
    let second = numbers.begin(&stream, true, now);
    let third = numbers.begin(&stream, true, now);
    second.overtaken().await;
    for other in [first, third] {
        let told = tokio::time::timeout(Duration::ZERO, other.overtaken()).await;
        assert!(told.is_err(), "{:?}", other.number);
    }
}

#[test]
fn what_has_left_the_ring_is_not_counted_off_again() {
    let (stream, mut numbers, now) = (stream(), Numbers(0), Instant::now());
    let first = numbers.begin(&stream, true, now);
    stream.grow(&first, Bytes::from(vec![0; 100]), now);
    stream.complete(&first, 1);
    let second = numbers.begin(&stream, true, now);
    stream.settle(&first, now);
    assert_eq!(stream.all_bytes.load(Ordering::Relaxed), 0);
    stream.fail(&second);
    assert_eq!(stream.all_bytes.load(Ordering::Relaxed), 0);
}
