//! Measurements of a service's error budget before a run starts, beside the passes: a slow metrics server holds up nobody else.
//!
//! What they amount to is for the engine to say.

use std::time::Duration;

use super::{Evaluators, lock};
use crate::{
    api::MetricsProviderSpec,
    controller::Key,
    engine::BurnView,
    measure::{BurnQuestion, burn},
    stats::{Burn, Requests},
};

/// A measurement is forgotten at this age: the engine has not believed it for a while.
const KEPT_MILLIS: u64 = 300_000;
/// What is spent of the budget is read anew at this age: it changes slowly, and its window is much to read.
const SPENT_MILLIS: u64 = 300_000;
/// A task that has not answered by then, because it panicked, will not.
const LOST_MILLIS: u64 = 120_000;

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetQuestion {
    pub burn: BurnQuestion,
    /// The MetricsProvider by name, or why there is none.
    pub provider: Result<(String, MetricsProviderSpec), String>,
}

/// The last measurement of one Rollout.
pub(super) struct Asked {
    question: BudgetQuestion,
    /// When the task that asks began; None: none does.
    asking: Option<u64>,
    /// When it was asked, and what came of it.
    found: Option<(u64, Result<Burn, String>)>,
    /// When the budget's window was read, and what it said.
    spent: Option<(u64, Requests)>,
}

impl Evaluators {
    /// The last answer to this question; None: there is none that is young.
    pub fn burn(&self, key: &Key, question: &BudgetQuestion) -> Option<BurnView> {
        let burns = lock(&self.burns);
        let asked = burns.get(key).filter(|asked| asked.question == *question)?;
        let (at, burn) = asked.found.as_ref()?;
        let age_millis = self.runtime.millis().saturating_sub(*at);
        (age_millis < KEPT_MILLIS).then(|| BurnView { age_millis, burn: burn.clone() })
    }

    /// Measures, and wakes the Rollout's pass when it is done; nothing if that is under way already.
    pub fn ask_burn(&self, key: &Key, question: BudgetQuestion) {
        let now = self.runtime.millis();
        let spent = {
            let mut burns = lock(&self.burns);
            let known = burns.remove(key).filter(|asked| asked.question == question);
            let young = |at: u64, most: u64| now.saturating_sub(at) < most;
            let asking = known.as_ref().and_then(|asked| asked.asking).filter(|at| young(*at, LOST_MILLIS));
            let spent = known.as_ref().and_then(|asked| asked.spent).filter(|(at, _)| young(*at, SPENT_MILLIS));
            let found = known.and_then(|asked| asked.found);
            let begun = Asked { question: question.clone(), asking: asking.or(Some(now)), found, spent };
            burns.insert(key.clone(), begun);
            if asking.is_some() {
                return;
            }
            spent
        };
        let name = question.provider.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let (places, providers, burns) = (self.places(&name), self.providers.clone(), self.burns.clone());
        let (queue, runtime, key) = (self.queue.clone(), self.runtime.clone(), key.clone());
        self.runtime.spawn(Box::pin(async move {
            // A closed semaphore does not occur.
            let _place = places.acquire().await;
            let at = runtime.millis();
            let found = measured(&question, &*providers, spent, runtime.now().as_second()).await;
            if let Some(asked) = lock(&burns).get_mut(&key).filter(|asked| asked.question == question) {
                let read = found.as_ref().ok().and_then(|burn| burn.spent).map(|read| (at, read));
                (asked.asking, asked.found, asked.spent) = (None, Some((at, found)), spent.or(read));
            }
            queue.add(key, Duration::ZERO);
        }));
    }

    /// The Rollout is gone.
    pub fn forget_burn(&self, key: &Key) {
        lock(&self.burns).remove(key);
    }
}

