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
    assert_eq!(templates, ["video_%u", "audio_%u"]);
}

#[test]
fn defaults_are_those_of_the_element_of_aws() {
    let element = element();
    assert_eq!(element.property::<String>("stream-name"), "DEFAULT_STREAM");
    assert_eq!(element.property::<String>("aws-region"), "us-west-2");
    let numbers = [
        ("retention-period", 2),
        ("storage-size", 128),
        ("buffer-duration", 120),
        ("fragment-duration", 2000),
        ("stop-stream-timeout", 120),
        ("connection-timeout", 5),
        ("completion-timeout", 10),
        ("request-timeout", 10_000),
        ("retry-attempts", 0),
    ];
    for (name, value) in numbers {
        assert_eq!(element.property::<u32>(name), value, "{name}");
    }
    for name in [
        "key-frame-fragmentation",
        "restart-on-error",
        "allow-create-stream",
        "post-messages",
    ] {
        assert!(element.property::<bool>(name), "{name}");
    }
    let streaming_type = element.property_value("streaming-type");
    let (_, value) = gst::glib::EnumValue::from_value(&streaming_type).expect("an enum");
    assert_eq!(value.nick(), "realtime");
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
