//! Two figures from before the run: how many requests the service gets, and stable's usual ratio.
//!
//! Estimates, so `increase()` will do. Windows of a run are never read like this.

use super::provider::{Provider, WhyNot};

pub(super) const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// The longest span that is asked for: more would read more samples than servers allow.
const LONGEST: i64 = 30 * DAY;
/// Spans of the present rate, with less than a day of data.
const PRESENT: [i64; 4] = [FIVE_MINUTES, 120, 60, 30];
pub const FIVE_MINUTES: i64 = 300;

/// Growth of all counters that a selector selects; None: there are none, or no number.
pub(super) async fn growth(
    provider: &dyn Provider,
    selector: &str,
    span: i64,
    offset: i64,
    at: i64,
) -> Result<Option<f64>, WhyNot> {
    let past = if offset > 0 { format!(" offset {offset}s") } else { String::new() };
    let samples = provider.instant(&format!("sum(increase({selector}\n[{span}s]{past}))"), at).await?;
    Ok(samples.first().map(|sample| sample.value).filter(|value| value.is_finite() && *value >= 0.0))
}

/// Requests expected in `window` seconds, and whether that rests on less than a day.
///
/// The longest span whose beginning has data is taken; one that the server cannot answer is passed over for a shorter.
pub async fn expected_requests(
    provider: &dyn Provider,
    total: &str,
    window: i64,
    at: i64,
) -> Result<(u64, bool), WhyNot> {
    let scaled = |grown: f64, span: i64| (grown / span as f64 * window as f64).round() as u64;
    let mut spans = vec![window.clamp(DAY, LONGEST), WEEK, DAY];
    spans.retain(|span| *span <= window.clamp(DAY, LONGEST));
    spans.dedup();
    for span in spans {
        let reaches_back = matches!(growth(provider, total, HOUR, span - HOUR, at).await, Ok(Some(_)));
        if reaches_back && let Ok(Some(grown)) = growth(provider, total, span, 0, at).await {
            return Ok((scaled(grown, span), false));
        }
    }
    let (grown, span) = present(provider, total, at).await?;
    Ok((scaled(grown.unwrap_or(0.0), span), true))
}

/// What counters have grown by, and over which time: the longest of a few that they have been there for.
pub async fn present(provider: &dyn Provider, total: &str, at: i64) -> Result<(Option<f64>, i64), WhyNot> {
    for span in PRESENT {
        let beginning = span / 3;
        let reaches_back = growth(provider, total, beginning, span - beginning, at).await?.is_some();
        if reaches_back && let Some(grown) = growth(provider, total, span, 0, at).await? {
            return Ok((Some(grown), span));
        }
    }
    Ok((growth(provider, total, FIVE_MINUTES, 0, at).await?, FIVE_MINUTES))
}

/// Stable's ratio in the hour before the run; None: it had no requests.
pub async fn ratio_before(
    provider: &dyn Provider,
    counted: &str,
    total: &str,
    by_good: bool,
    run_started_at: i64,
) -> Result<Option<f64>, WhyNot> {
    let all = growth(provider, total, HOUR, 0, run_started_at).await?.filter(|all| *all > 0.0);
    let Some(all) = all else { return Ok(None) };
    let part = growth(provider, counted, HOUR, 0, run_started_at).await?.unwrap_or(0.0);
    let ratio = (part / all).clamp(0.0, 1.0);
    Ok(Some(if by_good { 1.0 - ratio } else { ratio }))
}
