//! One ratio or latency metric: read what is new since the watermark, make windows, fold them.
//!
//! A failed read changes nothing: the watermark stays, and the same windows are read next time.

use std::collections::BTreeSet;

use futures::future::try_join;

use super::{
    dispersion::overdispersion,
    estimate::{expected_requests, ratio_before},
    order::{Arm, Order},
    provider::{Provider, Series},
    room::{is_by_boundaries, room},
    selectors::{ArmSelectors, Counters, Selectors, told_apart},
    series::{ArmSeries, NewPods},
    tails::{Read, tails},
};
use crate::{
    api::{Metric, MetricRecord, Percent, Span, TestsRecord},
    stats::{
        Apart, BudgetFold, BudgetTerms, Cells, Compared, Comparison, Counted, Flow, Folds, GRACE_WINDOWS, Judged,
        LatencyFold, Outlook, Supply, Tally, Timing, Trial, Window, figure,
    },
};

/// Windows that one request reads: more would be more samples of a large histogram than one answer may have. It is above the
/// grace, so that what is missing for longer does not stop the reading.
const AT_ONCE: i64 = 2 * GRACE_WINDOWS + 4;
/// Requests for one arm in one evaluation; after a long absence the next evaluations go on.
const MOST_REQUESTS: usize = 8;
/// Windows before the watermark that are read again: an increment may have begun in them.
const LOOK_BACK_WINDOWS: i64 = GRACE_WINDOWS + 1;
/// Proxies whose scrapes are looked at for a service without requests; one that is scraped is enough.
const MOST_PROXIES: usize = 8;
/// How far back pods are looked for that were scraped before.
const SEEN_BEFORE_SECONDS: i64 = 3_600;

/// What one metric amounts to.
pub struct Counting {
    pub counted: Counted,
    pub record: MetricRecord,
    pub watermark: i64,
    /// On the budget's metric; without a budget on the first, to tell an incident of both arms.
    pub budget: Option<BudgetFold>,
    /// What lies ahead at the traffic that was measured; None: at many boundaries it is not foretold.
    pub outlook: Option<Outlook>,
    /// Why the budget's terms are not known.
    pub terms_missing: Option<String>,
}

/// The metric's evidence and what is to be recorded of it.
pub async fn count(
    order: &Order,
    metric: &Metric,
    counters: &Counters<'_>,
    provider: &dyn Provider,
    now: i64,
) -> Counting {
    let timing = order.timing();
    let mut folds = begin(order, metric, &timing);
    let mut terms_missing = None;
    let advanced = match Selectors::of(order, counters) {
        Ok(selectors) => {
            terms_missing = learn_terms(order, &selectors, &mut folds, provider).await.err();
            Reader { order, counters, selectors: &selectors, provider }.catch_up(&mut folds, now).await
        }
        Err(why) => Err(why),
    };
    let previous = order.previous.as_ref().and_then(|record| record.metrics.get(&metric.name));
    let said_before = previous.and_then(|record| record.threshold.clone());
    let threshold = advanced.as_ref().ok().cloned().flatten().or(said_before);
    let supply = supply(order, &folds, &timing, now, advanced.err());
    let tallies = &folds.counts;
    let mut run = tallies.run;
    if let Some((canary, control)) = folds.latency.as_ref().and_then(LatencyFold::counts) {
        (run.canary, run.control) = (canary, control);
    }
    let of_ratio = folds.comparison.as_ref().map(Comparison::compared);
    let compared = of_ratio.or(folds.latency.as_ref().map(LatencyFold::compared));
    let outlook = of_ratio.map(|compared| ahead(order, metric, &timing, &tallies.step, &compared));
    let record = MetricRecord {
        threshold,
        windows_dropped: tallies.dropped(),
        tests: compared.as_ref().map(|compared| tests_record(compared, order, outlook.as_ref())),
        fold: Some(folds.state()),
        ..counted(&run)
    };
    let counted = Counted { name: metric.name.clone(), supply, run, step: folds.counts.step, compared };
    Counting { counted, record, watermark: folds.watermark, budget: folds.budget, outlook, terms_missing }
}

/// The part of the record that is counts.
pub(super) fn counted(run: &Tally) -> MetricRecord {
    let whole = |count: f64| count.round() as u64;
    MetricRecord {
        canary_bad: whole(run.canary.bad),
        canary_total: whole(run.canary.total),
        control_bad: whole(run.control.bad),
        control_total: whole(run.control.total),
        windows_used: run.windows,
        ..MetricRecord::default()
    }
}

