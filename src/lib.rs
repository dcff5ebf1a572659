//! GStreamer elements for Amazon Kinesis Video Streams.
//!
//! `kvssink` sends video, audio and data to the service, `kvssrc` reads them. Both talk to AWS and
//! to `kvs-server` through the same code: only the `endpoint` property differs.
//!
//! This crate turns buffers into frames and back, and nothing else: the sessions with the service
//! are `kvs-client`'s, the bytes of Matroska `kvs-media`'s.

mod connection_settings;
mod data_track;
mod iot_certificate;
mod kvssink;
mod kvssrc;
mod lock;
mod log;
mod property;
mod report_thread;
mod runtime;
mod uri;

pub use plugin::plugin_register_static;

#[allow(missing_docs, reason = "the items come from GStreamer's macro")]
mod plugin {
    use gst::glib;

    fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
        crate::log::forward_client_events();
        crate::kvssrc::register(plugin)?;
        crate::kvssink::register(plugin)
    }

    gst::plugin_define!(
        kvs,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        // Where a distribution names its own address, this says what is true of any build.
        concat!("built from the sources of ", env!("CARGO_PKG_NAME")),
        env!("BUILD_REL_DATE")
    );
}
