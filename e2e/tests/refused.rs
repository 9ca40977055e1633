//! What the API server refuses by the CRDs' own rules, and what it accepts but cannot run: that is said at once and in whole,
//! moves nothing, and recovers by itself.
//!
//! Which manifests are refused is data: e2e/data. `tests/valid.rs` asks the validation in code about the same files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tidegate::controller::{
    ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, METRICS_PROVIDER, RUN,
    SERVICE,
};

use crate::{
    TIDEGATE,
    support::{Application, Controller, Space},
};

struct Manifest {
    path: PathBuf,
    expected: String,
    /// `rollout.tidegate.io/checkout`, as kubectl names it.
    object: String,
    cluster_wide: bool,
    update: bool,
}

fn manifests(folder: &str) -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/data").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the data's folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")).map(manifest).collect()
}

fn manifest(path: PathBuf) -> Manifest {
    let text = std::fs::read_to_string(&path).expect("a manifest");
    let first = text.lines().next().unwrap_or_default();
    let expected = first.strip_prefix("# expect: ").unwrap_or_else(|| panic!("{}: no # expect", path.display()));
    let document: Value = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kind = document["kind"].as_str().unwrap_or_default().to_lowercase();
    Manifest {
        object: format!("{kind}.tidegate.io/{}", document["metadata"]["name"].as_str().unwrap_or_default()),
        cluster_wide: ["metricsprovider", "clusteranalysistemplate", "rolloutpolicy"].contains(&kind.as_str()),
        update: path.to_string_lossy().ends_with(".update.yaml"),
        expected: expected.to_owned(),
        path,
    }
}

/// One kubectl for many files: its answer to each, which is `created`, `configured` or the sentence of a refusal.
fn answers(space: &Space, manifests: &[&Manifest], dry_run: bool) -> BTreeMap<PathBuf, String> {
    let paths: Vec<String> =
        manifests.iter().map(|manifest| format!("--filename={}", manifest.path.display())).collect();
    let mut arguments = vec!["apply", if dry_run { "--dry-run=server" } else { "--dry-run=none" }];
    arguments.extend(paths.iter().map(String::as_str));
    let (_, said) = space.kubectl(&arguments);
    let answer = |manifest: &&Manifest| {
        let (refusal, taken) = (format!("\"{}\"", manifest.path.display()), format!("{} ", manifest.object));
        let line = said.lines().find(|line| line.contains(&refusal) || line.starts_with(&taken));
        (manifest.path.clone(), line.unwrap_or("kubectl said nothing of it").to_owned())
    };
    manifests.iter().map(answer).collect()
}

