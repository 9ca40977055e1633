//! What is left when nothing goes on any more, without what differs from one run to the next: times, uids, addresses.

use serde_json::{Value, json};
use tidegate::controller::{CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, ROLLOUT, RUN, SERVICE};

use super::{Space, proxy::Proxy, space::rhythm};

/// All that the controller is there for, as it stands.
pub async fn rest(space: &Space) -> Value {
    json!({
        "rollout": of(space.list(ROLLOUT).await, &[
            "/metadata/name", "/metadata/finalizers", "/status/phase", "/status/release/id", "/status/release/outcome",
            "/status/replicas", "/status/readyReplicas",
        ]),
        "runs": of(space.list(RUN).await, &[
            "/spec/release", "/status/phase", "/status/outcome", "/status/reason", "/status/weight",
        ]),
        "routes": of(space.list(HTTP_ROUTE).await, &["/metadata/name", "/metadata/annotations", "/spec/rules"]),
        "services": of(space.list(SERVICE).await, &["/metadata/name", "/metadata/annotations", "/spec/selector", "/spec/ports"]),
        "deployments": of(space.list(DEPLOYMENT).await, &[
            "/metadata/name", "/spec/replicas", "/spec/selector", "/spec/template", "/status/readyReplicas",
        ]),
        "revisions": of(space.list(CONTROLLER_REVISION).await, &["/metadata/name", "/metadata/annotations", "/data"]),
    })
}

/// These fields of each, in one order.
fn of(documents: Vec<Value>, fields: &[&str]) -> Value {
    let picked = |document: &Value| -> Vec<Value> {
        fields.iter().map(|field| document.pointer(field).cloned().unwrap_or_default()).collect()
    };
    let mut rows: Vec<Vec<Value>> = documents.iter().map(picked).collect();
    rows.sort_by_key(|row| row.iter().map(Value::to_string).collect::<Vec<_>>());
    json!(rows)
}

/// The controller behind this proxy has written nothing for a while.
pub async fn quiet(space: &Space, proxy: &Proxy) {
    space
        .until("the last write", 60, async || {
            let before = proxy.asked().len();
            rhythm(2.5).await;
            proxy.asked().len() == before
        })
        .await;
}
