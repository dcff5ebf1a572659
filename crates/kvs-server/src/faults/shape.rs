//! A body with faults: it stops, slows down or takes its connection with it at an exact byte.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::active::Active;
use super::what::What;
use super::wire::{How, Wire};

/// A throttled body goes on in so many pieces a second.
const PIECES_PER_SECOND: u64 = 10;

/// Which body of a request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// What the client sends.
    Request,
    /// What the server sends.
    Response,
}

/// The body as its faults let it through; `timers` live as long as it does.
pub(super) fn shaped(
    body: Body,
    direction: Direction,
    faults: Vec<Arc<Active>>,
    wire: Wire,
    timers: Vec<CutTimer>,
) -> Body {
    let shaped = Shaped {
        body: body.into_data_stream(),
        direction,
        faults,
        wire,
        waiting: Bytes::new(),
        passed_bytes: 0,
        ready_at: Instant::now(),
        _timers: timers,
    };
    Body::from_stream(stream::unfold(shaped, async |mut shaped| {
        let piece = shaped.next().await?;
        Some((piece, shaped))
    }))
}

struct Shaped {
    body: BodyDataStream,
    direction: Direction,
    /// Those of this direction.
    faults: Vec<Arc<Active>>,
    wire: Wire,
    /// What the body gave and has not passed.
    waiting: Bytes,
    passed_bytes: u64,
    /// When a throttle lets the next piece through.
    ready_at: Instant,
    _timers: Vec<CutTimer>,
}

impl Shaped {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        for active in &self.faults {
            match active.fault.what {
                What::Stall { at_bytes, .. } if at_bytes <= self.passed_bytes => {
                    active.cleared().await;
                }
                What::Throttle { .. } => tokio::select! {
                    () = sleep_until(self.ready_at) => {}
                    () = active.cleared() => {}
                },
                What::Cut {
                    at_bytes: Some(at_bytes),
                    how,
                    ..
                } if at_bytes <= self.passed_bytes && !active.is_cleared() => {
                    return cut(&self.wire, self.direction, how).await;
                }
                _ => {}
            }
        }
        if self.waiting.is_empty() {
            self.waiting = match self.body.next().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
        }
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let piece = self.waiting.split_to(room.min(self.waiting.len()));
        self.passed_bytes += piece.len() as u64;
        if let Some(bytes_per_second) = self.rate() {
            let taken = Duration::from_secs_f64(piece.len() as f64 / bytes_per_second as f64);
            self.ready_at = Instant::now() + taken;
        }
        Some(Ok(piece))
    }

    fn holding(&self) -> impl Iterator<Item = &What> {
        let holding = self.faults.iter().filter(|active| !active.is_cleared());
        holding.map(|active| &active.fault.what)
    }

    /// The slowest throttle's.
    fn rate(&self) -> Option<u64> {
        let rates = self.holding().filter_map(|what| match what {
            What::Throttle {
                bytes_per_second, ..
            } => Some(*bytes_per_second),
            _ => None,
        });
        rates.min()
    }

    /// How much may pass before the faults are asked again.
    fn room(&self) -> u64 {
        let marks = self.holding().filter_map(|what| match what {
            What::Stall { at_bytes, .. } => Some(*at_bytes),
            What::Cut { at_bytes, .. } => *at_bytes,
            _ => None,
        });
        let to_mark = marks
            .filter_map(|mark| mark.checked_sub(self.passed_bytes))
            .filter(|room| *room > 0)
            .min()
            .unwrap_or(u64::MAX);
        let piece = self.rate().map(|rate| (rate / PIECES_PER_SECOND).max(1));
        to_mark.min(piece.unwrap_or(u64::MAX))
    }
}

/// What was passed on goes out first, where it is the server's own.
async fn cut(wire: &Wire, direction: Direction, how: How) -> Option<Result<Bytes, axum::Error>> {
    match direction {
        Direction::Request => {
            wire.cut(how);
            let cut = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
            Some(Err(axum::Error::new(cut)))
        }
        Direction::Response => {
            wire.cut_when_flushed(how);
            std::future::pending().await
        }
    }
}

/// Cuts a connection after a time, unless the request is over before or the fault is cleared.
#[derive(Debug)]
pub(super) struct CutTimer(AbortHandle);

impl CutTimer {
    pub(super) fn start(active: Arc<Active>, at_ms: u64, how: How, wire: Wire) -> Self {
        let task = tokio::spawn(async move {
            tokio::select! {
                () = sleep(Duration::from_millis(at_ms)) => wire.cut(how),
                () = active.cleared() => {}
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for CutTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::fault::Fault;

    fn active(json: &str) -> Arc<Active> {
        let fault = Fault::parse(json.as_bytes()).expect("a good fault");
        Arc::new(Active::new(1, fault))
    }

    fn response(bytes: usize, faults: &[Arc<Active>]) -> BodyDataStream {
        let pieces = [
            Bytes::from(vec![7; bytes / 2]),
            Bytes::from(vec![8; bytes / 2]),
        ];
        let pieces = stream::iter(pieces.map(Ok::<_, axum::Error>));
        let body = Body::from_stream(pieces);
        let wire = Wire::default();
        shaped(body, Direction::Response, faults.to_vec(), wire, Vec::new()).into_data_stream()
    }

    async fn collect(mut body: BodyDataStream) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = body.next().await {
            all.extend(piece.expect("no error"));
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_lets_so_many_bytes_through_a_second() {
        let slow = active(r#"{"kind":"throttle","direction":"response","bytes_per_second":100}"#);
        let start = Instant::now();
        let all = collect(response(1000, &[slow])).await;
        assert_eq!(all, [[7; 500], [8; 500]].concat());
        let took_ms = start.elapsed().as_millis();
        assert!((9_900..10_500).contains(&took_ms), "{took_ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_holds_at_its_byte_until_it_is_cleared() {
        let stall = active(r#"{"kind":"stall","direction":"response","at_bytes":333}"#);
        let mut body = response(1000, std::slice::from_ref(&stall));
        let piece = body.next().await.expect("more").expect("no error");
        assert_eq!(piece.len(), 333);
        let week = Duration::from_secs(7 * 24 * 3600);
        let more = tokio::time::timeout(week, body.next()).await;
        assert!(more.is_err(), "{more:?}");
        stall.clear();
        assert_eq!(collect(body).await.len(), 667);
    }
}
