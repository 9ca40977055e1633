//! `tidegate lint` on the manifests that the API server is asked about in the lab, and on the examples.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    paths.sort();
    paths
}

/// Exit code and standard output.
fn lint(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .env_clear()
        .arg("lint")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn lint_file(path: &Path) -> (i32, String) {
    lint(&["-f", &path.display().to_string()], "")
}

/// Manifests of this folder with an error, or without one.
fn with_an_error(folder_name: &str, wanted: bool) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    // Pairs are about a change, which one document cannot show.
    let is_pair = |path: &Path| {
        let name = name(path);
        name.ends_with(".update.yaml") || path.with_file_name(name.replace(".yaml", ".update.yaml")).exists()
    };
    let paths = folder(folder_name).into_iter().filter(|path| !is_pair(path));
    paths.filter(|path| (lint_file(path).0 != 0) == wanted).map(|path| name(&path)).collect()
}

#[test]
fn what_the_api_server_accepts_has_no_error_but_what_the_controller_refuses() {
    // Of the templates, queries that tell no revision from another: no Rollout can use them.
    let stalls =
        ["analysis-template.yaml", "budget-edges.yaml", "budget-of-nothing.yaml", "cluster-analysis-template.yaml"];
    assert_eq!(with_an_error("e2e/data/accepted", true), stalls);
}

#[test]
fn what_the_api_server_refuses_is_an_error_before_it_is_asked_but_for_rules_of_two_fields() {
    // These rules are CEL's, which is the API server's to evaluate.
    let by_rule = [
        "approve-without-gate.yaml",
        "override-without-reason.yaml",
        "policy-account-inner-star.yaml",
        "policy-budget-all-of-it.yaml",
        "policy-budget-asks-nothing.yaml",
        "policy-hostname-inner-star.yaml",
        "policy-window-longer-than-90-days.yaml",
        "policy-window-twice.yaml",
        "policy-window-zero.yaml",
        "provider-certificate-without-tls.yaml",
        "provider-prefix-of-two-namespaces.yaml",
        "provider-prefix-without-namespace.yaml",
        "provider-timeout-zero.yaml",
        "provider-two-bundles.yaml",
        "provider-two-headers.yaml",
    ];
    assert_eq!(with_an_error("e2e/data/refused", false), by_rule);
}

#[test]
fn the_examples_and_presets_have_no_error() {
    for path in folder("deploy/examples").into_iter().chain(folder("deploy/presets")) {
        let (code, said) = lint_file(&path);
        assert_eq!(code, 0, "{}: {said}", path.display());
    }
}

const ROLLOUT: &str = r#"
apiVersion: tidegate.io/v1alpha1
kind: Rollout
metadata: {name: checkout}
spec:
  workload: {deploymentRef: {name: checkout}}
  traffic: {services: [{name: checkout}], routes: [{gatewayAPI: {name: checkout}}]}
  strategy: {canary: {steps: [{weight: 5, bake: 1m}]}}
"#;

