//! The name of a fragment's file: what has to be known of it without reading it.

use std::fmt;

use kvs_media::ProducerTime;

/// How a file ends that any player opens.
const PLAIN: &str = ".mkv";
/// What is told before the end of a fragment that nobody has asked for yet.
const HELD: &str = "_held";
/// How a file ends that only its key opens.
const SEALED: &str = ".mkv.sealed";
/// Of 64 bits in decimal, so that names sort as their numbers do.
const NUMBER_DIGITS: usize = 20;
/// The greatest number that a name may have. No session comes near it, and behind it there is room
/// for the ranges of 2^31 sessions.
const NUMBER_MAX: u64 = u64::MAX / 2;

/// `{number}_{start}_{end}_{frames}.mkv`, with times in nanoseconds; sealed, `.mkv.sealed`; held,
/// `…_held.mkv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) number: u64,
    pub(super) start: ProducerTime,
    pub(super) end: ProducerTime,
    pub(super) frames: u64,
    pub(super) held: bool,
    pub(super) sealed: bool,
}

impl FileName {
    /// What a name says; `None` if it is not one that we write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (facts, sealed) = match text.strip_suffix(SEALED) {
            Some(facts) => (facts, true),
            None => (text.strip_suffix(PLAIN)?, false),
        };
        let (facts, held) = match facts.strip_suffix(HELD) {
            Some(facts) => (facts, true),
            None => (facts, false),
        };
        let mut facts = facts.split('_').map(|fact| fact.parse().ok());
        let mut next = || facts.next().flatten();
        let name = Self {
            number: next().filter(|&number| number <= NUMBER_MAX)?,
            start: ProducerTime::from_ns(next()?),
            end: ProducerTime::from_ns(next()?),
            frames: next()?,
            held,
            sealed,
        };
        // There is one way to write it: no other digits, no fifth fact.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            start,
            end,
            frames,
            held,
            sealed,
        } = self;
        let (start, end) = (start.as_ns(), end.as_ns());
        let ending = if *sealed { SEALED } else { PLAIN };
        let held = if *held { HELD } else { "" };
        write!(
            f,
            "{number:0NUMBER_DIGITS$}_{start}_{end}_{frames}{held}{ending}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for (held, sealed, text) in [
            (false, false, "00000000004294967296_5_7_3.mkv"),
            (false, true, "00000000004294967296_5_7_3.mkv.sealed"),
            (true, false, "00000000004294967296_5_7_3_held.mkv"),
        ] {
            let name = FileName {
                number: 1 << 32,
                start: ProducerTime::from_ns(5),
                end: ProducerTime::from_ns(7),
                frames: 3,
                held,
                sealed,
            };
            assert_eq!(name.to_string(), text);
            assert_eq!(FileName::parse(text), Some(name));
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for text in [
            "",
            "lock",
            "stream",
            "holiday.mkv",
            "4294967296_5_7_3.mkv",
            "00000000004294967296_5_7.mkv",
            "00000000004294967296_5_7_3_1.mkv",
            "00000000004294967296_5_7_3_held_held.mkv",
            "00000000004294967296_+5_7_3.mkv",
            "00000000004294967296_5_7_3.mkv.part",
            "00000000004294967296_5_7_3.mp4",
            "00000000004294967296_5_7_18446744073709551616.mkv",
            "09223372036854775808_5_7_3.mkv",
            "99999999999999999999_5_7_3.mkv",
        ] {
            assert_eq!(FileName::parse(text), None, "{text}");
        }
    }
}
