//! A cutter against bodies that keep the rules and bodies that break one.

use kvs_media::mkv::END_OF_FRAGMENT;
use proptest::prelude::*;

use super::*;

// The media of the tests against a whole server.
#[allow(dead_code)]
#[path = "../../../tests/server/movie.rs"]
mod movie;

use movie::{Movie, track};

/// Writes bodies. Times are milliseconds.
struct Body {
    movie: Movie,
    bytes: Vec<u8>,
}

impl Body {
    fn new(tracks: u64) -> Self {
        let tracks: Vec<_> = (1..=tracks).map(track).collect();
        let mut movie = Movie::of_tracks(&tracks);
        // Every body is cut at every byte.
        movie.frame_bytes = 3;
        let bytes = movie.header();
        Self { movie, bytes }
    }

    fn cluster(mut self, start_ms: u64) -> Self {
        let cluster = self.movie.cluster(start_ms);
        self.raw(&cluster)
    }

    fn frame(mut self, track: u64, time_ms: u64) -> Self {
        let frame = self.movie.frame(track, time_ms);
        self.raw(&frame)
    }

    fn tags(mut self, tags: &[(&str, &str)]) -> Self {
        let tags: Vec<_> = tags
            .iter()
            .map(|(name, value)| Tag::new(*name, *value))
            .collect();
        self.bytes.extend(tags_element(&tags));
        self
    }

