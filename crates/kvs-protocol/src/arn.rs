//! The ARN of a stream, which also tells two streams of one name apart.

use std::fmt;
use std::str::FromStr;

use crate::{Region, StreamName};

/// `arn:aws:kinesisvideo:us-west-2:123456789012:stream/front-door/1678721804436`.
///
/// The last part is when the stream was created: a stream that was deleted and made again under
/// the same name has another ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamArn {
    /// `aws`, `aws-cn` or `aws-us-gov`; other lower-case names are taken as they are.
    pub partition: String,
    /// The region of the stream.
    pub region: Region,
    /// The account's number, usually of 12 digits.
    pub account: String,
    /// The name of the stream.
    pub name: StreamName,
    /// When the stream was created, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Why a text is no stream ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream ARN looks like arn:aws:kinesisvideo:REGION:ACCOUNT:stream/NAME/CREATION_TIME_MS")]
pub struct InvalidStreamArn;

impl StreamArn {
    /// The service model's limit for the whole text.
    pub const BYTES_MAX: usize = 1024;
}

impl FromStr for StreamArn {
    type Err = InvalidStreamArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split(':');
            let mut next = || parts.next();
            let (arn, partition, service) = (next()?, next()?, next()?);
            let (region, account, resource) = (next()?, next()?, next()?);
            let (name, created_ms) = resource.strip_prefix("stream/")?.split_once('/')?;
            let is_partition =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let is_digits =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let valid = text.len() <= Self::BYTES_MAX
                && next().is_none()
                && (arn, service) == ("arn", "kinesisvideo")
                && !partition.is_empty()
                && partition.bytes().all(is_partition)
                && is_digits(account)
                && is_digits(created_ms);
            valid.then_some(())?;
            Some(Self {
                partition: partition.to_owned(),
                region: region.parse().ok()?,
                account: account.to_owned(),
                name: name.parse().ok()?,
                created_ms: created_ms.parse().ok()?,
            })
        };
        parse().ok_or(InvalidStreamArn)
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            name,
            created_ms,
        } = self;
        write!(
            f,
            "arn:{partition}:kinesisvideo:{region}:{account}:stream/{name}/{created_ms}"
        )
    }
}

crate::text::serde_as_text!(StreamArn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_what_it_was() {
        for text in [
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/test_stream/1678721804436",
            "arn:aws-us-gov:kinesisvideo:us-gov-west-1:000000000000:stream/a.b-c/0",
        ] {
            let arn: StreamArn = text.parse().expect(text);
            assert_eq!(arn.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_stream_arn_is_refused() {
        for text in [
            "",
            "test_stream",
            "arn:aws:kinesisvideo:us-west-2:123456789012:channel/a/1",
            "arn:aws:kinesis:us-west-2:123456789012:stream/a/1",
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/a",
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/a/+1",
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/a/1/2",
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/a/1:x",
            "arn:aws:kinesisvideo:us-west-2::stream/a/1",
            "arn:aws:kinesisvideo:us-west-2:123456789012:stream/a/99999999999999999999",
        ] {
            assert_eq!(text.parse::<StreamArn>(), Err(InvalidStreamArn), "{text}");
        }
    }
}
