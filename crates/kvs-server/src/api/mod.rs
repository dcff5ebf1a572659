//! The operations of the API, one function each.

mod absent;
mod admission;
mod archived_media;
pub(crate) mod call;
mod change;
mod chunk;
mod configurations;
mod control;
mod media;
mod page_token;
pub(crate) mod pages;
pub(crate) mod reply;
pub(crate) mod routes;
mod tags;
