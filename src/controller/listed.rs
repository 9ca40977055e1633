//! What the API server answers to a list, and what is kept of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Kind;

/// A list of whole documents.
#[derive(Deserialize)]
pub struct Listed {
    items: Vec<Value>,
}

impl Listed {
    pub fn documents(self) -> Vec<Value> {
        self.items
    }
}

/// Rollouts in one answer: about as many as make a megabyte.
pub const PAGE: u32 = 100;

/// A list of Rollouts, of which each pass reads all of its namespace: kept is only who names which Services, since when. Whole
/// ones, hundreds of them in eight passes at once, are hundreds of megabytes.
#[derive(Deserialize)]
pub struct Claims {
    #[serde(default)]
    metadata: Page,
    items: Vec<Claim>,
}

#[derive(Default, Deserialize)]
struct Page {
    #[serde(default, rename = "continue")]
    rest: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Claim {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
struct Spec {
    #[serde(default)]
    traffic: Value,
}

impl Claims {
    /// The token by which the next page is asked for; None: this is the last.
    pub fn rest(&self) -> Option<String> {
        self.metadata.rest.clone().filter(|token| !token.is_empty())
    }

    pub fn documents(self) -> Vec<Value> {
        self.items.into_iter().map(|Claim { metadata, spec }| json!({"metadata": metadata, "spec": spec})).collect()
    }
}

/// Items of a list come without their type.
pub fn typed(kind: Kind, mut item: Value) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| json!(kind.api_version()));
        fields.entry("kind").or_insert_with(|| json!(kind.kind));
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::ROLLOUT;

    #[test]
    fn of_rollouts_in_a_list_the_services_that_they_name_are_kept() {
        let whole = json!({
            "metadata": {
                "name": "a", "namespace": "shop", "creationTimestamp": "2026-11-01T00:00:00Z", "uid": "1",
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"traffic": {"services": [{"name": "a"}]}, "workload": {"template": {"spec": {}}}},
            "status": {"phase": "Healthy"},
        });
        let list = json!({"metadata": {"continue": "more"}, "items": [whole, {"metadata": {"name": "b"}}]});
        let claims: Claims = serde_json::from_value(list).unwrap();
        assert_eq!(claims.rest().as_deref(), Some("more"));
        let documents: Vec<Value> = claims.documents().into_iter().map(|item| typed(ROLLOUT, item)).collect();
        let typed = |rest: Value| {
            let mut document = json!({"apiVersion": "tidegate.io/v1alpha1", "kind": "Rollout"});
            for key in ["metadata", "spec"] {
                document[key] = rest[key].clone();
            }
            document
        };
        let kept = json!({
            "metadata": {"name": "a", "namespace": "shop", "creationTimestamp": "2026-11-01T00:00:00Z"},
            "spec": {"traffic": {"services": [{"name": "a"}]}},
        });
        let bare = json!({"metadata": {"name": "b"}, "spec": {"traffic": null}});
        assert_eq!(documents, [typed(kept), typed(bare)]);
    }
}
