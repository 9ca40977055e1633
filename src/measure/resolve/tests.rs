//! Analyses with templates, and everything that can be wrong with them.

use super::*;
use crate::api::LatencyMetric;

fn analysis(text: &str) -> AnalysisSpec {
    serde_yaml_ng::from_str(text).unwrap()
}

fn template(text: &str) -> Vec<(TemplateKind, String, AnalysisTemplateSpec)> {
    vec![(TemplateKind::AnalysisTemplate, "golden".into(), serde_yaml_ng::from_str(text).unwrap())]
}

const GOLDEN: &str = r#"
args: [{name: code, value: "5"}, {name: route}]
metrics:
- name: errors
  ratio:
    bad: rq_xx{c="{{ route.cluster }}",class="{{ args.code }}",route="{{ args.route }}"}
    total: rq{c="{{ route.cluster }}",route="{{ args.route }}"}
"#;

#[test]
fn arguments_are_filled_in_and_arms_are_kept() {
    let spec = analysis(
        r#"{templates: [{name: golden, args: [{name: route, value: 'a"b'}]}], onInsufficientEvidence: Pause}"#,
    );
    let resolved = resolve(&spec, &template(GOLDEN), Some(&ErrorBudget::default()), true).unwrap();
    let ratio = resolved.metrics[0].ratio.as_ref().unwrap();
    let bad = r#"rq_xx{c="{{ route.cluster }}",class="5",route="a\"b"}"#;
    assert_eq!(ratio.bad.as_deref(), Some(bad));
    assert_eq!(resolved.on_insufficient_evidence, crate::api::OnInsufficientEvidence::Pause);
}

