//! Fragment numbers: the order in which a stream took its fragments.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The number of a fragment, a decimal integer that only grows within a stream.
///
/// AWS promises no more than that: any number of up to 128 digits is held, so a client can carry
/// what any server gave it. The numbers that AWS gives out today, and those of
/// [`from_parts`](Self::from_parts), hold [`FragmentParts`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FragmentNumber {
    /// Without leading zeros, so that equal numbers are equal texts.
    digits: Arc<str>,
}

/// What a fragment number is made of: `2^156 + sequence·2^92 + server_ms·2^28 + random`.
///
/// Decoded from public recordings and checked against their server timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentParts {
    /// Counts the fragments of a stream from 1; may jump.
    pub sequence: u64,
    /// When the first byte of the fragment arrived, in milliseconds since 1970.
    pub server_ms: u64,
    /// 28 random bits.
    pub random: u32,
}

/// Why a text is no fragment number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fragment number has 1 to {} decimal digits and nothing else",
    FragmentNumber::DIGITS_MAX
)]
pub struct InvalidFragmentNumber;

const RANDOM_BITS: u32 = 28;
const SERVER_MS_BITS: u32 = 64;
/// Bit 156 is always set: all numbers have 47 digits, as long as no stream has 2^60 fragments.
const MARKER_BITS: u32 = RANDOM_BITS + 2 * SERVER_MS_BITS;

impl FragmentNumber {
    /// The service model's limit.
    pub const DIGITS_MAX: usize = 128;

    /// The number made of these parts; of `random` the low 28 bits count.
    pub fn from_parts(parts: FragmentParts) -> Self {
        let mut limbs = Limbs::default();
        limbs.or_shifted(1, MARKER_BITS);
        limbs.or_shifted(parts.sequence, RANDOM_BITS + SERVER_MS_BITS);
        limbs.or_shifted(parts.server_ms, RANDOM_BITS);
        limbs.or_shifted(u64::from(parts.random) & ((1 << RANDOM_BITS) - 1), 0);
        Self {
            digits: limbs.to_decimal().into(),
        }
    }

    /// The parts, where the number has them.
    pub fn parts(&self) -> Option<FragmentParts> {
        let limbs = Limbs::from_decimal(&self.digits)?;
        (limbs.bits(MARKER_BITS) == 1).then(|| FragmentParts {
            sequence: limbs.bits(RANDOM_BITS + SERVER_MS_BITS),
            server_ms: limbs.bits(RANDOM_BITS),
            random: limbs.bits(0) as u32 & ((1 << RANDOM_BITS) - 1),
        })
    }

    /// The decimal digits.
    pub fn as_str(&self) -> &str {
        &self.digits
    }
}

impl From<FragmentParts> for FragmentNumber {
    fn from(parts: FragmentParts) -> Self {
        Self::from_parts(parts)
    }
}

impl FromStr for FragmentNumber {
    type Err = InvalidFragmentNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::DIGITS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if !valid {
            return Err(InvalidFragmentNumber);
        }
        let significant = text.trim_start_matches('0');
        let digits = if significant.is_empty() {
            "0"
        } else {
            significant
        };
        Ok(Self {
            digits: digits.into(),
        })
    }
}

impl fmt::Display for FragmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

