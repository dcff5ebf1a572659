//! kvssink: what it shows, what it takes, what it tells, and how it ends.
