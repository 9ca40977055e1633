//! `tidegate plan` as its callers see it: pages, failures, and the figures of a metrics server.
//!
//! `tests/golden/plan/NAME.yaml` begins with the flags, `NAME.txt` is the page. `UPDATE_GOLDEN=1 cargo test --test plan` writes
//! the pages and the example in `docs/planning.md` anew; review the difference.

#[path = "plan/server.rs"]
mod server;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use server::Server;

const MOST_LINES: usize = 80;
const MOST_COLUMNS: usize = 76;
const EXAMPLE: &str = "deploy/examples/http-canary.yaml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program with nothing of this machine's, and this on standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", "/nonexistent").arg("plan").args(arguments).current_dir(root());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn page(arguments: &[&str], input: &str) -> String {
    let output = run(arguments, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compare(path: &Path, shown: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, shown).unwrap();
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(shown, wanted, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn each_plan_is_shown_as_its_page() {
    let mut pages = 0;
    for entry in fs::read_dir(root().join("tests/golden/plan")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let flags = text.lines().next().unwrap().trim_start_matches("# ").split(' ');
        let arguments: Vec<&str> = flags.chain(["-f", "-"]).collect();
        let shown = page(&arguments, &text);
        compare(&path.with_extension("txt"), &shown);
        assert!(shown.lines().count() <= MOST_LINES, "{} has more than {MOST_LINES} lines", path.display());
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= MOST_COLUMNS, "{} has {widest} columns", path.display());
        assert!(!shown.contains('\x1b'), "colours without a terminal");
        pages += 1;
    }
    assert_eq!(pages, 4);
}

#[test]
fn the_example_of_the_docs_is_what_the_program_says() {
    let path = root().join("docs/planning.md");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("$ tidegate plan")).unwrap();
    let arguments: Vec<&str> = line.split(' ').skip(3).collect();
    let (head, rest) = text.split_once(&format!("{line}\n")).unwrap();
    let (_, tail) = rest.split_once("```").unwrap();
    compare(&path, &format!("{head}{line}\n{}```{tail}", page(&arguments, "")));
}

/// Numbers with 12 digits: parsers differ in the last bit.
fn shortened(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(format!("{:.11e}", number.as_f64().unwrap())),
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), shortened(value))).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn json_and_yaml_hold_the_same_list() {
    let arguments = ["-f", EXAMPLE, "--rps", "40", "--error-ratio", "0.001", "-o"];
    let json: Value = serde_json::from_str(&page(&[&arguments[..], &["json"]].concat(), "")).unwrap();
    let yaml: Value = serde_yaml_ng::from_str(&page(&[&arguments[..], &["yaml"]].concat(), "")).unwrap();
    assert_eq!(shortened(&json), shortened(&yaml));
    let plan = &json[0];
    assert_eq!((&plan["rollout"], plan["stages"].as_array().unwrap().len()), (&json!("checkout"), 5));
    let stage = &plan["stages"][1];
    assert_eq!((&stage["step"], &stage["weight"], &stage["bake"]), (&json!(2), &json!(25), &json!("5m")));
    assert!(stage["finding"]["smallestRise"].as_f64().unwrap() > 0.0, "{stage}");
    assert!(stage["worst"]["requests"].as_f64().unwrap() > 0.0, "{stage}");
    assert_eq!(plan["budget"]["allowanceRequests"], 1_037);
}

#[test]
fn what_cannot_be_planned_is_said_with_the_fix() {
    let broken = fs::read_to_string(root().join(EXAMPLE)).unwrap();
    let broken =
        broken.replace("weight: 50, bake: 5m", "weight: 10, bake: 0s").replace("objective: \"99.9\"", "objective: 100");
    for (arguments, input, sentence, words) in [
        (
            vec!["-f", EXAMPLE],
            "",
            "error: failed to plan Rollout checkout: its requests per second and its error ratio are not known\n",
            "hint: Give them with --rps 40 --error-ratio 0.001, or have them measured with --from-prometheus\n",
        ),
        (
            vec!["-f", EXAMPLE, "--rps", "40"],
            "",
            "error: failed to plan Rollout checkout: its error ratio is not known\n",
            "--error-ratio",
        ),
        (vec!["-f", "/nonexistent.yaml"], "", "error: failed to read /nonexistent.yaml: ", ""),
        (vec!["-f", "-"], "kind: [", "error: failed to read standard input: it is not YAML: ", ""),
        (
            vec!["-f", "-"],
            "kind: Service\n",
            "error: failed to find a Rollout of tidegate.io in standard input: it has Service\n",
            "hint: Name the file",
        ),
        (
            vec!["-f", "-", "--rps", "1", "--error-ratio", "0"],
            &broken,
            "error: standard input has 3 problems\n  Rollout checkout: spec.strategy.canary.steps[2].weight is 10 after 25: ",
            "\n  Rollout checkout: spec.errorBudget.objective is 100: it must be above 0 and below 100",
        ),
        (vec!["-f", EXAMPLE, "--from-prometheus"], "", "error: failed to find a cluster: ", "--kubeconfig"),
        (
            vec!["-f", EXAMPLE, "--prometheus", "http://127.0.0.1:9"],
            "",
            "error: failed to measure the traffic of Rollout checkout: http://127.0.0.1:9: metric errors: failed to reach the metrics server\n",
            "hint: Name a server that answers from here with --prometheus URL",
        ),
    ] {
        let output = run(&arguments, input);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.starts_with(sentence) && text.contains(words), "{arguments:?}: {text}");
    }
}

