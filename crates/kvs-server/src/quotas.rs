//! AWS's quotas, for whoever wants to be held to them: how often an operation may be called, how
//! many of its responses may be open, and how many streams there may be.
//!
//! A rate is a bucket that holds the calls of one second and fills up again in one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kvs_protocol::api::Operation;
use kvs_protocol::{ApiError, ErrorKind};

use crate::lock::lock;

/// An account has no more streams in a region.
pub(crate) const STREAMS_MAX: usize = 10_000;
/// With more buckets those that are full are dropped: a full one is as good as none. All calls of
/// a second together fill fewer.
const BUCKETS_MAX: usize = 10_000;
/// A call, in the unit of a bucket: so much flows in each millisecond for each call a second.
const CALL: u64 = 1000;

/// What has been called of late, and what is open.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    buckets: Mutex<HashMap<Resource, Bucket>>,
    open: Arc<Mutex<HashMap<Resource, usize>>>,
}

/// An operation on a stream, or on the whole account.
type Resource = (Operation, Option<String>);

/// A response that is open; dropped with it.
#[derive(Debug)]
pub(crate) struct OpenResponse {
    open: Arc<Mutex<HashMap<Resource, usize>>>,
    resource: Resource,
}

impl Drop for OpenResponse {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.resource) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.resource);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    calls_per_s: u64,
    at_ms: u64,
}

/// Calls in a second; none is no limit.
struct Rates {
    account: Option<u64>,
    stream: Option<u64>,
}

impl Quotas {
    /// Counts a call; `now_ms` never goes back.
    ///
    /// # Errors
    /// There were too many.
    pub(crate) fn take(
        &self,
        operation: Operation,
        stream: Option<&str>,
        now_ms: u64,
    ) -> Result<(), ApiError> {
        let rates = rates(operation);
        let mut buckets = lock(&self.buckets);
        if buckets.len() > BUCKETS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(now_ms));
        }
        let of_stream = stream.zip(rates.stream);
        let account = rates.account.map(|rate| (None, rate));
        let stream = of_stream.map(|(stream, rate)| (Some(stream.to_owned()), rate));
        for (resource, calls_per_s) in account.into_iter().chain(stream) {
            let bucket = buckets
                .entry((operation, resource.clone()))
                .or_insert_with(|| Bucket::full(calls_per_s, now_ms));
            if !bucket.take(now_ms) {
                return Err(exceeded(operation, resource.as_deref()));
            }
        }
        Ok(())
    }

    /// Counts a response that is to be sent.
    ///
    /// # Errors
    /// There are as many as may be.
    pub(crate) fn open(
        &self,
        operation: Operation,
        stream: &str,
    ) -> Result<OpenResponse, ApiError> {
        let resource = (operation, Some(stream.to_owned()));
        let mut open = lock(&self.open);
        let count = open.entry(resource.clone()).or_default();
        let (max, error) = responses(operation);
        if *count >= max {
            let message = format!("Limit exceeded on number of connections for {operation:?} API.");
            return Err(ApiError::new(error, message));
        }
        *count += 1;
        Ok(OpenResponse {
            open: Arc::clone(&self.open),
            resource,
        })
    }
}

impl Bucket {
    fn full(calls_per_s: u64, at_ms: u64) -> Self {
        Self {
            level: calls_per_s * CALL,
            calls_per_s,
            at_ms,
        }
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let flowed = passed_ms.saturating_mul(self.calls_per_s);
        self.level = self
            .level
            .saturating_add(flowed)
            .min(self.calls_per_s * CALL);
        self.at_ms = now_ms;
    }

    fn is_full(mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.level == self.calls_per_s * CALL
    }

    fn take(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        let left = self.level.checked_sub(CALL);
        self.level = left.unwrap_or(self.level);
        left.is_some()
    }
}

fn exceeded(operation: Operation, stream: Option<&str>) -> ApiError {
    let resource = stream.map_or_else(String::new, |name| format!(" for resource '{name}'"));
    ApiError::new(
        ErrorKind::ClientLimitExceeded,
        format!("Limit exceeded on number of requests for {operation:?} API{resource}."),
    )
}

/// As AWS's developer guide has them.
fn rates(operation: Operation) -> Rates {
    let (account, stream) = match operation {
        Operation::CreateStream | Operation::ListStreams => (Some(50), None),
        Operation::DescribeStream | Operation::GetDataEndpoint => (Some(300), Some(5)),
        Operation::PutMedia | Operation::GetMedia => (None, Some(5)),
        Operation::ListFragments | Operation::GetMediaForFragmentList => (None, None),
        _ => (Some(50), Some(5)),
    };
    Rates { account, stream }
}

/// How many responses of an operation a stream may have open, and what one more is refused with.
fn responses(operation: Operation) -> (usize, ErrorKind) {
    match operation {
        Operation::GetMedia => (3, ErrorKind::ConnectionLimitExceeded),
        // Its model has no ConnectionLimitExceededException.
        Operation::GetMediaForFragmentList => (5, ErrorKind::ClientLimitExceeded),
        _ => (usize::MAX, ErrorKind::ClientLimitExceeded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_five_calls_a_second_and_others_are_not_held_up() {
        let quotas = Quotas::default();
        let take = |name, now_ms| quotas.take(Operation::DescribeStream, Some(name), now_ms);
        for _ in 0..5 {
            assert_eq!(take("cam", 10_000), Ok(()));
        }
        let error = take("cam", 10_199).expect_err("the sixth");
        assert_eq!(error.kind(), ErrorKind::ClientLimitExceeded);
        assert_eq!(take("door", 10_199), Ok(()));
        assert_eq!(take("cam", 10_200), Ok(()), "one more each 200 ms");
        assert!(take("cam", 10_200).is_err());
    }

    #[test]
    fn an_account_has_its_rate_over_all_streams() {
        let quotas = Quotas::default();
        let take =
            |n: u32, now_ms| quotas.take(Operation::TagStream, Some(&format!("cam-{n}")), now_ms);
        assert!((0..50).all(|n| take(n, 0).is_ok()));
        let error = take(50, 0).expect_err("the 51st");
        assert!(!error.message().contains("cam"), "{error}");
        assert!((50..100).all(|n| take(n, 1000).is_ok()));
    }

    #[test]
    fn streams_that_were_called_long_ago_take_no_memory() {
        let quotas = Quotas::default();
        for n in 0..3 * BUCKETS_MAX as u64 {
            let name = format!("cam-{n}");
            assert_eq!(quotas.take(Operation::GetMedia, Some(&name), n), Ok(()));
        }
        assert!(lock(&quotas.buckets).len() <= BUCKETS_MAX + 1);
    }
}