fn check(space: &Space, folder: &str) {
    let all = manifests(folder);
    assert!(all.len() > 15, "only {} manifests in {folder}", all.len());
    let mut wrong = Vec::new();
    for (cluster_wide, update) in [(true, false), (false, false), (false, true)] {
        let some = all.iter().filter(|manifest| (manifest.cluster_wide, manifest.update) == (cluster_wide, update));
        let some: Vec<&Manifest> = some.collect();
        // Objects of the whole cluster would be seen by other tests.
        let answers = answers(space, &some, cluster_wide);
        for manifest in some.into_iter().filter(|manifest| !answers[&manifest.path].contains(&manifest.expected)) {
            let (path, expected) = (manifest.path.display(), &manifest.expected);
            wrong.push(format!("{path}\n  expected: {expected}\n  answered: {}", answers[&manifest.path]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_api_server_refuses_each_manifest_for_the_reason_it_was_written_for() {
    check(&Space::new("refused-manifests").await, "refused");
}

#[tokio::test]
async fn the_api_server_accepts_each_manifest_that_should_be_accepted() {
    check(&Space::new("refused-not").await, "accepted");
}

#[tokio::test]
async fn the_examples_and_presets_are_accepted_as_they_are() {
    let space = Space::new("refused-examples").await;
    for (folder, least) in [("examples", 16), ("presets", 8)] {
        let folder = format!("{}/deploy/{folder}", env!("CARGO_MANIFEST_DIR"));
        let (done, said) = space.kubectl(&["apply", "--dry-run=server", "--filename", &folder]);
        assert!(done && said.matches("created").count() >= least, "{said}");
    }
}

/// Stalled for this reason, and each of these stands in the one message.
async fn until_stalled(space: &Space, reason: &str, named: &[&str]) {
    space
        .until(&format!("Stalled ({reason}) that names {named:?}"), 40, async || {
            let status = space.status("app").await;
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|row| {
                let message = row["message"].as_str().unwrap_or_default();
                let stalled = row["type"] == "Stalled" && row["status"] == "True" && row["reason"] == reason;
                stalled && named.iter().all(|name| message.contains(name))
            })
        })
        .await;
}

async fn counts(space: &Space) -> (usize, usize, usize) {
    (space.list(DEPLOYMENT).await.len(), space.list(CONTROLLER_REVISION).await.len(), space.list(RUN).await.len())
}

#[tokio::test]
async fn a_missing_service_and_route_are_named_together_and_nothing_is_created_until_they_are_there() {
    let space = Space::new("refused-missing").await;
    let _controller = Controller::start(&space, TIDEGATE);
    let app = Application::new(&space);
    app.release(&space).await;
    until_stalled(&space, "ServiceMissing", &["Service app", "HTTPRoute app"]).await;
    space.apply_as("owner", false, SERVICE, app.service()).await.expect("the Service is applied");
    until_stalled(&space, "RouteMissing", &["HTTPRoute app"]).await;
    let mut stray = app.route();
    stray["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("another");
    space.apply_as("owner", false, HTTP_ROUTE, stray).await.expect("the route is applied");
    until_stalled(&space, "RouteWithoutRule", &["HTTPRoute", "Service app"]).await;
    assert_eq!(counts(&space).await, (0, 0, 0), "nothing was created");
    space.apply_as("owner", false, HTTP_ROUTE, app.route()).await.expect("the route is applied");
    space.until_healthy("app", 60).await;
}

#[tokio::test]
async fn missing_analyses_and_a_provider_are_named_together_and_the_run_starts_when_they_are_there() {
    let space = Space::new("refused-analysis").await;
    let _controller = Controller::start(&space, TIDEGATE);
    let mut app = Application::new(&space);
    app.apply(&space).await;
    space.until_healthy("app", 60).await;
    let before = counts(&space).await;
    app.version = "v2".into();
    let mut rollout = app.rollout();
    rollout["spec"]["analysis"] = json!({"provider": space.namespace, "templates": [
        {"name": "golden"}, {"kind": "ClusterAnalysisTemplate", "name": &space.namespace},
    ]});
    space.apply_as("owner", false, tidegate::controller::ROLLOUT, rollout).await.expect("the Rollout is applied");
    let of_cluster = format!("ClusterAnalysisTemplate {}", space.namespace);
    until_stalled(&space, "TemplateMissing", &["AnalysisTemplate golden", &of_cluster]).await;
    let template = json!({
        "apiVersion": "tidegate.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "golden"},
        "spec": {"metrics": Application::envoy_errors()},
    });
    space.create(ANALYSIS_TEMPLATE, template).await.expect("the AnalysisTemplate is created");
    until_stalled(&space, "TemplateMissing", &[&of_cluster]).await;
    let mut metrics = Application::envoy_errors();
    metrics[0]["name"] = json!("errors-again");
    let template = json!({
        "apiVersion": "tidegate.io/v1alpha1", "kind": "ClusterAnalysisTemplate", "metadata": {"name": space.namespace},
        "spec": {"metrics": metrics},
    });
    space.create(CLUSTER_ANALYSIS_TEMPLATE, template).await.expect("the ClusterAnalysisTemplate is created");
    until_stalled(&space, "ProviderMissing", &[&space.namespace]).await;
    assert_eq!(counts(&space).await, before, "nothing was created");
    let provider = json!({
        "apiVersion": "tidegate.io/v1alpha1", "kind": "MetricsProvider", "metadata": {"name": space.namespace},
        "spec": {
            "address": crate::support::space::lab("TIDEGATE_LAB_PROMETHEUS"), "allowAddresses": ["Loopback"],
            "scrapeInterval": "2s",
        },
    });
    space.create(METRICS_PROVIDER, provider).await.expect("the MetricsProvider is created");
    space.until("the run to start", 40, async || !space.list(RUN).await.is_empty()).await;
}

#[tokio::test]
async fn a_template_that_the_api_server_refuses_is_said_in_its_words_and_moves_nothing() {
    let space = Space::new("refused-template").await;
    let _controller = Controller::start(&space, TIDEGATE);
    let mut app = Application::new(&space);
    app.apply(&space).await;
    space.until_healthy("app", 60).await;
    let before = counts(&space).await;
    app.version = "v2".into();
    let mut rollout = app.rollout();
    rollout["spec"]["workload"]["template"]["spec"]["containers"][0]["imagePullPolice"] = json!("Always");
    space.apply_as("owner", false, tidegate::controller::ROLLOUT, rollout).await.expect("the Rollout is applied");
    until_stalled(&space, "InvalidTemplate", &["imagePullPolice"]).await;
    assert_eq!(counts(&space).await, before, "nothing was created");
    app.release(&space).await;
    space.until_outcome("app", "v2", "Promoted", 90).await;
}
