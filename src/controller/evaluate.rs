//! Evidence workers: one task per run under way, beside the passes.
//!
//! A worker looks every second whether a window can be complete, asks the metrics server only then, and wakes the Rollout's
//! pass at once when the verdict changes. Runs share nothing but a provider's places, so that a server which does not answer
//! holds up its own runs and nobody else's. No verdict is acted on here.

mod burns;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{AbortHandle, abortable};
use tokio::sync::{Semaphore, watch};

pub use burns::BudgetQuestion;

use super::{Evaluation, Key, Providers, Queue, Runtime, seconds};
use crate::{
    api::{EvidenceRecord, MetricsProviderSpec, Reason, RolloutRunStatus, RunPhase},
    engine::EvidenceView,
    measure::{Order, Provider, evaluate},
    stats::Verdict,
};

/// How often a worker looks whether there is something to read.
const LOOK: Duration = Duration::from_secs(1);
const LEAST_WAIT: Duration = Duration::from_millis(20);
/// How often it asks again for a window whose samples were late.
const ASK_AGAIN_SECONDS: i64 = 5;
/// Evaluations of one provider at the same time.
const PROVIDER_PLACES: usize = 8;

/// The newest evidence of a Rollout's run.
#[derive(Clone, Debug)]
pub struct Latest {
    pub view: EvidenceView,
    /// When it was found, in the passes' monotonic milliseconds.
    pub at_millis: u64,
}

/// The workers of all Rollouts.
pub struct Evaluators {
    queue: Arc<Queue>,
    runtime: Arc<dyn Runtime>,
    providers: Arc<dyn Providers>,
    workers: Mutex<HashMap<Key, Worker>>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    burns: Arc<Mutex<HashMap<Key, burns::Asked>>>,
}

struct Worker {
    run: String,
    job: watch::Sender<Job>,
    latest: Arc<Mutex<Option<Latest>>>,
    task: Option<AbortHandle>,
}

/// What a worker is to do, as of the last pass.
#[derive(Clone)]
struct Job {
    order: Order,
    /// RFC 3339 of the moment the weight was accepted everywhere; None: it is being changed.
    settled: Option<i64>,
    provider: Result<(String, MetricsProviderSpec), String>,
    places: Arc<Semaphore>,
}

impl Evaluators {
    pub fn new(queue: Arc<Queue>, runtime: Arc<dyn Runtime>, providers: Arc<dyn Providers>) -> Self {
        let (workers, places, burns) = (Mutex::default(), Mutex::default(), Arc::default());
        Self { queue, runtime, providers, workers, places, burns }
    }

    pub fn latest(&self, key: &Key) -> Option<Latest> {
        let workers = lock(&self.workers);
        workers.get(key).and_then(|worker| lock(&worker.latest).clone())
    }

    /// Follows a run as it stands after a pass. While it goes back its evidence is kept and nothing more is asked.
    pub fn follow(&self, key: &Key, evaluation: Evaluation, status: &RolloutRunStatus) {
        let job = self.job(evaluation.order, evaluation.provider, status);
        let mut workers = lock(&self.workers);
        let known = workers.get(key).is_some_and(|worker| worker.run == evaluation.run);
        if !known {
            let worker = Worker {
                run: evaluation.run,
                job: watch::Sender::new(job.clone()),
                latest: Arc::default(),
                task: None,
            };
            if let Some(old) = workers.insert(key.clone(), worker) {
                old.stop();
            }
        }
        let Some(worker) = workers.get_mut(key) else { return };
        match status.phase {
            RunPhase::Stepping | RunPhase::Soaking => {
                worker.job.send_replace(job);
                // A worker that has ended, by a panic, listens no more.
                if worker.job.is_closed() {
                    worker.task = Some(self.spawn(key, worker));
                }
            }
            RunPhase::Aborting | RunPhase::Finishing | RunPhase::Ended => {
                worker.task.take().as_ref().map(AbortHandle::abort);
            }
        }
    }

