//! The API types of `tidegate.io/v1alpha1`: what people write, what the controller records, and the words both use.
//!
//! No client and nothing asynchronous is in here.

// Each printer column repeats the keys `type_` and `json_path`, which the lint takes for a mistake.
#![allow(clippy::duplicated_attributes)]

mod action;
mod analysis;
pub mod canonical;
pub mod crds;
mod decimal;
mod judging;
mod metric;
mod metrics_provider;
mod names;
mod percent;
mod reason;
mod record;
pub mod reference;
mod rollout;
mod rollout_policy;
mod rollout_status;
mod run;
mod run_status;
mod schema;
mod span;
mod strategy;
mod structural;
mod traffic;
mod workload;

pub use action::*;
pub use analysis::*;
pub use crds::{crds, crds_yaml};
pub use decimal::{Decimal, DecimalError};
pub use judging::*;
pub use metric::*;
pub use metrics_provider::*;
pub use names::*;
pub use percent::{Percent, PercentError};
pub use reason::Reason;
pub use record::*;
pub use rollout::*;
pub use rollout_policy::*;
pub use rollout_status::*;
pub use run::*;
pub use run_status::*;
pub use span::{Span, SpanError};
pub use strategy::*;
pub use traffic::*;
pub use workload::*;
