//! The targets: functions of any bytes that say whether they understood them, and panic where a promise is broken.

use std::cell::Cell;

use async_trait::async_trait;
use futures::executor::block_on;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::{
    api::{Decimal, EvidenceRecord, Percent, RolloutRun, RolloutRunSpec, Span, TenancyRule},
    cli::{Lines, read_window},
    engine::{metric_refusals, read_spec, validate},
    measure::{
        Order, Placeholder, Provider, Sample, Series, Tenancy, Value as Filled, WhyNot, check_selector, decided,
        evaluate, fill, misstated, read_samples, read_series, replay, resolve,
    },
    plan::{Load, Question, forecast},
    stats::{Judgement, Margin, Replay, ReplayTerms, Restarts},
};

/// Manifests: every document is validated, and what is valid is planned.
pub fn manifest(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let mut understood = false;
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let Ok(document) = Value::deserialize(document) else { break };
        let Ok(spec) = read_spec(&document) else { continue };
        let name = document["metadata"]["name"].as_str().unwrap_or("checkout");
        let analysis = spec.analysis.clone().unwrap_or_default();
        metric_refusals("spec.analysis.metrics", &analysis.metrics);
        let _ = resolve(&analysis, &[], spec.error_budget.as_ref(), true);
        let Ok(valid) = validate(name, &spec) else { continue };
        let load = Load { requests_per_second: 40.0, error_ratio: 0.001, overdispersion: 1.0 };
        let plan = forecast(&Question::new(&valid, load, Span::seconds(15), None));
        assert!(plan.stages.len() >= valid.steps.len(), "each step is planned");
        understood = true;
    }
    understood
}

/// Gives one body for every question, as a metrics server's.
struct Server<'a> {
    body: &'a [u8],
    was_read: &'a std::sync::atomic::AtomicBool,
}

impl Server<'_> {
    fn seen<T>(&self, read: Result<T, WhyNot>) -> Result<T, WhyNot> {
        self.was_read.fetch_or(read.is_ok(), std::sync::atomic::Ordering::Relaxed);
        read
    }
}

#[async_trait]
impl Provider for Server<'_> {
    async fn instant(&self, _: &str, _: i64) -> Result<Vec<Sample>, WhyNot> {
        self.seen(read_samples(self.body))
    }

    async fn raw(&self, _: &str, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
        self.seen(read_series(self.body))
    }

    async fn over(&self, _: &str, _: i64, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
        self.seen(read_series(self.body))
    }
}

const START: i64 = 600;

fn run_spec() -> RolloutRunSpec {
    let selector = |name: &str| format!("{name}{{pod=~\"{{{{ pods }}}}\"}}");
    serde_json::from_value(json!({
        "rollout": "checkout", "rolloutUID": "u", "stable": "def", "canary": "abc",
        "plan": {"steps": [{"weight": 10, "bake": "5m"}, {"weight": 100}]},
        "errorBudget": {"objective": "99.9"},
        "analysis": {"metrics": [
            {"name": "errors", "ratio": {"bad": selector("bad"), "total": selector("all")}},
            {"name": "slow", "latency": {"histogram": selector("x_bucket"), "threshold": "250ms"}},
            {"name": "slower", "latency": {"histogram": selector("x_bucket")}},
            {"name": "memory", "gauge": {"query": selector("memory")}},
            {"name": "lag", "threshold": {"query": selector("lag"), "success": "< 5"}},
        ]},
        "progressDeadline": "10m", "services": ["checkout"], "warm": "5s", "drain": "15s", "routes": [],
    }))
    .expect("the run is one")
}

fn order() -> Order {
    Order {
        weight: Percent::whole(10),
        settled_at: START,
        run_started_at: START - 20,
        scrape_interval: Span::seconds(15),
        ..Order::of("shop", &run_spec()).expect("it has a Service")
    }
}

/// Answers of a metrics server: judged twice, from the record the second time. What cannot be read is no success and no failure.
pub fn answer(input: &[u8]) -> bool {
    let mut order = order();
    let was_read = std::sync::atomic::AtomicBool::new(false);
    let server = Server { body: input, was_read: &was_read };
    for now in [START + 240, START + 480] {
        let view = block_on(evaluate(&order, &server, now));
        let judged = matches!(view.verdict.judgement, Judgement::Pass | Judgement::Fail);
        assert!(was_read.load(std::sync::atomic::Ordering::Relaxed) || !judged, "{:?} of nothing", view.verdict);
        let written = serde_json::to_value(&view.record).expect("a record is JSON");
        let read: EvidenceRecord = serde_json::from_value(written.clone()).expect("a record is read again");
        assert_eq!(
            serde_json::to_value(&read).expect("a record is JSON"),
            written,
            "a record is read as it was written"
        );
        order.previous = Some(read);
    }
    was_read.into_inner()
}

