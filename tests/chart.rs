//! What the chart takes from the program is what the program says: the rules of its Roles, the names of its metrics, and its
//! version; and its values are the ones that are documented and checked. Needs no Helm; how Helm renders it is in `e2e/chart`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use promql_parser::parser::{self, Expr};
use serde_json::Value;
use tidegate::{
    api::{ActionOutcome, Phase, Reason},
    controller::{Gauges, Key, Metrics, rules_yaml},
};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/tidegate").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_roles_rules_are_the_printed_ones() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path("files/rbac.yaml"), rules_yaml()).unwrap();
    }
    assert_eq!(text("files/rbac.yaml"), rules_yaml(), "UPDATE_GOLDEN=1 cargo test --test chart writes it anew");
}

#[test]
fn the_chart_has_the_programs_version() {
    assert_eq!(yaml("Chart.yaml")["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// Every metric after it was touched once, as Prometheus stores them.
fn metrics() -> BTreeSet<String> {
    let metrics = Metrics::default();
    let hold = Some((Reason::Paused, Duration::ZERO));
    let gauges = Gauges { phase: Some(Phase::Paused), evidence_age: Some(Duration::ZERO), hold, ..Gauges::default() };
    metrics.show(&Key::new("shop", "checkout"), gauges);
    metrics.api_write("Service", "patch", false);
    metrics.reconcile(Duration::ZERO);
    metrics.reconcile_error("act");
    metrics.law_broken("S1");
    metrics.transition(Reason::Baking);
    metrics.action(ActionOutcome::Refused);
    metrics.event_dropped();
    metrics.notification("audit", "lost");
    metrics.watch_error("Pod");
    let text = metrics.text();
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned())).collect()
}

/// The metrics that a query names.
fn named(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![parser::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"))];
    while let Some(expression) = left.pop() {
        match expression {
            Expr::VectorSelector(selector) => found.extend(selector.name),
            Expr::MatrixSelector(selector) => found.extend(selector.vs.name),
            Expr::Aggregate(aggregate) => left.push(*aggregate.expr),
            Expr::Binary(binary) => left.extend([*binary.lhs, *binary.rhs]),
            Expr::Paren(paren) => left.push(*paren.expr),
            Expr::Unary(unary) => left.push(*unary.expr),
            Expr::Call(call) => left.extend(call.args.args.into_iter().map(|argument| *argument)),
            Expr::Subquery(subquery) => left.push(*subquery.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }
    found
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let alerts = yaml("files/alerts.yaml");
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let dashboard: Value = serde_json::from_str(&text("files/dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = rules.iter().chain(targets).map(|it| it["expr"].as_str().unwrap()).collect();
    let known = metrics();
    for query in &queries {
        let named = named(query);
        assert!(!named.is_empty() && named.is_subset(&known), "{query}: {:?}", named.difference(&known));
    }
    assert!(queries.len() > 15, "{queries:?}");
    for rule in rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(text("README.md").contains(&format!("`{alert}`")), "{alert} is not in the README");
        for word in rule["annotations"]["summary"].as_str().unwrap().split("$labels.").skip(1) {
            let label = word.split([' ', '}', '/']).next().unwrap();
            assert!(
                ["law", "namespace", "rollout", "stage", "kind", "verb", "receiver"].contains(&label),
                "{alert}: {label}"
            );
        }
    }
}

#[test]
fn reasons_in_alerts_are_reasons() {
    let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    let alerts = text("files/alerts.yaml");
    for part in alerts.split("reason").skip(1).filter(|part| part.starts_with("=\"") || part.starts_with("!~\"")) {
        for word in part.split('"').nth(1).unwrap().split('|') {
            assert!(words.contains(word), "{word}");
        }
    }
}

/// What ends by a person, a clock or the service itself wakes nobody.
#[test]
fn nobody_is_woken_by_a_wait_that_is_wanted() {
    let alerts = yaml("files/alerts.yaml");
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let stuck = rules.iter().find(|rule| rule["alert"] == "TidegateRunStuck").unwrap();
    let left_out: Vec<&str> = stuck["expr"].as_str().unwrap().split('"').nth(1).unwrap().split('|').collect();
    for reason in [Reason::Paused, Reason::AwaitingApproval, Reason::Frozen, Reason::BudgetBurning] {
        assert!(left_out.contains(&reason.word()), "{reason:?}: {left_out:?}");
    }
    assert!(!left_out.contains(&Reason::AbortIncomplete.word()));
}

/// Values that are not the chart's own.
const FOREIGN: [&str; 2] = ["global", "enabled"];

/// Leaves of values and of their schema, as the README names them.
fn leaves(prefix: &str, value: &Value, below: &dyn Fn(&Value) -> Option<Value>, into: &mut BTreeSet<String>) {
    for (key, value) in below(value).as_ref().and_then(Value::as_object).into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match below(value).filter(|inner| inner.as_object().is_some_and(|fields| !fields.is_empty())) {
            Some(_) if !["resources", "dashboard.labels"].contains(&path.as_str()) => {
                leaves(&path, value, below, into);
            }
            _ => drop(into.insert(path)),
        }
    }
}

#[test]
fn values_are_those_of_the_schema_and_of_the_readme() {
    let (mut values, mut schema) = (BTreeSet::new(), BTreeSet::new());
    leaves("", &yaml("values.yaml"), &|value| Some(value.clone()), &mut values);
    let document: Value = serde_json::from_str(&text("values.schema.json")).unwrap();
    leaves("", &document, &|value| value.get("properties").cloned(), &mut schema);
    // Helm gives every chart a value of the one name, and a chart above this one may use the other.
    FOREIGN.iter().for_each(|name| assert!(schema.remove(*name), "{name}"));
    let readme: BTreeSet<String> = text("README.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()))
        .filter(|name| !name.starts_with("Tidegate"))
        .collect();
    assert_eq!(values, schema);
    assert_eq!(values, readme);
}

#[test]
fn every_object_of_the_schema_is_closed_and_has_all_its_values() {
    fn walk(path: &str, schema: &Value) {
        let Some(fields) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let required = schema["required"].as_array().unwrap_or_else(|| panic!("{path} requires nothing"));
        // Helm takes a value out that is null.
        let keys = fields.keys().filter(|key| !(path.is_empty() && FOREIGN.contains(&key.as_str())));
        assert!(keys.clone().all(|key| required.contains(&Value::from(key.as_str()))), "{path}: {required:?}");
        fields.iter().for_each(|(key, field)| walk(&format!("{path}.{key}"), field));
    }
    walk("", &serde_json::from_str(&text("values.schema.json")).unwrap());
}
