//! What the schema refuses, the code refuses again: CRDs in a cluster may be older than the controller.

use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate::{
    api::{Metric, Percent, Replicas, RolloutSpec, Span},
    engine::{ValidRollout, metric_refusals, read_spec, validate},
};

/// The smallest Rollout, with a few fields replaced by JSON pointer.
fn rollout(changes: &[(&str, Value)]) -> Value {
    let mut document = json!({"metadata": {"name": "checkout"}, "spec": {
        "workload": {"deploymentRef": {"name": "checkout"}},
        "traffic": {"services": [{"name": "checkout"}]},
        "strategy": {"canary": {"steps": [{"weight": 10, "bake": "5m"}, {"weight": 50}]}},
    }});
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    document
}

fn read(document: &Value) -> Result<ValidRollout, Vec<String>> {
    let name = document["metadata"]["name"].as_str().unwrap();
    let spec = read_spec(document).and_then(|spec| validate(name, &spec));
    spec.map_err(|refusals| refusals.into_iter().map(|refusal| refusal.message).collect())
}

#[test]
fn a_baseline_is_taken_over_where_a_route_splits_the_traffic() {
    let routes = ("/spec/traffic/routes", json!([{"gatewayAPI": {"name": "checkout"}}]));
    for (written, baseline) in [(json!(true), true), (json!(false), false), (Value::Null, false)] {
        let document = rollout(&[routes.clone(), ("/spec/strategy/canary/baseline", written)]);
        assert_eq!(read(&document).unwrap().baseline, baseline);
    }
    assert!(!read(&rollout(&[("/spec/strategy/canary/baseline", json!(false))])).unwrap().baseline);
}

#[test]
fn what_is_left_out_gets_its_default() {
    let valid = read(&rollout(&[("/spec/errorBudget", json!({"objective": "99.9"}))])).unwrap();
    assert_eq!((valid.warm, valid.drain), (Span::seconds(5), Span::seconds(15)));
    assert_eq!((valid.progress_deadline, valid.soak), (Span::minutes(10), Span::ZERO));
    assert_eq!((valid.run_history_limit, valid.replicas, valid.min_ready_seconds), (10, None, 0));
    let budget = valid.error_budget.unwrap();
    assert_eq!((budget.window, budget.max_spend), (Some(Span::minutes(43_200)), Some(Percent::whole(1))));
    let steps: Vec<_> = valid.steps.iter().map(|step| (step.weight, step.bake)).collect();
    let bakes = [(10, 5), (50, 0), (100, 0)].map(|(weight, bake)| (Percent::whole(weight), Span::minutes(bake)));
    assert_eq!(steps, bakes);
}

#[test]
fn a_last_step_at_100_keeps_its_own_bake() {
    let steps = json!([{"weight": 10}, {"weight": "100.0", "bake": "7m"}]);
    let valid = read(&rollout(&[("/spec/strategy/canary/steps", steps)])).unwrap();
    assert_eq!((valid.steps.len(), valid.steps[1].bake), (2, Span::minutes(7)));
}

#[test]
fn blue_green_is_all_replicas_at_0_then_100() {
    let strategy =
        json!({"blueGreen": {"bake": "10m", "gates": [{"name": "qa"}], "soak": "30m", "knownRevision": "Steps"}});
    let valid = read(&rollout(&[("/spec/strategy", strategy)])).unwrap();
    let [dark, full] = valid.steps.as_slice() else { panic!("two steps") };
    assert_eq!((dark.weight, dark.bake, dark.gates.len()), (Percent::ZERO, Span::minutes(10), 1));
    assert_eq!(dark.replicas, Some(Replicas::Share("100%".into())));
    assert_eq!((full.weight, full.bake, full.gates.len()), (Percent::FULL, Span::ZERO, 0));
    assert_eq!((valid.soak, valid.known_in_steps), (Span::minutes(30), true));
}

