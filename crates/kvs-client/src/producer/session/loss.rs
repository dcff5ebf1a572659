//! What fails, and how the session goes on: by the error's name, never by its status.

use std::time::{Duration, Instant};

use super::super::event::{DropReason, FailReason, ProducerEvent, ProducerState, Warning};
use super::control::Step;
use super::link::{LinkId, Phase};
use super::{Conclusion, Output, Session};
use crate::credentials::RENEW_BEFORE;
use crate::{ErrorKind, ServiceError};

/// A connection is replaced so long before its credentials expire: a little later than new ones are
/// given out.
const RENEWED: Duration = Duration::from_secs(RENEW_BEFORE.as_secs() - 5);
/// Failures to connect in a row after which the endpoint is asked for again: it may have moved.
const FAILURES_FOR_ENDPOINT: u32 = 3;

impl Session {
    /// A connection takes data.
    pub(super) fn accepted(&mut self, id: LinkId, valid_for: Option<Duration>, now: Instant) {
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Open;
            // What has no minute left when it is new will have none left at the next connection.
            link.renew_at = valid_for
                .filter(|&valid_for| valid_for > RENEW_BEFORE)
                .map(|valid_for| now + valid_for.saturating_sub(RENEWED));
            link.heard_at = now;
        }
        if self.is_active(id) {
            self.set_state(ProducerState::Streaming);
        }
    }

    /// A connection did not come about.
    pub(super) fn refused(&mut self, id: LinkId, error: &ServiceError, now: Instant) {
        let too_many = error.kind() == ErrorKind::ConnectionLimit;
        if self.next.take_if(|link| link.id == id).is_some() {
            // The old one still sends; there is time for another try.
            self.one_at_a_time |= too_many;
        } else if self.active.take_if(|link| link.id == id).is_some() {
            if too_many && self.retiring.is_some() {
                self.one_at_a_time = true;
                self.set_state(ProducerState::Ready);
            } else {
                self.failed(Step::Connect, error, now);
            }
        }
    }

    /// A connection has ended.
    pub(super) fn ended(&mut self, id: LinkId, why: &str, now: Instant) {
        if self.next.take_if(|link| link.id == id).is_some() {
            return;
        }
        // What the one before still owes lies before what the other one sends: all over again.
        let owes = match self.retiring.take_if(|link| link.id == id) {
            Some(link) => !link.sent.is_empty(),
            None => self.is_active(id),
        };
        if owes {
            self.lost(Step::Connect, why, now);
        }
    }

    /// A call failed. Its kind says whether and how to go on.
    pub(super) fn failed(&mut self, step: Step, error: &ServiceError, now: Instant) {
        use ErrorKind::{
            Credentials, InvalidEndpoint, Network, NotAuthorized, NotFound, Other, Timeout, Tls,
        };
        let message = error.to_string();
        let moved = self.backoff.failures() >= FAILURES_FOR_ENDPOINT && step == Step::Connect;
        let then = match error.kind() {
            NotAuthorized if self.denied => return self.fail(FailReason::Denied, message, now),
            NotAuthorized => {
                self.denied = true;
                self.outputs.push_back(Output::ForgetCredentials);
                step
            }
            NotFound if step == Step::Connect => Step::Describe,
            InvalidEndpoint => self.ask_for_endpoint(),
            Network | Timeout if moved => self.ask_for_endpoint(),
            // What has worked before may work again.
            Tls | Other | Credentials if self.contacted => step,
            _ if error.is_retryable() => step,
            _ => return self.fail(FailReason::Refused, message, now),
        };
        self.lost(then, &message, now);
        if !self.contacted {
            self.last_failure = Some(message);
        }
    }

    /// When a service that never answered is out of reach for good.
    pub(super) fn first_contact_until(&self) -> Option<Instant> {
        // With a spool it may come back whenever it likes.
        let waits = !self.contacted && self.spooling.is_none();
        let started_at = self.started_at.filter(|_| waits)?;
        Some(started_at + self.config.first_contact)
    }

    /// Nobody has answered from the start.
    pub(super) fn never_contacted(&mut self, now: Instant) {
        let message = self.last_failure.take();
        let message = message.unwrap_or_else(|| "the service does not answer".to_owned());
        self.fail(FailReason::Unreachable, message, now);
    }

    fn ask_for_endpoint(&mut self) -> Step {
        self.outputs.push_back(Output::ForgetEndpoint);
        Step::Locate
    }

    /// Breaks all connections off; after a while, goes on with what is not confirmed.
    pub(super) fn lost(&mut self, then: Step, why: &str, now: Instant) {
        let delay = self.backoff.next(self.jitter.number());
        let attempts = self.config.retry_attempts;
        if attempts > 0 && self.backoff.failures() > attempts {
            return self.fail(FailReason::Unreachable, why.to_owned(), now);
        }
        let whole_ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let left = self.first_contact_until();
        let left = left.map(|until| until.saturating_duration_since(now));
        let warning = Warning::Retry {
            message: why.to_owned(),
            delay_ms: whole_ms(delay),
            up_to_s: left.map(|left| whole_ms(left).div_ceil(1000)),
        };
        self.tell(ProducerEvent::Warning(warning));
        self.stats.losses += 1;
        self.close_all();
        self.buffer.evict_all();
        self.roll_back();
        self.wait(now, delay, then);
    }

    /// Begins again behind the last of the contiguous confirmed fragments.
    fn roll_back(&mut self) {
        let lost = self.buffer.lose_released();
        self.lose(lost, DropReason::BufferFull);
        let reach = u64::try_from(self.config.replay_duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(until) = self.buffer.sent_until() {
            let mut id = self.buffer.tail();
            while let Some(fragment) = self.buffer.get(id) {
                let end = fragment.span.map_or(until, |span| span.to);
                let beyond = until.saturating_ns_since(end) > reach;
                if fragment.sent_frames > 0 && beyond && fragment.is_sendable() {
                    let span = self.buffer.give_up(id);
                    self.lose(span, DropReason::BeyondReplay);
                }
                id = id.next();
            }
        }
        self.resume_at = self.buffer.tail();
    }

    pub(super) fn wait(&mut self, now: Instant, delay: Duration, then: Step) {
        self.retry = Some((now + delay, then));
        self.set_state(ProducerState::Backoff);
    }

    /// Breaks all connections off.
    pub(super) fn close_all(&mut self) {
        let links = [&mut self.active, &mut self.next, &mut self.retiring];
        for link in links.into_iter().filter_map(Option::take) {
            self.outputs.push_back(Output::Close(link.id));
        }
    }

    /// The bad end.
    pub(super) fn fail(&mut self, reason: FailReason, message: String, now: Instant) {
        self.conclude(Conclusion::Failed(reason, message), now);
    }
}