/// The example with more documents behind it.
fn with(more: &str) -> String {
    fs::read_to_string(root().join(EXAMPLE)).unwrap() + more
}

fn policy(name: &str, spec: &str) -> String {
    format!("---\napiVersion: tidegate.io/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[test]
fn policies_of_the_file_are_asked_and_answer_in_the_controllers_words() {
    let strict = policy("strict", "{limits: {maxFirstStep: 1, maxSpend: '0.5'}, approvals: {required: 2}}");
    let second = policy(
        "hosts",
        "{traffic: {hostnames: [shop.org]}, analysis: {metrics: [latency], templates: [{name: golden}]}}",
    );
    let all = with(&[strict, second].concat());
    let output = run(&["-f", "-", "--rps", "40", "--error-ratio", "0.001"], &all);
    let shown = String::from_utf8(output.stdout).unwrap().replace("\n  ", " ");
    for sentence in [
        "\nrefused: RolloutPolicy hosts: spec.analysis has no metric latency, HTTPRoute checkout has the hostname checkout.example.com, \
         which is not allowed; RolloutPolicy strict: spec.strategy has no gate with 2 approvals before weight 100 (the largest there has 1), \
         spec.strategy has a first step to weight 5, 1 at most, spec.errorBudget.maxSpend is 1, 0.5 at most\n",
        "\nrefused: RolloutPolicy hosts: spec.analysis.templates lacks ClusterAnalysisTemplate golden\n",
    ] {
        assert!(shown.contains(sentence), "{sentence}\n{shown}");
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: no run of Rollout checkout would start: RolloutPolicies are against it\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_policy_speaks_of_the_rollouts_that_it_selects() {
    let limit = "limits: {maxFirstStep: 1}";
    let namespace = "---\nkind: Namespace\nmetadata: {name: shop, labels: {env: production}}\n";
    for (spec, flags, is_refused, assumed) in [
        (format!("{{{limit}}}"), "", true, ""),
        (format!("{{namespaces: {{names: [shop]}}, {limit}}}"), "--namespace shop", true, ""),
        (format!("{{namespaces: {{names: [bank]}}, {limit}}}"), "--namespace shop", false, ""),
        (format!("{{namespaces: {{names: [bank]}}, {limit}}}"), "", true, "a namespace that RolloutPolicy p selects"),
        (format!("{{namespaces: {{matchLabels: {{env: production}}}}, {limit}}}"), "--namespace shop", true, ""),
        (format!("{{namespaces: {{matchLabels: {{env: staging}}}}, {limit}}}"), "--namespace shop", false, ""),
        (
            format!("{{namespaces: {{matchLabels: {{env: staging}}}}, {limit}}}"),
            "--namespace bank",
            true,
            "a namespace that RolloutPolicy p selects",
        ),
        (format!("{{rollouts: {{matchLabels: {{tier: critical}}}}, {limit}}}"), "", false, ""),
        ("{freezeWindows: [{name: w, schedule: '0 25 * * *', duration: 1h}]}".into(), "", true, ""),
        ("{limits: {maxFirstStep: much}}".into(), "", true, ""),
    ] {
        let arguments: Vec<&str> =
            "-f - --rps 40 --error-ratio 0.001".split(' ').chain(flags.split_whitespace()).collect();
        let output = run(&arguments, &with(&(policy("p", &spec) + namespace)));
        let shown = String::from_utf8(output.stdout).unwrap().replace("\n  ", " ");
        let expected = i32::from(is_refused);
        assert_eq!(
            (output.status.code(), shown.contains("\nrefused: RolloutPolicy p")),
            (Some(expected), is_refused),
            "{spec}: {shown}"
        );
        assert_eq!(shown.contains("that RolloutPolicy p selects"), !assumed.is_empty(), "{spec}: {shown}");
    }
}

/// 40 req/s of which 0.2 % are bad, in counters of Contour's cluster of the application's Service.
fn answer_query(query: &str) -> f64 {
    let is_bad = query.contains("envoy_response_code_class");
    assert!(query.contains("envoy_cluster_name=\"shop_checkout_8080\""), "{query}");
    let seconds: f64 = if query.contains("[3600s]") { 3_600.0 } else { 300.0 };
    40.0 * seconds * if is_bad { 0.002 } else { 1.0 }
}

#[test]
fn an_address_is_asked_without_a_cluster() {
    let server = Server::start(answer_query, &[]);
    let mut text = fs::read_to_string(root().join(EXAMPLE)).unwrap().replace("port: 80}", "port: 8080}");
    text = text.replace(
        "metadata:\n  name: checkout\nspec:\n  release",
        "metadata:\n  name: checkout\n  namespace: shop\nspec:\n  release",
    );
    let shown = page(&["-f", "-", "--prometheus", &server.address, "--scrape-interval", "5s"], &text);
    assert!(shown.starts_with("Plan of Rollout shop/checkout  40 req/s, 0.2 % of them bad\n"), "{shown}");
    let assumed = format!("the rate of the last 1h by {}", server.address);
    assert!(shown.replace("\n  ", " ").contains(&assumed), "{shown}");
    let given = page(&["-f", "-", "--prometheus", &server.address, "--error-ratio", "0.01"], &text);
    assert!(given.starts_with("Plan of Rollout shop/checkout  40 req/s, 1 % of them bad\n"), "{given}");
}

#[test]
fn the_cluster_says_whom_to_ask_and_what_for() {
    let metrics = Server::start(answer_query, &[]);
    let selector = "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"{{ route.cluster }}\"";
    let ratio =
        json!({"bad": format!("{selector},envoy_response_code_class=\"5\"}}"), "total": format!("{selector}}}")});
    let of = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "tidegate.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let provider = of(
        "MetricsProvider",
        "main",
        json!({"address": metrics.address, "default": true, "scrapeInterval": "5s", "allowAddresses": ["Loopback"]}),
    );
    let route = json!({"spec": {"rules": [{"backendRefs": [{"name": "checkout", "port": 8080}]}]},
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "checkout"}});
    let ours = "/apis/tidegate.io/v1alpha1";
    let cluster = Server::start(
        answer_query,
        &[
            (format!("{ours}/metricsproviders"), json!({"metadata": {}, "items": [provider]})),
            (
                format!("{ours}/namespaces/shop/analysistemplates/http-golden-signals"),
                of("AnalysisTemplate", "http-golden-signals", json!({"metrics": [{"name": "errors", "ratio": ratio}]})),
            ),
            ("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/checkout".into(), route),
        ],
    );
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plan-kubeconfig.yaml");
    let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": {"server": cluster.address}}], "users": [{"name": "ana", "user": {}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "ana", "namespace": "shop"}}]});
    fs::write(&config, text.to_string()).unwrap();
    let rollout = fs::read_to_string(root().join("tests/golden/plan/many-steps.yaml")).unwrap();
    let arguments = ["-f", "-", "--from-prometheus", "--kubeconfig", config.to_str().unwrap()];
    let shown = page(&arguments, &rollout);
    assert!(shown.starts_with("Plan of Rollout checkout  40 req/s, 0.2 % of them bad\n"), "{shown}");
    let flowed = shown.replace("\n  ", " ");
    assert!(
        flowed.contains("by MetricsProvider main") && flowed.contains("a scrape every 5s (MetricsProvider main)"),
        "{shown}"
    );
    assert!(
        flowed.contains("0.5 % of 259200000 requests in 720h)"),
        "what is written goes before what is measured: {shown}"
    );
    // A Rollout that cannot be measured comes first: the other one gets its plan all the same.
    let unmeasured = rollout.replacen("{name: checkout}", "{name: cart}", 1).replacen(
        "analysis: {",
        "analysis: {provider: gone, ",
        1,
    );
    let output = run(&arguments, &format!("{unmeasured}\n---\n{rollout}"));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (both, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), both.as_str()), (Some(1), shown.as_str()), "{error}");
    let said = "error: failed to plan 1 of 2 Rollouts: failed to choose a MetricsProvider for Rollout cart: gone does not exist";
    assert!(error.starts_with(said) && error.contains("\nhint: Name a server"), "{error}");
}
