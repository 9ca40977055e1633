//! `tidegate simulate` as its callers see it: every example's manifest, what can go wrong in it, and exit codes.
//!
//! `UPDATE_GOLDEN=1 cargo test --test simulate` writes the pages of `tests/golden/simulate` and the examples in README.md and
//! `docs/simulating.md` anew; review the difference.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const MOST_COLUMNS: usize = 76;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program with nothing of this machine's, and this on standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", "/nonexistent").arg("simulate").args(arguments).current_dir(root());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn page(arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(arguments, input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("BROKEN LAW"), "{arguments:?}: {text}");
    text
}

fn compare(path: &Path, shown: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, shown).unwrap();
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(shown, wanted, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn every_example_is_promoted_when_nothing_goes_wrong() {
    for name in ["blue-green", "deployment-ref", "http-canary", "no-route", "threshold"] {
        let file = format!("deploy/examples/{name}.yaml");
        let shown = page(&["-f", &file, "--approve"], "", 0);
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= MOST_COLUMNS, "{name} has {widest} columns");
        compare(&root().join(format!("tests/golden/simulate/{name}.txt")), &shown);
    }
}

#[test]
fn what_goes_wrong_is_found_and_ends_as_the_product_says() {
    let file = fs::read_to_string(root().join("deploy/examples/http-canary.yaml")).unwrap();
    let brief = file.replace("bake: 5m", "bake: 3m").replace("soak: 15m", "soak: 3m");
    for (flags, code, words) in [
        ("--canary-errors 20%", 3, "Reverted after"),
        ("--canary-errors 20% --from-step 2", 3, "fails 20 % of its requests"),
        ("--pods-never-ready", 3, "Reverted after"),
        ("--abort-at 3m", 3, "Aborted after"),
        ("", 4, "tidegate approve"),
        ("--for 1m --approve", 4, "Still open after 1m"),
        ("--slow-pods 2m --approve", 0, "Promoted after"),
        ("--prometheus-down 5m --approve", 0, "the metrics server answers again"),
        ("--reset-route --approve", 0, "another tool writes route checkout back"),
        ("--controller-restarts 5 --approve", 0, "the controller is killed"),
    ] {
        let arguments: Vec<&str> = ["-f", "-"].into_iter().chain(flags.split_whitespace()).collect();
        let shown = page(&arguments, &brief, code);
        assert!(shown.replace("\n  ", " ").contains(words), "{flags}: {shown}");
    }
}

#[test]
fn the_namespace_is_the_written_one_else_the_given_one() {
    let bare = "apiVersion: tidegate.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec:\n  \
        workload: {deploymentRef: {name: a}}\n  traffic: {services: [{name: a}]}\n  \
        strategy: {canary: {steps: [{weight: 10, bake: 5m}]}}\n";
    let written = bare.replace("metadata: {", "metadata: {namespace: bank, ");
    for (text, flags, namespace, is_said) in [
        (bare, vec!["-n", "shop"], "shop", true),
        (bare, vec![], "default", false),
        (&*written, vec!["-n", "shop"], "bank", false),
    ] {
        let arguments: Vec<&str> = flags.into_iter().chain(["-f", "-", "--for", "1m", "-o", "json"]).collect();
        let told: Value = serde_json::from_str(&page(&arguments, text, 4)).unwrap();
        assert_eq!(told[0]["namespace"], namespace, "{arguments:?}");
        let assumed = told[0]["assumed"].as_array().unwrap();
        assert_eq!(assumed.contains(&"namespace shop (--namespace)".into()), is_said, "{assumed:?}");
    }
}

#[test]
fn policies_of_the_file_hold_as_they_would() {
    let file = fs::read_to_string(root().join("deploy/examples/http-canary.yaml")).unwrap();
    let brief = file.replace("bake: 5m", "bake: 3m").replace("soak: 15m", "soak: 3m");
    let window = |minute: u32, minutes: u32| {
        format!("{{freezeWindows: [{{name: lunch, schedule: '{minute} * * * *', duration: {minutes}m}}]}}")
    };
    for (spec, limit, code, words) in [
        // Some minutes of the hour: the release waits, or stays where it is, and goes on by itself.
        (
            window(0, 10),
            "1h",
            0,
            "a new template waits: freeze window lunch of RolloutPolicy p ends at 2026-01-01T00:10:00Z",
        ),
        (
            window(3, 12),
            "1h",
            0,
            "freeze window lunch of RolloutPolicy p ends at 2026-01-01T00:15:00Z; the run stays at weight",
        ),
        (
            "{limits: {maxFirstStep: 1}}".into(),
            "3m",
            4,
            "RolloutPolicy p: spec.strategy has a first step to weight 5, 1 at most",
        ),
        ("{namespaces: {names: [bank]}, limits: {maxFirstStep: 1}}".into(), "1m", 4, "step 1, weight 5: Baking"),
        (
            "{namespaces: {matchLabels: {env: production}}, limits: {maxFirstStep: 1}}".into(),
            "3m",
            4,
            "Namespace default made up",
        ),
    ] {
        let policy = format!(
            "---\napiVersion: tidegate.io/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
        );
        let shown = page(&["-f", "-", "--approve", "--for", limit], &(brief.clone() + &policy), code);
        assert!(shown.replace("\n         ", " ").replace("\n  ", " ").contains(words), "{spec}: {shown}");
    }
}

