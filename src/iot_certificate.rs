//! The property `iot-certificate`: a structure, as AWS's element takes it.

use std::path::PathBuf;
use std::time::Duration;

use kvs_client::{IotCertificate, ServiceError};

const DEFAULT_CONNECTION_TIMEOUT_S: u32 = 3;
const DEFAULT_COMPLETION_TIMEOUT_S: u32 = 5;

const FIELDS: [&str; 8] = [
    "endpoint",
    "cert-path",
    "key-path",
    "ca-path",
    "role-aliases",
    "iot-thing-name",
    "connection-timeout",
    "completion-timeout",
];

/// What the structure says. The device is called as the stream is, unless it says otherwise.
///
/// # Errors
/// A field is missing, of another type, or one that there is not.
pub(crate) fn parse(
    structure: &gst::StructureRef,
    stream_name: &str,
) -> Result<IotCertificate, ServiceError> {
    let wrong = |what: String| ServiceError::config(format!("iot-certificate: {what}"));
    let unknown = { structure.fields() }.find(|field| !FIELDS.contains(&field.as_str()));
    if let Some(unknown) = unknown {
        let known = FIELDS.join(", ");
        return Err(wrong(format!("there is no field {unknown}: {known}")));
    }
    let text = |field| match structure.get_optional::<String>(field) {
        Ok(text) => Ok(text.filter(|text| !text.is_empty())),
        Err(_) => Err(wrong(format!("{field} is no string"))),
    };
    let needed = |field| text(field)?.ok_or_else(|| wrong(format!("{field} is missing")));
    // gst-launch makes a signed number of one that is written without a type.
    let seconds = |field, default: u32| {
        let number = match structure.value(field) {
            Err(_) => Some(default),
            Ok(value) => {
                { value.get::<u32>().ok() }.or_else(|| value.get::<i32>().ok()?.try_into().ok())
            }
        };
        let number = number.filter(|&number| number > 0);
        let number = number.ok_or_else(|| wrong(format!("{field} is no number of seconds")))?;
        Ok::<_, ServiceError>(Duration::from_secs(number.into()))
    };
    Ok(IotCertificate {
        endpoint: needed("endpoint")?,
        cert_path: PathBuf::from(needed("cert-path")?),
        key_path: PathBuf::from(needed("key-path")?),
        ca_path: PathBuf::from(needed("ca-path")?),
        role_alias: needed("role-aliases")?,
        thing_name: text("iot-thing-name")?.unwrap_or_else(|| stream_name.to_owned()),
        connect_timeout: seconds("connection-timeout", DEFAULT_CONNECTION_TIMEOUT_S)?,
        completion_timeout: seconds("completion-timeout", DEFAULT_COMPLETION_TIMEOUT_S)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "iot-certificate,endpoint=c.credentials.iot.eu-west-1.amazonaws.com,\
        cert-path=/d/cert.pem,key-path=/d/key.pem,ca-path=/d/ca.pem,role-aliases=cameras";

    fn parsed(text: &str) -> Result<IotCertificate, String> {
        gst::init().expect("GStreamer initialises");
        let structure: gst::Structure = text.parse().expect("a structure");
        parse(&structure, "cam").map_err(|error| error.to_string())
    }

    #[test]
    fn the_device_is_called_as_the_stream_unless_it_says_otherwise() {
        let certificate = parsed(WHOLE).expect("whole");
        assert_eq!(certificate.thing_name, "cam");
        assert_eq!(certificate.role_alias, "cameras");
        assert_eq!(certificate.connect_timeout, Duration::from_secs(3));
        let more = ",iot-thing-name=porch,connection-timeout=7,completion-timeout=(uint)9";
        let certificate = parsed(&format!("{WHOLE}{more}")).expect("whole");
        assert_eq!(certificate.thing_name, "porch");
        assert_eq!(certificate.connect_timeout, Duration::from_secs(7));
        assert_eq!(certificate.completion_timeout, Duration::from_secs(9));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let without_key = WHOLE.replace("key-path=/d/key.pem,", "");
        for (text, says) in [
            (without_key, "key-path is missing"),
            (format!("{WHOLE},key=x"), "there is no field key"),
            (
                format!("{WHOLE},iot-thing-name=7"),
                "iot-thing-name is no string",
            ),
            (
                format!("{WHOLE},connection-timeout=soon"),
                "no number of seconds",
            ),
            (
                format!("{WHOLE},completion-timeout=0"),
                "no number of seconds",
            ),
        ] {
            let error = parsed(&text).expect_err("it is refused");
            assert!(error.contains(says), "{error}");
        }
    }
}
