//! What gst-inspect shows and properties keep.

use gst::prelude::*;

use super::element;

#[test]
fn is_a_network_sink_that_nobody_plugs_by_itself() {
    let element = element();
    let factory = element.factory().expect("it has a factory");
    assert_eq!(factory.klass(), "Sink/Video/Network");
    assert_eq!(factory.rank(), gst::Rank::NONE);
    assert!(element.element_flags().contains(gst::ElementFlags::SINK));
    let templates: Vec<_> = factory
        .static_pad_templates()
        .iter()
        .map(gst::StaticPadTemplate::name_template)
        .map(str::to_owned)
        .collect();
    assert_eq!(templates, ["video_%u", "audio_%u", "data_%u"]);
}

/// The properties of AWS's element that ours has, with its defaults, and then our own.
const DEFAULTS: &[(&str, &str)] = &[
    ("stream-name", "DEFAULT_STREAM"),
    ("retention-period", "2"),
    ("streaming-type", "realtime"),
    ("content-type", "NULL"),
    ("max-latency", "60"),
    ("fragment-duration", "2000"),
    ("timecode-scale", "1"),
    ("key-frame-fragmentation", "true"),
    ("frame-timecodes", "true"),
    ("absolute-fragment-times", "true"),
    ("fragment-acks", "true"),
    ("restart-on-error", "true"),
    ("recalculate-metrics", "true"),
    ("disable-buffer-clipping", "false"),
    ("use-original-pts", "false"),
    ("file-start-time", "0"),
    ("framerate", "25"),
    ("avg-bandwidth-bps", "4194304"),
    ("buffer-duration", "120"),
    ("replay-duration", "40"),
    ("connection-staleness", "60"),
    ("codec-id", "V_MPEG4/ISO/AVC"),
    ("track-name", "kinesis_video"),
    ("access-key", "NULL"),
    ("secret-key", "NULL"),
    ("session-token", "NULL"),
    ("credential-path", ".kvs/credential"),
    ("iot-certificate", "NULL"),
    ("aws-region", "us-west-2"),
    ("rotation-period", "3600"),
    ("storage-size", "128"),
    ("log-config", "../kvs_log_configuration"),
    ("stream-tags", "NULL"),
    ("get-kvs-metrics", "false"),
    ("allow-create-stream", "true"),
    ("stop-stream-timeout", "120"),
    ("connection-timeout", "5"),
    ("completion-timeout", "10"),
    (
        "user-agent",
        concat!("gst-plugin-kvs/", env!("CARGO_PKG_VERSION")),
    ),
    // Aliases.
    ("region", "us-west-2"),
    ("secret-access-key", "NULL"),
    ("endpoint-uri", "NULL"),
    ("request-timeout", "10000"),
    ("retry-attempts", "0"),
    // Ours.
    ("endpoint", "NULL"),
    ("ca-file", "NULL"),
    ("stream-arn", "NULL"),
    ("uri", "NULL"),
    ("kms-key-id", "NULL"),
    ("leaky", "auto"),
    ("upload", "continuous"),
    ("spool-path", "NULL"),
    ("spool-max-size", "1024"),
    ("spool-max-age", "0"),
    ("spool-key-file", "NULL"),
    ("stats", "NULL"),
    ("post-messages", "true"),
];

/// A property's value as gst-inspect shows it.
fn shown(element: &gst::Element, name: &str) -> String {
    let value = element.property_value(name);
    let text = value.get::<Option<String>>();
    if let Ok(None) = value.get::<Option<gst::Structure>>() {
        return "NULL".to_owned();
    }
    match (text, gst::glib::EnumValue::from_value(&value)) {
        (Ok(text), _) => text.unwrap_or_else(|| "NULL".to_owned()),
        (_, Some((_, value))) => value.nick().to_owned(),
        _ => value.serialize().expect("it can be shown").to_string(),
    }
}

#[test]
fn every_property_has_the_default_of_awss_element() {
    let element = element();
    for (name, default) in DEFAULTS {
        assert_eq!(shown(&element, name), *default, "{name}");
    }
    let known = |name: &str| DEFAULTS.iter().any(|(known, _)| *known == name);
    let own = element.list_properties();
    let own = own
        .iter()
        .filter(|spec| spec.owner_type() == element.type_());
    for spec in own {
        assert!(known(spec.name()), "{} is not in the list", spec.name());
    }
}

#[test]
fn every_property_can_be_set_in_ready_and_says_so() {
    let element = element();
    for (name, _) in DEFAULTS {
        let spec = element.find_property(name).expect("it is there");
        if spec.flags().contains(gst::glib::ParamFlags::WRITABLE) {
            let mutable = gst::PARAM_FLAG_MUTABLE_READY;
            assert!(spec.flags().contains(mutable), "{name}");
            element.set_property_from_value(name, spec.default_value());
        }
    }
}

#[test]
fn the_signals_are_those_of_awss_element() {
    let element = element();
    for name in [
        "stream-error",
        "fragment-ack",
        "stream-client-metric",
        "trigger",
    ] {
        let signal = gst::glib::subclass::SignalId::lookup(name, element.type_());
        assert!(signal.is_some(), "{name}");
    }
}

#[test]
fn every_property_says_what_it_means() {
    for spec in element().list_properties() {
        let blurb = spec.blurb().expect("a blurb");
        assert!(
            !blurb.is_empty() && spec.nick() != spec.name(),
            "{}",
            spec.name()
        );
    }
}

#[test]
fn secrets_are_never_read_back() {
    let element = element();
    for name in [
        "access-key",
        "secret-key",
        "secret-access-key",
        "session-token",
    ] {
        element.set_property(name, "do-not-show");
        assert_eq!(element.property::<Option<String>>(name), None, "{name}");
    }
}

#[test]
fn aliases_write_the_same_field() {
    let element = element();
    element.set_property("region", "eu-west-1");
    element.set_property("endpoint-uri", "http://127.0.0.1:1");
    element.set_property("request-timeout", 3000u32);
    element.set_property("restart-on-error", false);
    assert_eq!(element.property::<String>("aws-region"), "eu-west-1");
    assert_eq!(element.property::<String>("endpoint"), "http://127.0.0.1:1");
    assert_eq!(element.property::<u32>("connection-timeout"), 3);
    assert_eq!(element.property::<u32>("completion-timeout"), 3);
    assert_eq!(element.property::<u32>("retry-attempts"), 1);
    element.set_property("retry-attempts", 0u32);
    assert!(element.property::<bool>("restart-on-error"));
}

#[test]
fn three_pads_at_most_each_with_a_name_of_its_own() {
    let element = element();
    let named = element.request_pad_simple("video_5").expect("a named pad");
    assert_eq!(named.name(), "video_5");
    assert_eq!(
        element
            .request_pad_simple("audio_%u")
            .expect("a pad")
            .name(),
        "audio_0"
    );
    assert_eq!(
        element
            .request_pad_simple("video_%u")
            .expect("a pad")
            .name(),
        "video_0"
    );
    assert!(element.request_pad_simple("audio_%u").is_none());
    element.release_request_pad(&named);
    assert!(element.request_pad_simple("audio_%u").is_some());
}
