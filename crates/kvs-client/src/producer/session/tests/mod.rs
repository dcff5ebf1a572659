//! The session against a simulated service, in virtual time: no sockets, no sleeps.

mod faults;
mod options;
mod outage;
mod pair;
mod rules;
mod seeds;
mod service;
mod source;
mod spool;
mod spooled;
mod trigger;
