//! The chart as a platform team uses it, on a real API server: installed, upgraded with its CRDs, taken away, also with the
//! rights of one namespace. The pods run the binary under test, as the ServiceAccount that the chart makes for them.
//!
//! Run in a lab of its own by `make lab-install`: the kinds must not be there before.

#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kube::api::{Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};
use support::{
    Application, Space,
    audit::{Decision, decisions},
    space::{client_of, lab},
};
use tidegate::controller::{DEPLOYMENT, Kind, METRICS_PROVIDER, NAMESPACE, POD, ROLLOUT};

const SYSTEM: &str = "tidegate-system";
const CRD: Kind = Kind {
    group: "apiextensions.k8s.io",
    version: "v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespaced: false,
    optional: false,
};
const SECRET: Kind =
    Kind { group: "", version: "v1", kind: "Secret", plural: "secrets", namespaced: true, optional: false };

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Helm's answer: whether it succeeded, and all that it said.
fn helm(namespace: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("helm").args(["--namespace", namespace]).args(arguments).output().expect("helm");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

/// A release whose controller is up. The lab's pods share their ports: each listens on its own address.
fn releases(namespace: &str, verb: &str, chart: &str, set: &[&str]) -> String {
    let fixed = [verb, "tidegate", chart, "--wait", "--timeout", "60s", "--set", "listenAddress=$(POD_IP)"];
    helm_does(namespace, &[&fixed, set].concat())
}

fn helm_does(namespace: &str, arguments: &[&str]) -> String {
    let (done, said) = helm(namespace, arguments);
    assert!(done, "helm {arguments:?}: {said}");
    said
}

/// A namespace without anything in it, whose pods must keep to the profile "restricted".
async fn namespace(name: &str) -> Space {
    let space = Space { client: client_of("admin").await, namespace: name.to_owned() };
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let document = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    space.apply_as("lab", true, NAMESPACE, document).await.expect("a namespace");
    space
}

/// What the image is elsewhere: the program of its name.
fn image() {
    let link = PathBuf::from(lab("TIDEGATE_LAB_DIR")).join("bin/tidegate");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegate"), link).expect("a link to the binary");
    }
}

/// The chart of an earlier release: its CRD of Rollouts lacks a column, and its RolloutActions a short name.
fn earlier_chart() -> PathBuf {
    let folder = PathBuf::from(lab("TIDEGATE_LAB_DIR")).join("earlier-chart");
    let copied = Command::new("cp").arg("-rL").arg(root().join("charts/tidegate")).arg(&folder).status();
    assert!(copied.expect("cp").success());
    let crd = folder.join("files/crds/rolloutactions.tidegate.io.yaml");
    let text = fs::read_to_string(&crd).expect("a CRD");
    assert!(text.contains("    - tga\n"), "the short name that is left out");
    fs::write(&crd, text.replace("    - tga\n", "    - old\n")).expect("an older CRD");
    folder
}

async fn short_names(space: &Space) -> Value {
    space.get(CRD, "rolloutactions.tidegate.io").await.unwrap_or_default()["spec"]["names"]["shortNames"].clone()
}

/// An application whose pods need no rights: the lab's namespaces with Rollouts enforce nothing.
async fn application(namespace: &str) -> (Space, Application) {
    let space = Space { client: client_of("admin").await, namespace: namespace.to_owned() };
    let document = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    space.apply_as("lab", true, NAMESPACE, document).await.expect("a namespace");
    let app = Application::new(&space);
    app.apply(&space).await;
    (space, app)
}

/// Roles and policies as the chart brings them: a gate opens for an approver, and for nobody else who has asked.
async fn only_an_approver_opens_a_gate(space: &Space, app: &mut Application) {
    let (operator, approver, excluded) = (space.person("olga"), space.person("ada"), space.person("release-bot"));
    operator.is_given("tidegate-operator").await;
    approver.is_given("tidegate-approver").await;
    excluded.is_given("tidegate-approver").await;
    let steps = app.steps.clone();
    app.steps = json!([{"weight": 20, "bake": "1s", "gates": [{"name": "qa"}]}]);
    app.version = "gated".into();
    app.release(space).await;
    space.until_phase(&app.name, "Paused", 60).await;
    // Authors are left out: this server fills them in.
    let pause = json!({"type": "Pause", "rollout": app.name});
    let approve = json!({"type": "Approve", "rollout": app.name, "gate": "qa"});
    space.until("olga's rights", 30, async || operator.ask(pause.clone(), true).await.is_ok()).await;
    space.until("ada's rights", 30, async || approver.ask(approve.clone(), true).await.is_ok()).await;
    let refused = operator.ask(approve.clone(), false).await.expect_err("an operator's approval");
    assert!(refused.contains("olga may not ask for Approve of Rollout app"), "{refused}");
    space
        .until("the bot's rights", 30, async || {
            let refused = excluded.ask(approve.clone(), true).await.expect_err("an excluded account's approval");
            refused.contains("release-bot is one of the accounts that may not approve")
        })
        .await;
    let run = space.newest_run(&app.name).await.unwrap_or_default();
    assert!(run["status"]["approvals"].as_array().is_none_or(Vec::is_empty), "{run}");
    approver.ask(approve, false).await.expect("an approver's approval");
    space.until_outcome(&app.name, "gated", "Promoted", 120).await;
    let run = space.newest_run(&app.name).await.unwrap_or_default();
    let decisions = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    let asked: Vec<&Value> = decisions.iter().map(|entry| &entry["asked"]).filter(|asked| !asked.is_null()).collect();
    let [approval] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((&approval["author"], &approval["verified"]), (&json!("ada"), &json!(true)), "{approval}");
    app.steps = steps;
}

