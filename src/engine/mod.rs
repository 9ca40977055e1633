//! The decision: what to do next, as a total function of one observed World.
//!
//! No clock, no randomness, no logging and no I/O is in here: the same World gives the same Decision, byte for byte.

mod decision;
mod problems;
mod valid;
mod valid_metrics;
mod valid_steps;
mod world;

pub use decision::*;
pub use valid::{read_spec, validate};
pub use valid_metrics::metric_refusals;
pub use world::*;
