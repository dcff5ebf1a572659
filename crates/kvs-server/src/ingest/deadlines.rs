//! What a PutMedia session does not wait for longer, and since when it waits.

use std::time::Duration;

use tokio::time::Instant;

/// A body that is silent for so long is over.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// An element that has begun goes on with at least this much in each [`BODY_IDLE`]: 34 bytes a
/// second, about where AWS's own clients give a connection up. Between elements a producer may be
/// as slow as its media.
const ELEMENT_BYTES_MIN: u64 = 1 << 10;
/// How often a silent producer is told that it is still heard.
pub(super) const IDLE_ACK_INTERVAL: Duration = Duration::from_secs(5);
/// A fragment that has all its frames is complete when nothing follows for so long.
const FRAGMENT_END_PAUSE: Duration = Duration::from_secs(1);
/// How long the fragment under way may go on when the session is too old: longer than one may be.
const AGE_GRACE: Duration = Duration::from_secs(30);
/// How long a fragment that grows may hold back newer ones of another session.
const HOLD_BACK_MAX: Duration = Duration::from_secs(30);
/// How long a fragment under way may go on when the server stops.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(4);

/// The moments at which something happens if nothing else does.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// When the session is too old; a fragment under way may still end.
    age: Option<Instant>,
    is_old: bool,
    pub(super) idle: Instant,
    pub(super) idle_ack: Instant,
    /// By when an element under way needs how many bytes more.
    pub(super) element: Option<(Instant, u64)>,
    pub(super) pause: Option<Instant>,
    pub(super) stop: Option<Instant>,
    /// By when the open fragment no longer holds newer ones back.
    pub(super) held: Option<Instant>,
}

impl Deadlines {
    /// Of a session that begins now and gets no older than `age_max`.
    pub(super) fn new(now: Instant, age_max: Option<Duration>) -> Self {
        Self {
            age: age_max.and_then(|age_max| now.checked_add(age_max)),
            is_old: false,
            idle: now + BODY_IDLE,
            idle_ack: now + IDLE_ACK_INTERVAL,
            element: None,
            pause: None,
            stop: None,
            held: None,
        }
    }

    /// Whether no more fragments may begin.
    pub(super) fn is_old(&self) -> bool {
        self.is_old
    }

    /// Whether the session has to end now. At its age it is given time for the fragment under way.
    pub(super) fn is_too_old(&mut self, now: Instant) -> bool {
        let due = self.age.is_some_and(|at| at <= now);
        if due && !self.is_old {
            self.is_old = true;
            self.age = Some(now + AGE_GRACE);
            return false;
        }
        due
    }

    /// A newer fragment has begun in another session.
    pub(super) fn holds_back(&mut self, now: Instant) {
        self.held = Some(now + HOLD_BACK_MAX);
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.idle = now + BODY_IDLE;
        self.idle_ack = now + IDLE_ACK_INTERVAL;
    }

    /// `bytes` came, and with them an element is under way as it was before, or not.
    pub(super) fn element(&mut self, now: Instant, bytes: u64, under_way: bool) {
        let fresh = (now + BODY_IDLE, ELEMENT_BYTES_MIN);
        self.element = match self.element {
            _ if !under_way => None,
            Some((at, missing)) if missing > bytes => Some((at, missing - bytes)),
            _ => Some(fresh),
        };
    }

    /// The body is not being read, which is no fault of the producer's.
    pub(super) fn unread(&mut self, now: Instant) {
        self.idle = now + BODY_IDLE;
        self.element = self.element.map(|(_, missing)| (now + BODY_IDLE, missing));
    }

    /// Whether a pause from now on ends the fragment.
    pub(super) fn pause(&mut self, now: Instant, ends: bool) {
        self.pause = ends.then(|| now + FRAGMENT_END_PAUSE);
    }

    pub(super) fn next(&self) -> Instant {
        let fixed = self.idle.min(self.idle_ack);
        let element = self.element.map(|(at, _)| at);
        [self.pause, self.stop, self.held, self.age, element]
            .into_iter()
            .flatten()
            .fold(fixed, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_answered_before_it_ends_the_session() {
        let start = Instant::now();
        let age_max = Duration::from_secs(45 * 60);
        let mut deadlines = Deadlines::new(start, Some(age_max));
        assert_eq!(deadlines.next(), start + IDLE_ACK_INTERVAL);
        deadlines.idle_ack = start + BODY_IDLE + IDLE_ACK_INTERVAL;
        assert_eq!(deadlines.next(), start + BODY_IDLE);
        let later = start + Duration::from_secs(20);
        deadlines.heard(later);
        assert_eq!(deadlines.next(), later + IDLE_ACK_INTERVAL);
        deadlines.pause(start, true);
        assert_eq!(deadlines.next(), start + FRAGMENT_END_PAUSE);
        deadlines.pause(start, false);
        deadlines.element(later, 1, true);
        deadlines.idle_ack = later + 2 * BODY_IDLE;
        deadlines.element(later + Duration::from_secs(1), ELEMENT_BYTES_MIN - 1, true);
        assert_eq!(deadlines.next(), later + BODY_IDLE);
        deadlines.unread(later + Duration::from_secs(2));
        assert_eq!(deadlines.next(), later + Duration::from_secs(32));
        deadlines.element(later, 1, false);
        assert_eq!(deadlines.element, None);
        let old = start + age_max;
        deadlines.heard(old);
        assert_eq!(deadlines.next(), old, "no byte makes a session younger");
        assert!(!deadlines.is_too_old(old) && deadlines.is_old());
        deadlines.heard(old + BODY_IDLE);
        assert_eq!(deadlines.next(), old + AGE_GRACE);
        assert!(deadlines.is_too_old(old + AGE_GRACE));
    }
}