/// A Secret that `providerSecrets` names is read with the rights that the chart gives: a threshold that holds lets the release
/// through, which an answer that is missing would not.
async fn a_metrics_server_is_asked_with_its_secret(system: &Space, shop: &Space, app: &mut Application) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metrics-token"}, "stringData": {"token": "lab"},
    });
    system.apply_as("lab", true, SECRET, secret).await.expect("a Secret");
    let provider = json!({
        "apiVersion": "tidegate.io/v1alpha1", "kind": "MetricsProvider", "metadata": {"name": "guarded"},
        "spec": {
            "address": lab("TIDEGATE_LAB_PROMETHEUS"), "allowAddresses": ["Loopback"], "scrapeInterval": "2s",
            "auth": {"bearer": {"secretName": "metrics-token", "key": "token"}},
        },
    });
    shop.apply_as("lab", true, METRICS_PROVIDER, provider).await.expect("a MetricsProvider");
    let threshold = json!({"query": "vector(1)", "success": ">= 1", "interval": "1s"});
    (app.metrics, app.provider) = (json!([{"name": "one", "threshold": threshold}]), Some("guarded".into()));
    promoted(shop, app, "judged").await;
    let run = shop.newest_run(&app.name).await.unwrap_or_default();
    assert!(run["status"]["evidence"]["metrics"]["one"].is_object(), "{run}");
    let asked = decisions(&format!("system:serviceaccount:{SYSTEM}:tidegate"));
    let read: Vec<_> = asked.iter().filter(|asked| asked.resource == "secrets").collect();
    let is_it =
        |asked: &&Decision| (asked.verb.as_str(), asked.name.as_str(), asked.code) == ("get", "metrics-token", 200);
    assert!(!read.is_empty() && read.iter().all(is_it), "{read:#?}");
    (app.metrics, app.provider) = (json!([]), None);
}

/// What the API server says to an administrator who writes a record; None: it takes it.
async fn refusal_of_a_record(space: &Space, rollout: &str) -> Option<String> {
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": {"phase": "Degraded"}}));
    let answer = space.api(ROLLOUT).patch_status(rollout, &params, &patch).await;
    answer.err().map(|error| error.to_string())
}

async fn promoted(space: &Space, app: &mut Application, version: &str) {
    app.version = version.into();
    app.release(space).await;
    space.until_outcome(&app.name, version, "Promoted", 120).await;
}

