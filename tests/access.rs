//! Roles and admission policies against the types: every type of action has its right, and every role the rights that
//! docs/access.md promises. Whether an API server thinks so too is tested on one.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;
use tidegate::api::{ACTIONS_POLICY, ActionType};

const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap();
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

/// What one must be allowed to update.
const fn right(kind: ActionType) -> &'static str {
    match kind {
        ActionType::Abort | ActionType::Pause => "abort",
        ActionType::Resume | ActionType::Retry | ActionType::Restart => "retry",
        ActionType::Approve => "approve",
        ActionType::Promote | ActionType::PromoteFull => "promote",
        ActionType::Override => "override",
    }
}

/// The words of the enum, from the schema: a new one is found without being named here.
fn types() -> Vec<ActionType> {
    let crd = tidegate::api::crds().into_iter().find(|crd| crd.spec.names.kind == "RolloutAction").unwrap();
    let crd = serde_json::to_value(crd).unwrap();
    let words =
        &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["type"]["enum"];
    words.as_array().unwrap().iter().map(|word| serde_json::from_value(word.clone()).unwrap()).collect()
}

#[test]
fn every_type_of_action_needs_a_right() {
    let policy = documents("admission/actions.yaml").remove(0);
    let variables = policy["spec"]["variables"].as_array().unwrap();
    let rights = variables.iter().find(|variable| variable["name"] == "right").unwrap()["expression"].as_str().unwrap();
    assert!(types().len() >= 8);
    for kind in types() {
        let row = format!("'{kind:?}': '{}'", right(kind));
        assert!(rights.contains(&row), "{row} is missing in {rights}");
    }
}

#[test]
fn the_controller_knows_the_policy_by_its_name() {
    for document in documents("admission/actions.yaml") {
        assert_eq!(document["metadata"]["name"], ACTIONS_POLICY);
    }
}

#[test]
fn each_role_may_ask_for_what_is_promised() {
    let roles = documents("roles/roles.yaml");
    let rules = |role: &str| {
        let found = roles.iter().find(|found| found["metadata"]["name"] == role);
        let rules = found.unwrap_or_else(|| panic!("no {role}"))["rules"].as_array().unwrap().clone();
        rules.into_iter().filter(|rule| rule["apiGroups"][0] == "tidegate.io").collect::<Vec<_>>()
    };
    let may = |role: &str, verb: &str, resource: &str| {
        rules(role).iter().any(|rule| {
            let names = |list: &str, name: &str| rule[list].as_array().unwrap().iter().any(|it| it == name);
            names("verbs", verb) && names("resources", resource)
        })
    };
    for (role, rights) in [
        ("tidegate-viewer", [].as_slice()),
        ("tidegate-editor", [].as_slice()),
        ("tidegate-operator", ["abort", "retry"].as_slice()),
        ("tidegate-approver", ["approve"].as_slice()),
        ("tidegate-admin", ["abort", "approve", "override", "promote", "retry"].as_slice()),
    ] {
        let all: BTreeSet<&str> = types().into_iter().map(right).collect();
        let has: Vec<&str> =
            all.into_iter().filter(|right| may(role, "update", &format!("rollouts/{right}"))).collect();
        assert_eq!(has, rights, "{role}");
        assert_eq!(may(role, "create", "rolloutactions"), !rights.is_empty(), "{role}");
        for record in ["rolloutruns", "rolloutruns/status", "rolloutactions/status", "rollouts/status"] {
            assert!(!WRITES.iter().any(|verb| may(role, verb, record)), "{role} {record}");
        }
        for (of_others, verb) in [
            ("rolloutpolicies", &WRITES[..]),
            ("metricsproviders", &WRITES),
            ("clusteranalysistemplates", &WRITES),
            ("rolloutactions", &["update", "patch", "delete"]),
        ] {
            assert!(!verb.iter().any(|verb| may(role, verb, of_others)), "{role} {of_others}");
        }
    }
}

#[test]
fn nobody_gets_to_approve_or_promote_by_a_role_that_a_cluster_has() {
    for role in documents("roles/roles.yaml") {
        let labels = role["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let is_added = labels.keys().any(|key| key.starts_with("rbac.authorization.k8s.io/aggregate-to-"));
        let text = role["rules"].to_string();
        let guarded = text.contains("rollouts/approve")
            || text.contains("rollouts/promote")
            || text.contains("rollouts/override")
            || text.contains('*');
        assert!(!guarded || !is_added, "{role}");
    }
}