#[test]
fn each_finding_names_the_object_the_field_and_the_fix() {
    let analysis = |metrics: &str| format!("{ROLLOUT}  analysis: {{{metrics}}}\n");
    let by_rule = r#"metrics: [{name: errors, ratio: {
        bad: 'x{envoy_cluster_name="httproute/shop/checkout/rule/0",pod="a"}',
        total: 'y{envoy_cluster_name="httproute/shop/checkout/rule/0"}'}}]"#;
    let at_pods =
        r#"metrics: [{name: errors, ratio: {bad: 'x{pod=~"{{ pods }}",c="5"}', total: 'x{pod=~"{{ pods }}"}'}}]"#;
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: checkout}\nspec: {ports: [{port: 80, targetPort: 8080}]}\n";
    for (text, code, expected) in [
        (
            ROLLOUT.replace("weight: 5", "wieght: 5"),
            1,
            "error: spec.strategy.canary.steps[0].wieght is not a field. Did you mean weight?",
        ),
        (ROLLOUT.replace("weight: 5", "weight: 0.5"), 1, "write a whole number (5) or a quoted decimal"),
        (
            ROLLOUT.replace("kind: Rollout", "kind: Rolout"),
            1,
            "tidegate.io has no kind \"Rolout\": Did you mean Rollout",
        ),
        (ROLLOUT.replace("v1alpha1", "v1"), 1, "error: apiVersion is \"tidegate.io/v1\": write tidegate.io/v1alpha1"),
        (ROLLOUT.to_owned(), 0, "Rollout checkout: warning: nothing judges a release"),
        (format!("{ROLLOUT}{service}"), 0, "warning: Service checkout, port 80: targetPort 8080 is a number"),
        (analysis("templates: [{name: golden}]"), 0, "note: AnalysisTemplate golden is not in these files"),
        (analysis(by_rule), 1, "both arms select the same series"),
        (analysis(by_rule), 1, "Envoy Gateway makes one for each rule of a route"),
        (analysis(at_pods), 0, "note: metric errors counts what the pods answer"),
    ] {
        let (exit, said) = lint(&["-f", "-"], &text);
        assert!(said.contains(expected), "{expected:?} is not in {said}");
        assert_eq!(exit, code, "{said}");
    }
}

#[test]
fn a_warning_is_an_error_when_strict_and_findings_are_documents_too() {
    let (exit, said) = lint(&["-f", "-", "--strict", "-o", "json"], ROLLOUT);
    let findings: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(exit, 1);
    assert_eq!(findings[0]["object"], "Rollout checkout");
    assert_eq!((&findings[0]["file"], &findings[0]["severity"]), (&"standard input".into(), &"warning".into()));
}

#[test]
fn files_refer_to_each_other() {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets/envoy-gateway.yaml").display().to_string();
    let text =
        format!("{ROLLOUT}  analysis: {{templates: [{{kind: ClusterAnalysisTemplate, name: envoy-gateway}}]}}\n");
    let (exit, said) = lint(&["-f", &preset, "-f", "-"], &text);
    assert_eq!(exit, 0);
    assert!(said.contains("With Envoy Gateway, which has one cluster for each rule"), "{said}");
    assert!(said.ends_with("0 errors and 0 warnings in 2 documents of tidegate.io\n"), "{said}");
}

