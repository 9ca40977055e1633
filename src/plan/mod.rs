//! The plan before the start: what each step of a Rollout can find, what it can cost, and how long all of it takes.
//!
//! A forecast from steady traffic: it reads no metric and no cluster, and the engine does not rest on it.

mod forecast;
mod lengths;
mod question;
mod stage;

pub use forecast::{Budget, Forecast, PassProgress, PowerInsufficient, forecast};
pub use lengths::Lengths;
pub use question::{Load, Question};
pub use stage::{Finding, Stage, WhyNothing};
