//! Secret keys, and the signing keys derived from them.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use super::Scope;

/// A secret key or a session token. It is wiped from memory when dropped, and nothing prints it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for signing or for handing it to an SDK.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key that signs requests of one day, region and service.
    pub(super) fn signing_key(&self, date: &str, scope: &Scope<'_>) -> hmac::Key {
        // Of the right size at once: what grows leaves copies behind.
        let mut initial = Zeroizing::new(String::with_capacity(4 + self.0.len()));
        initial.push_str("AWS4");
        initial.push_str(self.expose());
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        [date, scope.region, scope.service, "aws4_request"]
            .iter()
            .fold(key(initial.as_bytes()), |step, part| {
                key(hmac::sign(&step, part.as_bytes()).as_ref())
            })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_secret() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Secret(..)");
    }
}
