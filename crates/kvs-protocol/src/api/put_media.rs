//! PutMedia: takes media in. Its parameters are headers; its body is the media.

use crate::api::StreamRef;
use crate::{ApiError, Timestamp};

/// The header with the stream's name.
pub const STREAM_NAME_HEADER: &str = "x-amzn-stream-name";
/// The header with the stream's ARN.
pub const STREAM_ARN_HEADER: &str = "x-amzn-stream-arn";
/// The header that says what timecodes count from: `ABSOLUTE` or `RELATIVE`.
pub const TIMECODE_TYPE_HEADER: &str = "x-amzn-fragment-timecode-type";
/// The header with the instant that relative timecodes count from.
pub const START_TIMESTAMP_HEADER: &str = "x-amzn-producer-start-timestamp";
/// The header by which AWS's C client asks for acknowledgements (1) or none (0).
pub const ACK_REQUIRED_HEADER: &str = "x-amzn-fragment-acknowledgment-required";

/// A request to take media in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutMedia {
    /// The stream.
    pub stream: StreamRef,
    /// What the timecodes of the body count from.
    pub timecodes: ProducerTimecodes,
    /// Whether the response carries acknowledgements.
    pub acks: bool,
}

/// What timecodes count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerTimecodes {
    /// 1970.
    Absolute,
    /// When the producer started.
    RelativeTo(Timestamp),
}

impl PutMedia {
    /// Reads the headers of a request; `header` gives the value of one by its lower-case name.
    pub fn parse<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, ApiError> {
        let text = |name: &str| match header(name).map(std::str::from_utf8) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text.trim())),
            Some(Err(_)) => Err(invalid(name, "it is not a text")),
        };
        let stream = match (text(STREAM_NAME_HEADER)?, text(STREAM_ARN_HEADER)?) {
            (Some(name), None) => StreamRef::Name(
                name.parse()
                    .map_err(|error| invalid(STREAM_NAME_HEADER, error))?,
            ),
            (None, Some(arn)) => StreamRef::Arn(
                arn.parse()
                    .map_err(|error| invalid(STREAM_ARN_HEADER, error))?,
            ),
            _ => {
                return Err(ApiError::invalid_argument(format!(
                    "Exactly one of the headers {STREAM_NAME_HEADER} and {STREAM_ARN_HEADER} is \
                     required."
                )));
            }
        };
        let timecodes = match text(TIMECODE_TYPE_HEADER)? {
            Some("ABSOLUTE") => ProducerTimecodes::Absolute,
            Some("RELATIVE") => {
                let start = text(START_TIMESTAMP_HEADER)?
                    .ok_or_else(|| invalid(START_TIMESTAMP_HEADER, "RELATIVE timecodes need it"))?;
                let start = start
                    .parse()
                    .map_err(|error| invalid(START_TIMESTAMP_HEADER, error))?;
                ProducerTimecodes::RelativeTo(start)
            }
            _ => {
                return Err(invalid(
                    TIMECODE_TYPE_HEADER,
                    "it has to be ABSOLUTE or RELATIVE",
                ));
            }
        };
        let acks = match text(ACK_REQUIRED_HEADER)? {
            None | Some("1") => true,
            Some("0") => false,
            Some(_) => return Err(invalid(ACK_REQUIRED_HEADER, "it has to be 0 or 1")),
        };
        Ok(Self {
            stream,
            timecodes,
            acks,
        })
    }
}

fn invalid(header: &str, why: impl std::fmt::Display) -> ApiError {
    ApiError::invalid_argument(format!("The header {header} is invalid or missing: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<PutMedia, ApiError> {
        PutMedia::parse(|name| {
            let found = headers.iter().find(|header| header.0 == name);
            found.map(|header| header.1.as_bytes())
        })
    }

    const NAME: (&str, &str) = (STREAM_NAME_HEADER, "cam");
    const ARN: (&str, &str) = (
        STREAM_ARN_HEADER,
        "arn:aws:kinesisvideo:us-west-2:000000000000:stream/cam/1",
    );
    const ABSOLUTE: (&str, &str) = (TIMECODE_TYPE_HEADER, "ABSOLUTE");
    const RELATIVE: (&str, &str) = (TIMECODE_TYPE_HEADER, "RELATIVE");

    #[test]
    fn both_ways_to_count_time() {
        let request = parse(&[NAME, ABSOLUTE, (START_TIMESTAMP_HEADER, "garbage")]).expect("valid");
        assert_eq!(
            request.timecodes,
            ProducerTimecodes::Absolute,
            "the start plays no part"
        );
        assert!(request.acks);
        let request =
            parse(&[ARN, RELATIVE, (START_TIMESTAMP_HEADER, "1795362317.5")]).expect("valid");
        let start = Timestamp::from_ms(1_795_362_317_500);
        assert_eq!(request.timecodes, ProducerTimecodes::RelativeTo(start));
        assert_eq!(request.stream.name().as_str(), "cam");
    }

    #[test]
    fn acks_can_be_declined() {
        let request = parse(&[NAME, ABSOLUTE, (ACK_REQUIRED_HEADER, "0")]).expect("valid");
        assert!(!request.acks);
    }

    #[test]
    fn each_violation_names_its_header() {
        for (headers, says) in [
            (&[ABSOLUTE][..], STREAM_NAME_HEADER),
            (&[NAME, ARN, ABSOLUTE], STREAM_ARN_HEADER),
            (&[(STREAM_NAME_HEADER, "a b"), ABSOLUTE], STREAM_NAME_HEADER),
            (&[(STREAM_ARN_HEADER, "cam"), ABSOLUTE], STREAM_ARN_HEADER),
            (&[NAME], TIMECODE_TYPE_HEADER),
            (
                &[NAME, (TIMECODE_TYPE_HEADER, "absolute")],
                TIMECODE_TYPE_HEADER,
            ),
            (&[NAME, RELATIVE], START_TIMESTAMP_HEADER),
            (
                &[NAME, RELATIVE, (START_TIMESTAMP_HEADER, "soon")],
                START_TIMESTAMP_HEADER,
            ),
            (
                &[NAME, ABSOLUTE, (ACK_REQUIRED_HEADER, "yes")],
                ACK_REQUIRED_HEADER,
            ),
        ] {
            let error = parse(headers).expect_err(says);
            assert!(error.message().contains(says), "{headers:?}: {error}");
        }
    }
}
