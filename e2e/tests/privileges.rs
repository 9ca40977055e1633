//! Who may ask what: every way to a privilege is a row, with who refuses it. The API server's admission policies and RBAC
//! decide, from the manifests that users install; what is left for the controller is what it alone knows: runs and steps.

mod reach;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::{
    api::ACTIONS_POLICY,
    controller::{ACTION, ADMISSION_BINDING, ADMISSION_POLICY, Kind, ROLLOUT, RUN},
};

use crate::{
    TIDEGATE,
    support::{Space, Stage, space::lab},
};

const NAMESPACE: &str = "privileges";

const fn kind(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, version: "v1", kind, plural, namespaced: false, optional: false }
}

const STAMP: Kind = kind("admissionregistration.k8s.io", "MutatingAdmissionPolicy", "mutatingadmissionpolicies");
const STAMP_BINDING: Kind =
    kind("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings");
const CLUSTER_ROLE: Kind = kind("rbac.authorization.k8s.io", "ClusterRole", "clusterroles");

const ACTIONS: &str = include_str!("../../deploy/admission/actions.yaml");
const RECORDS: &str = include_str!("../../deploy/admission/records.yaml");
const AUTHOR: &str = include_str!("../../deploy/admission/author.yaml");
const ROLES: &str = include_str!("../../deploy/roles/roles.yaml");

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).expect("a manifest")).collect()
}

/// Installs a policy with its binding as a user does, for this namespace: the lab's other tests have authors of their own.
async fn install(space: &Space, text: &str, kinds: [Kind; 2]) {
    for (kind, mut document) in kinds.into_iter().zip(documents(text)) {
        if kind.kind.ends_with("Binding") {
            let ours = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}});
            document["spec"]["matchResources"] = ours;
        }
        space.apply_as("lab", true, kind, document).await.expect("the policy is accepted");
    }
}

/// Each user with a role of the same name; `ada` and `bob` are approvers and operators at once, `root` has every right in
/// the namespace, `edith` is an editor of the kind that a cluster has.
async fn people(space: &Space) {
    for role in documents(ROLES) {
        space.apply_as("lab", true, CLUSTER_ROLE, role).await.expect("a role");
    }
    let everything = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "lab-everything"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    });
    space.apply_as("lab", true, CLUSTER_ROLE, everything).await.expect("a role");
    for (user, role) in [
        ("viewer", "tidegate-viewer"),
        ("operator", "tidegate-operator"),
        ("approver", "tidegate-approver"),
        ("admin", "tidegate-admin"),
        ("edith", "edit"),
        ("namespace-admin", "admin"),
        ("root", "lab-everything"),
        ("ada", "tidegate-operator"),
        ("ada", "tidegate-approver"),
        ("bob", "tidegate-approver"),
    ] {
        space.person(user).is_given(role).await;
    }
}

fn wish(kind: &str, author: &str) -> Value {
    let mut spec = json!({"type": kind, "rollout": "app", "author": author});
    if kind == "Approve" {
        spec["gate"] = json!("qa");
    }
    if kind == "Override" {
        spec["reason"] = json!("an incident");
    }
    spec
}

/// What a user's action comes to, asked without effect.
async fn each_role_may_ask_for_its_own(space: &Space) {
    const RBAC: &str = "cannot create resource \"rolloutactions\"";
    const TYPES: [&str; 9] =
        ["Pause", "Abort", "Resume", "Retry", "Restart", "Approve", "Promote", "PromoteFull", "Override"];
    const OPERATES: [&str; 5] = ["Pause", "Abort", "Resume", "Retry", "Restart"];
    for (user, allowed, otherwise) in [
        ("nobody", &[][..], RBAC),
        ("viewer", &[], RBAC),
        ("operator", &OPERATES, "that needs the right to update rollouts/"),
        ("approver", &["Approve"], "that needs the right to update rollouts/"),
        ("admin", &TYPES, ""),
        ("edith", &OPERATES, "that needs the right to update rollouts/"),
        ("namespace-admin", &OPERATES, "that needs the right to update rollouts/"),
        ("root", &TYPES, ""),
    ] {
        for kind in TYPES {
            let answer = space.person(user).ask(wish(kind, user), true).await;
            match (allowed.contains(&kind), answer) {
                (true, Ok(_)) => {}
                (false, Err(why)) if why.contains(otherwise) => {}
                (_, answer) => panic!("{user} asks for {kind}: {answer:?}"),
            }
        }
    }
}

