//! Texts that name something: a stream, a region, a device, a kind of media, a key, a version.

use std::fmt;
use std::str::FromStr;

/// Why a text is not what it should be: a sentence that says what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(&'static str);

macro_rules! text_types {
    ($($(#[$doc:meta])* $name:ident: $valid:ident($max:literal), $rule:literal;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $valid(text, $max) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName($rule))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        crate::text::serde_as_text!($name);
    )+ };
}

text_types! {
    /// The name of a stream, unique in an account and region.
    StreamName: is_plain(256),
        "a stream name has 1 to 256 characters out of a-z A-Z 0-9 _ . -";
    /// The name of a device; stored and shown, of no effect.
    DeviceName: is_plain(128),
        "a device name has 1 to 128 characters out of a-z A-Z 0-9 _ . -";
    /// A region, such as `us-west-2`.
    Region: is_region(64),
        "a region has 1 to 64 characters out of a-z 0-9 -";
    /// What a stream carries: one or more media types such as `video/h264,audio/aac`.
    MediaType: is_media_type(128),
        "a media type is type/subtype, several separated by commas, 128 characters at most";
    /// The name of a key at the key service; any text.
    KmsKeyId: is_text(2048),
        "a key id has 1 to 2048 characters";
    /// Where something is sent: `s3://bucket/prefix`, or the ARN of a topic.
    DestinationUri: is_destination(255),
        "a destination is SCHEME:NAME or SCHEME://NAME/PATH of 255 characters at most, without *";
    /// The region of a destination, such as `us-gov-west-1`.
    DestinationRegion: is_destination_region(14),
        "the region of a destination is like us-west-2, of 9 to 14 characters";
    /// The version of a stream's metadata: a new random text at each change.
    Version: is_alphanumeric(64),
        "a version has 1 to 64 characters out of a-z A-Z 0-9";
}

fn is_text(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.chars().count())
}

fn is_all(text: &str, bytes_max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    is_all(text, bytes_max, |byte| {
        byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
    })
}

fn is_alphanumeric(text: &str, bytes_max: usize) -> bool {
    is_all(text, bytes_max, |byte| byte.is_ascii_alphanumeric())
}

fn is_region(text: &str, bytes_max: usize) -> bool {
    is_all(text, bytes_max, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
    })
}

/// The service model has `^[a-zA-Z_0-9]+:(//)?([^/]+)/?([^*]*)$` for it.
fn is_destination(text: &str, chars_max: usize) -> bool {
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_form = text.split_once(':').is_some_and(|(scheme, rest)| {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        is_all(scheme, chars_max, is_scheme) && !name.is_empty() && !path.contains('*')
    });
    is_form && is_text(text, chars_max)
}

/// The service model has `^[a-z]+(-[a-z]+)?-[a-z]+-[0-9]$` for it.
fn is_destination_region(text: &str, bytes_max: usize) -> bool {
    const BYTES_MIN: usize = 9;
    let mut words: Vec<_> = text.split('-').collect();
    let digit = words.pop().unwrap_or_default();
    let is_word = |word: &&str| is_all(word, bytes_max, |byte| byte.is_ascii_lowercase());
    (BYTES_MIN..=bytes_max).contains(&text.len())
        && is_all(digit, 1, |byte| byte.is_ascii_digit())
        && (2..=3).contains(&words.len())
        && words.iter().all(is_word)
}

fn is_media_type(text: &str, bytes_max: usize) -> bool {
    let is_part = |part: &str| {
        is_all(part, bytes_max, |byte| {
            byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte)
        })
    };
    let is_type = |one: &str| {
        one.split_once('/')
            .is_some_and(|(a, b)| is_part(a) && is_part(b))
    };
    text.len() <= bytes_max && text.split(',').all(is_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_on_both_sides() {
        for good in ["a", "Cam_1.front-door", &"x".repeat(256)] {
            assert!(good.parse::<StreamName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "straße", &"x".repeat(257)] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad}");
        }
        assert!("ß".repeat(2048).parse::<KmsKeyId>().is_ok());
        assert!("ß".repeat(2049).parse::<KmsKeyId>().is_err());
    }

    #[test]
    fn media_types_come_alone_or_in_a_list() {
        for good in [
            "video/h264",
            "video/h264,audio/aac",
            "application/vnd.x+json",
        ] {
            assert!(good.parse::<MediaType>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "video",
            "video/",
            "/h264",
            "video/h264,",
            "a/b/c",
            "video/h 264",
        ] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn destinations_are_a_scheme_and_a_name() {
        for good in [
            "s3://bucket",
            "s3://bucket/a/b",
            "arn:aws:sns:us-west-2:000000000000:topic",
            "x:y",
            &format!("s3://{}", "b".repeat(250)),
        ] {
            assert!(good.parse::<DestinationUri>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "bucket",
            "s3:",
            "s3://",
            "s3:///x",
            "s3:/x",
            "s-3://x",
            "://x",
            "s3://bucket/*",
            &format!("s3://{}", "b".repeat(251)),
        ] {
            assert!(bad.parse::<DestinationUri>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_region_of_a_destination_has_its_form() {
        for good in ["us-west-2", "us-gov-west-1", "ap-northeast-1"] {
            assert!(good.parse::<DestinationRegion>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "us-west",
            "us-west-22",
            "a-b-c-d-1",
            "us--west-1",
            "us-west-x",
            "eu-we-1",
        ] {
            assert!(bad.parse::<DestinationRegion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_error_says_what_is_allowed() {
        let error = "a b".parse::<StreamName>().expect_err("a blank");
        assert!(error.to_string().contains("1 to 256 characters"));
    }
}
