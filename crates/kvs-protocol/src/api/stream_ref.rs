//! Which stream a request is about: `StreamName`, `StreamARN`, or both.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::members;
use crate::{ApiError, StreamArn, StreamName};

/// A stream as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamRef {
    /// The stream that has this name now.
    Name(StreamName),
    /// This stream, and no later one of the same name.
    Arn(StreamArn),
}

/// The members that name a stream, and the others of a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfStream<Arn, Rest> {
    pub(super) stream_name: Option<StreamName>,
    #[serde(rename = "StreamARN")]
    pub(super) stream_arn: Option<Arn>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

impl StreamRef {
    /// Reads the body of a request about a stream: which one, and the other members.
    pub(super) fn read<Rest: DeserializeOwned>(body: &[u8]) -> Result<(Self, Rest), ApiError> {
        let members: OfStream<StreamArn, Rest> = members::read(body)?;
        let stream = Self::new(members.stream_name, members.stream_arn)?;
        Ok((stream, members.rest))
    }

    /// The name, however it was given.
    pub fn name(&self) -> &StreamName {
        match self {
            Self::Name(name) => name,
            Self::Arn(arn) => &arn.name,
        }
    }

    /// Joins the two members. At least one is needed, and they have to agree.
    pub(super) fn new(name: Option<StreamName>, arn: Option<StreamArn>) -> Result<Self, ApiError> {
        match (name, arn) {
            (None, None) => Err(ApiError::invalid_argument(
                "Neither StreamName nor StreamARN is given; one is required.",
            )),
            (Some(name), Some(arn)) if name != arn.name => {
                Err(ApiError::invalid_argument(format!(
                    "StreamName is {name} but StreamARN is that of {}; give one, or make them \
                     agree.",
                    arn.name
                )))
            }
            (_, Some(arn)) => Ok(Self::Arn(arn)),
            (Some(name), None) => Ok(Self::Name(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_arn_have_to_agree() {
        let name = |text: &str| Some(text.parse::<StreamName>().expect("a name"));
        let arn: StreamArn = "arn:aws:kinesisvideo:us-west-2:000000000000:stream/a/1"
            .parse()
            .expect("an ARN");
        assert_eq!(
            StreamRef::new(name("a"), Some(arn.clone())),
            Ok(StreamRef::Arn(arn.clone()))
        );
        assert_eq!(
            StreamRef::new(None, Some(arn.clone())),
            Ok(StreamRef::Arn(arn.clone()))
        );
        assert!(StreamRef::new(name("b"), Some(arn)).is_err());
        assert!(StreamRef::new(None, None).is_err());
    }
}
