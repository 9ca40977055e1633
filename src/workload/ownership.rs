//! Field ownership of objects that somebody else applies: who wrote last, and giving up what our writes have taken.
//!
//! Flow: the edit, then, if somebody applies the object, a second PATCH that removes our entries from
//! metadata.managedFields.
//!
//! Guarantees: the owner's next server-side apply never conflicts with us; it resets the field, which is the safe
//! direction.
//!
//! Caveats: our write takes the field out of the owner's entry at once, so whether *that* field was applied cannot be told
//! afterwards: any `Apply` entry of another manager counts. Status is not touched: it is not the owners'.

use serde_json::Value;

use super::{
    object::{items, text},
    patch,
};
use crate::api::FIELD_MANAGER;

/// The JSON patch that removes our entries from metadata.managedFields; None if nobody applies the object or we have none.
pub fn release_ownership(document: &Value) -> Option<Vec<Value>> {
    let entries = items(document, "/metadata/managedFields");
    if !entries.iter().any(|entry| !is_ours(entry) && is_apply(entry) && subresource(entry).is_empty()) {
        return None;
    }
    // From the back, so that the indices before stay what they are.
    let ours = entries.iter().enumerate().rev().filter(|(_, entry)| {
        is_ours(entry) && text(entry, "/operation") == Some("Update") && matches!(subresource(entry), "" | "scale")
    });
    let removals: Vec<_> = ours.map(|(index, _)| patch::remove(&format!("/metadata/managedFields/{index}"))).collect();
    if removals.is_empty() { None } else { Some(patch::versioned(document, removals)) }
}

/// The manager of the newest foreign write of the spec; failing that, of the newest foreign write of anything but status.
pub fn last_manager(document: &Value) -> Option<String> {
    let foreign = || items(document, "/metadata/managedFields").iter().filter(|entry| !is_ours(entry));
    // RFC 3339 in UTC, as the API server writes it, sorts as text.
    let time = |entry: &&Value| text(entry, "/time").unwrap_or_default().to_owned();
    let of_spec = foreign().filter(|entry| entry.pointer("/fieldsV1/f:spec").is_some()).max_by_key(time);
    let newest = of_spec.or_else(|| foreign().filter(|entry| subresource(entry) != "status").max_by_key(time))?;
    text(newest, "/manager").map(str::to_owned)
}

/// Managers other than us that claim this field, a pointer into fieldsV1 such as `/f:spec/f:replicas`, and whether by apply.
pub fn claims<'d>(document: &'d Value, field: &str) -> Vec<(&'d str, bool)> {
    let path = format!("/fieldsV1{field}");
    items(document, "/metadata/managedFields")
        .iter()
        .filter(|entry| !is_ours(entry) && entry.pointer(&path).is_some())
        .filter_map(|entry| text(entry, "/manager").map(|manager| (manager, is_apply(entry))))
        .collect()
}

fn is_ours(entry: &Value) -> bool {
    text(entry, "/manager") == Some(FIELD_MANAGER)
}

fn is_apply(entry: &Value) -> bool {
    text(entry, "/operation") == Some("Apply")
}

fn subresource(entry: &Value) -> &str {
    text(entry, "/subresource").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
    }

    fn owned(entries: Vec<Value>) -> Value {
        json!({"metadata": {"resourceVersion": "7", "managedFields": entries}})
    }

    #[test]
    fn where_somebody_applies_our_entries_go() {
        let mut scale = entry("tidegate", "Update", "2026-01-03T00:00:00Z", json!({"f:spec": {"f:replicas": {}}}));
        scale["subresource"] = json!("scale");
        let helm = entry("helm", "Apply", "2026-01-01T00:00:00Z", json!({"f:metadata": {}}));
        let ours = entry("tidegate", "Update", "2026-01-02T00:00:00Z", json!({"f:spec": {"f:selector": {}}}));
        let document = owned(vec![ours, helm.clone(), scale]);
        let operations = release_ownership(&document).unwrap();
        assert_eq!(operations[0], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}));
        let after = patch::applied(&document, &operations);
        assert_eq!(after, owned(vec![helm]));
        assert_eq!(release_ownership(&after), None);
    }

    #[test]
    fn where_nobody_applies_our_entries_stay() {
        let ours = entry("tidegate", "Update", "2026-01-02T00:00:00Z", json!({"f:spec": {}}));
        let edit = entry("kubectl-edit", "Update", "2026-01-01T00:00:00Z", json!({"f:spec": {}}));
        let mut status = entry("contour", "Apply", "2026-01-01T00:00:00Z", json!({"f:status": {}}));
        status["subresource"] = json!("status");
        assert_eq!(release_ownership(&owned(vec![ours, edit, status])), None);
    }

    #[test]
    fn the_last_manager_is_the_newest_that_wrote_the_spec() {
        let ours = entry("tidegate", "Update", "2026-01-09T00:00:00Z", json!({"f:spec": {}}));
        let flux = entry("kustomize-controller", "Apply", "2026-01-02T00:00:00Z", json!({"f:spec": {}}));
        let old = entry("helm", "Update", "2026-01-01T00:00:00Z", json!({"f:spec": {}}));
        let label = entry("kubectl-label", "Update", "2026-01-05T00:00:00Z", json!({"f:metadata": {}}));
        let document = owned(vec![ours.clone(), flux, old, label.clone()]);
        assert_eq!(last_manager(&document).as_deref(), Some("kustomize-controller"));
        assert_eq!(last_manager(&owned(vec![ours.clone(), label])).as_deref(), Some("kubectl-label"));
        assert_eq!(last_manager(&owned(vec![ours])), None);
    }
}