#[test]
fn a_release_waits_while_the_service_burns_its_budget_by_whatever_the_metric_tells_revisions_apart() {
    let file = fs::read_to_string(root().join("deploy/examples/http-canary.yaml")).unwrap();
    let policy =
        "---\napiVersion: tidegate.io/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: p}\nspec: {errorBudget: {}}\n";
    let by_proxy = r#"envoy_cluster_name="{{ route.cluster }}""#;
    for matcher in [by_proxy, r#"pod=~"{{ pods }}""#, r#"revision="{{ revision }}""#] {
        let manifest = file.replace(by_proxy, matcher) + policy;
        for (errors, words) in [
            ("5%", "Pending: a new template waits: the service burns its error budget 50.0 times as fast"),
            ("0.1%", "step 1, weight 5: Baking"),
        ] {
            let shown = page(&["-f", "-", "--error-ratio", errors, "--for", "2m"], &manifest, 4);
            assert!(shown.replace("\n         ", " ").contains(words), "{matcher} {errors}: {shown}");
        }
    }
}

#[test]
fn a_seed_gives_one_output_as_json_too() {
    let arguments = |seed: &'static str| ["-f", "deploy/examples/no-route.yaml", "-o", "json", "--seed", seed];
    let (one, other) = (page(&arguments("1"), "", 0), page(&arguments("2"), "", 0));
    assert_eq!(one, page(&arguments("1"), "", 0));
    assert_ne!(one, other);
    let story: Value = serde_json::from_str(&one).unwrap();
    let story = &story[0];
    assert_eq!((&story["rollout"], &story["outcome"]), (&"mailer".into(), &"Promoted".into()));
    let weights: Vec<String> =
        story["weights"].as_array().unwrap().iter().map(|weight| weight["weight"].to_string()).collect();
    assert_eq!(weights, ["0", "15", "50", "100"], "{story}");
    assert_eq!(story["lostRequests"], 0);
}

const ALONE: &str = "apiVersion: tidegate.io/v1alpha1\nkind: Rollout\nmetadata: {name: cart, namespace: shop}\nspec:\n  \
    workload: {deploymentRef: {name: cart}}\n  \
    traffic: {services: [{name: cart}], routes: [{gatewayAPI: {name: cart}}]}\n  \
    strategy: {canary: {steps: [{weight: 10, bake: 5m}]}}\n  \
    analysis: {templates: [{kind: ClusterAnalysisTemplate, name: linkerd}]}\n  errorBudget: {objective: \"99.9\"}\n";

#[test]
fn a_lone_rollout_gets_what_it_lacks_and_that_is_said() {
    let output = run(&["-f", "-", "--canary-errors", "30%"], ALONE);
    let shown = String::from_utf8(output.stdout).unwrap().replace("\n  ", " ");
    assert_eq!(output.status.code(), Some(3), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for kind in ["Deployment cart", "Service cart", "HTTPRoute cart", "MetricsProvider prometheus", "linkerd"] {
        assert!(shown.contains(kind), "{kind}: {shown}");
    }
}

#[test]
fn what_cannot_be_simulated_is_said() {
    for (arguments, input, code, words) in [
        (vec!["-f", "-"], "kind: Service\n", 1, "failed to find a Rollout of tidegate.io in standard input"),
        (vec!["-f", "-"], &*ALONE.replace("5m", "0s"), 1, "spec.strategy.canary.steps[0].bake is 0s"),
        (vec!["-f", "-", "--from-step", "9"], ALONE, 1, "--from-step is 9, and it has 2 steps"),
        (vec!["-f", "-", "--canary-errors", "2"], ALONE, 2, "such as 2% or 0.02"),
    ] {
        let output = run(&arguments, input);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && text.contains(words), "{arguments:?}: {text}");
    }
}

/// Each `$ tidegate simulate` of a text is followed by what the program says.
#[test]
fn the_examples_of_the_docs_are_what_the_program_says() {
    for (file, count) in [("README.md", 1), ("docs/simulating.md", 1)] {
        let path = root().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let mut shown = text.clone();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("$ tidegate simulate")).collect();
        assert_eq!(lines.len(), count, "{file}");
        for line in lines {
            let arguments: Vec<&str> = line.split(' ').skip(3).collect();
            let output = run(&arguments, "");
            let (head, rest) = shown.split_once(&format!("{line}\n")).unwrap();
            let (_, tail) = rest.split_once("```").unwrap();
            shown = format!("{head}{line}\n{}```{tail}", String::from_utf8(output.stdout).unwrap());
        }
        compare(&path, &shown);
    }
}
