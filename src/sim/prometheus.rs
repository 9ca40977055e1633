//! A metrics server: it has what was scraped of the simulated traffic, and answers the queries that an evaluation asks.
//!
//! It does not compute PromQL. It knows each run's own selectors and which counter of which arm they mean, and the few
//! functions that are asked of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{
    clock::{Clock, EPOCH_SECONDS},
    server::ApiServer,
    traffic::{Counted, Counter, Scrape},
    world::{Shared, World},
};
use crate::{
    api::{AnalysisSpec, AnalysisTemplateSpec, MetricsProviderSpec, ROLLOUT_LABEL, RolloutRunSpec, TemplateKind},
    controller::{ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, CONTROLLER_REVISION, Providers, ROLLOUT, RUN},
    measure::{
        ArmNames, ArmSelectors, Counters, Labels, Order, Provider, Sample, Selectors, Series, Whole, WholeSelectors,
        WhyNot, resolve,
    },
    workload::{
        object::{self, items, label, text},
        record,
    },
};

/// Opens the one metrics server that a simulated cluster has.
pub struct Servers {
    pub world: Shared,
    pub clock: Clock,
}

impl Providers for Servers {
    fn open(&self, _: &str, _: &MetricsProviderSpec, _: &str) -> Result<Arc<dyn Provider>, String> {
        Ok(Arc::new(Server { world: self.world.clone(), clock: self.clock.clone() }))
    }
}

struct Server {
    world: Shared,
    clock: Clock,
}

/// Which of the two numbers of a counter a selector means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Total,
    Bad,
    Good,
}

/// What a run's selector means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    namespace: String,
    arm: ArmNames,
    /// All revisions of the arm's Service; the arm's revision is the Rollout then.
    is_whole: bool,
    part: Part,
    is_stable: bool,
    /// It names pods; else the proxy's counters of a Service.
    by_pod: bool,
}

/// The selectors of all runs.
pub type Meanings = BTreeMap<String, Meaning>;

impl Meaning {
    fn names(&self, service: &str) -> bool {
        let rest = service.strip_prefix(self.arm.service.as_str());
        rest.is_some_and(|rest| rest.is_empty() || self.is_whole && rest.starts_with('-'))
    }

    fn value(&self, counted: Counted) -> f64 {
        let number = match self.part {
            Part::Total => counted.total,
            Part::Bad => counted.bad,
            Part::Good => counted.total - counted.bad,
        };
        number as f64
    }

    fn labels(&self, counter: &Counter) -> Labels {
        let pairs = match counter {
            Counter::Service { namespace, service } => vec![
                ("job", "proxy"),
                ("instance", "proxy:8002"),
                ("namespace", namespace.as_str()),
                ("service", service.as_str()),
            ],
            Counter::Pod(pod) => vec![("job", "app"), ("instance", pod.as_str()), ("pod", pod.as_str())],
        };
        pairs.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
    }
}

impl World {
    /// What a selector means: those of runs that came since the last question are read first.
    fn meaning(&mut self, selector: &str) -> Option<Meaning> {
        if !self.meanings.contains_key(selector) {
            for run in self.server.list(RUN, "", "") {
                let Ok(spec) = serde_json::from_value::<RolloutRunSpec>(run["spec"].clone()) else { continue };
                learn(&mut self.meanings, object::namespace(&run), &spec);
            }
            for rollout in self.server.list(ROLLOUT, "", "") {
                learn_whole(&mut self.meanings, &rollout, &self.server);
            }
        }
        self.meanings.get(selector).cloned()
    }

    /// The scraped counters that a meaning selects, and whose they are.
    fn selected<'w>(&'w self, meaning: &'w Meaning) -> impl Iterator<Item = (&'w Counter, &'w Vec<Scrape>)> {
        self.traffic.scraped.iter().filter(move |(counter, _)| match counter {
            Counter::Service { namespace, service } => {
                !meaning.by_pod && *namespace == meaning.namespace && meaning.names(service)
            }
            Counter::Pod(pod) => meaning.by_pod && self.is_pod_of(pod, meaning),
        })
    }

    fn is_pod_of(&self, pod: &str, meaning: &Meaning) -> bool {
        if meaning.is_whole {
            let rest = pod.strip_prefix(meaning.arm.revision.as_str());
            return rest.is_some_and(|rest| rest.starts_with('-'));
        }
        let revision = self.traffic.revisions.get(pod);
        revision.is_some_and(|revision| *revision == meaning.arm.revision)
    }

    /// Growth of a counter in `(from, to]`; before traffic was watched stable had as much of it.
    fn growth(&self, meaning: &Meaning, from: i64, to: i64) -> Option<f64> {
        let mut grown = None;
        for (_, scrapes) in self.selected(meaning) {
            let at = |time: i64| scrapes.iter().rev().find(|(at, _)| *at <= time * 1_000).map(|(_, counted)| *counted);
            let (Some(last), first) = (at(to), at(from)) else { continue };
            let first = first.map_or(0.0, |counted| meaning.value(counted));
            grown = Some(grown.unwrap_or(0.0) + (meaning.value(last) - first).max(0.0));
        }
        let watched = EPOCH_SECONDS + i64::try_from(self.traffic.begun / 1_000).unwrap_or(0);
        let before = if meaning.is_stable { (watched.min(to) - from).max(0) } else { 0 };
        let past = self.traffic.usual * before as f64 * self.past_part(meaning);
        if before > 0 { Some(grown.unwrap_or(0.0) + past) } else { grown }
    }

    fn past_part(&self, meaning: &Meaning) -> f64 {
        match meaning.part {
            Part::Total => 1.0,
            Part::Bad => self.past_errors,
            Part::Good => 1.0 - self.past_errors,
        }
    }
}

