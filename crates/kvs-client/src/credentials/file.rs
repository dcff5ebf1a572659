//! The credential file that AWS's own producers write and read.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// The largest file that is read: one line of a session token and two keys is under 4 KiB.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 10;

/// Parses `CREDENTIALS access secret` or `CREDENTIALS access expiry secret session`.
///
/// The error says what is wrong with the form, and never repeats what the file holds.
pub(super) fn parse(text: &str) -> Result<Credentials, &'static str> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let (access, expiry, secret, token) = match fields.as_slice() {
        ["CREDENTIALS", access, secret] => (access, None, secret, None),
        ["CREDENTIALS", access, expiry, secret, token] => {
            let at = DateTime::from_str(expiry, Format::DateTime)
                .ok()
                .and_then(|at| SystemTime::try_from(at).ok())
                .ok_or("its expiry is not a time such as 2026-01-18T09:18:06Z")?;
            (access, Some(at), secret, Some((*token).to_owned()))
        }
        _ => {
            return Err("it is neither `CREDENTIALS access secret` nor \
                        `CREDENTIALS access expiry secret session`");
        }
    };
    Ok(Credentials::new(
        *access,
        *secret,
        token,
        expiry,
        "credential file",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let long_lived = parse("CREDENTIALS AKID secret\n").expect("valid");
        assert_eq!(
            (long_lived.access_key_id(), long_lived.expiry()),
            ("AKID", None)
        );
        let session = parse("CREDENTIALS AKID 2026-01-18T09:18:06Z secret token").expect("valid");
        assert_eq!(session.session_token(), Some("token"));
        let at = session.expiry().expect("an expiry");
        assert_eq!(
            at.duration_since(SystemTime::UNIX_EPOCH)
                .map(|d| d.as_secs())
                .ok(),
            Some(1_768_727_886)
        );
    }

    #[test]
    fn an_error_does_not_repeat_the_secret() {
        for wrong in ["", "AKID secret", "CREDENTIALS AKID notatime secret token"] {
            let error = parse(wrong).expect_err("must be refused");
            assert!(!error.contains("AKID"), "{error}");
        }
    }
}
