//! An application that never reads its bus.

use std::sync::mpsc::channel;

use super::*;

#[test]
fn messages_that_nobody_reads_keep_no_connection() {
    let server = Server::patient();
    server.recorded("cam", 3);
    for mode in ["live", "archive"] {
        let description = format!(
            "kvssrc mode={mode} start=earliest stream-name=cam endpoint={} \
             ! fakesink name=sink signal-handoffs=true",
            server.url()
        );
        let pipeline = gst::parse::launch(&description)
            .expect("the description is valid")
            .downcast::<gst::Pipeline>()
            .expect("more than one element");
        pipeline.set_auto_flush_bus(false);
        let (sender, frames) = channel();
        let sink = pipeline.by_name("sink").expect("the sink is there");
        sink.connect("handoff", false, move |_| {
            let _ = sender.send(());
            None
        });
        pipeline.set_state(gst::State::Playing).expect("it starts");
        let wait = Duration::from_secs(60);
        frames.recv_timeout(wait).expect("a frame comes");
        assert!(server.inner.connections() > 0, "{mode}: it is connected");
        pipeline.set_state(gst::State::Null).expect("it stops");
        server.inner.wait_until_left();
        let bus = pipeline.bus().expect("a pipeline has a bus");
        assert!(bus.have_pending(), "{mode}: the messages are still there");
    }
}