/// Arguments, and queries themselves: an argument is a value and nothing else, and a tenant's query is bound or refused.
pub fn query(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input).into_owned();
    let put = |placeholder: &Placeholder| match placeholder {
        Placeholder::Argument(_) => Filled::Text(text.clone()),
        Placeholder::Pods => Filled::Regex("checkout-abc-.*".into()),
        _ => Filled::Text("x".into()),
    };
    for (quote, operator) in [("\"", "="), ("'", "=~"), ("`", "!="), ("\"", "!~")] {
        let template = format!("sum(a{{b{operator}{quote}{{{{ args.x }}}}{quote}}}) or c{{d=\"e\"}}");
        let Ok(filled) = fill(&template, &put) else { continue };
        let tree = promql_parser::parser::parse(&filled).expect("what is filled in parses");
        let promql_parser::parser::Expr::Binary(or) = tree else { panic!("{filled} has another shape") };
        assert_eq!(or.rhs.to_string(), r#"c{d="e"}"#, "{filled}");
        assert!(or.lhs.to_string().starts_with("sum(a{b") && or.lhs.to_string().ends_with("})"), "{filled}");
    }
    let _ = check_selector(&text);
    let tenancy = |label: &str, prefix: Option<&str>| {
        let rule = TenancyRule { label: label.into(), prefix: prefix.map(str::to_owned) };
        Tenancy::new(&[rule], "shop")
    };
    let bound = Cell::new(false);
    for tenancy in [tenancy("namespace", None), tenancy("cluster", Some("{{ namespace }}_"))] {
        let filled = fill(&text, &put).unwrap_or_else(|_| text.clone());
        if let Ok(sent) = tenancy.limit(&filled) {
            assert_eq!(tenancy.limit(&sent).as_ref(), Ok(&sent), "what is sent needs nothing more");
            bound.set(true);
        }
    }
    bound.get()
}

/// Durations, percents and decimals: what is read is written, and read as the same again.
pub fn number(input: &[u8]) -> bool {
    fn again<T>(text: &str) -> bool
    where
        T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug,
    {
        let Ok(read) = text.parse::<T>() else { return false };
        let written = read.to_string();
        assert_eq!(written.parse::<T>().ok(), Some(read), "{text:?} is written as {written:?}");
        true
    }
    let text = String::from_utf8_lossy(input);
    let json = Value::String(text.clone().into_owned());
    let _ = (Span::deserialize(&json), Percent::deserialize(&json), Decimal::deserialize(&json));
    let number = serde_json::from_slice::<Value>(input).unwrap_or_default();
    let _ = (Span::deserialize(&number), Percent::deserialize(&number), Decimal::deserialize(&number));
    again::<Span>(&text) | again::<Percent>(&text)
}

/// The documents of runs after some minutes, as an API server has them.
pub fn recorded_runs() -> Vec<Vec<u8>> {
    let bodies = crate::corpus::answers();
    let run = |body: &Vec<u8>| {
        let mut order = order();
        let was_read = std::sync::atomic::AtomicBool::new(false);
        let server = Server { body, was_read: &was_read };
        for now in [START + 240, START + 480] {
            order.previous = Some(block_on(evaluate(&order, &server, now)).record);
        }
        let mut run = serde_json::to_value(RolloutRun::new("checkout-7", run_spec())).expect("a run is JSON");
        run["status"] = json!({"evidence": order.previous});
        run.to_string().into_bytes()
    };
    bodies.iter().take(5).map(run).collect()
}

/// Records: folded again as `tidegate replay` does, and taken over as a controller does that has been restarted.
pub fn record(input: &[u8]) -> bool {
    let Ok(run) = serde_json::from_slice::<RolloutRun>(input) else { return false };
    let (Some(status), Some(order)) = (run.status, Order::of("shop", &run.spec)) else { return false };
    let Some(evidence) = status.evidence else { return false };
    let found = replay(&order, &evidence);
    decided(&status.decisions, &evidence, &found);
    misstated(&order, &evidence);
    let order = Order { previous: Some(evidence), settled_at: START, weight: Percent::whole(10), ..order };
    let was_read = std::sync::atomic::AtomicBool::new(false);
    let view = block_on(evaluate(&order, &Server { body: b"", was_read: &was_read }, START + 600));
    serde_json::to_value(&view.record).expect("a record is JSON");
    !found.is_empty()
}

/// Recorded windows: judged line by line, each line counted.
pub fn windows(input: &[u8]) -> bool {
    let margin = |ratio, absolute| Margin { ratio, absolute };
    let restarts = Restarts { horizon_windows: 720.0, confirm_windows: 3, reserve: 0.5 };
    let (fail, pass) = (margin(1.1, 0.0001), margin(1.5, 0.0005));
    let mut replay = Replay::new(ReplayTerms { alpha: 0.01, share: 1.0, beta: 0.05, fail, pass, restarts, phi: 1.0 });
    let mut lines = Lines::new(input);
    let mut count = 0;
    while let Some(line) = lines.read().expect("bytes are read") {
        replay.absorb(read_window(line));
        count += 1;
    }
    let ledger = replay.ledger();
    let dropped = ledger.dropped.values().sum::<u64>();
    assert_eq!(ledger.recorded, count, "each line is a window or a flaw");
    assert_eq!(
        ledger.used + ledger.merged + replay.waiting() + dropped,
        count,
        "and is used, merged, waiting or dropped"
    );
    assert!(!replay.fail().evidence().is_nan() && !replay.lower().is_nan() && !replay.upper().is_nan());
    ledger.used > 0
}
