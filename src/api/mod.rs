//! The API types of `tidegate.io/v1alpha1`: what people write, what the controller records, and the words both use.
//!
//! No client and nothing asynchronous is in here.

mod action;
mod analysis;
mod names;
mod percent;
mod reason;
mod rollout;
mod rollout_status;
mod run;
mod span;

pub use action::*;
pub use analysis::*;
pub use names::*;
pub use percent::{Percent, PercentError};
pub use reason::Reason;
pub use rollout::*;
pub use rollout_status::*;
pub use run::*;
pub use span::{Span, SpanError};
