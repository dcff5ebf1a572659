//! Where a fault happens: at which operation, to which stream.

use kvs_protocol::StreamName;
use kvs_protocol::api::Operation;
use serde::{Deserialize, Serialize};

/// The members of a fault that say where. Without any it is everywhere.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub(super) struct Scope {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
}

impl Scope {
    pub(super) const MEMBERS: [&str; 2] = ["operation", "stream"];

    /// What is none, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(operation) = &self.operation {
            let mut names = Operation::ALL.iter().map(|operation| name(*operation));
            if !names.any(|name| name == *operation) {
                let names: Vec<_> = Operation::ALL.iter().map(|known| name(*known)).collect();
                return Err(format!("operation is one of {}", names.join(", ")));
            }
        }
        match &self.stream {
            Some(stream) if stream.parse::<StreamName>().is_err() => {
                Err("stream is the name of a stream".into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has_operation(&self) -> bool {
        self.operation.is_some()
    }

    pub(super) fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether a request for that operation is meant, to whatever stream.
    pub(super) fn takes_operation(&self, operation: Operation) -> bool {
        let asked = self.operation.as_deref();
        asked.is_none_or(|asked| asked == name(operation))
    }

    /// Whether that stream is meant; a request that names none is meant by a fault that names none.
    pub(super) fn takes_stream(&self, stream: Option<&str>) -> bool {
        self.stream.is_none() || self.stream.as_deref() == stream
    }
}

/// `CreateStream`, whose path is `/createStream`.
fn name(operation: Operation) -> String {
    let mut letters = operation.path().trim_start_matches('/').chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
