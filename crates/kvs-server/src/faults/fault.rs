//! A fault as it is given: one JSON object with the members of what, where and when.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::scope::Scope;
use super::what::{Place, What};
use super::when::When;

/// The whole of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(super) struct Fault {
    #[serde(flatten)]
    pub(super) what: What,
    #[serde(flatten)]
    pub(super) scope: Scope,
    #[serde(flatten)]
    pub(super) when: When,
}

impl Fault {
    /// Reads a fault.
    ///
    /// # Errors
    /// What is wrong, and what is allowed there.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let members: Map<String, Value> = serde_json::from_slice(json)
            .map_err(|error| format!("a fault is one JSON object: {error}"))?;
        let (mut scope, mut when, mut what) = (Map::new(), Map::new(), Map::new());
        for (name, value) in members {
            let group = match name.as_str() {
                name if Scope::MEMBERS.contains(&name) => &mut scope,
                name if When::MEMBERS.contains(&name) => &mut when,
                _ => &mut what,
            };
            group.insert(name, value);
        }
        // A kind that is missing is answered like one that is unknown, with all there are.
        what.entry("kind").or_insert_with(|| "".into());
        let fault = Self {
            what: group(what)?,
            scope: group(scope)?,
            when: group(when)?,
        };
        fault.what.check()?;
        fault.scope.check()?;
        fault.when.check()?;
        fault.check_members()?;
        Ok(fault)
    }

    /// Not every kind goes with every member.
    fn check_members(&self) -> Result<(), String> {
        let (has_operation, has_stream) = (self.scope.has_operation(), self.scope.has_stream());
        if self.what.place() == Place::Acks && has_operation {
            return Err("this kind is about PutMedia: it takes a stream and no operation".into());
        }
        if self.what.place() == Place::Server && (has_operation || has_stream) {
            return Err("this kind is about the whole server, no operation and no stream".into());
        }
        if matches!(self.what, What::ClockStep { .. }) && self.when != When::default() {
            return Err("a clock_step holds until it is cleared: no after, count and so on".into());
        }
        if self.what == (What::Refuse {}) && self.when.count.is_none() {
            let why = "the connection that would clear it is refused too";
            return Err(format!("refuse needs a count: {why}"));
        }
        Ok(())
    }
}

fn group<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(members)).map_err(|error| {
        let others = Scope::MEMBERS.iter().chain(&When::MEMBERS);
        let others: Vec<_> = others.copied().collect();
        format!("{error}; what any fault may have: {}", others.join(", "))
    })
}