/// Whose name an action bears.
async fn an_author_is_who_creates_the_action(space: &Space) {
    let forged = space.person("ada").ask(wish("Approve", "bob"), true).await.expect_err("a forged author");
    assert!(forged.contains("spec.author is bob, but the API server knows you as ada"), "{forged}");
    let forged = space.person("root").ask(wish("PromoteFull", "admin"), true).await.expect_err("a forged author");
    assert!(forged.contains("the API server knows you as root"), "{forged}");
    for author in [json!({}), json!({"author": ""})] {
        let mut spec = json!({"type": "Pause", "rollout": "app"});
        spec.as_object_mut().expect("a map").extend(author.as_object().cloned().unwrap_or_default());
        let missing = space.person("ada").ask(spec, true).await.expect_err("no author");
        assert!(missing.contains("spec.author is missing: write ada"), "{missing}");
    }
}

/// A server that can fill the author in does so; what is forged stays forged.
async fn a_missing_author_is_stamped(space: &Space) {
    install(space, AUTHOR, [STAMP, STAMP_BINDING]).await;
    let nameless = || json!({"type": "Pause", "rollout": "app"});
    space.until("authors to be stamped", 30, async || space.person("ada").ask(nameless(), true).await.is_ok()).await;
    let stamped = space.person("ada").ask(nameless(), true).await.expect("stamped");
    assert_eq!(stamped.data["spec"]["author"], "ada");
    let forged = space.person("ada").ask(wish("Approve", "bob"), true).await.expect_err("a forged author");
    assert!(forged.contains("the API server knows you as ada"), "{forged}");
    let viewer = space.person("viewer").ask(nameless(), true).await.expect_err("no right");
    assert!(viewer.contains("cannot create resource"), "{viewer}");
}

/// Records are the controller's, also for those who may do everything.
async fn nobody_writes_a_record(space: &Space, run: &str, done: &str) {
    let merge = |value: Value| Patch::Merge(value);
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    for user in ["operator", "approver", "admin", "edith", "namespace-admin", "root"] {
        let who = space.person(user);
        let (runs, actions, rollouts) = (who.api(RUN).await, who.api(ACTION).await, who.api(ROLLOUT).await);
        let approved =
            json!({"status": {"approvals": [{"gate": "qa", "author": "bob", "action": "x", "verified": true}]}});
        let labels = json!({"metadata": {"labels": {"tidegate.io/rollout": "other"}}});
        let rows = [
            ("a run's approvals", runs.patch_status(run, &params, &merge(approved)).await.err()),
            ("a run's label", runs.patch(run, &params, &merge(labels)).await.err()),
            ("a run's plan", runs.patch(run, &params, &merge(json!({"spec": {"canary": "x"}}))).await.err()),
            (
                "an outcome",
                actions.patch_status(done, &params, &merge(json!({"status": {"outcome": "Accepted"}}))).await.err(),
            ),
            ("an action", actions.patch(done, &params, &merge(json!({"spec": {"author": user}}))).await.err()),
            (
                "a Rollout's status",
                rollouts.patch_status("app", &params, &merge(json!({"status": {"phase": "Healthy"}}))).await.err(),
            ),
            ("that a run is gone", {
                let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
                runs.delete(run, &dry).await.err()
            }),
            ("a run", {
                let mut copy = space.get(RUN, run).await.expect("the run");
                copy["metadata"] = json!({"name": "app-forged-1"});
                let copy: DynamicObject = serde_json::from_value(copy).expect("a run");
                let dry = PostParams { dry_run: true, ..PostParams::default() };
                runs.create(&dry, &copy).await.err()
            }),
        ];
        for (what, error) in rows {
            let error = error.unwrap_or_else(|| panic!("{user} wrote {what}")).to_string();
            let by = [
                "only the controller, system:serviceaccount:tidegate-system:tidegate, writes",
                "only the controller, system:serviceaccount:tidegate-system:tidegate, deletes",
                "is forbidden: User",
                "cannot be changed",
            ];
            assert!(by.iter().any(|by| error.contains(by)), "{user}, {what}: {error}");
            assert!(user != "root" || !error.contains("is forbidden: User"), "{what}: {error}");
        }
    }
}

