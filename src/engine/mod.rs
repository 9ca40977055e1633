//! The decision: what to do next, as a total function of one observed World.
//!
//! No clock, no randomness, no logging and no I/O is in here: the same World gives the same Decision, byte for byte.

mod decision;
mod world;

pub use decision::*;
pub use world::*;
