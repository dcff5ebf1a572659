//! Seeks: flushing ones, in the archive.

use std::sync::Arc;

use gst::prelude::*;
use kvs_client::Timestamp;

use super::imp::CAT;
use super::pad;
use super::session::{Segment, Session};

/// Does a seek; false if it is refused.
///
/// The order matters. Flushing first frees whoever holds a stream lock; then the epoch ends, so
/// that nothing of before gets into the queues; then each stream lock is taken once, after which
/// no task is pushing; only then may FLUSH_STOP go out.
pub(super) fn seek(session: &Arc<Session>, event: &gst::event::Seek) -> bool {
    let mut seeking = session.lock_seeking();
    if seeking.stopped {
        return false;
    }
    let seqnum = event.seqnum();
    if seeking.last == Some(seqnum) {
        return true; // the same seek, from another sink of the pipeline
    }
    let Some((segment, target)) = plan(session, event) else {
        return false;
    };
    seeking.last = Some(seqnum);
    let tracks = session.tracks();
    for track in &tracks {
        track
            .pad
            .push_event(gst::event::FlushStart::builder().seqnum(seqnum).build());
    }
    session.queues.flush();
    session.cancel_reader();
    for track in &tracks {
        let _stopped_already = track.pad.pause_task();
        drop(track.pad.stream_lock());
    }
    for track in &tracks {
        track
            .pad
            .push_event(gst::event::FlushStop::builder(true).seqnum(seqnum).build());
    }
    session.flows().reset();
    session
        .progress
        .sought(segment.segment.position().unwrap_or_default());
    session.set_segment(segment);
    let epoch = session.queues.resume();
    for track in &tracks {
        pad::start_task(session, track);
    }
    session.read(epoch, Some(target));
    true
}

/// The segment that a seek asks for, and the time of the archive at which to read on.
fn plan(session: &Session, event: &gst::event::Seek) -> Option<(Segment, Timestamp)> {
    let extent = session.extent.get()?;
    let (rate, flags, start_type, start, stop_type, stop) = event.get();
    let (Ok(start), Ok(stop)) = (
        Option::<gst::ClockTime>::try_from(start),
        Option::<gst::ClockTime>::try_from(stop),
    ) else {
        gst::info!(CAT, "A seek in another format than TIME is refused");
        return None;
    };
    if rate <= 0.0
        || !flags.contains(gst::SeekFlags::FLUSH)
        || flags.contains(gst::SeekFlags::SEGMENT)
    {
        gst::info!(
            CAT,
            "Only flushing seeks with a rate above 0 are done, and no segment seeks"
        );
        return None;
    }
    let mut segment = session.segment().segment;
    if start_type == gst::SeekType::None {
        segment.set_position(session.progress.last_pts());
    }
    segment.do_seek(rate, flags, start_type, start, stop_type, stop)?;
    let target_ms = extent.start.as_ms() + segment.start().unwrap_or_default().mseconds();
    let segment = Segment {
        segment,
        seqnum: event.seqnum(),
        snaps: flags.contains(gst::SeekFlags::KEY_UNIT),
        announced: false,
    };
    Some((segment, Timestamp::from_ms(target_ms)))
}
