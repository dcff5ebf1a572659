//! Signature Version 4: whether a request was signed by who it says, and not changed since.
//!
//! Written against AWS's "Create a signed AWS API request" and what AWS's clients really send:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

mod authorization;
mod canonical;
mod secret;
#[cfg(test)]
mod test_suite;
mod verify;

pub use secret::Secret;
pub use verify::{Payload, SKEW_MS_MAX, Scope, SignedRequest, verify};

/// The name that the service's signatures are scoped to.
pub const SERVICE: &str = "kinesisvideo";