    /// There is nothing to judge.
    pub fn stop(&self, key: &Key) {
        if let Some(worker) = lock(&self.workers).remove(key) {
            worker.stop();
        }
    }

    /// Whoever asks this provider waits here.
    fn places(&self, provider: &str) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        places.entry(provider.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PROVIDER_PLACES))).clone()
    }

    fn job(
        &self,
        order: Order,
        provider: Result<(String, MetricsProviderSpec), String>,
        status: &RolloutRunStatus,
    ) -> Job {
        let name = provider.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let places = self.places(&name);
        let settled = status.settled_at.as_deref().and_then(seconds);
        Job {
            order: Order {
                // While the weight is being changed the evidence bears a number that lets nothing advance.
                seq: if settled.is_some() { status.settled_seq } else { status.seq },
                weight: status.weight,
                step: status.step,
                previous: status.evidence.clone(),
                ..order
            },
            settled,
            provider,
            places,
        }
    }

    fn spawn(&self, key: &Key, worker: &Worker) -> AbortHandle {
        let judge = Judge {
            job: worker.job.subscribe(),
            latest: worker.latest.clone(),
            queue: self.queue.clone(),
            key: key.clone(),
            runtime: self.runtime.clone(),
            providers: self.providers.clone(),
        };
        let (task, handle) = abortable(judge.work());
        self.runtime.spawn(Box::pin(async move {
            let _ = task.await;
        }));
        handle
    }
}

impl Worker {
    fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

/// One run's worker.
struct Judge {
    job: watch::Receiver<Job>,
    latest: Arc<Mutex<Option<Latest>>>,
    queue: Arc<Queue>,
    key: Key,
    runtime: Arc<dyn Runtime>,
    providers: Arc<dyn Providers>,
}

impl Judge {
    async fn work(self) {
        let mut provider = None;
        let mut last: Option<Look> = None;
        loop {
            let Job { mut order, settled, provider: spec, places } = self.job.borrow().clone();
            let now = self.runtime.now().as_second();
            order.settled_at = settled.unwrap_or(now);
            let previous = lock(&self.latest).as_ref().map(|latest| latest.view.clone());
            if let Some(look) = Look::due(&order, now, last) {
                // Own evidence is newer than what the record has: the record is written now and then only.
                order.previous = previous.as_ref().map(|view| view.record.clone()).or(order.previous);
                let view = match self.asked(&mut provider, spec, &order.namespace) {
                    Ok(provider) => {
                        // A closed semaphore does not occur; without a place there is nothing to ask.
                        let Ok(_place) = places.acquire().await else { return };
                        evaluate(&order, provider, now).await
                    }
                    Err(why) => unavailable(&order, why),
                };
                let changed = previous.is_none_or(|old| news(&old, &view));
                last = Some(Look { watermark: view.record.watermark, ..look });
                *lock(&self.latest) = Some(Latest { view, at_millis: self.runtime.millis() });
                if changed {
                    self.queue.add(self.key.clone(), Duration::ZERO);
                }
            }
            self.runtime.sleep(self.until_next_look(&order, last)).await;
        }
    }

    /// The next window is asked for as soon as its samples can be stored: every moment more costs requests.
    fn until_next_look(&self, order: &Order, last: Option<Look>) -> Duration {
        let Some(last) = last else { return LOOK };
        let timing = order.timing();
        let stored_at = (last.ready_until + timing.window + timing.ingest_delay) * 1_000;
        let wait = u64::try_from(stored_at - self.runtime.now().as_millisecond()).unwrap_or(0);
        Duration::from_millis(wait).clamp(LEAST_WAIT, LOOK)
    }