/// Notes what a run's selectors mean.
fn learn(meanings: &mut Meanings, namespace: &str, spec: &RolloutRunSpec) {
    let Some(order) = Order::of(namespace, spec) else { return };
    for metric in &order.metrics {
        let Some(counters) = Counters::of(metric) else { continue };
        let Ok(Selectors { canary, control, stable }) = Selectors::of(&order, &counters) else { continue };
        let baseline = order.baseline.as_ref().map(|baseline| (control, baseline, false));
        let arms = [(canary, &order.canary, false), (stable, &order.stable, true)];
        for (selectors, arm, is_stable) in arms.into_iter().chain(baseline) {
            let ArmSelectors { total, bad, good, up, own_pods: _ } = selectors;
            let parts = [(Some(total), Part::Total), (bad, Part::Bad), (good, Part::Good)];
            for (selector, part) in parts.into_iter().filter_map(|(selector, part)| Some((selector?, part))) {
                // Without a route both revisions are behind one Service: only the pods tell them apart.
                let by_pod = up.is_some() || !order.routed;
                let namespace = namespace.to_owned();
                let meaning = Meaning { namespace, arm: arm.clone(), is_whole: false, part, is_stable, by_pod };
                meanings.entry(selector).or_insert(meaning);
            }
        }
    }
}

/// Notes what is asked of a Rollout's Service as a whole.
fn learn_whole(meanings: &mut Meanings, rollout: &Value, server: &ApiServer) {
    let (namespace, name) = (object::namespace(rollout), object::name(rollout));
    let service = text(rollout, "/spec/traffic/services/0/name").unwrap_or_default();
    let routed = !items(rollout, "/spec/traffic/routes").is_empty();
    let analysis = AnalysisSpec::deserialize(&rollout["spec"]["analysis"]).unwrap_or_default();
    let Ok(resolved) = resolve(&analysis, &templates(server, namespace), None, routed) else { return };
    let whole = Whole {
        namespace: namespace.to_owned(),
        rollout: name.to_owned(),
        service: service.to_owned(),
        port: Order::DEFAULT_PORT,
        revisions: served(server, namespace, name),
    };
    for ratio in resolved.metrics.iter().filter_map(|metric| metric.ratio.as_ref()) {
        let Ok(WholeSelectors { total, counted: (counted, is_good), up, own_pods: _ }) = whole.selectors(ratio) else {
            continue;
        };
        let (by_pod, part) = (up.is_some() || !routed, if is_good { Part::Good } else { Part::Bad });
        for (selector, part) in [(total, Part::Total), (counted, part)] {
            let (namespace, arm) =
                (namespace.to_owned(), ArmNames { service: service.to_owned(), revision: name.to_owned() });
            let meaning = Meaning { namespace, arm, is_whole: true, part, is_stable: true, by_pod };
            meanings.entry(selector).or_insert(meaning);
        }
    }
}

