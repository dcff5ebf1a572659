//! Properties: how text is defined, and how a value becomes a setting.

use std::ops::RangeInclusive;

use gst::glib;
use gst::prelude::*;

/// A property of text that has no default.
pub(crate) fn text(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready()
        .build()
}

/// The text of a value. An empty one from gst-launch means the same as none.
pub(crate) fn text_of(value: &glib::Value) -> Option<String> {
    let text = value.get::<Option<String>>().ok().flatten();
    text.filter(|text| !text.is_empty())
}

/// Takes a value over. It has the setting's type: GObject checks it against the definition.
pub(crate) fn take<'v, T: glib::value::FromValue<'v>>(field: &mut T, value: &'v glib::Value) {
    if let Ok(value) = value.get() {
        *field = value;
    }
}

/// A property that is on or off.
pub(crate) fn switch(name: &str, nick: &str, blurb: &str, default: bool) -> glib::ParamSpec {
    glib::ParamSpecBoolean::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(default)
        .mutable_ready()
        .build()
}

/// A property that is a number.
pub(crate) fn number(
    name: &str,
    nick: &str,
    blurb: &str,
    range: RangeInclusive<u32>,
    default: u32,
) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(*range.start())
        .maximum(*range.end())
        .default_value(default)
        .mutable_ready()
        .build()
}
