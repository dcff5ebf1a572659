//! From the start to the first connection: does the stream exist, and where is it?

use std::time::{Duration, Instant};

use super::super::event::{FailReason, ProducerEvent, ProducerState, Warning};
use super::{Output, Session};
use crate::control::StreamStatus;
use crate::{ErrorKind, ServiceError, StreamDescription};

/// A stream that is being made is asked for again after this time.
const NOT_ACTIVE_YET: Duration = Duration::from_secs(1);

/// What a back-off is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Describe,
    Create,
    Locate,
    Connect,
}

impl Session {
    pub(super) fn take_step(&mut self, step: Step) {
        let (state, output) = match step {
            Step::Describe => (ProducerState::Describing, Some(Output::Describe)),
            Step::Create => (ProducerState::Creating, Some(Output::Create)),
            Step::Locate => (ProducerState::Locating, Some(Output::Locate)),
            Step::Connect => (ProducerState::Ready, None),
        };
        self.set_state(state);
        self.outputs.extend(output);
    }

    pub(super) fn described(
        &mut self,
        result: Result<StreamDescription, ServiceError>,
        now: Instant,
    ) {
        if self.state != ProducerState::Describing {
            return;
        }
        match result {
            Ok(stream) => {
                self.contact();
                self.retains = stream.retention_hours > 0;
                if !self.config.tags.is_empty() && !std::mem::replace(&mut self.tagged, true) {
                    self.outputs.push_back(Output::Tag);
                }
                match stream.status {
                    StreamStatus::Active | StreamStatus::Updating => self.take_step(Step::Locate),
                    _ => self.wait(now, NOT_ACTIVE_YET, Step::Describe),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.contact();
                if self.config.create.is_some() {
                    self.take_step(Step::Create);
                } else {
                    self.fail(FailReason::NoStream, error.to_string(), now);
                }
            }
            Err(error) => self.failed(Step::Describe, &error, now),
        }
    }

    pub(super) fn created(&mut self, result: Result<(), ServiceError>, now: Instant) {
        if self.state != ProducerState::Creating {
            return;
        }
        match result {
            Ok(()) => {
                // It was made with them.
                self.tagged = true;
                self.take_step(Step::Describe);
            }
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::InUse => {
                self.failed(Step::Describe, &error, now);
            }
            Err(error) => self.failed(Step::Create, &error, now),
        }
    }

    /// Data flows whether the stream has its tags or not.
    pub(super) fn tagged(&mut self, result: Result<(), ServiceError>) {
        if let Err(error) = result {
            let message = error.to_string();
            self.tell(ProducerEvent::Warning(Warning::Untagged { message }));
        }
    }

    pub(super) fn located(&mut self, result: Result<(), ServiceError>, now: Instant) {
        if self.state != ProducerState::Locating {
            return;
        }
        match result {
            Ok(()) => self.take_step(Step::Connect),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.lost(Step::Describe, &error.to_string(), now);
            }
            Err(error) => self.failed(Step::Locate, &error, now),
        }
    }

    /// The service has answered: from now on it is expected to come back.
    fn contact(&mut self) {
        if !std::mem::replace(&mut self.contacted, true) {
            self.backoff.reset();
        }
    }
}
