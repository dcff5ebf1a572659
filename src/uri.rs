//! Addresses of streams: `kvs://REGION/STREAM?PROPERTY=VALUE&…`.
//!
//! The region may be empty; every property of the element that is no secret may follow, with `%`
//! escapes. So `playbin3` and programs that know nothing of us find a stream by one string.

use gst::glib;
use gst::prelude::*;

/// The scheme.
pub(crate) const SCHEME: &str = "kvs";
/// What a URI must not hold: it is shown in logs, titles and histories.
const SECRETS: [&str; 4] = [
    "access-key",
    "secret-key",
    "secret-access-key",
    "session-token",
];

/// Sets what a URI says, all of it or nothing.
///
/// # Errors
/// It is no such URI, holds a secret, or a property does not exist or does not take that value.
/// The text never repeats a value.
pub(crate) fn apply(element: &glib::Object, uri: &str) -> Result<(), glib::Error> {
    let wrong = |what: &str| glib::Error::new(gst::URIError::BadUri, what);
    let parsed = glib::Uri::parse(uri, glib::UriFlags::ENCODED)
        .map_err(|_| wrong("it is no URI: kvs://REGION/STREAM is one"))?;
    if parsed.scheme() != SCHEME {
        return Err(wrong("it does not begin with kvs://"));
    }
    if parsed.userinfo().is_some_and(|user| !user.is_empty()) {
        return Err(wrong(
            "credentials have no place in a URI: set them as properties",
        ));
    }
    let path = parsed.path();
    let stream = path.strip_prefix('/').unwrap_or_default();
    if stream.is_empty() || stream.contains('/') {
        return Err(wrong("it names no stream: kvs://REGION/STREAM does"));
    }
    let mut values = vec![value_of(element, "stream-name", stream)?];
    if let Some(region) = parsed.host().filter(|region| !region.is_empty()) {
        values.push(value_of(element, "aws-region", &region)?);
    }
    let query = parsed.query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(wrong(&format!("{pair} has no value: NAME=VALUE")));
        };
        values.push(value_of(element, name, value)?);
    }
    for (name, value) in values {
        element.set_property_from_value(&name, &value);
    }
    Ok(())
}

/// A property's value from its escaped text.
fn value_of(
    element: &glib::Object,
    name: &str,
    text: &str,
) -> Result<(String, glib::Value), glib::Error> {
    let wrong = |what: &str| {
        let text = format!("{name} {what}");
        glib::Error::new(gst::URIError::BadUri, &text)
    };
    if SECRETS.contains(&name) {
        return Err(wrong(
            "is a secret, which has no place in a URI: set it as a property",
        ));
    }
    let spec = element.find_property(name).filter(|spec| {
        let is_own = spec.owner_type() == element.type_();
        is_own && name != "uri" && spec.flags().contains(glib::ParamFlags::WRITABLE)
    });
    let spec = spec.ok_or_else(|| wrong("is no property that a URI can set"))?;
    let text = glib::Uri::unescape_string(text, None);
    let text = text.ok_or_else(|| wrong("has a value with a wrong % escape"))?;
    let value = match spec.value_type() {
        glib::Type::STRING => Ok(text.to_value()),
        type_ => glib::Value::deserialize(&text, type_),
    };
    match value {
        Ok(value) => Ok((name.to_owned(), value)),
        Err(_) => Err(wrong("does not take that value")),
    }
}

/// The URI of a stream.
pub(crate) fn of(region: &str, stream: &str, endpoint: Option<&str>) -> String {
    let mut uri = format!("{SCHEME}://{region}/{stream}");
    if let Some(endpoint) = endpoint {
        uri.push_str("?endpoint=");
        uri.push_str(&glib::Uri::escape_string(endpoint, None, false));
    }
    uri
}
