//! The only seam to metrics: a query in, numbers or a reason why not out.
//!
//! Nothing of an answer but numbers and labels goes further, and only numbers reach a message: a body may be a login page, hold
//! secrets, or be about other people's series. No verdicts are made here.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    prometheus::{AddressRefused, MaterialError},
    tenancy::TenancyError,
};

pub type Labels = BTreeMap<String, String>;

/// One series of raw samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// (milliseconds since the epoch, value), oldest first.
    pub samples: Vec<(i64, f64)>,
    /// In place of samples: those of a native histogram, oldest first.
    pub histograms: Vec<NativeSample>,
}

impl Series {
    /// Time of the first sample of either kind.
    pub fn first_ms(&self) -> Option<i64> {
        let first = self.samples.first().map(|(at_ms, _)| *at_ms);
        first.into_iter().chain(self.histograms.first().map(|one| one.at_ms)).min()
    }
}

/// A native histogram as it was scraped, with standard (exponential) or custom buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeSample {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// All observations.
    pub count: f64,
    /// The buckets that are not empty, ascending; servers leave the others out.
    pub buckets: Vec<NativeBucket>,
}

/// Observations above `lower`, and not above `upper`; they may be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NativeBucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
}

/// One value of an instant query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub timestamp_ms: i64,
    /// May be NaN or infinite: the caller says what that means.
    pub value: f64,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WhyNot {
    #[error("failed to reach the metrics server")]
    Unreachable,
    #[error("the metrics server did not answer in time")]
    TimedOut,
    #[error("the metrics server answered with HTTP status {0}")]
    Status(u16),
    #[error("the metrics server's answer is not JSON: something in between, such as a login page, has answered")]
    NotJson,
    #[error("the metrics server's answer is not that of a Prometheus query")]
    Malformed,
    #[error("the metrics server refused the query")]
    Refused,
    #[error("the metrics server warned that its answer may not be complete")]
    Warnings,
    #[error("the answer has more than {limit} {what}: narrow the selector down")]
    TooMany { what: &'static str, limit: usize },
    #[error("the answer has native histograms where counters were asked for")]
    Histograms,
    #[error("failed to read the bearer token file")]
    Token,
    #[error("failed to use MetricsProvider {provider}: {problem}")]
    Credentials { provider: String, problem: MaterialError },
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    #[error("failed to use the metrics server's address: it leads to {0}")]
    Address(AddressRefused),
}

/// A metrics server. Every call ends within the provider's own time limit.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The values of a query at a time, in seconds since the epoch.
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot>;
    /// The raw samples of an instant-vector selector in `(from, to]`, in seconds since the epoch.
    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot>;
    /// The values of any query at each multiple of `step` seconds in `(from, to]`.
    async fn over(&self, query: &str, from: i64, to: i64, step: i64) -> Result<Vec<Series>, WhyNot>;
}
