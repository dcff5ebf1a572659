//! The route of the frames: which queue takes one, and where the range cuts it off.

use std::sync::Arc;

use kvs_client::{FragmentEnd, FragmentInfo, Timestamp};
use kvs_media::mkv::Tag;
use kvs_media::{Frame, ProducerTime, TrackNumber};

use super::TimeBase;
use super::queue::{Entry, Sample, Stale};
use super::session::{Run, Segment};
use super::timeline::{Anchor, Timeline};
use super::tracks::Queue;

/// Where frames go, and the fragment that is under way.
#[derive(Debug)]
pub(super) struct Route {
    timeline: Timeline,
    lanes: Vec<Lane>,
    fragment: Option<Open>,
    stop: Stop,
}

/// One pad.
#[derive(Debug)]
struct Lane {
    queue: usize,
    /// The track that it takes now; `None` while its track is gone.
    track: Option<TrackNumber>,
    /// Frames without the key flag are no news.
    has_repeats: bool,
    /// Frames behind the end of the range. They go out only if one within the range follows in
    /// decoding order, since that one may need them; at the end of the fragment they are dropped.
    held: Vec<Sample>,
    /// Whether it had a frame in this fragment.
    present: bool,
}

impl Lane {
    fn new(queue: usize) -> Self {
        Self {
            queue,
            track: None,
            has_repeats: false,
            held: Vec::new(),
            present: false,
        }
    }
}

#[derive(Debug)]
struct Open {
    anchor: Arc<Anchor>,
    latest: ProducerTime,
}

/// Where the range ends.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Never,
    Producer(Timestamp),
    /// The service stamps fragments only, so whole fragments are read.
    Server(Timestamp),
    /// In the archive the segment tells. Its stop is the first timestamp that is not in it.
    Pts(gst::ClockTime),
}

