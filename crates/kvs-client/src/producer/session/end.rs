//! The end before everything is confirmed: by a stop, or by a failure.

use std::time::Instant;

use super::super::event::{DropReason, ProducerEvent, ProducerState, Warning};
use super::{Conclusion, Session};

impl Session {
    /// Nothing more is sent. What is not confirmed is told, once as much as possible is on disk.
    pub(super) fn conclude(&mut self, how: Conclusion, now: Instant) {
        self.close_all();
        self.retry = None;
        self.concluding = Some(how);
        if self.spooling.is_some() {
            // The open fragment is worth a file, too.
            self.interleave.finish(now);
            self.take_pieces(now);
        }
        self.conclude_if_saved();
    }

    pub(super) fn conclude_if_saved(&mut self) {
        if self.is_saving() {
            return;
        }
        let Some(how) = self.concluding.take() else {
            return;
        };
        let unconfirmed = self.unconfirmed();
        let why = match how {
            Conclusion::Stopped => DropReason::Stopped,
            Conclusion::Failed(..) => DropReason::Failed,
        };
        self.lose(unconfirmed, why);
        self.tell_spooled();
        match how {
            Conclusion::Stopped => self.state = ProducerState::Drained,
            Conclusion::Failed(reason, message) => {
                self.set_state(ProducerState::Failed);
                self.tell(ProducerEvent::Failed { reason, message });
            }
        }
    }

    /// Tells what waits on disk for the next start.
    pub(super) fn tell_spooled(&mut self) {
        if let Some(span) = self.buffer.unconfirmed(true) {
            self.tell(ProducerEvent::Warning(Warning::Spooled { span }));
        }
    }
}