/// The measured traffic of the present step, for what lies ahead.
fn ahead(order: &Order, metric: &Metric, timing: &Timing, step: &Tally, compared: &Compared) -> Outlook {
    let seconds = step.windows as f64 * timing.window as f64;
    let requests = step.canary.total + step.control.total;
    let has_baseline = order.baseline.is_some();
    let part = Flow::part_of_all(order.weight, has_baseline);
    let stable = step.control;
    Outlook {
        terms: order.terms(),
        share: order.alpha_share(metric),
        objective_share: order.objective_share().unwrap_or(0.0),
        requests_per_second: if seconds > 0.0 && part > 0.0 { requests / seconds / part } else { 0.0 },
        has_baseline,
        stable_ratio: if stable.total > 0.0 { stable.bad / stable.total } else { 0.0 },
        phi: compared.phi,
        unjudged_seconds: timing.settle as f64,
        delay_seconds: timing.ingest_delay as f64,
    }
}

pub(super) fn tests_record(compared: &Compared, order: &Order, outlook: Option<&Outlook>) -> TestsRecord {
    let bake = order.plan.steps.get(order.step as usize).map_or(Span::ZERO, |step| step.bake);
    let comparing = order.weight > Percent::ZERO && order.weight < Percent::FULL;
    let detectable = outlook.filter(|_| comparing).and_then(|outlook| outlook.detectable(order.weight, bake));
    let (lower, upper, boundary) = match compared.apart {
        Apart::Bounds { lower, upper } => (Some(points(lower)), Some(points(upper)), None),
        Apart::Tails { boundary, of } => (None, None, boundary.map(|boundary| format!("{boundary}, of {of}"))),
    };
    TestsRecord {
        fail_evidence: figure(compared.fail.evidence),
        fail_threshold: figure(compared.fail.threshold),
        pass_evidence: figure(compared.pass.evidence),
        pass_threshold: figure(compared.pass.threshold),
        difference_lower: lower,
        difference_upper: upper,
        boundary,
        ratio_lower: compared.ratio.map(|(lower, _)| figure(lower)),
        ratio_upper: compared.ratio.filter(|(_, upper)| upper.is_finite()).map(|(_, upper)| figure(upper)),
        overdispersion: figure(compared.phi),
        objective_evidence: compared.slo.map(|(proof, _)| figure(proof.evidence)),
        objective_threshold: compared.slo.map(|(proof, _)| figure(proof.threshold)),
        detectable_rise: detectable.map(points),
    }
}

