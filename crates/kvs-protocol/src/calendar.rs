//! Dates of the civil calendar, as ISO 8601 and as signatures write them.

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const DAYS_IN_MONTH: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let leap_day = u64::from(is_leap(year));
    let in_month = DAYS_IN_MONTH.get(index)? + if month == 2 { leap_day } else { 0 };
    if !(1970..=9999).contains(&year) || !(1..=in_month).contains(&day) {
        return None;
    }
    let leap_days = |before: u64| (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400;
    let years = (year - 1970) * 365 + leap_days(year) - leap_days(1970);
    let days = DAYS_BEFORE_MONTH[index] + if month > 2 { leap_day } else { 0 };
    Some(years + days + day - 1)
}

/// A number of exactly that many digits at the front, which is taken off.
fn take_digits(text: &mut &str, count: usize) -> Option<u64> {
    let (digits, rest) = text.split_at_checked(count)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *text = rest;
    digits.parse().ok()
}

/// Takes off `mark`, if the text begins with it.
fn take(text: &mut &str, mark: &str) -> Option<()> {
    *text = text.strip_prefix(mark)?;
    Some(())
}

fn ms_of_day(hour: u64, minute: u64, second: u64) -> Option<u64> {
    // 60 is a leap second, which the count since 1970 does not know.
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds since 1970 of a basic date such as `20150830T123600Z`.
pub(crate) fn parse_basic(mut text: &str) -> Option<u64> {
    let text = &mut text;
    let (year, month, day) = (
        take_digits(text, 4)?,
        take_digits(text, 2)?,
        take_digits(text, 2)?,
    );
    take(text, "T")?;
    let time = ms_of_day(
        take_digits(text, 2)?,
        take_digits(text, 2)?,
        take_digits(text, 2)?,
    )?;
    take(text, "Z")?;
    text.is_empty().then_some(())?;
    Some(days_since_1970(year, month, day)? * DAY_MS + time)
}

/// Milliseconds since 1970 of an extended date such as `2024-01-02T03:04:05.678Z`, with the offset
/// `Z`, `+01:00` or none (UTC). Finer fractions are cut off.
pub(crate) fn parse_extended(mut text: &str) -> Option<u64> {
    let text = &mut text;
    let year = take_digits(text, 4)?;
    take(text, "-")?;
    let month = take_digits(text, 2)?;
    take(text, "-")?;
    let day = take_digits(text, 2)?;
    let mut ms = days_since_1970(year, month, day)? * DAY_MS;
    if text.is_empty() {
        return Some(ms);
    }
    take(text, "T").or_else(|| take(text, " "))?;
    let hour = take_digits(text, 2)?;
    take(text, ":")?;
    let minute = take_digits(text, 2)?;
    take(text, ":")?;
    ms += ms_of_day(hour, minute, take_digits(text, 2)?)?;
    if take(text, ".").is_some() {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (fraction, rest) = text.split_at(end);
        *text = rest;
        let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
        ms += digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    }
    let east = match text.chars().next() {
        None => return Some(ms),
        Some('Z') => return (*text == "Z").then_some(ms),
        Some('+') => true,
        Some('-') => false,
        Some(_) => return None,
    };
    *text = &text[1..];
    let hours = take_digits(text, 2)?;
    let _ = take(text, ":");
    let offset = ms_of_day(hours, take_digits(text, 2)?, 0)?;
    text.is_empty().then_some(())?;
    if east {
        ms.checked_sub(offset)
    } else {
        Some(ms + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants() {
        assert_eq!(parse_basic("19700101T000000Z"), Some(0));
        assert_eq!(parse_basic("20150830T123600Z"), Some(1_440_938_160_000));
        assert_eq!(parse_basic("20000229T000000Z"), Some(951_782_400_000));
        assert_eq!(
            parse_extended("2024-01-02T03:04:05.678Z"),
            Some(1_704_164_645_678)
        );
        assert_eq!(
            parse_extended("2024-01-02T04:04:05.6789+01:00"),
            Some(1_704_164_645_678)
        );
        assert_eq!(
            parse_extended("2024-01-01 22:04:05.6-0500"),
            Some(1_704_164_645_600)
        );
        assert_eq!(parse_extended("2024-01-02"), Some(1_704_153_600_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600ZZ",
            "20150832T123600Z",
            "20150230T000000Z",
            "19690101T000000Z",
            "20150830T243600Z",
            "2015083aT123600Z",
        ] {
            assert_eq!(parse_basic(text), None, "{text}");
        }
        for text in [
            "2024-13-01",
            "2024-01-01T",
            "2024-01-01T00:00:00+",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(parse_extended(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            let _ = (parse_basic(&text), parse_extended(&text));
        }
    }
}
