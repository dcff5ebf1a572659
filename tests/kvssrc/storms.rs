//! Many seeks and many changes of state, in no order that anybody would choose.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use super::*;

/// Numbers that look random and are the same in each run of a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Where a seek went, in milliseconds, and whether it was an accurate one.
type Target = (u64, bool);

/// The seeks that were sent, and the first buffer behind the segment of each.
struct Judge {
    targets: Arc<Mutex<Vec<(gst::Seqnum, Target)>>>,
    judged: Receiver<gst::Seqnum>,
}

impl Judge {
    /// Sees all that leaves a pad.
    fn of(pad: &gst::Pad) -> Self {
        let targets = Arc::new(Mutex::new(Vec::new()));
        let (sender, judged) = channel();
        let wanted: Arc<Mutex<Vec<(gst::Seqnum, Target)>>> = Arc::clone(&targets);
        let begun = Mutex::new(None);
        let mask = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
        pad.add_probe(mask, move |_, info| {
            let mut begun = begun.lock().expect("nobody panics with it");
            if let Some(event) = info.event()
                && let gst::EventView::Segment(segment) = event.view()
            {
                let segment = segment.segment().downcast_ref::<gst::ClockTime>();
                *begun = segment.map(|segment| (event.seqnum(), segment.start()));
            }
            if let Some(buffer) = info.buffer()
                && let Some((seqnum, start)) = begun.take()
                && let wanted = wanted.lock().expect("nobody panics")
                && let Some((_, target)) = wanted.iter().find(|(sent, _)| *sent == seqnum)
            {
                judge(buffer, start, *target);
                let _ = sender.send(seqnum);
            }
            gst::PadProbeReturn::Ok
        });
        Self { targets, judged }
    }

    /// A seek to somewhere, of one kind or the other.
    fn plan(&self, dice: &mut Dice) -> gst::Event {
        let target = (dice.below(9900), dice.below(2) == 0);
        let kind = match target.1 {
            true => gst::SeekFlags::ACCURATE,
            false => gst::SeekFlags::KEY_UNIT,
        };
        let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
        let to = gst::ClockTime::from_mseconds(target.0);
        let flags = gst::SeekFlags::FLUSH | kind;
        let seek = gst::event::Seek::new(1.0, flags, set, to, none, gst::ClockTime::NONE);
        let mut targets = self.targets.lock().expect("nobody panics with it");
        targets.push((seek.seqnum(), target));
        seek
    }

    /// Waits until the first buffer of a seek has been judged.
    fn wait_for(&self, wanted: gst::Seqnum) {
        let wait = Duration::from_secs(60);
        while self.judged.recv_timeout(wait).expect("a buffer comes") != wanted {}
    }
}

/// The first buffer of a seek is the key frame before its target.
fn judge(buffer: &gst::Buffer, start: Option<gst::ClockTime>, (target, accurate): Target) {
    let key = target - target % 1000;
    assert_eq!(pts_ms(buffer), key, "the first buffer of {target}");
    assert!(!buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
    let expected = if accurate { target } else { key };
    assert_eq!(start, Some(gst::ClockTime::from_mseconds(expected)));
}

#[test]
fn a_storm_of_seeks_ends_in_the_segment_of_the_last_one() {
    let server = Server::start();
    server.recorded("cam", 10);
    for seed in 1..=if harness::long() { 20 } else { 2 } {
        println!("seed {seed}");
        let viewer = Viewer::play(&server.url(), "cam", &[("mode", "archive")]);
        viewer.frame();
        let pad = viewer.element.static_pad("video_0").expect("the pad");
        let judge = Mutex::new(Judge::of(&pad));
        let seek = |dice: &mut Dice| {
            let seek = judge.lock().expect("nobody panics").plan(dice);
            let seqnum = seek.seqnum();
            assert!(viewer.element.send_event(seek), "a seek is done");
            seqnum
        };
        std::thread::scope(|scope| {
            for thread in 1..=2 {
                let mut dice = Dice(seed << 8 | thread);
                let seek = &seek;
                scope.spawn(move || {
                    for _ in 0..150 {
                        seek(&mut dice);
                    }
                });
            }
        });
        // A sink that is sought while its pipeline is on its way to PLAYING may stay in PAUSED:
        // from here on each seek waits until the one before is over.
        viewer.set_state(gst::State::Paused);
        viewer.settled();
        viewer.set_state(gst::State::Playing);
        viewer.settled();
        let mut dice = Dice(seed);
        for _ in 0..20 {
            let seqnum = seek(&mut dice);
            judge.lock().expect("nobody panics").wait_for(seqnum);
            viewer.settled();
        }
        let last = seek(&mut dice);
        viewer.until_eos_of(|seqnum| seqnum == last);
    }
}

#[test]
fn a_hundred_changes_of_state_leave_it_as_good_as_new() {
    let server = Server::start();
    server.recorded("cam", 5);
    let url = server.url();
    for (seed, mode) in [(1, "archive"), (2, "live")] {
        println!("seed {seed}");
        let mut run = harness::Run::new(&format!(
            "kvssrc name=src mode={mode} start=earliest stream-name=cam endpoint={url} \
             fakesink name=sink sync=false"
        ));
        let sink = run.element("sink").static_pad("sink").expect("a pad");
        run.element("src").connect_pad_added(move |_, pad| {
            // It fails where the pipeline is on its way down.
            let _ = pad.link(&sink);
        });
        let mut dice = Dice(seed);
        let states = [
            gst::State::Null,
            gst::State::Ready,
            gst::State::Paused,
            gst::State::Playing,
        ];
        for _ in 0..100 {
            let state = states[dice.below(4) as usize];
            run.set_state(state);
            if state == gst::State::Playing && dice.below(2) == 0 {
                run.wait_for_structure("kvs-fragment");
            }
        }
        run.set_state(gst::State::Null);
        drop(run.pending());
        server.inner.wait_until_left();
        run.set_state(gst::State::Playing);
        for second in 0..5 {
            let fragment = run.wait_for_structure("kvs-fragment");
            assert_eq!(fragment.get("producer-timestamp"), Ok(T0 + 1000 * second));
        }
    }
}
