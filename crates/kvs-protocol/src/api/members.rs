//! The members of a JSON request body, and the errors that all operations share.

use serde::de::DeserializeOwned;

use crate::ApiError;

/// Reads the body as the members of a request. An empty body is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        ApiError::invalid_argument(format!("The request body is invalid: {error}."))
    })
}

/// The member, or an error that asks for it.
pub(super) fn required<T>(name: &str, member: Option<T>) -> Result<T, ApiError> {
    member.ok_or_else(|| ApiError::invalid_argument(format!("{name} is missing; it is required.")))
}

/// `MaxResults`, from 1 to `max`.
pub(super) fn max_results(
    member: Option<i64>,
    max: usize,
    default: usize,
) -> Result<usize, ApiError> {
    let Some(wanted) = member else {
        return Ok(default);
    };
    match usize::try_from(wanted) {
        Ok(wanted) if (1..=max).contains(&wanted) => Ok(wanted),
        _ => Err(ApiError::invalid_argument(format!(
            "MaxResults is {wanted}; it has to be from 1 to {max}."
        ))),
    }
}

/// `NextToken`: text of the base64 alphabet. An empty one is the same as none.
pub(super) fn next_token(member: Option<String>, max: usize) -> Result<Option<String>, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match member {
        Some(token) if token.len() > max || !token.bytes().all(allowed) => {
            Err(ApiError::invalid_argument(
                "NextToken is not one of this service's; pass the one of the previous page, \
                 unchanged.",
            ))
        }
        token => Ok(token.filter(|token| !token.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_bound() {
        let error = max_results(Some(0), 1000, 100).expect_err("too few");
        assert_eq!(
            error.message(),
            "MaxResults is 0; it has to be from 1 to 1000."
        );
        assert_eq!(max_results(Some(1000), 1000, 100), Ok(1000));
        assert!(max_results(Some(1001), 1000, 100).is_err());
        assert!(max_results(Some(-1), 1000, 100).is_err());
        assert_eq!(max_results(None, 1000, 100), Ok(100));
    }

    #[test]
    fn tokens_are_checked_before_they_are_used() {
        assert_eq!(next_token(Some(String::new()), 4), Ok(None));
        assert_eq!(next_token(Some("aZ+=".into()), 4), Ok(Some("aZ+=".into())));
        assert!(next_token(Some("aZ+==".into()), 4).is_err());
        assert!(next_token(Some("a-b".into()), 4).is_err());
    }
}