    /// The provider, built again when its administrator has changed it.
    fn asked<'p>(
        &self,
        provider: &'p mut Option<Opened>,
        named: Result<(String, MetricsProviderSpec), String>,
        namespace: &str,
    ) -> Result<&'p dyn Provider, String> {
        let named = named?;
        if provider.as_ref().is_none_or(|(known, _)| *known != named) {
            let (name, spec) = &named;
            let built = self.providers.open(name, spec, namespace);
            let built = built.map_err(|error| format!("MetricsProvider {name} cannot be used: {error}"));
            *provider = Some((named, built));
        }
        match provider {
            Some((_, Ok(built))) => Ok(&**built),
            Some((_, Err(why))) => Err(why.clone()),
            None => Err("there is no MetricsProvider".into()),
        }
    }
}

/// A provider as its name and spec were when it was opened.
type Opened = ((String, MetricsProviderSpec), Result<Arc<dyn Provider>, String>);

/// When the metrics server was last asked, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    seq: i64,
    at: i64,
    ready_until: i64,
    watermark: i64,
}

impl Look {
    /// The look to take now, if there can be anything new.
    fn due(order: &Order, now: i64, last: Option<Self>) -> Option<Self> {
        let ready_until = order.timing().ready_until(now);
        let measures = order.metrics.iter().any(|metric| metric.threshold.is_some());
        let due = last.is_none_or(|last| {
            let behind = last.watermark < last.ready_until && now - last.at >= ASK_AGAIN_SECONDS;
            // Threshold metrics have intervals of their own, and are asked only when theirs is over.
            last.seq != order.seq || ready_until > last.ready_until || behind || measures
        });
        due.then_some(Self { seq: order.seq, at: now, ready_until, watermark: 0 })
    }
}

/// The verdict says something else: the pass has to know at once.
fn news(old: &EvidenceView, new: &EvidenceView) -> bool {
    old.seq != new.seq || old.verdict.judgement != new.verdict.judgement || old.verdict.reason != new.verdict.reason
}

/// Evidence that there is none: it holds, and keeps what was found before.
fn unavailable(order: &Order, why: String) -> EvidenceView {
    let verdict = Verdict::hold(Reason::MetricsUnavailable, why);
    let record = EvidenceRecord {
        verdict: verdict.word().to_owned(),
        reason: Some(verdict.reason),
        message: verdict.message.clone(),
        ..order.previous.clone().unwrap_or_default()
    };
    EvidenceView { seq: order.seq, verdict, record }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Metric, Span, ThresholdMetric};

    fn order() -> Order {
        Order { seq: 3, scrape_interval: Span::seconds(10), ..Order::default() }
    }

    #[test]
    fn the_server_is_asked_when_a_window_can_be_complete_and_again_if_samples_were_late() {
        let first = Look::due(&order(), 1_012, None).unwrap();
        assert_eq!(first, Look { seq: 3, at: 1_012, ready_until: 1_000, watermark: 0 });
        let read = Look { watermark: 1_000, ..first };
        for (now, last, due) in [
            (1_013, read, false),
            (1_021, read, false),
            (1_022, read, true),
            (1_014, first, false),
            (1_017, first, true),
        ] {
            assert_eq!(Look::due(&order(), now, Some(last)).is_some(), due, "{now} {last:?}");
        }
        assert!(Look::due(&Order { seq: 4, ..order() }, 1_013, Some(read)).is_some());
        let threshold = Metric { threshold: Some(ThresholdMetric::default()), ..Metric::default() };
        assert!(Look::due(&Order { metrics: vec![threshold], ..order() }, 1_013, Some(read)).is_some());
    }

    #[test]
    fn a_missing_provider_holds_and_keeps_the_record() {
        let record = EvidenceRecord { watermark: 900, ..EvidenceRecord::default() };
        let view = unavailable(&Order { previous: Some(record), ..order() }, "MetricsProvider a does not exist".into());
        assert_eq!((view.seq, view.record.watermark), (3, 900));
        assert_eq!(view.verdict, Verdict::hold(Reason::MetricsUnavailable, "MetricsProvider a does not exist"));
        let same = unavailable(&order(), "it still does not".into());
        assert!(!news(&view, &same));
    }
}
