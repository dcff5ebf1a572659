//! The file of access keys: AWS's shared-credentials format, with two keys of our own.
//!
//! ```text
//! [camera]
//! aws_access_key_id = AKIDEXAMPLE
//! aws_secret_access_key = ...
//! kvs_streams = cam-*, door
//! kvs_actions = write
//! ```

use std::collections::HashMap;

use kvs_protocol::sigv4::Secret;

/// What an access key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Describe, list and read streams.
    Read,
    /// Describe streams and put media: all that a producer does with a stream that exists.
    Write,
    /// Create, change and delete streams.
    Admin,
}

/// One access key.
#[derive(Clone, Debug)]
pub(crate) struct AccessKey {
    pub(super) secret: Secret,
    pub(super) session_token: Option<Secret>,
    /// Stream names, `*` standing for any characters; none is every stream.
    streams: Vec<String>,
    /// None is every action.
    actions: Vec<Action>,
}

impl AccessKey {
    /// Whether this key may do that, to that stream if the action is about one.
    pub(crate) fn allows(&self, action: Action, stream: Option<&str>) -> bool {
        let action_allowed = self.actions.is_empty() || self.actions.contains(&action);
        let stream_allowed = self.streams.is_empty()
            || stream.is_none_or(|name| self.streams.iter().any(|form| matches(form, name)));
        action_allowed && stream_allowed
    }
}

/// Reads the whole file: access key ids and what belongs to each.
///
/// # Errors
/// The first line at fault and why. It never quotes a value, since it may be a secret.
pub(crate) fn parse(text: &str) -> Result<HashMap<String, AccessKey>, String> {
    let mut keys = HashMap::new();
    let mut profile: Option<Profile> = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if let Some(done) = profile.replace(Profile::new(name.trim(), number)) {
                done.close(&mut keys)?;
            }
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {number}: neither [profile] nor key = value"))?;
        profile
            .as_mut()
            .ok_or_else(|| format!("line {number}: a key before the first [profile]"))?
            .set(key.trim(), value.trim(), number)?;
    }
    if let Some(done) = profile {
        done.close(&mut keys)?;
    }
    if keys.is_empty() {
        return Err("no access key in it; add [name], aws_access_key_id and \
                    aws_secret_access_key"
            .into());
    }
    Ok(keys)
}

#[derive(Default)]
struct Profile {
    name: String,
    line: usize,
    id: Option<String>,
    secret: Option<Secret>,
    session_token: Option<Secret>,
    streams: Vec<String>,
    actions: Vec<Action>,
}

impl Profile {
    fn new(name: &str, line: usize) -> Self {
        Self {
            name: name.into(),
            line,
            ..Self::default()
        }
    }

    fn set(&mut self, key: &str, value: &str, line: usize) -> Result<(), String> {
        if value.is_empty() {
            return Err(format!("line {line}: {key} is empty"));
        }
        match key.to_ascii_lowercase().as_str() {
            "aws_access_key_id" => self.id = Some(value.into()),
            "aws_secret_access_key" => self.secret = Some(Secret::new(value)),
            "aws_session_token" => self.session_token = Some(Secret::new(value)),
            "kvs_streams" => self.streams = list(value).map(String::from).collect(),
            "kvs_actions" => {
                let actions: Option<Vec<_>> = list(value).map(action).collect();
                self.actions = actions.ok_or_else(|| {
                    format!("line {line}: kvs_actions takes read, write and admin")
                })?;
            }
            // A narrowing that is misspelt would widen the key.
            key if key.starts_with("kvs_") => {
                return Err(format!(
                    "line {line}: only kvs_streams and kvs_actions are known"
                ));
            }
            // What other programs keep in the file is theirs.
            _ => {}
        }
        Ok(())
    }

    fn close(self, keys: &mut HashMap<String, AccessKey>) -> Result<(), String> {
        let Self {
            name,
            line,
            session_token,
            streams,
            actions,
            ..
        } = self;
        let (Some(id), Some(secret)) = (self.id, self.secret) else {
            return Err(format!(
                "line {line}: [{name}] needs aws_access_key_id and aws_secret_access_key"
            ));
        };
        let key = AccessKey {
            secret,
            session_token,
            streams,
            actions,
        };
        match keys.insert(id, key) {
            Some(_) => Err(format!("line {line}: [{name}] repeats an access key id")),
            None => Ok(()),
        }
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn action(name: &str) -> Option<Action> {
    match name {
        "read" => Some(Action::Read),
        "write" => Some(Action::Write),
        "admin" => Some(Action::Admin),
        _ => None,
    }
}

/// Whether `name` has this form, in which `*` stands for any characters.
fn matches(form: &str, name: &str) -> bool {
    let mut parts = form.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str = "# keys\n[camera]\naws_access_key_id = AK\n\
        aws_secret_access_key=s3cr3t\nkvs_streams = cam-*, door\nkvs_actions = write\n\
        region = eu-west-1\n";

    #[test]
    fn a_key_is_narrowed_to_streams_and_actions() {
        let keys = parse(CAMERA).expect("a good file");
        let key = &keys["AK"];
        assert!(key.allows(Action::Write, Some("cam-1")));
        assert!(key.allows(Action::Write, Some("door")));
        assert!(!key.allows(Action::Write, Some("doors")));
        assert!(!key.allows(Action::Read, Some("cam-1")));
        assert!(!format!("{keys:?}").contains("s3cr3t"));
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_never_quoted() {
        for (text, wrong) in [
            ("", "no access key"),
            ("s3cr3t", "line 1: neither"),
            ("aws_secret_access_key = s3cr3t", "line 1: a key before"),
            ("[a]\naws_secret_access_key = s3cr3t", "line 1: [a] needs"),
            (
                "[a]\naws_access_key_id =",
                "line 2: aws_access_key_id is empty",
            ),
            (&format!("{CAMERA}{CAMERA}"), "repeats"),
            (
                &CAMERA.replace("write", "s3cr3t"),
                "line 6: kvs_actions takes",
            ),
            (&CAMERA.replace("kvs_streams", "kvs_stream"), "line 5: only"),
        ] {
            let error = parse(text).expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (form, name, expected) in [
            ("*", "any", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("a*b*c", "a-b-c", true),
            ("ab*ba", "aba", false),
            ("exact", "exactly", false),
        ] {
            assert_eq!(matches(form, name), expected, "{form} {name}");
        }
    }
}
