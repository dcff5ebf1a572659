//! Who calls: a signature becomes an access key with its rights.

mod credentials_file;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use http::HeaderMap;
use http::request::Parts;
use kvs_protocol::sigv4::{self, Payload, Scope, SignedRequest};
use kvs_protocol::{ApiError, ErrorKind, Timestamp};
use ring::hmac;

use credentials_file::AccessKey;
pub(crate) use credentials_file::Action;

use crate::access;
use crate::clock::Clock;
use crate::config::Config;
use crate::lock::{read, write};
use crate::start_error::StartError;

const SECURITY_TOKEN_HEADER: &str = "x-amz-security-token";

/// The access keys of a server; without any it takes every request.
#[derive(Debug)]
pub(crate) struct Auth {
    keys: Option<KeysFile>,
    region: String,
    clock: Arc<dyn Clock>,
}

/// A credentials file, and what was last read from it.
#[derive(Debug)]
struct KeysFile {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

/// Access keys by their ids.
type Keys = HashMap<String, Arc<AccessKey>>;

/// Who made a request, as far as that is known.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Arc<AccessKey>>);

impl Auth {
    /// Reads the credentials file, if there is to be one.
    pub(crate) fn open(config: &Config) -> Result<Self, StartError> {
        let keys = match &config.credentials {
            None => None,
            Some(path) => Some(KeysFile {
                path: path.clone(),
                keys: RwLock::new(Arc::new(read_keys(path)?)),
            }),
        };
        Ok(Self {
            keys,
            region: config.region.clone(),
            clock: Arc::clone(&config.clock),
        })
    }

    /// Reads the credentials file again, if there is one. Sessions that are open go on.
    ///
    /// # Errors
    /// The file is unusable; then all stays as it was.
    pub(crate) fn reload(&self) -> Option<Result<(), StartError>> {
        let file = self.keys.as_ref()?;
        let keys = read_keys(&file.path);
        Some(keys.map(|keys| *write(&file.keys) = Arc::new(keys)))
    }

    /// Verifies the signature of a request; `body` is `None` for a body that has no end yet.
    pub(crate) fn verify(&self, head: &Parts, body: Option<&[u8]>) -> Result<Caller, ApiError> {
        let Some(file) = &self.keys else {
            return Ok(Caller(None));
        };
        let keys = Arc::clone(&read(&file.keys));
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = SignedRequest {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            payload: body.map_or(Payload::Stream, Payload::Whole),
        };
        let scope = Scope {
            region: &self.region,
            service: sigv4::SERVICE,
        };
        let now = Timestamp::from_ms(self.clock.now_ms());
        let id = sigv4::verify(&request, &scope, now, |id| {
            keys.get(id).map(|key| &key.secret)
        })?;
        let key = keys
            .get(id)
            .filter(|key| token_is_right(key, &head.headers));
        let key = key.ok_or_else(|| {
            let message = "The security token included in the request is invalid.";
            ApiError::new(ErrorKind::UnrecognizedClient, message)
        })?;
        access::is_signed_by(id);
        Ok(Caller(Some(Arc::clone(key))))
    }
}

fn read_keys(path: &Path) -> Result<Keys, StartError> {
    let wrong = |what| StartError::Credentials {
        path: path.into(),
        what,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let keys = credentials_file::parse(&text).map_err(wrong)?;
    warn_if_others_read(path);
    let shared = |(id, key)| (id, Arc::new(key));
    Ok(keys.into_iter().map(shared).collect())
}

/// A group may be the server's own; all others are not.
fn warn_if_others_read(path: &Path) {
    const OTHERS_READ: u32 = 0o004;
    if std::fs::metadata(path).is_ok_and(|file| file.mode() & OTHERS_READ != 0) {
        let path = path.display();
        tracing::warn!("--credentials {path}: every user of this machine can read it; chmod o= it");
    }
}

impl Caller {
    /// Whether the caller may do that, to that stream if it is about one.
    pub(crate) fn allows(&self, action: Action, stream: Option<&str>) -> bool {
        self.0.as_ref().is_none_or(|key| key.allows(action, stream))
    }

    /// Refuses a caller that may not do that with the whole account.
    ///
    /// # Errors
    /// AccessDeniedException.
    pub(crate) fn authorize(&self, action: Action) -> Result<(), ApiError> {
        self.authorize_any(&[action], None, ErrorKind::AccessDenied)
    }

    /// Refuses a caller that has none of these rights, with that exception.
    pub(crate) fn authorize_any(
        &self,
        actions: &[Action],
        stream: Option<&str>,
        denial: ErrorKind,
    ) -> Result<(), ApiError> {
        if let Some(stream) = stream {
            access::is_about(stream);
        }
        if actions.iter().any(|action| self.allows(*action, stream)) {
            return Ok(());
        }
        let message = "The access key may not do that; see kvs_actions and kvs_streams of its \
                       profile in the server's credentials file.";
        Err(ApiError::new(denial, message))
    }
}

/// A key with a session token needs it, signed or not. Compared by their hashes under the key's
/// secret, in constant time.
fn token_is_right(key: &AccessKey, headers: &HeaderMap) -> bool {
    let Some(token) = &key.session_token else {
        return true;
    };
    let Some(sent) = headers.get(SECURITY_TOKEN_HEADER) else {
        return false;
    };
    let hash = hmac::Key::new(hmac::HMAC_SHA256, key.secret.expose().as_bytes());
    let expected = hmac::sign(&hash, token.expose().as_bytes());
    hmac::verify(&hash, sent.as_bytes(), expected.as_ref()).is_ok()
}
