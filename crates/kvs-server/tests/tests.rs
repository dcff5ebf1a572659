//! Tests against a real server in process, or the real binary. One module a subject.

#[path = "server/archive.rs"]
mod archive;
#[path = "server/bad_input.rs"]
mod bad_input;
#[path = "server/bounds.rs"]
mod bounds;
#[path = "server/changing.rs"]
mod changing;
#[path = "server/checking.rs"]
mod checking;
#[path = "server/configurations.rs"]
mod configurations;
#[path = "server/continuation.rs"]
mod continuation;
#[path = "server/control.rs"]
mod control;
#[path = "server/durability.rs"]
mod durability;
#[path = "server/faults.rs"]
mod faults;
#[path = "server/faults_acks.rs"]
mod faults_acks;
#[path = "server/faults_connection.rs"]
mod faults_connection;
#[path = "server/faults_disk.rs"]
mod faults_disk;
#[path = "server/flags.rs"]
mod flags;
#[path = "server/get_media.rs"]
mod get_media;
#[path = "server/harness.rs"]
mod harness;
#[path = "server/health.rs"]
mod health;
#[path = "server/hostile.rs"]
mod hostile;
#[path = "server/hostile_bytes.rs"]
mod hostile_bytes;
#[path = "server/leaving.rs"]
mod leaving;
#[path = "server/logging.rs"]
mod logging;
#[path = "server/memory.rs"]
mod memory;
#[path = "server/metrics.rs"]
mod metrics;
#[path = "server/movie.rs"]
mod movie;
#[path = "server/origins.rs"]
mod origins;
#[path = "server/overlap.rs"]
mod overlap;
#[path = "server/packaging.rs"]
mod packaging;
#[path = "server/put_media.rs"]
mod put_media;
#[path = "server/quotas.rs"]
mod quotas;
#[path = "server/random.rs"]
mod random;
#[path = "server/read.rs"]
mod read;
#[path = "server/recordings.rs"]
mod recordings;
#[path = "server/rights.rs"]
mod rights;
#[path = "server/rounds.rs"]
mod rounds;
#[path = "server/seeding.rs"]
mod seeding;
#[path = "server/signatures.rs"]
mod signatures;
#[path = "server/signing.rs"]
mod signing;
#[path = "server/startup.rs"]
mod startup;
#[path = "server/stopping.rs"]
mod stopping;
#[path = "server/tags.rs"]
mod tags;
#[path = "server/tls.rs"]
mod tls;
#[path = "server/tools.rs"]
mod tools;