impl Route {
    pub(super) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            lanes: Vec::new(),
            fragment: None,
            stop: Stop::Never,
        }
    }

    /// A live range ends at a time.
    pub(super) fn stop_at(&mut self, base: TimeBase, time: Option<Timestamp>) {
        self.stop = match (time, base) {
            (None, _) => Stop::Never,
            (Some(time), TimeBase::Producer) => Stop::Producer(time),
            (Some(time), TimeBase::Server) => Stop::Server(time),
        };
    }

    /// A seek: what comes next has nothing to do with what came before.
    pub(super) fn restart(&mut self, stop: Option<gst::ClockTime>) {
        self.timeline.reset();
        self.fragment = None;
        self.stop = stop.map_or(Stop::Never, Stop::Pts);
        for lane in &mut self.lanes {
            lane.held.clear();
        }
    }

    /// The tracks of what follows.
    pub(super) fn set_tracks(&mut self, tracks: &[Queue]) {
        for lane in &mut self.lanes {
            lane.track = None;
        }
        for &Queue {
            track,
            queue,
            has_repeats,
        } in tracks
        {
            let lane = self.lanes.iter().position(|lane| lane.queue == queue);
            let lane = lane.unwrap_or_else(|| {
                self.lanes.push(Lane::new(queue));
                self.lanes.len() - 1
            });
            self.lanes[lane].track = Some(track);
            self.lanes[lane].has_repeats = has_repeats;
        }
    }

    /// A fragment begins; false if the range ends before it.
    pub(super) fn begin_fragment(&mut self, run: &Run, info: &FragmentInfo) -> Result<bool, Stale> {
        let time = ProducerTime::from_ms(info.producer_time.as_ms());
        let anchor = self.timeline.anchor(info);
        let within = match self.stop {
            Stop::Server(stop) => info.server_time <= stop,
            _ => !self.is_behind_stop(time, &anchor),
        };
        if within {
            announce_segment(run, Some((&anchor, time)))?;
            self.fragment = Some(Open {
                anchor,
                latest: time,
            });
        }
        Ok(within)
    }

    /// A frame goes into its track's queue, which may have to make room first.
    pub(super) async fn frame(
        &mut self,
        run: &Run,
        frame: Frame,
        info: Arc<FragmentInfo>,
    ) -> Result<(), Stale> {
        let Some(open) = &mut self.fragment else {
            return Ok(());
        };
        open.latest = open.latest.max(frame.time);
        let anchor = open.anchor.clone();
        let behind = self.is_behind_stop(frame.time, &anchor);
        let is_its = |lane: &&mut Lane| lane.track == Some(frame.track);
        let Some(lane) = self.lanes.iter_mut().find(is_its) else {
            return Ok(()); // the readers give no frame of a track that was not declared
        };
        if lane.has_repeats && !frame.key {
            return Ok(());
        }
        let sample = Sample {
            frame,
            fragment: info,
            anchor,
        };
        if behind {
            lane.held.push(sample);
            return Ok(());
        }
        lane.present = true;
        let queues = &run.session.queues;
        for sample in lane.held.drain(..).chain([sample]) {
            queues
                .push(run.epoch, lane.queue, Entry::Sample(sample))
                .await?;
        }
        Ok(())
    }

    /// A fragment has ended: pads without a frame in it get a gap, so that nobody waits for them.
    pub(super) fn end_fragment(
        &mut self,
        run: &Run,
        end: Option<FragmentEnd>,
    ) -> Result<(), Stale> {
        let Some(open) = self.fragment.take() else {
            return Ok(());
        };
        let queues = &run.session.queues;
        for lane in &mut self.lanes {
            lane.held.clear();
            if std::mem::take(&mut lane.present) {
                continue;
            }
            if let Some(info) = end.as_ref().map(|end| &end.fragment) {
                let gap = Entry::Gap {
                    anchor: open.anchor.clone(),
                    from: ProducerTime::from_ms(info.producer_time.as_ms()),
                    until: open.latest,
                };
                queues.put(run.epoch, lane.queue, gap)?;
            }
        }
        let Some(end) = end else {
            return Ok(());
        };
        if let Some(tags) = tag_list(&end.tags) {
            let event = gst::event::Tag::new(tags);
            queues.push_all(run.epoch, || Entry::Event(event.clone()))?;
        }
        queues.push_shared(run.epoch, end, Entry::FragmentEnd)
    }

    fn is_behind_stop(&self, time: ProducerTime, anchor: &Anchor) -> bool {
        match self.stop {
            Stop::Never | Stop::Server(_) => false,
            Stop::Producer(stop) => time.as_ms() > stop.as_ms(),
            Stop::Pts(stop) => anchor.pts(time, || stop) >= stop,
        }
    }
}

/// A fragment's metadata as tags that any application understands: `name=value`.
fn tag_list(metadata: &[Tag]) -> Option<gst::TagList> {
    if metadata.is_empty() {
        return None;
    }
    let mut tags = gst::TagList::new();
    let list = tags.make_mut();
    for Tag { name, value } in metadata {
        let comment = format!("{name}={value}");
        list.add::<gst::tags::ExtendedComment>(&comment.as_str(), gst::TagMergeMode::Append);
    }
    Some(tags)
}

/// Tells the pads their segment, once. It snaps to the fragment at hand where a seek wants that.
pub(super) fn announce_segment(
    run: &Run,
    first: Option<(&Anchor, ProducerTime)>,
) -> Result<(), Stale> {
    let mut told: Segment = run.session.segment();
    if told.announced {
        return Ok(());
    }
    if let Some((anchor, time)) = first.filter(|_| told.snaps) {
        let start = anchor.pts(time, || gst::ClockTime::ZERO);
        told.segment.set_start(start);
        told.segment.set_time(start);
        told.segment.set_position(start);
    }
    told.announced = true;
    run.session.set_segment(told.clone());
    run.session
        .queues
        .push_all(run.epoch, || Entry::Event(told.event()))
}
