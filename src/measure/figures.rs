//! The figures that a plan is made from: the service's rate of requests and its error ratio over the last hour.
//!
//! All traffic of the service is the stable revision's while no run is under way; during a run it is stable's alone. Nothing
//! is judged by these figures.

use super::{
    estimate::{FIVE_MINUTES, HOUR, expected_requests, growth, present},
    order::Order,
    provider::{Provider, WhyNot},
    selectors::{Counters, Selectors},
};
use crate::api::Span;

/// Traffic as the metrics server knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub requests_per_second: f64,
    pub error_ratio: f64,
    /// What they were measured over: an hour, or less if the counters are younger.
    pub over: Span,
    /// Requests in the asked window, and whether they were scaled from less than a day.
    pub expected: (u64, bool),
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum FiguresError {
    #[error("no ratio metric counts its requests: add one to spec.analysis")]
    NoMetric,
    #[error("metric {metric}: {why}")]
    Metric { metric: String, why: String },
    #[error("metric {metric}: the metrics server has no requests of the last hour for {selector:.300}")]
    NoRequests { metric: String, selector: String },
    #[error("metric {metric}: {why}")]
    Asked { metric: String, why: WhyNot },
}

/// The figures of the metric that the error budget counts, else of the first ratio metric, at `now` in seconds since the
/// epoch. The order's stable is who has the traffic; its canary is any other name. `window`: that of the error budget.
pub async fn figures(order: &Order, provider: &dyn Provider, window: Span, now: i64) -> Result<Figures, FiguresError> {
    let named = order.metrics.iter().find(|metric| order.is_budget_metric(metric));
    let first = order.metrics.iter().find(|metric| metric.ratio.is_some());
    let (metric, counters) = named
        .or(first)
        .and_then(|metric| Counters::of(metric).map(|counters| (metric.name.clone(), counters)))
        .ok_or(FiguresError::NoMetric)?;
    let selectors =
        Selectors::of(order, &counters).map_err(|why| FiguresError::Metric { metric: metric.clone(), why })?.stable;
    let asked = |why: WhyNot| FiguresError::Asked { metric: metric.clone(), why };
    let total = &selectors.total;
    // Of counters that are younger than an hour only the present is taken: over the hour they would look too slow.
    let is_old = growth(provider, total, FIVE_MINUTES, HOUR - FIVE_MINUTES, now).await.map_err(asked)?.is_some();
    let (all, span) = if is_old {
        (growth(provider, total, HOUR, 0, now).await.map_err(asked)?, HOUR)
    } else {
        present(provider, total, now).await.map_err(asked)?
    };
    let Some(all) = all.filter(|all| *all > 0.0) else {
        return Err(FiguresError::NoRequests { metric: metric.clone(), selector: total.clone() });
    };
    let (counted, is_good) = selectors.counted();
    let part = growth(provider, counted, span, 0, now).await.map_err(asked)?.unwrap_or(0.0);
    let ratio = (part / all).clamp(0.0, 1.0);
    let window_seconds = i64::try_from(window.as_millis() / 1_000).unwrap_or(i64::MAX);
    Ok(Figures {
        requests_per_second: all / span as f64,
        error_ratio: if is_good { 1.0 - ratio } else { ratio },
        over: Span::seconds(span.unsigned_abs()),
        expected: expected_requests(provider, total, window_seconds, now).await.map_err(asked)?,
    })
}