/// A difference of ratios in percentage points.
fn points(ratio: f64) -> String {
    let text = format!("{:.4}", ratio * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What the metric is tested for: all of it follows from the run's frozen plan, its weight and the scrape interval.
pub(super) fn trial(order: &Order, metric: &Metric) -> Trial {
    let is_of_budget = order.is_budget_metric(metric);
    let objective = order.budget.as_ref().filter(|_| is_of_budget).map(|budget| budget.objective);
    Trial {
        terms: order.terms(),
        share: order.alpha_share(metric),
        objective: objective.zip(order.objective_share()),
        routed: order.counts_routed_requests(metric).then_some(order.weight.of_arms(order.baseline.is_some())),
        recorded_bytes: room(order),
    }
}

/// The folds as recorded.
pub(super) fn begin(order: &Order, metric: &Metric, timing: &Timing) -> Folds {
    let trial = trial(order, metric);
    let by_boundaries = is_by_boundaries(metric);
    let fresh = || Folds {
        comparison: (!by_boundaries).then(|| Comparison::new(trial.clone())),
        latency: by_boundaries.then(|| LatencyFold::new(trial.clone())),
        budget: order.tells_incidents(metric).then(|| BudgetFold::after(order.spent_earlier_hundredths)),
        ..Folds::default()
    };
    let mut folds = fresh();
    let previous = order.previous.as_ref().and_then(|record| record.metrics.get(&metric.name));
    // A state that cannot be read is folded anew from what the metrics server still has.
    if folds.restore(previous.and_then(|record| record.fold.as_ref())).is_err() {
        folds = fresh();
    }
    folds.counts.begin_step(order.settled_at);
    if folds.watermark == 0 {
        folds.watermark = timing.first_after(order.run_started_at);
    }
    folds
}

pub(super) fn judged(order: &Order, timing: &Timing) -> Judged {
    let warm = order.pods_started_at.map_or(i64::MIN, |at| timing.first_after(at + timing.warmup));
    Judged { settled: timing.first_after(order.settled_at + timing.settle), warm, window: timing.window }
}

/// What the budget needs to know from before the run, each asked for until it is answered once.
async fn learn_terms(
    order: &Order,
    selectors: &Selectors,
    folds: &mut Folds,
    provider: &dyn Provider,
) -> Result<(), String> {
    let (Some(fold), Some(budget)) = (&mut folds.budget, &order.budget) else { return Ok(()) };
    if fold.expected.is_none() {
        let window = budget.window.unwrap_or(BudgetTerms::DEFAULT_WINDOW).as_millis() / 1_000;
        let given = budget.expected_requests.and_then(|requests| u64::try_from(requests).ok());
        fold.expected = Some(match given {
            Some(requests) => (requests, false),
            None => {
                let window = i64::try_from(window).unwrap_or(i64::MAX);
                let total = &selectors.stable.total;
                let measured = expected_requests(provider, total, window, order.run_started_at).await;
                measured.map_err(|why| format!("failed to measure expectedRequests: {why}"))?
            }
        });
    }
    Ok(())
}

/// Reads one metric.
pub(super) struct Reader<'a> {
    pub order: &'a Order,
    pub counters: &'a Counters<'a>,
    pub selectors: &'a Selectors,
    pub provider: &'a dyn Provider,
}

impl Reader<'_> {
    /// Read and fold what is new, some windows with each request; it ends where one has no answer.
    async fn catch_up(&self, folds: &mut Folds, now: i64) -> Result<Option<String>, String> {
        let timing = self.order.timing();
        let mut threshold = None;
        for _ in 1..MOST_REQUESTS {
            let before = folds.watermark;
            let is_last = before + AT_ONCE * timing.window >= timing.ready_until(now);
            let found = self.advance(folds, now).await;
            if is_last || folds.watermark == before {
                return found.map(|found| found.or(threshold));
            }
            threshold = found.ok().flatten().or(threshold);
        }
        self.advance(folds, now).await.map(|found| found.or(threshold))
    }

    /// Read and fold the next windows. Ok: a latency's threshold as it was used. Err: why there are none, or why they are not
    /// enough.
    pub async fn advance(&self, folds: &mut Folds, now: i64) -> Result<Option<String>, String> {
        let Self { order, counters, selectors, provider } = *self;
        let timing = order.timing();
        let to = timing.ready_until(now).min(folds.watermark + AT_ONCE * timing.window);
        if to <= folds.watermark {
            return Ok(None);
        }
        learn_ratio_before(order, selectors, folds, provider).await?;
        if let Some(comparison) = &mut folds.comparison
            && comparison.needs_phi()
        {
            comparison.learn_phi(overdispersion(order, counters, selectors, provider).await);
        }
        let from = folds.watermark - LOOK_BACK_WINDOWS * timing.window;
        let read = |arm: Arm| selectors.read(arm, provider, from, to);
        let (mut canary, mut control) = try_join(read(Arm::Canary), read(Arm::Control)).await?;
        told_apart(&canary, &control)?;
        let threshold = counters.sort(&mut canary, &mut control)?;
        if canary.total.is_empty() && control.total.is_empty() && !control.own_targets {
            control.up = scraped_proxies(selectors, provider, from, to).await?;
            canary.up = control.up.clone();
        }
        let since = (folds.watermark, from);
        let of_canary = new_pods(order, (Arm::Canary, &selectors.canary), &canary, since, provider).await?;
        let of_control = match order.baseline {
            Some(_) => new_pods(order, (Arm::Control, &selectors.control), &control, since, provider).await?,
            None => NewPods::default(),
        };
        let cells = Cells { window: timing.window, from: folds.watermark, to, changed_at: order.settled_at };
        let read = Read { canary: &canary, control: &control, new_pods: [&of_canary, &of_control], cells };
        let mut assembly = match &mut folds.latency {
            Some(fold) => tails(order, selectors, fold, read, provider).await?,
            None => read.assembly(order),
        };
        let contradiction = assembly.drop_contradictions(timing.window);
        let enough = !assembly.windows.is_empty();
        folds.absorb(&assembly, judged(order, &timing));
        match contradiction {
            _ if enough => Ok(threshold),
            Some(window) => Err(self.contradicts(&window)),
            None => Err(shortfall(selectors, &canary, &control)),
        }
    }

    /// What is wrong with a window whose counts do not belong together.
    fn contradicts(&self, window: &Window) -> String {
        let of_canary = !window.canary.belong_together();
        let arm = if of_canary { "the canary" } else { control_name(self.selectors) };
        let what = match self.counters {
            Counters::Ratio(ratio) if ratio.good.is_some() => "good",
            Counters::Ratio(_) => "bad",
            Counters::Latency(_) => return format!("a bucket of {arm} grew by more than all of its requests"),
        };
        format!("{arm} had more {what} requests than requests in all: what {what} selects must be a part of total")
    }
}

