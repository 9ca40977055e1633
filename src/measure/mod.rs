//! Evidence from a metrics server: query templates, providers, and the evaluation of one run.
//!
//! No verdict is made here (that is `stats`), and nothing is written to the cluster.

mod answer;
mod burn;
mod counting;
mod decided;
mod dispersion;
mod estimate;
mod evaluate;
mod figures;
mod gauging;
mod histogram;
mod measuring;
mod native;
mod order;
mod placeholder;
mod prometheus;
mod promql;
mod provider;
mod replay;
mod reread;
mod resolve;
mod room;
mod secrets;
mod selectors;
mod series;
mod standing;
mod stretches;
mod tails;
mod tenancy;
mod whole;

pub use answer::{read_samples, read_series};
pub use burn::{BurnError, BurnQuestion, burn};
pub use decided::{Decided, decided};
pub use evaluate::evaluate;
pub use figures::{Figures, FiguresError, figures};
pub use order::{ArmNames, Order, budget_metric};
pub use placeholder::{Placeholder, uses};
pub use prometheus::{AddressRefused, MaterialError, Prometheus, PrometheusError};
pub use promql::{QueryError, Value, check_selector, fill};
pub use provider::{Labels, NativeBucket, NativeSample, Provider, Sample, Series, WhyNot};
pub use replay::{Replay, Twice, replay};
pub use reread::reread;
pub use resolve::{foreign, missing, refused_queries, resolve, resolve_known};
pub use secrets::{Content, NoSecrets, Secrets};
pub use selectors::{ArmSelectors, Counters, Selectors};
pub use standing::misstated;
pub use tenancy::{Tenancy, TenancyError, Tenant};
pub use whole::{Whole, WholeSelectors};

#[cfg(test)]
mod tests;