impl Ord for FragmentNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |number: &Self| number.digits.len();
        key(self)
            .cmp(&key(other))
            .then_with(|| self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for FragmentNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

crate::text::serde_as_text!(FragmentNumber);

/// An unsigned integer of 160 bits, least significant limb first: one marker bit, two times 64
/// and 28 bits need 157.
#[derive(Clone, Copy, Default)]
struct Limbs([u32; 5]);

/// The largest power of ten in a limb, with its exponent: nine digits a step.
const LIMB_POWER: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;

impl Limbs {
    /// Sets the bits of `value`, moved up by `shift`.
    fn or_shifted(&mut self, value: u64, shift: u32) {
        let (index, shift) = ((shift / 32) as usize, shift % 32);
        let wide = u128::from(value) << shift;
        for (step, limb) in self.0.iter_mut().skip(index).take(3).enumerate() {
            *limb |= (wide >> (32 * step)) as u32;
        }
    }

    /// The 64 bits from `shift` up.
    fn bits(&self, shift: u32) -> u64 {
        let (index, shift) = ((shift / 32) as usize, shift % 32);
        let limbs = self.0.iter().skip(index).take(3).enumerate();
        let wide = limbs.fold(0, |wide, (step, &limb)| {
            wide | u128::from(limb) << (32 * step)
        });
        (wide >> shift) as u64
    }

    fn to_decimal(mut self) -> String {
        let mut groups = Vec::new();
        while self.0.iter().any(|&limb| limb != 0) {
            let mut rest = 0;
            for limb in self.0.iter_mut().rev() {
                let wide = rest << 32 | u64::from(*limb);
                *limb = (wide / LIMB_POWER) as u32;
                rest = wide % LIMB_POWER;
            }
            groups.push(rest);
        }
        let first = groups.pop().unwrap_or(0).to_string();
        groups
            .iter()
            .rev()
            .fold(first, |text, group| text + &format!("{group:09}"))
    }

    /// `None` where 160 bits are too few.
    fn from_decimal(digits: &str) -> Option<Self> {
        let mut limbs = Self::default();
        for group in digits.as_bytes().chunks(LIMB_DIGITS) {
            let mut carry = 0;
            let mut power = 1;
            for digit in group {
                carry = carry * 10 + u64::from(digit - b'0');
                power *= 10;
            }
            for limb in &mut limbs.0 {
                let wide = u64::from(*limb) * power + carry;
                *limb = wide as u32;
                carry = wide >> 32;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(limbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> FragmentNumber {
        text.parse().expect("digits")
    }

    #[test]
    fn a_number_given_out_by_aws_has_its_server_time_inside() {
        let from_aws = number("91343852333181432392682062607743920146159169392");
        let parts = from_aws.parts().expect("AWS's own form");
        assert_eq!((parts.sequence, parts.server_ms), (1, 1_511_852_109_126));
        assert_eq!(FragmentNumber::from_parts(parts), from_aws);
    }

    #[test]
    fn a_number_without_parts_is_carried_as_it_is() {
        for foreign in ["0", "1", "91343852000000001001", &"9".repeat(128)] {
            assert_eq!(number(foreign).parts(), None);
            assert_eq!(number(foreign).to_string(), foreign);
        }
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in ["", "-1", "1.0", "١", " 1", &"1".repeat(129)] {
            assert_eq!(text.parse::<FragmentNumber>(), Err(InvalidFragmentNumber));
        }
    }

    #[test]
    fn leading_zeros_do_not_matter() {
        assert_eq!(number("0012"), number("12"));
        assert!(number("0012") < number("13"));
    }

    proptest! {
        #[test]
        fn parts_survive_the_digits(
            sequence in 0_u64..1 << 60,
            server_ms: u64,
            random in 0_u32..1 << 28,
        ) {
            let parts = FragmentParts { sequence, server_ms, random };
            let digits = FragmentNumber::from_parts(parts).to_string();
            prop_assert_eq!(digits.len(), 47);
            prop_assert_eq!(number(&digits).parts(), Some(parts));
        }

        #[test]
        fn order_is_that_of_the_parts(a: (u64, u64, u16), b: (u64, u64, u16)) {
            let parts = |(sequence, server_ms, random): (u64, u64, u16)| FragmentParts {
                sequence,
                server_ms,
                random: random.into(),
            };
            let (a, b) = (parts(a), parts(b));
            let order = FragmentNumber::from_parts(a).cmp(&FragmentNumber::from_parts(b));
            prop_assert_eq!(order, a.cmp(&b));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            let _ = text.parse::<FragmentNumber>().map(|number| number.parts());
        }
    }
}
