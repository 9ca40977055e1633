//! What the evaluator of an open run is to judge, apart from where the run stands.

use jiff::Timestamp;

use super::{Gathered, analysis::provider, routes::Ports};
use crate::{
    api::{MetricsProviderSpec, REVISION_LABEL},
    engine::{RolloutView, RunView},
    measure::Order,
    workload::object::{self, label, text},
};

/// An order, and who is asked.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub run: String,
    pub order: Order,
    /// The MetricsProvider by name, or why there is none.
    pub provider: Result<(String, MetricsProviderSpec), String>,
}

/// None: nothing of this run is judged.
pub(super) fn evaluation(
    gathered: &Gathered,
    rollout: &RolloutView,
    run: &RunView,
    runs: &[RunView],
    ports: &Ports,
) -> Option<Evaluation> {
    let spec = &run.spec;
    if spec.plan.known || spec.analysis.metrics.is_empty() {
        return None;
    }
    let app = spec.services.first()?;
    let plan = Order::of(&rollout.namespace, spec)?;
    let provider = provider(gathered, spec.analysis.provider.as_deref()).map_err(|refusal| refusal.message);
    let document = gathered.runs.iter().find(|document| object::name(document) == run.name);
    let created = document.and_then(|document| seconds(text(document, "/metadata/creationTimestamp")?));
    let order = Order {
        port: ports.of(app).first().and_then(|port| u16::try_from(*port).ok()).unwrap_or(plan.port),
        run_started_at: created.unwrap_or_default(),
        pods_started_at: pods_started_at(gathered, run),
        scrape_interval: provider.as_ref().ok().and_then(|(_, spec)| spec.scrape_interval).unwrap_or_default(),
        spent_earlier_hundredths: spent_earlier(run, runs),
        ..plan
    };
    Some(Evaluation { run: run.name.clone(), order, provider })
}

/// When the youngest pod that was there at the change of weight started. Pods that come later (a rise of N, a pod that was
/// evicted) are few among warm ones, and would otherwise take all evidence away again and again.
fn pods_started_at(gathered: &Gathered, run: &RunView) -> Option<i64> {
    let settled = seconds(run.status.as_ref()?.settled_at.as_deref()?)?;
    let pods = gathered.pods.as_ref().ok()?.iter();
    let tested = [Some(run.spec.canary.as_str()), run.spec.baseline.as_deref()];
    let of_run = pods.filter(|pod| label(pod, REVISION_LABEL).is_some_and(|label| tested.contains(&Some(label))));
    let started = of_run.filter_map(|pod| seconds(text(pod, "/status/startTime")?));
    started.filter(|started| *started <= settled).max()
}

/// What earlier runs of the same revision have cost: a retry does not refill the allowance.
fn spent_earlier(run: &RunView, runs: &[RunView]) -> i64 {
    let earlier = runs.iter().filter(|other| other.name != run.name && other.spec.canary == run.spec.canary);
    let records = earlier.filter_map(|other| other.status.as_ref()?.evidence.as_ref()?.spend.as_ref());
    records.map(|spend| spend.excess_hundredths.max(0)).max().unwrap_or(0)
}

/// Seconds since the epoch of RFC 3339 text.
pub fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}