/// All templates that a Rollout of the namespace may name.
fn templates(server: &ApiServer, namespace: &str) -> Vec<(TemplateKind, String, AnalysisTemplateSpec)> {
    let kinds = [
        (TemplateKind::AnalysisTemplate, ANALYSIS_TEMPLATE, namespace),
        (TemplateKind::ClusterAnalysisTemplate, CLUSTER_ANALYSIS_TEMPLATE, ""),
    ];
    let of_kind = |(kind, documents, namespace)| {
        let found = server.list(documents, namespace, "").into_iter();
        found.filter_map(move |document: Arc<Value>| {
            Some((kind, object::name(&document).to_owned(), Deserialize::deserialize(&document["spec"]).ok()?))
        })
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// The revisions that have had traffic, sorted.
fn served(server: &ApiServer, namespace: &str, rollout: &str) -> Vec<String> {
    let runs = server.list(RUN, namespace, "");
    let was_tested = |revision: &str| runs.iter().any(|run| text(run, "/spec/canary") == Some(revision));
    let records = server.list(CONTROLLER_REVISION, namespace, "");
    let of_rollout = records.iter().filter(|record| label(record, ROLLOUT_LABEL) == Some(rollout));
    let served = of_rollout.filter_map(|found| {
        record::revision_of(found).filter(|revision| record::proven(found).is_some() || was_tested(revision))
    });
    served.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Server {
    /// The time that a query takes, and whether there is an answer.
    async fn asked(&self) -> Result<(), WhyNot> {
        let (delay, away, warns) = {
            let mut world = self.world.lock();
            let delay = world.habits.query;
            (world.draw(delay), world.prometheus_away, world.prometheus_partial)
        };
        self.clock.sleep(delay).await;
        match (away, warns && heeds_warnings()) {
            (true, _) => Err(WhyNot::Unreachable),
            (false, true) => Err(WhyNot::Warnings),
            (false, false) => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for Server {
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot> {
        self.asked().await?;
        let mut world = self.world.lock();
        let sample = |labels: Labels, value: f64| Sample { labels, timestamp_ms: at * 1_000, value };
        if query.starts_with("group by") {
            let labels = [("job", "proxy"), ("instance", "proxy:8002")];
            return Ok(vec![sample(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into(), 1.0)]);
        }
        if query.starts_with("up{") {
            // Everything is scraped all the time.
            return Ok(vec![sample(Labels::new(), 1.0)]);
        }
        if let Some(value) = literal(query) {
            return Ok(vec![sample(Labels::new(), value)]);
        }
        let Some((selector, span, offset)) = ranged(query) else { return Ok(Vec::new()) };
        let Some(meaning) = world.meaning(selector) else { return Ok(Vec::new()) };
        let (from, to) = (at - offset - span, at - offset);
        if query.starts_with("count_over_time") {
            let within = |scrapes: &Vec<Scrape>| scrapes.iter().any(|(ms, _)| from * 1_000 < *ms && *ms <= to * 1_000);
            let seen = world.selected(&meaning).filter(|(_, scrapes)| within(scrapes));
            return Ok(seen.map(|(counter, _)| sample(meaning.labels(counter), 1.0)).collect());
        }
        Ok(world.growth(&meaning, from, to).map(|grown| sample(Labels::new(), grown)).into_iter().collect())
    }

    /// There are no gauges.
    async fn over(&self, _: &str, _: i64, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
        self.asked().await?;
        Ok(Vec::new())
    }

    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        self.asked().await?;
        let mut world = self.world.lock();
        let cut = |labels: Labels, samples: Vec<(i64, f64)>| {
            let within = |(ms, _): &(i64, f64)| from * 1_000 < *ms && *ms <= to * 1_000;
            Series { labels, samples: samples.into_iter().filter(within).collect(), ..Series::default() }
        };
        let found: Vec<Series> = if selector.starts_with("up") {
            // Everything is scraped all the time.
            let step = world.scrape_seconds.max(1);
            let times = (from..=to).filter(|second| second % step == 0).map(|second| (second * 1_000, 1.0)).collect();
            let labels = [("job", "proxy"), ("instance", "proxy:8002")];
            vec![cut(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into(), times)]
        } else {
            let Some(meaning) = world.meaning(selector) else { return Ok(Vec::new()) };
            if world.prometheus_partial && meaning.part == Part::Bad {
                return Ok(Vec::new());
            }
            let values =
                |scrapes: &Vec<Scrape>| scrapes.iter().map(|(ms, counted)| (*ms, meaning.value(*counted))).collect();
            let selected = world.selected(&meaning);
            selected.map(|(counter, scrapes)| cut(meaning.labels(counter), values(scrapes))).collect()
        };
        Ok(found.into_iter().filter(|series| !series.samples.is_empty()).collect())
    }
}

#[cfg(feature = "mutants")]
fn heeds_warnings() -> bool {
    !super::mutants::is_lapse(super::mutants::Lapse::IgnoresWarnings)
}

#[cfg(not(feature = "mutants"))]
const fn heeds_warnings() -> bool {
    true
}

/// The number of `vector(0.99)`.
fn literal(query: &str) -> Option<f64> {
    query.strip_prefix("vector(")?.strip_suffix(')')?.parse().ok()
}

/// The selector, the span and the offset of a function over a range, as the evaluation writes them.
fn ranged(query: &str) -> Option<(&str, i64, i64)> {
    let (head, tail) = query.split_once('\n')?;
    let selector =
        head.rsplit_once("_over_time(").or_else(|| head.rsplit_once("increase(")).map(|(_, selector)| selector)?;
    let (span, rest) = tail.strip_prefix('[')?.split_once("s]")?;
    let offset = rest.strip_prefix(" offset ").and_then(|rest| rest.split_once('s')).map_or("0", |(offset, _)| offset);
    Some((selector, span.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_evaluation_writes_them() {
        assert_eq!(ranged("sum(increase(a{b=\"c(\"}\n[300s]))"), Some(("a{b=\"c(\"}", 300, 0)));
        assert_eq!(ranged("sum(increase(a\n[60s] offset 3540s))"), Some(("a", 60, 3_540)));
        assert_eq!(ranged("count_over_time(a{}\n[30s])"), Some(("a{}", 30, 0)));
        assert_eq!(ranged("avg(a)"), None);
    }
}
