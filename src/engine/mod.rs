//! The decision: what to do next, as a total function of one observed World.
//!
//! No clock, no randomness, no logging and no I/O is in here: the same World gives the same Decision, byte for byte.

mod active;
mod adopt;
mod burning;
pub mod chain;
mod contention;
mod course;
mod decide;
mod decision;
mod draft;
mod freeze;
mod guardrails;
mod intent;
mod laws;
mod objections;
mod prepare;
mod problems;
mod project;
mod record;
mod records;
mod rest;
mod restore;
mod retire;
mod revision;
mod seal;
mod start;
mod stepping;
mod valid;
mod valid_metrics;
mod valid_steps;
mod violations;
mod world;

pub use burning::BurnView;
pub use decide::decide;
pub use decision::*;
pub use guardrails::{FreezeView, Guardrails};
pub use laws::{Broken, LAWS, laws};
pub use objections::objections;
pub use prepare::SETTLE_MILLIS;
pub use record::{MAX_EVIDENCE_BYTES, weight_total};
pub use revision::{DeploymentView, RevisionView};
pub use seal::newest_epoch;
pub use valid::{read_spec, validate};
pub use valid_metrics::metric_refusals;
pub use world::*;

use draft::Draft;