#[test]
fn what_it_does_not_know_does_not_pass_for_good() {
    let group = |version: &str| ROLLOUT.replace("tidegate.io/v1alpha1", version);
    for (text, code, expected) in [
        ("just words\n".to_owned(), 1, "error: it is no manifest"),
        (group("").replace("apiVersion: \n", ""), 1, "Rollout checkout: error: it has no apiVersion: "),
        ("spec: {}\n".to_owned(), 1, "error: it has no apiVersion and no kind: "),
        (group("tidegate.io"), 0, "warning: it is of apiVersion tidegate.io and is not looked at: write apiVersion"),
        (group("Tidegate.io/v1alpha1"), 0, "is not looked at: write apiVersion: tidegate.io/v1alpha1"),
        (group("tidegate.dev/v1alpha1"), 0, "is not looked at: write apiVersion: tidegate.io/v1alpha1"),
        (group("argoproj.io/v1alpha1"), 0, "standard input: warning: there is nothing to look at"),
        (String::new(), 0, "standard input: warning: there is nothing to look at"),
        (format!("\u{feff}{ROLLOUT}"), 0, "Rollout checkout: warning: nothing judges a release"),
        (format!("{ROLLOUT}---{ROLLOUT}"), 1, "Rollout checkout: error: it is there twice in these files"),
    ] {
        let (exit, said) = lint(&["-f", "-"], &text);
        assert!(said.contains(expected), "{expected:?} is not in {said}");
        assert_eq!(exit, code, "{said}");
        assert_eq!(lint(&["-f", "-", "--strict"], &text).0, 1, "{said}");
    }
    let argo = group("argoproj.io/v1alpha1");
    let two_namespaces = ROLLOUT.replace("{name: checkout}\nspec", "{name: checkout, namespace: b}\nspec");
    for text in [format!("{ROLLOUT}---{argo}"), format!("{ROLLOUT}---{two_namespaces}")] {
        let (exit, said) = lint(&["-f", "-"], &text);
        assert!(exit == 0 && !said.contains("not looked at") && !said.contains("twice"), "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding_beside_those_of_the_others() {
    let (exit, said) = lint(&["-f", "/nonexistent/a.yaml", "-f", "-", "-o", "json"], ROLLOUT);
    let findings: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(exit, 1);
    assert_eq!((&findings[0]["file"], &findings[0]["severity"]), (&"/nonexistent/a.yaml".into(), &"error".into()));
    assert_eq!(findings[1]["object"], "Rollout checkout");
    let (exit, said) = lint(&["-f", "-"], "a: [\n");
    assert_eq!(exit, 1);
    assert!(said.contains("standard input: error: it cannot be read: it is not YAML: "), "{said}");
}

#[test]
fn the_queries_of_a_template_are_looked_at_though_no_rollout_uses_it() {
    let template = |metric: &str| {
        let (version, kind) = ("apiVersion: tidegate.io/v1alpha1", "kind: ClusterAnalysisTemplate");
        format!(
            "{version}\n{kind}\nmetadata: {{name: golden}}\nspec: {{args: [{{name: code}}], metrics: [{metric}]}}\n"
        )
    };
    for (metric, errors) in [
        (r#"{name: a, ratio: {bad: 'a{c="{{ args.code }}",r="{{ revision }}"}', total: 'a{r="{{ revision }}"}'}}"#, 0),
        (r#"{name: a, ratio: {bad: 'a{c="{{ args.kode }}",r="{{ revision }}"}', total: 'a{r="{{ revision }}"}'}}"#, 1),
        (r#"{name: a, gauge: {query: 'sum(a{r="{{ revision }}"}'}}"#, 1),
        (r#"{name: a, latency: {histogram: 'a_bucket{r="{{ revision }}"}', threshold: 0s}}"#, 1),
    ] {
        let said = lint(&["-f", "-"], &template(metric)).1;
        assert_eq!(said.matches(": error: ").count(), errors, "{metric}: {said}");
    }
}

#[test]
fn the_schema_and_the_code_speak_in_one_go_and_each_thing_is_said_once() {
    let text = ROLLOUT.replace("bake: 1m", "bake: 0s") + "  minReadySeconds: soon\n  analysis: {templates: 3}\n";
    let (_, said) = lint(&["-f", "-"], &text);
    assert!(said.contains("spec.analysis.templates: Invalid value: must be of type array"), "{said}");
    let text = ROLLOUT.replace("bake: 1m", "bake: 0s").replace("weight: 5", "weight: \"5\", gates: [{name: a, x: 1}]");
    let (_, said) = lint(&["-f", "-"], &text);
    assert_eq!(said.matches("steps[0].bake").count(), 1, "{said}");
}

#[test]
fn a_manifest_cannot_write_findings_or_move_the_cursor() {
    let name = r#"{name: "a\e[2J\nx: error: y"}"#;
    let text = ROLLOUT.replacen("{name: checkout}", name, 1).replace("weight: 5", r#"weight: 5, "b\nc\e": 1"#);
    let (_, said) = lint(&["-f", "-"], &text);
    assert!(
        said.contains(r"Rollout a\u{1b}[2J\nx: error: y: error: spec.strategy.canary.steps[0].b\nc\u{1b} is not"),
        "{said}"
    );
    assert!(said.lines().all(|line| line.starts_with("standard input: ") || line.contains(" in 1 document")), "{said}");
    assert!(!said.replace('\n', "").contains(char::is_control), "{said:?}");
}