/// What the garbage collector does to a run must go through.
async fn owners_may_be_taken_from_a_run(space: &Space, run: &str) {
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = Patch::Merge(json!({"metadata": {"ownerReferences": [], "finalizers": ["example.com/x"]}}));
    space.person("root").api(RUN).await.patch(run, &params, &patch).await.expect("only metadata");
}

/// The controller's answer to a real action.
async fn answered(space: &Space, user: &str, spec: Value) -> (String, String, String) {
    let created = space.person(user).ask(spec, false).await.expect("the action is created");
    let name = created.metadata.name.unwrap_or_default();
    let (outcome, message) = space.answer(&name).await;
    (outcome, message, name)
}

/// The policy and its binding are older than the time in which a server may not have followed them.
async fn settled(space: &Space) -> bool {
    let binding = space.get(ADMISSION_BINDING, ACTIONS_POLICY).await.unwrap_or_default();
    let created: jiff::Timestamp =
        binding["metadata"]["creationTimestamp"].as_str().unwrap_or_default().parse().expect("a time");
    jiff::Timestamp::now().as_second() - created.as_second() > 11
}

/// What only the controller can tell: which run, which step, and who has asked for the run. Returns an answered action.
async fn an_intent_counts_once_and_where_it_was_meant(stage: &mut Stage, run: &str) -> String {
    let space = &stage.space;
    let bound = |kind: &str, author: &str, step: u32| {
        let mut spec = wish(kind, author);
        spec["run"] = json!(run);
        spec["step"] = json!(step);
        spec
    };
    space.until("the policy to have settled", 30, async || settled(space).await).await;
    let (outcome, message, first) = answered(space, "ada", bound("Approve", "ada", 0)).await;
    assert_eq!((outcome.as_str(), message.as_str()), ("Accepted", "gate qa is approved by ada"));
    let (outcome, message, _) = answered(space, "ada", bound("Approve", "ada", 0)).await;
    assert_eq!((outcome.as_str(), message.as_str()), ("Refused", "ada has approved gate qa already"));
    let status = space.newest_run("app").await.unwrap_or_default()["status"].clone();
    assert_eq!(status["approvals"][0]["verified"], true, "{status}");
    let mut second = bound("Approve", "bob", 0);
    second["onBehalfOf"] = json!("carol");
    let (outcome, message, _) = answered(space, "bob", second).await;
    assert_eq!(
        (outcome.as_str(), message.as_str()),
        ("Accepted", "gate qa is approved by bob on behalf of carol (unverified)")
    );
    space.until_at("app", 50, 40).await;
    let (outcome, message, _) = answered(space, "admin", bound("Promote", "admin", 0)).await;
    assert!(outcome == "Refused" && message.contains("it is for step 0"), "{message}");
    let (outcome, message, _) = answered(space, "ada", bound("Abort", "ada", 1)).await;
    assert_eq!((outcome.as_str(), message.as_str()), ("Accepted", "aborted by ada"));
    stage.until_outcome("v2", "Aborted").await;
    let space = &stage.space;
    let (outcome, message, _) = answered(space, "ada", bound("Abort", "ada", 1)).await;
    assert!(outcome == "Refused" && message.contains("no run in progress"), "{message}");
    first
}

async fn who_has_asked_for_a_run_does_not_approve_it(stage: &Stage, old: &str) {
    let space = &stage.space;
    let (outcome, message, _) = answered(space, "ada", wish("Retry", "ada")).await;
    assert!(outcome == "Accepted" && message.contains("was started"), "{message}");
    space.until_at("app", 20, 40).await;
    let (outcome, message, _) = answered(space, "ada", wish("Approve", "ada")).await;
    assert!(outcome == "Refused" && message.contains("ada has asked for RolloutRun"), "{message}");
    let mut stale = wish("Approve", "bob");
    stale["run"] = json!(old);
    let (outcome, message, _) = answered(space, "bob", stale).await;
    assert!(outcome == "Refused" && message.contains(&format!("it is for RolloutRun {old}")), "{message}");
}