async fn measured(
    question: &BudgetQuestion,
    providers: &dyn crate::controller::Providers,
    spent: Option<(u64, Requests)>,
    now: i64,
) -> Result<Burn, String> {
    let (name, spec) = question.provider.as_ref().map_err(Clone::clone)?;
    let provider = providers.open(name, spec, &question.burn.service.namespace);
    let provider = provider.map_err(|error| format!("MetricsProvider {name} cannot be used: {error}"))?;
    let found = burn(&question.burn, &*provider, spent.map(|(_, spent)| spent), now).await;
    found.map_err(|error| format!("MetricsProvider {name}, {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    use async_trait::async_trait;
    use futures::future::BoxFuture;
    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::{ErrorBudget, Metric, RatioMetric},
        controller::{Providers, Queue, Runtime},
        measure::{Provider, Sample, Series, WhyNot},
    };

    /// A clock that stands, and tasks that are kept until somebody runs them.
    #[derive(Default)]
    struct Still {
        millis: AtomicU64,
        tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    }

    impl Runtime for Still {
        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.millis.load(SeqCst))
        }

        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }

        fn spawn(&self, task: BoxFuture<'static, ()>) {
            self.tasks.lock().unwrap().push(task);
        }
    }

    /// Every counter has grown by 7.
    #[derive(Clone, Default)]
    struct Sevens(Arc<Mutex<Vec<String>>>);

    #[async_trait]
    impl Provider for Sevens {
        async fn instant(&self, query: &str, _: i64) -> Result<Vec<Sample>, WhyNot> {
            self.0.lock().unwrap().push(query.to_owned());
            Ok(vec![Sample { value: 7.0, ..Sample::default() }])
        }

        async fn raw(&self, _: &str, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
            Err(WhyNot::Refused)
        }

        async fn over(&self, _: &str, _: i64, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
            Err(WhyNot::Refused)
        }
    }

    impl Providers for Sevens {
        fn open(&self, name: &str, _: &MetricsProviderSpec, _: &str) -> Result<Arc<dyn Provider>, String> {
            if name == "broken" { Err("no such file".into()) } else { Ok(Arc::new(self.clone())) }
        }
    }

    struct Stage {
        runtime: Arc<Still>,
        server: Sevens,
        evaluators: Evaluators,
        key: Key,
    }

    impl Stage {
        fn new() -> Self {
            let (runtime, server) = (Arc::new(Still::default()), Sevens::default());
            let queue = Arc::new(Queue::new(runtime.clone()));
            let evaluators = Evaluators::new(queue, runtime.clone(), Arc::new(server.clone()));
            Self { runtime, server, evaluators, key: Key::new("shop", "checkout") }
        }

        fn ask(&self, question: &BudgetQuestion) {
            self.evaluators.ask_burn(&self.key, question.clone());
        }

        /// Lets every task come to its end; how many there were.
        async fn run(&self) -> usize {
            let tasks = std::mem::take(&mut *self.runtime.tasks.lock().unwrap());
            futures::future::join_all(tasks).await.len()
        }

        fn told(&self, question: &BudgetQuestion) -> Option<BurnView> {
            self.evaluators.burn(&self.key, question)
        }

        fn queries(&self) -> usize {
            std::mem::take(&mut *self.server.0.lock().unwrap()).len()
        }

        fn pass(&self, millis: u64) {
            self.runtime.millis.fetch_add(millis, SeqCst);
        }
    }

    fn question(provider: &str) -> BudgetQuestion {
        let ratio = RatioMetric { total: "all".into(), bad: Some("bad".into()), good: None };
        let metrics = vec![Metric { name: "errors".into(), ratio: Some(ratio), ..Metric::default() }];
        let burn =
            BurnQuestion { service: Default::default(), metrics, budget: ErrorBudget::default(), asks_spent: true };
        BudgetQuestion { burn, provider: Ok((provider.to_owned(), MetricsProviderSpec::default())) }
    }

    #[tokio::test]
    async fn one_task_at_a_time_asks_and_its_answer_grows_old() {
        let (stage, question) = (Stage::new(), question("prometheus"));
        stage.ask(&question);
        stage.ask(&question);
        assert_eq!((stage.told(&question), stage.run().await), (None, 1));
        stage.pass(40_000);
        let told = stage.told(&question).expect("an answer");
        assert_eq!((told.age_millis, told.burn.unwrap().spent), (40_000, Some(Requests { all: 7.0, bad: 7.0 })));
        stage.pass(KEPT_MILLIS);
        assert_eq!(stage.told(&question), None);
        stage.evaluators.forget_burn(&stage.key);
        assert!(lock(&stage.evaluators.burns).is_empty());
    }

    #[tokio::test]
    async fn the_budgets_window_is_read_every_five_minutes_only() {
        let (stage, question) = (Stage::new(), question("prometheus"));
        let mut queries = Vec::new();
        for wait in [30_000, 30_000, SPENT_MILLIS, 0] {
            stage.ask(&question);
            stage.run().await;
            queries.push(stage.queries());
            assert!(stage.told(&question).unwrap().burn.unwrap().spent.is_some());
            stage.pass(wait);
        }
        assert_eq!(queries, [10, 8, 8, 10]);
    }

    #[tokio::test]
    async fn an_answer_is_to_its_own_question() {
        let (stage, before) = (Stage::new(), question("prometheus"));
        let after = BudgetQuestion { provider: Err("MetricsProvider a does not exist".into()), ..before.clone() };
        stage.ask(&before);
        stage.ask(&after);
        assert_eq!(stage.run().await, 2, "the first one's answer is of no use any more");
        assert_eq!(stage.told(&before), None);
        assert_eq!(stage.told(&after).unwrap().burn, Err("MetricsProvider a does not exist".into()));
        let broken = question("broken");
        stage.ask(&broken);
        stage.run().await;
        let why = stage.told(&broken).unwrap().burn.unwrap_err();
        assert_eq!(why, "MetricsProvider broken cannot be used: no such file");
    }

    #[tokio::test]
    async fn a_task_that_was_lost_is_begun_again() {
        let (stage, question) = (Stage::new(), question("prometheus"));
        stage.ask(&question);
        stage.runtime.tasks.lock().unwrap().clear();
        stage.pass(LOST_MILLIS - 1);
        stage.ask(&question);
        assert_eq!(stage.run().await, 0);
        stage.pass(1);
        stage.ask(&question);
        assert_eq!(stage.run().await, 1);
        assert!(stage.told(&question).is_some());
    }
}
