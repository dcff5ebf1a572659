//! Tests of the store by its face, most of them on the simulated disk. One module a subject.

mod backup;
mod crash;
mod damaged_index;
mod evict;
mod facade;
mod fixtures;
mod full;
mod golden;
mod keys;
mod rebuild;
mod reopen;
mod retention;
mod rotate;
mod streams;
mod syncs;
mod week;