/// Of this account's requests after the first `before` ones none was refused. Asked before a release is taken away: its pods
/// outlive their rights by a moment.
fn none_was_refused(account: &str, before: usize) {
    let asked = decisions(account).split_off(before);
    let (granted, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(|decision| decision.granted);
    assert!(refused.is_empty() && granted.len() > 50, "{} granted, refused: {refused:#?}", granted.len());
}

#[tokio::test]
async fn a_release_is_installed_upgraded_and_taken_away() {
    image();
    let system = namespace(SYSTEM).await;
    let earlier = earlier_chart();
    let chart = root().join("charts/tidegate");
    let (earlier, chart) = (earlier.to_str().expect("UTF-8"), chart.to_str().expect("UTF-8"));

    releases(SYSTEM, "install", earlier, &[]);
    assert_eq!(short_names(&system).await, json!(["old"]));
    let deployment = system.get(DEPLOYMENT, "tidegate").await.unwrap_or_default();
    assert_eq!(deployment["status"]["readyReplicas"], deployment["spec"]["replicas"], "{deployment}");

    releases(
        SYSTEM,
        "upgrade",
        chart,
        &[
            "--set",
            "log.level=debug",
            "--set",
            "admission.excludedApprovers={release-*},providerSecrets={metrics-token}",
        ],
    );
    assert_eq!(short_names(&system).await, json!(["tga"]), "an upgrade brings the CRDs");
    for secret in system.list(SECRET).await.iter().filter(|secret| secret["type"] == "helm.sh/release.v1") {
        let bytes = secret["data"]["release"].as_str().unwrap_or_default().len();
        assert!(bytes > 0 && bytes < 512 * 1024, "a release of {bytes} bytes; the limit of a Secret is 1 MiB");
    }

    let (shop, mut app) = application("install-shop").await;
    shop.until_healthy(&app.name, 60).await;
    promoted(&shop, &mut app, "v2").await;
    only_an_approver_opens_a_gate(&shop, &mut app).await;
    a_metrics_server_is_asked_with_its_secret(&system, &shop, &mut app).await;
    let refusal = refusal_of_a_record(&shop, &app.name).await.unwrap_or_default();
    assert!(
        refusal.contains("only the controller, system:serviceaccount:tidegate-system:tidegate, writes"),
        "{refusal}"
    );

    let (done, said) = helm(SYSTEM, &["uninstall", "tidegate", "--timeout", "60s"]);
    assert!(!done && said.contains("1 Rollout exists (install-shop/app)"), "{said}");
    promoted(&shop, &mut app, "v3").await;

    // Helm upgrades no release whose uninstallation was refused, before it was rolled back to what it is.
    helm_does(SYSTEM, &["rollback", "tidegate", "2", "--wait", "--timeout", "60s"]);
    releases(SYSTEM, "upgrade", chart, &["--reuse-values", "--set", "uninstall.force=true"]);
    let account = format!("system:serviceaccount:{SYSTEM}:tidegate");
    none_was_refused(&account, 0);
    helm_does(SYSTEM, &["uninstall", "tidegate", "--wait", "--timeout", "60s"]);
    let runs = |pod: &Value| pod["status"]["phase"] == "Running";
    system.until("its pods to be gone", 60, async || !system.list(POD).await.iter().any(runs)).await;
    let before = decisions(&account).len();
    assert!(system.get(DEPLOYMENT, "tidegate").await.is_none());
    let kept = shop.get(ROLLOUT, &app.name).await.unwrap_or_default();
    assert_eq!(kept["status"]["phase"], "Healthy", "the CRDs are kept, and the Rollouts with them");

    releases(SYSTEM, "install", chart, &["--set", "leaderElection.enabled=false,replicas=1"]);
    an_election_begins_after_the_pod_without_one_has_ended(&system, chart).await;
    promoted(&shop, &mut app, "v4").await;
    shop.delete(ROLLOUT, &app.name, PropagationPolicy::Background).await;
    shop.until("the Rollout to be gone", 60, async || shop.get(ROLLOUT, &app.name).await.is_none()).await;
    none_was_refused(&account, before);
    helm_does(SYSTEM, &["uninstall", "tidegate", "--timeout", "60s"]);

    one_namespace(chart).await;
}

/// Two controllers must not write at once, of which one does not know of the other.
async fn an_election_begins_after_the_pod_without_one_has_ended(system: &Space, chart: &str) {
    let strategy = async || {
        let deployment = system.get(DEPLOYMENT, "tidegate").await.unwrap_or_default();
        deployment["spec"]["strategy"]["type"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(strategy().await, "Recreate");
    for expected in ["Recreate", "RollingUpdate"] {
        releases(SYSTEM, "upgrade", chart, &[]);
        assert_eq!(strategy().await, expected);
    }
}

/// With what is the cluster's in place a team installs for its own namespace: a Rollout of another one is nobody's, and so
/// are its records.
async fn one_namespace(chart: &str) {
    let (team, mut app) = application("install-team").await;
    let (other, mut stranger) = application("install-other").await;
    let set = "watchNamespace=install-team,crds.install=false,admission.excludedApprovers={release-*}";
    releases("install-team", "install", chart, &["--set", set]);
    team.until_healthy(&app.name, 60).await;
    promoted(&team, &mut app, "v2").await;
    assert!(other.status(&stranger.name).await["phase"].is_null(), "it is looked after by nobody");
    let refusal = refusal_of_a_record(&team, &app.name).await.unwrap_or_default();
    assert!(refusal.contains("only the controller, system:serviceaccount:install-team:tidegate, writes"), "{refusal}");
    assert_eq!(refusal_of_a_record(&other, &stranger.name).await, None);
    let (done, said) = helm("install-team", &["uninstall", "tidegate", "--timeout", "60s"]);
    assert!(!done && said.contains("1 Rollout exists (install-team/app)"), "{said}");
    none_was_refused("system:serviceaccount:install-team:tidegate", 0);
    helm_does("install-team", &["uninstall", "tidegate", "--no-hooks"]);

    // Another team leans on what the first release has left.
    let set = "watchNamespace=install-other,crds.install=false,roles.create=false,admission.actions=false";
    releases("install-other", "install", chart, &["--set", set]);
    other.until_healthy(&stranger.name, 60).await;
    only_an_approver_opens_a_gate(&other, &mut stranger).await;
    helm_does("install-other", &["uninstall", "tidegate", "--no-hooks"]);
}