#[test]
fn three_latency_metrics_may_go_without_a_threshold() {
    let metric = |number: usize| {
        let histogram = format!("a{number}_bucket{{r=\"{{{{ revision }}}}\"}}");
        Metric {
            name: format!("p{number}"),
            latency: Some(LatencyMetric { histogram, threshold: None, ..LatencyMetric::default() }),
            ..Metric::default()
        }
    };
    let resolved = |count| {
        let metrics = (0..count).map(metric).collect();
        resolve(&AnalysisSpec { metrics, ..AnalysisSpec::default() }, &[], None, true)
    };
    assert!(resolved(3).is_ok());
    let refusal = &resolved(4).unwrap_err()[0];
    assert_eq!(refusal.reason, Reason::InvalidSpec);
    assert!(
        refusal.message.starts_with("spec.analysis: 4 latency metrics without a threshold (p0, p1, p2, p3), at most 3")
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let spec = analysis(
        r#"
templates:
- {name: golden, args: [{name: colour, value: blue}]}
- {name: gone, kind: ClusterAnalysisTemplate}
metrics:
- {name: errors, threshold: {query: 'a{r="{{ revision }}"}', success: "> 1", failure: "> 2"}}
- {name: p99, latency: {histogram: 'rate(a{r="{{ revision }}"}[1m])'}}
- {name: same, ratio: {good: 'good{job="x"}', total: 'all{r="{{ revision }}"}'}}
- {name: both, ratio: {good: 'a{r="{{ revision }}"}', bad: 'b{r="{{ revision }}"}', total: 'c{r="{{ revision }}"}'}}
- {name: word, threshold: {query: 'a{r="{{ args.none }}"}', success: "good"}}
- {name: none}
"#,
    );
    let budget = ErrorBudget { metric: Some("p99".into()), ..ErrorBudget::default() };
    let refusals = resolve(&spec, &template(GOLDEN), Some(&budget), true).unwrap_err();
    let seen: Vec<_> = refusals.iter().map(|refusal| (refusal.reason, refusal.message.as_str())).collect();
    use Reason::{ArmsNotSeparable, InvalidSpec, TemplateMissing};
    for (reason, start) in [
        (InvalidSpec, "spec.analysis.templates[0].args: AnalysisTemplate golden has no argument colour"),
        (TemplateMissing, "spec.analysis.templates[0].args: AnalysisTemplate golden needs a value for argument route"),
        (TemplateMissing, "AnalysisTemplate golden, metric errors.ratio.bad: argument route has no value"),
        (TemplateMissing, "spec.analysis.templates[1]: ClusterAnalysisTemplate gone does not exist"),
        (InvalidSpec, "spec.analysis.metrics[0].threshold: give exactly one of success and failure"),
        (InvalidSpec, "spec.analysis.metrics[1].latency.histogram: failed to use it as a selector"),
        (ArmsNotSeparable, "spec.analysis.metrics[2].ratio.good: both arms select the same series"),
        (InvalidSpec, "spec.analysis.metrics[3].ratio: give exactly one of bad and good"),
        (TemplateMissing, "spec.analysis.metrics[4].threshold.query: argument none has no value"),
        (InvalidSpec, "spec.analysis.metrics[4].threshold: \"good\" is not a condition"),
        (InvalidSpec, "spec.analysis.metrics[5]: give exactly one of ratio, latency, gauge and threshold"),
        (InvalidSpec, "spec.analysis: metric errors is there twice"),
        (InvalidSpec, "spec.errorBudget.metric: there is no ratio metric p99"),
    ] {
        assert!(seen.iter().any(|(r, m)| *r == reason && m.starts_with(start)), "{start}\nnot in {seen:#?}");
    }
    let nothing = resolve(&AnalysisSpec::default(), &[], Some(&ErrorBudget::default()), true).unwrap_err();
    assert!(nothing[0].message.starts_with("spec.errorBudget: add a ratio metric"));
    assert_eq!(resolve(&AnalysisSpec::default(), &[], None, true), Ok(ResolvedAnalysis::default()));
}

#[test]
fn more_than_twelve_metrics_are_refused() {
    let metric = analysis(r#"{metrics: [{name: a, threshold: {query: 'a', success: "> 1"}}]}"#).metrics[0].clone();
    let metrics = (0..13).map(|number| Metric { name: format!("m{number}"), ..metric.clone() }).collect();
    let refusals = resolve(&AnalysisSpec { metrics, ..AnalysisSpec::default() }, &[], None, true).unwrap_err();
    assert_eq!(refusals[0].message, "spec.analysis: 13 metrics, at most 12 are possible");
}

#[test]
fn without_a_route_a_service_tells_no_arm_from_the_other() {
    let selector = |label: &str| {
        let ratio = crate::api::RatioMetric {
            bad: Some(format!("bad{{{label}}}")),
            good: None,
            total: format!("all{{{label}}}"),
        };
        let metrics = vec![Metric { name: "errors".into(), ratio: Some(ratio), ..Metric::default() }];
        AnalysisSpec { metrics, ..AnalysisSpec::default() }
    };
    for (label, routed, bare) in [
        (r#"c="{{ route.cluster }}""#, true, false),
        (r#"s="{{ service }}""#, true, false),
        (r#"n="{{ namespace }}""#, false, false),
        (r#"r="{{ revision }}""#, true, true),
        (r#"s="{{ service }}",p=~"{{ pods }}""#, true, true),
        (r#"s="checkout""#, false, false),
    ] {
        for (is_routed, accepted) in [(true, routed), (false, bare)] {
            let resolved = resolve(&selector(label), &[], None, is_routed);
            assert_eq!(resolved.is_ok(), accepted, "{label} {is_routed}");
            for refusal in resolved.err().into_iter().flatten() {
                assert_eq!(refusal.reason, Reason::ArmsNotSeparable);
                assert_eq!(refusal.message.contains("without a route"), !is_routed, "{}", refusal.message);
            }
        }
    }
}

#[test]
fn a_template_by_itself_is_asked_for_its_queries_only() {
    let refused = |text: &str| {
        let template: AnalysisTemplateSpec = serde_yaml_ng::from_str(text).unwrap();
        refused_queries(&template).into_iter().map(|refusal| refusal.message).collect::<Vec<_>>()
    };
    assert_eq!(refused(GOLDEN), Vec::<String>::new());
    let said = refused(
        r#"
args: [{name: code}]
metrics:
- {name: a, ratio: {bad: 'a{r="{{ revison }}"}', total: 'a{c="{{ args.code }}",r="{{ revision }}"}'}}
- {name: b, gauge: {query: 'sum(a{r="{{ revision }}"}'}}
- {name: c, threshold: {query: 'a{c="{{ args.colour }}"}', success: good}}
- {name: d}
- {name: e, latency: {histogram: 'a_bucket{c="{{ args.code }}"}'}}
"#,
    );
    for (at, what) in [
        ("spec.metrics[0].ratio.bad: ", "placeholder {{ revison }}"),
        ("spec.metrics[1].gauge.query: ", "failed to parse"),
        ("spec.metrics[2].threshold.query: ", "argument colour has no value"),
        ("spec.metrics[4].latency.histogram: ", "both arms select the same series"),
    ] {
        assert!(said.iter().any(|said| said.starts_with(at) && said.contains(what)), "{at}{what} not in {said:#?}");
    }
    assert!(said.iter().all(|said| !said.contains("give exactly one") && !said.contains("good")), "{said:#?}");
}

/// A label, and the prefix of its value.
type Rule = Option<(&'static str, Option<&'static str>)>;

/// The rule under which each preset asks for its own namespace only; none: its labels do not tell namespaces apart for sure.
const PRESETS: [(&str, Rule); 8] = [
    ("cilium", Some(("destination_namespace", None))),
    ("contour", Some(("envoy_cluster_name", Some("{{ namespace }}_")))),
    ("envoy-gateway", Some(("namespace", None))),
    ("ingress-nginx", Some(("namespace", None))),
    ("istio", Some(("destination_service_namespace", None))),
    ("linkerd", Some(("namespace", None))),
    ("opentelemetry", Some(("namespace", None))),
    ("traefik", None),
];

#[test]
fn every_preset_has_the_rule_of_tenancy_that_the_documentation_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets");
    let documented = std::fs::read_to_string(folder.join("../../docs/metrics.md")).unwrap();
    for (name, rule) in PRESETS {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let document: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
        let template: AnalysisTemplateSpec = serde_json::from_value(document["spec"].clone()).unwrap();
        let given = template.args.iter().filter(|arg| arg.value.is_none());
        let given = given.map(|arg| crate::api::Arg { value: Some("x".into()), ..arg.clone() }).collect();
        let reference = TemplateRef { kind: TemplateKind::AnalysisTemplate, name: name.into(), args: given };
        let spec = AnalysisSpec { templates: vec![reference], ..AnalysisSpec::default() };
        let templates = [(TemplateKind::AnalysisTemplate, name.to_owned(), template)];
        let metrics = resolve(&spec, &templates, None, true).unwrap().metrics;
        let strange = TenancyRule { label: "tenant".into(), prefix: Some("{{ namespace }}/".into()) };
        let count = metrics.iter().map(|metric| queries(&mut metric.clone()).len()).sum::<usize>();
        assert_eq!(foreign(&metrics, std::slice::from_ref(&strange), "shop").len(), count, "{name}");
        let Some((label, prefix)) = rule else { continue };
        let rule = TenancyRule { label: label.into(), prefix: prefix.map(str::to_owned) };
        assert_eq!(foreign(&metrics, &[strange, rule.clone()], "shop"), [], "{name}");
        let tenancy = Tenancy::new(&[rule], "shop");
        let order = Order { namespace: "shop".into(), ..Order::default() };
        for metric in &metrics {
            for (_, query) in queries(&mut metric.clone()) {
                let query = order.query(query, Arm::Canary).unwrap();
                let same = promql_parser::parser::parse(&query).unwrap().to_string();
                assert_eq!(tenancy.limit(&query), Ok(same), "{name}: it has the label by itself");
            }
        }
        let written = match prefix {
            Some(prefix) => format!("| {name} | `{{label: {label}, prefix: \"{prefix}\"}}` |"),
            None => format!("| {name} | `{{label: {label}}}` |"),
        };
        assert!(documented.contains(&written), "docs/metrics.md has no row {written}");
    }
}

#[test]
fn a_query_of_another_namespace_is_refused_by_metric_and_field() {
    let spec = analysis(
        r#"
metrics:
- name: errors
  ratio:
    bad: rq{c="{{ route.cluster }}",code="5"}
    total: rq{service="{{ service }}"}
- name: lag
  threshold: {query: 'sum(lag) or vector(0)', success: "< 5"}
"#,
    );
    let metrics = resolve(&spec, &[], None, true).unwrap().metrics;
    let rule = TenancyRule { label: "c".into(), prefix: Some("{{ namespace }}_".into()) };
    let messages: Vec<String> = foreign(&metrics, &[rule], "shop").into_iter().map(|one| one.message).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].starts_with("metric errors, ratio.total: selector rq{service=\"\"} is not limited"),
        "{messages:?}"
    );
    assert!(messages[1].starts_with("metric lag, threshold.query: selector lag is not limited"), "{messages:?}");
    assert_eq!(foreign(&metrics, &[], "shop"), []);
}

#[test]
fn bounds_of_the_schema_are_checked_for_manifests_that_no_api_server_has_seen() {
    for (given, field) in [
        ("confirmWindows: 1", "confirmWindows is 1: give a number from 2 to 10"),
        ("confirmWindows: 11", "confirmWindows is 11: give"),
        ("metricsGrace: 0", "metricsGrace is 0: give a number from 1 to 100"),
        ("minCanaryRequests: 1000001", "minCanaryRequests is 1000001: give"),
        ("horizon: 0s", "horizon is 0s: give"),
    ] {
        let refusals = resolve(&analysis(given), &[], None, true).unwrap_err();
        assert_eq!(refusals.len(), 1, "{given}");
        assert!(refusals[0].message.starts_with(&format!("spec.analysis.{field}")), "{}", refusals[0].message);
    }
    let most = analysis("{confirmWindows: 10, metricsGrace: 100, minCanaryRequests: 1000000, horizon: 1s}");
    assert!(resolve(&most, &[], None, true).is_ok());
}

#[test]
fn a_fraction_without_quotes_is_refused_with_the_way_to_write_it() {
    for text in ["falseRevertProbability: 0.01", "falseRevertProbability: -1"] {
        let error = serde_yaml_ng::from_str::<AnalysisSpec>(text).unwrap_err().to_string();
        assert!(error.contains(r#"write a whole number (2) or a quoted decimal ("0.01"), not below 0"#), "{error}");
    }
}
