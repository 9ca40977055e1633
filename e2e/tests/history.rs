//! The history of runs: the oldest is deleted by the controller past `runHistoryLimit`, and by nobody else, on a server where
//! the shipped policy on records decides about it.

use kube::api::DeleteParams;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::controller::{ADMISSION_BINDING, ADMISSION_POLICY, RUN};

use crate::{
    TIDEGATE,
    support::{Space, Stage},
};

const NAMESPACE: &str = "history";

/// The shipped policy under a name of this test's, for this namespace.
async fn records_are_guarded(space: &Space) {
    let shipped = serde_yaml_ng::Deserializer::from_str(include_str!("../../deploy/admission/records.yaml"));
    let documents = shipped.map(|document| Value::deserialize(document).expect("a manifest"));
    for (kind, mut document) in [ADMISSION_POLICY, ADMISSION_BINDING].into_iter().zip(documents) {
        document["metadata"]["name"] = json!("lab-history");
        if kind == ADMISSION_BINDING {
            document["spec"]["policyName"] = json!("lab-history");
            document["spec"]["matchResources"] =
                json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}});
        }
        space.apply_as("lab", true, kind, document).await.expect("the policy is accepted");
    }
}

async fn runs(space: &Space) -> Vec<String> {
    let name = |run: &Value| run["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    space.list(RUN).await.iter().map(name).collect()
}

/// Why this user, whose role has every right, may not delete the run.
async fn refusal(space: &Space, run: &str) -> Option<String> {
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    space.person("owner").api(RUN).await.delete(run, &dry).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn the_oldest_run_is_deleted_past_the_limit_by_the_controller_alone() {
    let mut stage = Stage::new(NAMESPACE, TIDEGATE, |app| {
        app.steps = json!([{"weight": 50, "bake": "1s"}]);
        app.history = Some(1);
    })
    .await;
    records_are_guarded(&stage.space).await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    let first = runs(&stage.space).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let space = &stage.space;
    space.until("the policy to hold", 30, async || refusal(space, &first[0]).await.is_some()).await;
    let why = refusal(space, &first[0]).await.unwrap_or_default();
    assert!(why.contains("only the controller, system:serviceaccount:tidegate-system:tidegate, deletes"), "{why}");
    stage.release("v3").await;
    stage.until_outcome("v3", "Promoted").await;
    let space = &stage.space;
    space.until("the oldest run to be deleted", 30, async || !runs(space).await.contains(&first[0])).await;
    let newest = space.newest_run("app").await.unwrap_or_default();
    assert_eq!((runs(space).await.len(), &newest["spec"]["release"]), (1, &json!("v3")), "{newest}");
    stage.owners_form().await;
    stage.nothing_failed().await;
}