/// A shared proxy's counters are born with the first request. Where other series of the same name are there, the proxies are
/// scraped, and no series of either arm means no requests; where there are none at all, the name is likely wrong.
async fn scraped_proxies(
    selectors: &Selectors,
    provider: &dyn Provider,
    from: i64,
    to: i64,
) -> Result<Vec<Series>, String> {
    let name = selectors.control.total.split('{').next().unwrap_or_default();
    let found =
        provider.instant(&format!("group by (job, instance) ({name})"), to).await.map_err(|why| why.to_string())?;
    let mut up = Vec::new();
    for proxy in found.iter().take(MOST_PROXIES) {
        let label = |name: &str| proxy.labels.get(name).cloned().unwrap_or_default();
        let selector = format!("up{{job={:?},instance={:?}}}", label("job"), label("instance"));
        up.extend(provider.raw(&selector, from, to).await.map_err(|why| why.to_string())?);
    }
    Ok(up)
}

/// Stable's ratio before the run: an incident of both arms is told by it. It has to be known where stable gets no traffic.
async fn learn_ratio_before(
    order: &Order,
    selectors: &Selectors,
    folds: &mut Folds,
    provider: &dyn Provider,
) -> Result<(), String> {
    let Some(fold) = &mut folds.budget else { return Ok(()) };
    if fold.before.is_none() {
        let (counted, by_good) = selectors.stable.counted();
        let total = &selectors.stable.total;
        match ratio_before(provider, counted, total, by_good, order.run_started_at).await {
            Ok(ratio) => fold.before = Some(ratio.unwrap_or(0.0)),
            Err(why) if fold.needs_before() && !order.expected().control => return Err(why.to_string()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Which pods' counters began at 0. A pod that was scraped before and has been away for the whole look-back is not new: to count
/// its first sample from 0 would count its whole life again.
async fn new_pods(
    order: &Order,
    (arm, selectors): (Arm, &ArmSelectors),
    series: &ArmSeries,
    (watermark, from): (i64, i64),
    provider: &dyn Provider,
) -> Result<NewPods, String> {
    let scrape_ms = order.timing().scrape * 1_000;
    let mut pods = NewPods { prefix: order.pod_prefix(arm), seen_before: BTreeSet::new(), scrape_ms };
    let late = |series: &Series| series.first_ms().is_some_and(|at_ms| at_ms > watermark * 1_000);
    let newborn = series.all().any(|series| late(series) && pods.has(&series.labels));
    let span = (from - order.run_started_at).min(SEEN_BEFORE_SECONDS);
    if newborn && span > 0 {
        let query = format!("count_over_time({}\n[{span}s])", selectors.total);
        let seen = provider.instant(&query, from).await.map_err(|why| why.to_string())?;
        pods.seen_before = seen.into_iter().filter_map(|mut sample| sample.labels.remove("pod")).collect();
    }
    Ok(pods)
}

fn control_name(selectors: &Selectors) -> &'static str {
    if selectors.control == selectors.stable { "stable" } else { "the baseline" }
}

fn shortfall(selectors: &Selectors, canary: &ArmSeries, control: &ArmSeries) -> String {
    let arms =
        [("the canary", canary, &selectors.canary.total), (control_name(selectors), control, &selectors.control.total)];
    for (arm, series, selector) in arms {
        if series.total.is_empty() {
            return format!("no series of {arm} for {selector:.160}");
        }
    }
    "no window in which both arms have samples".into()
}

fn supply(order: &Order, folds: &Folds, timing: &Timing, now: i64, failure: Option<String>) -> Supply {
    let step = &folds.counts.step;
    let first = judged(order, timing).from();
    let known_until = if step.windows > 0 { step.last_end } else { first };
    let behind = (timing.ready_until(now) - known_until) / timing.window;
    if behind > timing.grace {
        let why = failure.unwrap_or_else(|| "the windows since a pause are still being read".into());
        Supply::Missing(format!("no evidence for more than {} windows of {} s: {why}", timing.grace, timing.window))
    } else if step.windows == 0 {
        let why = failure.map(|why| format!("; {why}")).unwrap_or_default();
        Supply::Warming(format!("waiting for the first window since the weight settled{why}"))
    } else {
        Supply::Flowing
    }
}
