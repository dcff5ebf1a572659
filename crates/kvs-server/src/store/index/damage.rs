//! A damaged index makes redb panic in places; here that becomes an error like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::error::StoreError;

/// Works with the index. After a panic nothing that was under way may be used: whoever goes on
/// opens the index again.
pub(in crate::store) fn caught<T>(
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged()))
}

/// What is said of it.
pub(crate) fn damaged() -> StoreError {
    StoreError::Index(
        "index.redb is damaged: make it again with kvs-server rebuild-index --data DIR".into(),
    )
}