    fn end(self) -> Self {
        self.tags(&[(END_OF_FRAGMENT, "")])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// The steps of the whole body, pushed in pieces of this size, in short: `B100 M T E20 .`
    fn cut(&self, piece: usize) -> String {
        let mut cutter = Cutter::new();
        let mut steps = Vec::new();
        let outcome = (|| {
            for bytes in self.bytes.chunks(piece) {
                cutter.push(Bytes::copy_from_slice(bytes), 1);
                while let Some(step) = cutter.next()? {
                    steps.push(step);
                }
            }
            while let Some(step) = cutter.finish()? {
                steps.push(step);
            }
            Ok::<_, Refused>(())
        })();
        let mut words = Vec::new();
        for step in &steps {
            let word = match step {
                Step::Begin(beginning) => format!("B{}", beginning.timecode),
                Step::Media(_) => "M".into(),
                Step::Tags(_) => "T".into(),
                Step::End { length_ms } => format!("E{length_ms}"),
            };
            // However a cluster was split, it is one cluster.
            if word != "M" || words.last() != Some(&word) {
                words.push(word);
            }
        }
        words.push(
            outcome
                .err()
                .map_or(".".into(), |refused| refused.id.id().to_string()),
        );
        words.join(" ")
    }

    /// The same however it is split.
    fn steps(&self) -> String {
        let whole = self.cut(usize::MAX);
        assert_eq!(self.cut(1), whole);
        assert_eq!(self.cut(7), whole);
        whole
    }
}

#[test]
fn a_cluster_is_a_fragment() {
    let body = Body::new(1)
        .cluster(100)
        .frame(1, 100)
        .frame(1, 120)
        .cluster(140)
        .frame(1, 140);
    assert_eq!(body.steps(), "B100 M E20 B140 M E0 .");
}

#[test]
fn the_tag_ends_a_fragment_at_once_and_is_not_seen() {
    let body = Body::new(1)
        .cluster(100)
        .frame(1, 100)
        .tags(&[("a", "b")])
        .end();
    assert_eq!(body.steps(), "B100 M T E0 .");
    let again = body.cluster(200).frame(1, 200).end();
    assert_eq!(again.steps(), "B100 M T E0 B200 M E0 .");
}

#[test]
fn a_tag_beside_the_end_stays() {
    let body = Body::new(1)
        .cluster(1)
        .frame(1, 1)
        .tags(&[("a", "b"), (END_OF_FRAGMENT, "")]);
    let mut cutter = Cutter::new();
    cutter.push(Bytes::from(body.bytes), 1);
    let tags =
        std::iter::from_fn(|| cutter.next().expect("a good body")).find_map(|step| match step {
            Step::Tags(bytes) => Some(bytes),
            _ => None,
        });
    assert_eq!(tags, Some(tags_element(&[Tag::new("a", "b")])));
}

#[test]
fn tags_before_the_first_cluster_belong_to_the_first_fragment() {
    let body = Body::new(1).tags(&[("a", "b")]);
    let with_tags = body.bytes.clone();
    let body = body.cluster(1).frame(1, 1).cluster(2).frame(1, 2);
    let mut cutter = Cutter::new();
    cutter.push(Bytes::from(body.bytes), 7);
    let headers: Vec<_> = std::iter::from_fn(|| cutter.next().expect("a good body"))
        .filter_map(|step| match step {
            Step::Begin(beginning) => Some((beginning.header, beginning.arrived_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(headers[0], (Bytes::from(with_tags), 7));
    assert_eq!(headers[1].0, Body::new(1).bytes);
}

#[test]
fn a_body_of_nothing_but_the_tag_is_ignored() {
    let body = tags_element(&[Tag::new(END_OF_FRAGMENT, "")]);
    let mut cutter = Cutter::new();
    cutter.push(body, 1);
    assert_eq!(cutter.next(), Ok(None));
    assert_eq!(cutter.finish(), Ok(None));
}

#[test]
fn a_known_size_ends_a_fragment_after_a_pause() {
    // A cluster of 3 + 8 bytes: timecode 5, a block of track 1 at 0.
    let cluster = b"\x1F\x43\xB6\x75\x8A\xE7\x81\x05\xA3\x85\x81\x00\x00\x00x";
    let body = Body::new(1).raw(cluster);
    assert_eq!(body.steps(), "B5 M E0 .");
    let mut cutter = Cutter::new();
    cutter.push(Bytes::from(body.bytes), 1);
    while let Some(step) = cutter.next().expect("a good body") {
        assert!(!matches!(step, Step::End { .. }));
    }
    assert!(cutter.ends_by_itself());
    cutter.end_by_pause().expect("it has a frame of each track");
    assert_eq!(cutter.next(), Ok(Some(Step::End { length_ms: 0 })));
    assert!(!cutter.in_fragment());
}

#[test]
fn each_rule_has_its_error() {
    let one = || Body::new(1).cluster(100).frame(1, 100);
    let two = || Body::new(2).cluster(100).frame(1, 100).frame(2, 100);
    let tags = vec![("a", ""); 11];
    let long = "v".repeat(257);
    for (body, steps) in [
        (one().raw(b"\xA3\x85\x82\x00\x00\x80x"), "B100 M 4010"),
        (two().cluster(200).frame(1, 200), "B100 M E0 B200 M 4011"),
        (one().cluster(200), "B100 M E0 B200 M 4011"),
        (one().cluster(90).frame(1, 100), "B100 M E0 B90 M 4004"),
        (
            one().cluster(99).frame(1, 101).frame(1, 100),
            "B100 M E0 B99 M 4004",
        ),
        (one().frame(1, 20_100), "B100 M E20000 ."),
        (one().frame(1, 20_101), "B100 M 4002"),
        (one().tags(&tags), "B100 M 4009"),
        (one().tags(&tags[1..]), "B100 M T E0 ."),
        (one().tags(&tags[1..]).end(), "B100 M T 4009"),
        (one().tags(&[("a", &long)]), "B100 M 4009"),
        (one().tags(&[("AWS_X", "")]), "B100 M 4012"),
        (
            one().tags(&[("AWS_KINESISVIDEO_NOTIFICATION", "")]),
            "B100 M T E0 .",
        ),
        (Body::new(1).raw(&Body::new(1).bytes), "4006"),
        (one().end().raw(&Body::new(1).bytes), "B100 M E0 4006"),
        (one().raw(b"garbage"), "B100 M 4006"),
        (one().raw(b"\xA3"), "B100 M 4006"),
        (Body::new(4).cluster(1).frame(1, 1), "4012"),
    ] {
        assert_eq!(body.steps(), steps);
    }
}

#[test]
fn a_fragment_may_not_outgrow_its_bound_even_within_one_frame() {
    let mut cutter = Cutter::new();
    cutter.push(Bytes::from(Body::new(1).cluster(1).frame(1, 1).bytes), 1);
    // A block that states 60 MiB, then bytes of it.
    cutter.push(
        Bytes::from_static(b"\xA3\x13\xC0\x00\x00\x81\x00\x01\x00"),
        1,
    );
    let piece = Bytes::from(vec![0; 1 << 20]);
    let mut pushed = 0;
    let refused = loop {
        match cutter.next() {
            Ok(Some(_)) => {}
            Ok(None) => {
                cutter.push(piece.clone(), 1);
                pushed += piece.len() as u64;
                assert!(pushed <= FRAGMENT_BYTES_MAX);
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.id.id(), 4001);
}

proptest! {
    #[test]
    fn whatever_is_wrong_is_found_however_it_is_split(
        flips in prop::collection::vec((0_usize..1000, any::<u8>()), 0..4),
        piece in 1_usize..200,
    ) {
        let mut body =
            Body::new(1).cluster(1).frame(1, 1).end().cluster(2).frame(1, 2).tags(&[("a", "b")]);
        let sound = body.bytes.len();
        for (at, byte) in flips {
            let at = at % sound;
            body.bytes[at] = byte;
        }
        prop_assert_eq!(body.cut(piece), body.cut(usize::MAX));
    }
}
