//! The operations of the API, one function each.

pub(crate) mod archived_media;
pub(crate) mod call;
mod change;
mod chunk;
pub(crate) mod control;
pub(crate) mod media;
mod page_token;
pub(crate) mod pages;
pub(crate) mod reply;
