//! The admission policy on actions, and its binding, as this version ships them.
//!
//! They are the generated manifests that the chart renders too; nothing here is sent to a server.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

const ACTIONS: &str = include_str!("../../deploy/admission/actions.yaml");

static DOCUMENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let documents = serde_yaml_ng::Deserializer::from_str(ACTIONS);
    documents.filter_map(|document| Value::deserialize(document).ok()).collect()
});

/// The policy; null, which vouches for nobody, if the manifest could not be read.
pub fn actions_policy() -> &'static Value {
    DOCUMENTS.first().unwrap_or(&Value::Null)
}

/// The policy, and the binding that puts it in force.
pub fn actions_documents() -> &'static [Value] {
    &DOCUMENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_the_policy_and_its_binding() {
        let kinds: Vec<&Value> = actions_documents().iter().map(|document| &document["kind"]).collect();
        assert_eq!(kinds, ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]);
        assert_eq!(actions_policy()["spec"]["validations"].as_array().map(Vec::len), Some(2));
    }
}
