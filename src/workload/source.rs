//! Where the pod template comes from, and what makes two templates one revision.
//!
//! Identity is equality; the hash is only a name. No default is filled in, and no typed struct is in between: else a
//! Kubernetes upgrade that adds a field would release every Rollout of the cluster at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    canonical::{canonical, digest},
    object,
};
use crate::api::{HASH_ALPHABET, HASH_LENGTH, REVISION_LABEL, ROLLOUT_LABEL, SOURCE_ANNOTATION};

/// Annotation in the pod template of a revision's Deployment: when its pods were last asked to be replaced.
pub const RESTARTED_ANNOTATION: &str = "tidegate.io/restartedAt";

/// The template in the Rollout's spec as written; None with deploymentRef.
pub fn template_of_rollout(rollout: &Value) -> Option<Value> {
    rollout.pointer("/spec/workload/template").filter(|template| template.is_object()).cloned()
}

/// The pod template of a Deployment as served, without what we add to a revision's.
pub fn template_of_deployment(deployment: &Value) -> Value {
    let mut metadata = serde_json::Map::new();
    for (map, ours) in [("labels", &[ROLLOUT_LABEL, REVISION_LABEL][..]), ("annotations", &[RESTARTED_ANNOTATION])] {
        let members = deployment.pointer("/spec/template/metadata").and_then(|found| found.get(map)?.as_object());
        let kept: serde_json::Map<_, _> = members
            .into_iter()
            .flatten()
            .filter(|(key, _)| !ours.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !kept.is_empty() {
            metadata.insert(map.to_owned(), Value::Object(kept));
        }
    }
    let spec = deployment.pointer("/spec/template/spec").cloned().unwrap_or_default();
    if metadata.is_empty() { json!({"spec": spec}) } else { json!({"metadata": metadata, "spec": spec}) }
}

/// Both templates are the same, whatever the order of their keys.
pub fn equal(stored: &Value, source: &Value) -> bool {
    stored == source || canonical(stored) == canonical(source)
}

/// Which state of the referenced Deployment this is: uid and generation.
pub fn stamp(deployment: &Value) -> String {
    let uid = object::text(deployment, "/metadata/uid").unwrap_or_default();
    format!("{uid}/{}", object::number(deployment, "/metadata/generation").unwrap_or(0))
}

/// The referenced Deployment still asks for the template that this revision's Deployment has.
///
/// While its generation stands where it stood nothing can have changed. After that both are compared as the API server
/// serves them, so that a new default shows on both sides.
pub fn equal_deployments(source: &Value, revision: &Value) -> bool {
    object::annotation(revision, SOURCE_ANNOTATION) == Some(stamp(source).as_str())
        || equal(&template_of_deployment(revision), &template_of_deployment(source))
}

/// The revision that the referenced Deployment asks for, or the name that a new one gets. `deployments`: the revisions'
/// Deployments by revision; `known`: their stored templates.
///
/// The stored template counts too: somebody may have deleted the revision's Deployment, or admission changed it.
pub fn revision_of_deployment(
    source: &Value,
    deployments: &BTreeMap<String, Value>,
    known: &BTreeMap<String, Value>,
) -> String {
    match deployments.iter().find(|(_, revision)| equal_deployments(source, revision)) {
        Some((revision, _)) => revision.clone(),
        None => revision_of(&template_of_deployment(source), known),
    }
}

/// The revision whose template equals the source's, or the name that a new one gets. `known`: templates by revision.
pub fn revision_of(source: &Value, known: &BTreeMap<String, Value>) -> String {
    if let Some((revision, _)) = known.iter().find(|(_, template)| equal(template, source)) {
        return revision.clone();
    }
    // Another template may have taken the name: 27^10 of them make that a matter of principle only.
    let taken = known.len() as u32;
    (0..=taken).map(|attempt| hash(source, attempt)).find(|name| !known.contains_key(name)).unwrap_or_default()
}

/// Ten letters and digits from the template. `attempt` other than 0 gives another name to the same template.
pub fn hash(template: &Value, attempt: u32) -> String {
    let bytes = if attempt == 0 { digest(template) } else { digest(&json!([attempt, template])) };
    let letters = HASH_ALPHABET.as_bytes();
    let letter = |byte: &u8| char::from(letters[usize::from(*byte) % letters.len()]);
    bytes.iter().take(HASH_LENGTH).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app", "image": image}]}})
    }

    /// These names stand in clusters: a change here releases every Rollout anew.
    #[test]
    fn the_hash_never_changes() {
        let corpus = [
            (json!({"spec": {}}), 0, "dlpf2zsqhm"),
            (template("checkout:1"), 0, "sl56479fbv"),
            (template("checkout:1"), 1, "t6grqfl8dq"),
            (
                json!({"metadata": {"annotations": {"a/b": "é\n\"x\""}}, "spec": {"x": [1, -2, 0.5, true, null]}}),
                0,
                "w4s8f47l7g",
            ),
        ];
        let names: Vec<_> = corpus.iter().map(|(template, attempt, _)| hash(template, *attempt)).collect();
        let golden: Vec<_> = corpus.iter().map(|(_, _, name)| *name).collect();
        assert_eq!(names, golden);
    }

    #[test]
    fn identity_is_equality_and_a_taken_name_is_not_reused() {
        let (one, two) = (template("checkout:1"), template("checkout:2"));
        let mut known = BTreeMap::from([("anyname".to_owned(), one.clone())]);
        assert_eq!(revision_of(&one, &known), "anyname");
        assert_eq!(revision_of(&two, &known), hash(&two, 0));
        known.insert(hash(&two, 0), json!({"spec": {}}));
        assert_eq!(revision_of(&two, &known), hash(&two, 1));
    }

    #[test]
    fn a_new_default_on_both_sides_is_no_new_revision() {
        let deployment = |generation: i64, mut template: Value, ours: bool| {
            template["spec"]["newDefault"] = json!(true);
            template["metadata"]["creationTimestamp"] = Value::Null;
            if ours {
                template["metadata"]["labels"][ROLLOUT_LABEL] = json!("checkout");
                template["metadata"]["labels"][REVISION_LABEL] = json!("abc");
                template["metadata"]["annotations"] = json!({RESTARTED_ANNOTATION: "2026-01-01T00:00:00Z"});
            }
            json!({"metadata": {"uid": "u", "generation": generation}, "spec": {"template": template}})
        };
        let mut revision = deployment(1, template("checkout:1"), true);
        assert!(equal_deployments(&deployment(3, template("checkout:1"), false), &revision));
        assert!(!equal_deployments(&deployment(3, template("checkout:2"), false), &revision));
        revision["metadata"]["annotations"] = json!({SOURCE_ANNOTATION: "u/3"});
        let mut defaulted = deployment(3, template("checkout:1"), false);
        defaulted["spec"]["template"]["spec"]["onlyHere"] = json!(1);
        assert!(equal_deployments(&defaulted, &revision));
        let deployments = BTreeMap::from([("abc".to_owned(), revision)]);
        assert_eq!(revision_of_deployment(&defaulted, &deployments, &BTreeMap::new()), "abc");
        let known = BTreeMap::from([("old".to_owned(), template("checkout:2"))]);
        let mut back = deployment(4, template("checkout:2"), false);
        back["spec"]["template"]["spec"].as_object_mut().unwrap().remove("newDefault");
        assert_eq!(revision_of_deployment(&back, &deployments, &known), "old");
    }
}