#[test]
fn each_problem_is_a_sentence_with_the_field_and_the_numbers() {
    let metric = |more: Value| {
        let mut metric = json!({"name": "errors"});
        metric.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"metrics": [metric]})
    };
    for (pointer, value, expected) in [
        ("/metadata/name", json!("a".repeat(41)), "metadata.name has 41 characters, 40 at most"),
        ("/metadata/name", json!("1st"), "metadata.name \"1st\" is not a DNS label that begins with a letter"),
        ("/spec/workload", json!({}), "spec.workload has none: write exactly one of template, deploymentRef"),
        ("/spec/strategy/blueGreen", json!({}), "spec.strategy has canary and blueGreen"),
        ("/spec/strategy/canary/steps", json!([]), "spec.strategy.canary.steps is empty"),
        ("/spec/strategy/canary/steps", json!([{"weight": "9.5"}, {"weight": 5}]), "steps[1].weight is 5 after 9.5"),
        ("/spec/strategy/canary/steps", json!([{"weight": 101}]), "spec cannot be read: \"101\" is not a percentage"),
        ("/spec/strategy/canary/steps", json!([{"weight": 1, "bake": "0s"}]), "steps[0].bake is 0s"),
        ("/spec/strategy/canary/steps", json!([{"weight": 1, "replicas": "5"}]), "steps[0].replicas is \"5\""),
        (
            "/spec/strategy/canary/steps",
            json!([{"weight": 1, "gates": [{"name": "qa"}, {"name": "qa", "approvals": 0}]}]),
            "gates[1].name \"qa\" stands there twice",
        ),
        (
            "/spec/strategy/canary/baseline",
            json!(true),
            "spec.strategy.canary.baseline is true and spec.traffic.routes is empty: name the route",
        ),
        ("/spec/traffic/services", json!([]), "spec.traffic.services is empty"),
        ("/spec/traffic/preview", json!({"service": "checkout"}), "spec.traffic.preview.service checkout is one of"),
        ("/spec/traffic/routes", json!([{}]), "spec.traffic.routes[0] has no router"),
        (
            "/spec/traffic/routes",
            json!([{"gatewayAPI": {"name": "a"}}, {"gatewayAPI": {"name": "a"}}]),
            "spec.traffic.routes[1] names HTTPRoute a again",
        ),
        ("/spec/replicas", json!(-1), "spec.replicas is -1, at least 0 is needed"),
        ("/spec/runHistoryLimit", json!(0), "spec.runHistoryLimit is 0, at least 1 is needed"),
        ("/spec/progressDeadline", json!("0s"), "spec.progressDeadline is 0s"),
        (
            "/spec/errorBudget",
            json!({"objective": 100}),
            "spec.errorBudget.objective is 100: it must be above 0 and below",
        ),
        ("/spec/errorBudget", json!({"objective": 1, "window": "0s"}), "spec.errorBudget.window is 0s"),
        ("/spec/analysis", metric(json!({})), "spec.analysis.metrics[0] has none: write exactly one of ratio, latency"),
        (
            "/spec/analysis",
            metric(json!({"ratio": {"total": "a"}})),
            "metrics[0].ratio has none: write exactly one of bad",
        ),
        ("/spec/analysis", metric(json!({"threshold": {"query": "a"}})), "metrics[0].threshold has none"),
        (
            "/spec/analysis",
            metric(json!({"threshold": {"query": "a", "success": "x > 1"}})),
            "threshold.success: \"x > 1\" is not a",
        ),
        (
            "/spec/analysis",
            json!({"templates": [{"name": "a", "args": [{"name": "b"}]}]}),
            "templates[0].args[0].value is missing",
        ),
    ] {
        let problems = read(&rollout(&[(pointer, value)])).expect_err(expected);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected:?} is not in {problems:#?}");
    }
}

#[test]
fn all_problems_are_said_at_once() {
    let problems = read(&rollout(&[
        ("/spec/workload", json!({})),
        ("/spec/strategy", json!({})),
        ("/spec/progressDeadline", json!("0s")),
    ]))
    .unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn metrics_of_a_template_are_checked_in_the_same_way() {
    let metrics: Vec<Metric> =
        serde_json::from_value(json!([{"name": "a", "gauge": {"query": "x"}}, {"name": "a"}])).unwrap();
    let said: Vec<_> = metric_refusals("spec.metrics", &metrics).into_iter().map(|refusal| refusal.message).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said.iter().all(|message| message.starts_with("spec.metrics[1]")), "{said:#?}");
}

/// The manifests that the API server is asked about in the lab, by folder: file name and document.
fn manifests(folder: &str) -> Vec<(String, Value)> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/data").join(folder)).unwrap();
    let mut manifests: Vec<(String, Value)> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# expect: "), "{} does not say what is expected", path.display());
            (path.file_name().unwrap().to_string_lossy().into_owned(), serde_yaml_ng::from_str(&text).unwrap())
        })
        .filter(|(_, document): &(String, Value)| document["kind"] == "Rollout")
        .collect();
    manifests.sort_by(|one, other| one.0.cmp(&other.0));
    manifests
}

#[test]
fn what_the_api_server_accepts_is_valid() {
    for (file, document) in manifests("accepted") {
        assert!(read(&document).is_ok(), "{file}: {:#?}", read(&document).unwrap_err());
    }
}

#[test]
fn what_the_api_server_refuses_is_refused_again() {
    // Pairs are about a change, which one document cannot show; unknown fields are not seen by a reader of known ones.
    let unseen = ["unknown-field-in-step.yaml", "unknown-field.yaml"];
    let manifests = manifests("refused");
    let pairs: Vec<String> = manifests
        .iter()
        .filter_map(|(file, _)| file.strip_suffix(".update.yaml"))
        .flat_map(|stem| [format!("{stem}.yaml"), format!("{stem}.update.yaml")])
        .collect();
    for (file, document) in &manifests {
        let expected = !pairs.contains(file) && !unseen.contains(&file.as_str());
        assert_eq!(read(document).is_err(), expected, "{file}");
    }
}

prop_compose! {
    fn any_step()(weight in 0u32..=100_000, bake in proptest::option::of(1u64..1_000), count in proptest::option::of(0u32..20)) -> Value {
        let mut step = json!({"weight": Percent::from_thousandths(weight)});
        if let Some(bake) = bake {
            step["bake"] = json!(format!("{bake}s"));
        }
        if let Some(count) = count {
            step["replicas"] = json!(count);
        }
        step
    }
}

proptest! {
    #[test]
    fn a_valid_plan_never_falls_and_ends_at_100(mut steps in proptest::collection::vec(any_step(), 1..=50), sort in any::<bool>()) {
        let weight = |step: &Value| serde_json::from_value::<Percent>(step["weight"].clone()).unwrap();
        if sort {
            steps.sort_by_key(weight);
        }
        let rises = steps.is_sorted_by_key(weight);
        let document = rollout(&[("/spec/strategy/canary/steps", json!(steps))]);
        let spec: RolloutSpec = read_spec(&document).unwrap();
        let valid = validate("checkout", &spec);
        prop_assert_eq!(valid.is_ok(), rises);
        if let Ok(valid) = valid {
            prop_assert!(valid.steps.is_sorted_by_key(|step| step.weight));
            prop_assert_eq!(valid.steps.last().map(|step| step.weight), Some(Percent::FULL));
            prop_assert!((steps.len()..=steps.len() + 1).contains(&valid.steps.len()));
        }
    }
}
