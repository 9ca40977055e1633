//! How many bad requests a service has had lately, and of its error budget: asked before a run starts.
//!
//! Over all revisions: a release that was taken back has cost the service, too. Estimates, so `increase()` will do; no window of
//! a run is read like this. What it amounts to is in `stats`.

use futures::future::try_join_all;

use super::{
    estimate::growth,
    order::budget_metric,
    provider::{Provider, WhyNot},
    whole::{Whole, WholeSelectors},
};
use crate::{
    api::{ErrorBudget, Metric, Span},
    stats::{BudgetTerms, Burn, PAGES, Requests},
};

/// The longest time that is asked for: more would read more samples than servers allow. Of a longer window it is the last part.
const LONGEST: Span = Span::minutes(30 * 24 * 60);

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnQuestion {
    pub service: Whole,
    /// Resolved: arguments are filled in.
    pub metrics: Vec<Metric>,
    pub budget: ErrorBudget,
    /// What is spent of the budget is asked, too.
    pub asks_spent: bool,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BurnError {
    #[error("no ratio metric counts the service's requests: add one to spec.analysis")]
    NoMetric,
    #[error("metric {metric}: {why}")]
    Metric { metric: String, why: String },
    #[error("metric {metric}: the metrics server has no samples over {over} of {selector:.300}")]
    NoSamples { metric: String, over: Span, selector: String },
    #[error("metric {metric}: {why}")]
    Asked { metric: String, why: WhyNot },
}

/// The service's requests at `now`, in seconds since the epoch. `spent`: what is known already of the budget's window, which is much
/// to read.
pub async fn burn(
    question: &BurnQuestion,
    provider: &dyn Provider,
    spent: Option<Requests>,
    now: i64,
) -> Result<Burn, BurnError> {
    let BurnQuestion { service, metrics, budget, asks_spent } = question;
    let (metric, ratio) = budget_metric(metrics, budget).ok_or(BurnError::NoMetric)?;
    let selectors = service.selectors(ratio);
    let selectors = selectors.map_err(|why| BurnError::Metric { metric: metric.name.clone(), why })?;
    let reader = Reader { metric: &metric.name, selectors: &selectors, provider, now };
    // Together they take as long as one: an answer of long ago says little about now.
    let both =
        |page: &'static crate::stats::Page| try_join_all([page.long, page.short].map(|over| reader.requests(over)));
    let pages = try_join_all(PAGES.iter().map(both)).await?;
    let spent = match spent {
        None if *asks_spent => Some(reader.spent(budget).await?),
        known => known.filter(|_| *asks_spent),
    };
    let mut burn = Burn { spent, ..Burn::default() };
    for (found, read) in burn.pages.iter_mut().flatten().zip(pages.into_iter().flatten()) {
        *found = read;
    }
    Ok(burn)
}

/// Reads one metric of one service.
struct Reader<'a> {
    metric: &'a str,
    selectors: &'a WholeSelectors,
    provider: &'a dyn Provider,
    now: i64,
}

impl Reader<'_> {
    /// The requests of the last `over`, and the bad ones among them.
    async fn requests(&self, over: Span) -> Result<Requests, BurnError> {
        let (total, (counted, is_good)) = (&self.selectors.total, &self.selectors.counted);
        let missing = |selector: &str| BurnError::NoSamples {
            metric: self.metric.to_owned(),
            over,
            selector: selector.to_owned(),
        };
        let Some(all) = self.growth(total, over).await? else {
            return if self.is_unborn().await? { Ok(Requests::default()) } else { Err(missing(total)) };
        };
        let bad = match (self.growth(counted, over).await?, is_good) {
            (Some(good), true) => all - good,
            (Some(bad), false) => bad,
            // A counter of failures is born at the first one. Without one of successes nothing is known.
            (None, false) => 0.0,
            (None, true) if all > 0.0 => return Err(missing(counted)),
            (None, true) => 0.0,
        };
        Ok(Requests { all, bad: bad.clamp(0.0, all) })
    }

    /// What is spent of the budget. Without `expectedRequests` the window's own requests are those that are expected in it, so that of
    /// a server that has less than the window the part that it has stands for the whole.
    async fn spent(&self, budget: &ErrorBudget) -> Result<Requests, BurnError> {
        let window = budget.window.unwrap_or(BudgetTerms::DEFAULT_WINDOW);
        let over = window.min(LONGEST);
        let found = self.requests(over).await?;
        let part = over.as_millis() as f64 / window.as_millis().max(1) as f64;
        Ok(Requests { all: budget.expected_requests.map_or(found.all, |expected| expected as f64 * part), ..found })
    }

    async fn growth(&self, selector: &str, over: Span) -> Result<Option<f64>, BurnError> {
        let seconds = i64::try_from(over.as_millis() / 1_000).unwrap_or(i64::MAX).max(1);
        growth(self.provider, selector, seconds, 0, self.now).await.map_err(|why| self.asked(why))
    }

    /// Nobody has called the service yet: there are no counters, and whoever would have them is scraped. Where they are, and do
    /// not go back far enough, it is not known.
    async fn is_unborn(&self) -> Result<bool, BurnError> {
        let WholeSelectors { total, up, own_pods, .. } = self.selectors;
        let ask = async |query: &str| match self.provider.instant(query, self.now).await {
            // A tenant may not see its targets where they lack the label of tenancy: then nothing is known of them.
            Err(WhyNot::Tenancy(_)) => Ok(Vec::new()),
            answer => answer.map_err(|why| self.asked(why)),
        };
        if !ask(&format!("group ({total})")).await?.is_empty() {
            return Ok(false);
        }
        let Some(up) = up else {
            let name = total.split('{').next().unwrap_or_default();
            return Ok(!ask(&format!("group by (job, instance) ({name})")).await?.is_empty());
        };
        let is_own = |pod: Option<&String>| {
            own_pods.as_ref().is_none_or(|prefix| pod.is_some_and(|pod| pod.starts_with(prefix)))
        };
        Ok(ask(up).await?.iter().any(|target| target.value == 1.0 && is_own(target.labels.get("pod"))))
    }

    fn asked(&self, why: WhyNot) -> BurnError {
        BurnError::Asked { metric: self.metric.to_owned(), why }
    }
}