/// The command line as this user: the kubeconfig says `as`.
async fn the_command_line_says_who_refuses(space: &Space) {
    let (file, _) = (lab("TIDEGATE_LAB_DIR"), ());
    let text = std::fs::read_to_string(format!("{file}/kubeconfig-admin")).expect("a kubeconfig");
    let mut config: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    config["users"][0]["user"]["as"] = json!("operator");
    let path = format!("{file}/kubeconfig-as-operator");
    std::fs::write(&path, config.to_string()).expect("a kubeconfig");
    let run = |line: &str| {
        let mut command = std::process::Command::new(TIDEGATE);
        command.args(["--kubeconfig", &path, "--namespace", NAMESPACE]).args(line.split(' '));
        let out = command.output().expect("tidegate runs");
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let (code, _, error) = run("approve app --gate qa");
    let sentence = "refused by the API server: operator may not ask for Approve of Rollout app: that needs the right to update rollouts/approve";
    assert!(code == Some(1) && error.contains(sentence) && error.contains("tidegate-approver"), "{code:?} {error}");
    let (code, out, error) = run("pause app --reason lunch");
    assert_eq!((code, out.trim()), (Some(0), "accepted: paused by operator: lunch"), "{error}");
    space.until_phase("app", "Paused", 20).await;
}

/// While the binding only audits, whoever may create an action may do it in any name; that it denies again says nothing of it.
async fn a_policy_that_was_off_for_a_while_vouches_for_nobody_of_that_time(stage: &mut Stage) {
    let binding = async |space: &Space, actions: Value| {
        let patch = json!({"spec": {"validationActions": actions}});
        space.merge(ADMISSION_BINDING, ACTIONS_POLICY, patch).await.expect("the binding is changed");
    };
    let forged = wish("Resume", "bob");
    stage.controller.kill();
    let space = &stage.space;
    binding(space, json!(["Audit"])).await;
    let ada = space.person("ada");
    space.until("the binding to deny nothing", 30, async || ada.ask(forged.clone(), true).await.is_ok()).await;
    let action = ada.ask(forged, false).await.expect("nobody compares it").metadata.name.unwrap_or_default();
    binding(space, json!(["Deny"])).await;
    stage.controller.restart();
    let (outcome, message) = stage.space.answer(&action).await;
    assert_eq!((outcome.as_str(), message.as_str()), ("Accepted", "resumed by bob (author: unverified)"));
}

#[tokio::test]
async fn every_way_to_a_privilege_is_taken_by_those_who_have_it_only() {
    let space = &Space::new(NAMESPACE).await;
    people(space).await;
    install(space, ACTIONS, [ADMISSION_POLICY, ADMISSION_BINDING]).await;
    install(space, RECORDS, [ADMISSION_POLICY, ADMISSION_BINDING]).await;
    let mut stage = Stage::new(NAMESPACE, TIDEGATE, |app| {
        app.steps = json!([
            {"weight": 20, "bake": "1s", "gates": [{"name": "qa", "approvals": 2}]},
            {"weight": 50, "bake": "1s", "gates": [{"name": "go"}]},
        ]);
    })
    .await;
    // The controllers of the roles that a cluster has take a moment to add them up, and so do the servers with a policy.
    space
        .until("edit to have the operator's rights", 30, async || {
            space.person("edith").ask(wish("Pause", "edith"), true).await.is_ok()
        })
        .await;
    space
        .until("authors to be compared", 30, async || space.person("root").ask(wish("Pause", "x"), true).await.is_err())
        .await;
    each_role_may_ask_for_its_own(space).await;
    an_author_is_who_creates_the_action(space).await;
    let run = stage.release_to("v2", 20).await["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let done = an_intent_counts_once_and_where_it_was_meant(&mut stage, &run).await;
    nobody_writes_a_record(space, &run, &done).await;
    reach::an_action_is_deleted_by_who_may_do_everything_only(space, &done).await;
    reach::what_binds_every_namespace_is_written_by_none_of_them(space).await;
    reach::a_right_for_one_rollout_is_none_for_another(space).await;
    owners_may_be_taken_from_a_run(space, &run).await;
    who_has_asked_for_a_run_does_not_approve_it(&stage, &run).await;
    the_command_line_says_who_refuses(space).await;
    a_missing_author_is_stamped(space).await;
    a_policy_that_was_off_for_a_while_vouches_for_nobody_of_that_time(&mut stage).await;
    stage.nothing_failed().await;
}
