//! The program as its callers see it: exit codes, sentences on standard error, and the committed reference.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

/// The program with nothing of this machine's: no kubeconfig, no home, no colours to want.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", "/nonexistent").args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn kubeconfig(name: &str, server: &str) -> String {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: dev\n\
         clusters: [{{name: dev, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: ana, user: {{}}}}]\n\
         contexts: [{{name: dev, context: {{cluster: dev, user: ana, namespace: shop}}}}]\n"
    );
    file(name, &text).display().to_string()
}

#[test]
fn wrong_arguments_exit_with_2_and_say_what_there_is() {
    for (arguments, words) in [
        (&["promot", "checkout"][..], "promote"),
        (&["approve", "checkout"], "--gate"),
        (&["abort", "checkout", "--timeout", "soon"], "not a duration"),
        (&["verdict", "-", "--beta", "5"], "'5' for '--beta <BETA>': must be a number between 0 and 1"),
        (&["verdict", "-", "--pass-margin", "1.5"], "--pass-margin <RATIO,ABS>"),
        (
            &["controller", "--log-level", "warning"],
            "\"warning\" is no level: write off, error, warn, info, debug or trace",
        ),
        (&["controller", "--log-level", "info,inof"], "\"inof\" is no level"),
        (&["controller", "--log-level", ""], "\"\" is no level"),
        (&["controller", "--log-level", "info,kube=wran"], "a filter such as info,kube=warn"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn failures_exit_with_1_and_a_sentence_with_a_hint() {
    let empty = file("empty.yaml", "apiVersion: v1\nkind: Config\n").display().to_string();
    // Port 9 is discard's: nothing listens there.
    let dead = kubeconfig("dead.yaml", "http://127.0.0.1:9");
    for (arguments, sentence, hint) in [
        (
            vec!["get", "rollout", "x"],
            "error: failed to find a cluster: no kubeconfig and no service account of a pod\n",
            "hint: Name one with --kubeconfig FILE or set KUBECONFIG\n",
        ),
        (
            vec!["get", "rollout", "x", "--kubeconfig", "/nonexistent/config"],
            "error: failed to read the kubeconfig /nonexistent/config: ",
            "hint: Name another one with --kubeconfig FILE or KUBECONFIG\n",
        ),
        (
            vec!["abort", "x", "--kubeconfig", &empty],
            "error: failed to choose a context: the kubeconfig has no current one\n",
            "hint: Choose one with --context",
        ),
        (
            vec!["abort", "x", "--kubeconfig", &dead, "--context", "de"],
            "error: failed to find context \"de\" in the kubeconfig\n",
            "hint: Did you mean dev?\n",
        ),
        (
            vec!["get", "rollout", "x", "--kubeconfig", &dead],
            "error: failed to read Rollout x: the API server at http://127.0.0.1:9 does not answer: ",
            "hint: Check --context and --kubeconfig",
        ),
        (
            vec!["get", "rollouts", "-o", "tree"],
            "error: failed to use --output tree here: it shows one Rollout\n",
            "hint: Name it: tidegate get rollout NAME\n",
        ),
        (
            vec!["verdict", "/nonexistent/windows.jsonl"],
            "error: failed to read windows from /nonexistent/windows.jsonl: No such file",
            "hint: Name a file with one window a line, or - for standard input\n",
        ),
        (
            vec!["verdict", "-", "--fail-margin", "2,0.01"],
            "error: failed to use --pass-margin 1.5,0.0005: it lies below --fail-margin 2,0.01\n",
            "hint: Give a --pass-margin",
        ),
    ] {
        let output = run(&arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.starts_with(sentence) && text.contains(hint), "{arguments:?}: {text}");
        assert!(!text.contains('\x1b'), "{arguments:?}: colours without a terminal");
    }
}

#[test]
fn what_needs_no_cluster_is_answered_without_one() {
    for (arguments, words) in [
        (&["version"][..], concat!("tidegate ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], "Usage: tidegate"),
        (&["completion", "bash"], "approve"),
        (&["crds"], "rolloutactions.tidegate.io"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).contains(words), "{arguments:?}");
    }
}

/// Windows as recorded data: canary bad, canary total, control bad, control total.
fn windows(rows: &Value) -> String {
    let line = |row: &Value| json!({ "xc": row[0], "nc": row[1], "xs": row[2], "ns": row[3] }).to_string() + "\n";
    rows.as_array().unwrap().iter().map(line).collect()
}

fn rows(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The program with an input.
fn given(arguments: &[&str], input: &str) -> Output {
    let mut command = program(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn recorded_windows_are_judged_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(include_str!("data/verdict_vectors.json")).unwrap();
    let fail = windows(&vectors["V2"]["windows"]);
    for (vector, key) in [("V2", "e_fail"), ("V2b", "e_fail"), ("V3", "e_pass")] {
        let seen = rows(&given(&["verdict", "-", "-o", "json"], &windows(&vectors[vector]["windows"])));
        let wanted = vectors[vector]["evidence"].as_array().unwrap();
        assert_eq!(seen.len(), wanted.len());
        for (row, wanted) in seen.iter().zip(wanted) {
            let (got, wanted) = (row[key].as_f64().unwrap(), wanted.as_f64().unwrap());
            assert!((got - wanted).abs() <= 1e-6 * wanted, "{vector}: {row}, not {wanted}");
        }
    }
    let path = file("v2.jsonl", &fail).display().to_string();
    let states: Vec<_> = rows(&run(&["verdict", &path, "-o", "json"])).iter().map(|row| row["state"].clone()).collect();
    assert_eq!((&states[3], &states[4]), (&json!("Undecided"), &json!("Fail")));
    let text = stdout(&run(&["verdict", "--metric", "errors", &path]));
    let last = "metric errors: Fail (WorseThanControl) at window 5: evidence 876 of 100 = 1/(alpha w) that the canary's bad ratio \
                is above 1.1 x the control's + 0.01 points; it is at least 0.645 points above the control's, at least 3.36 \
                times it (99 % sure); bad: 8 of 248 of the canary, 4 of 4744 of the control; 10 windows used";
    assert_eq!((text.lines().count(), text.lines().last()), (7, Some(last)), "{text}");
    assert_eq!(stdout(&run(&["verdict", "--metric", "errors", "--summary", &path])), format!("{last}\n"));
    let slow = rows(&given(&["verdict", "-", "-o", "json", "--confirm", "8"], &fail));
    assert_eq!(slow[6]["reason"], "Suspicious", "8 windows are asked for");
}

#[test]
fn windows_that_cannot_be_used_say_why_and_count_for_nothing() {
    let good = "{\"xc\":0,\"nc\":48,\"xs\":1,\"ns\":950}\n";
    let flawed = [
        ("{\"xc\":NaN,\"nc\":48,\"xs\":1,\"ns\":950}", "NotFinite"),
        ("{\"xc\":0,\"nc\":1e999,\"xs\":1,\"ns\":950}", "NotFinite"),
        ("{\"xc\":0,\"nc\":48,\"xs\":-1,\"ns\":950}", "NegativeCount"),
        ("{\"xc\":49,\"nc\":48,\"xs\":1,\"ns\":950}", "BadAboveTotal"),
        ("{\"xc\":0,\"nc\":48", "BrokenLine"),
    ];
    let lines: String = flawed.iter().map(|(line, _)| format!("{line}\n")).collect();
    let rows = rows(&given(&["verdict", "-", "-o", "json"], &format!("{good}{lines}{good}")));
    for (row, (line, reason)) in rows[1..6].iter().zip(flawed) {
        let seen = (&row["state"], &row["reason"], &row["unused"], &row["e_fail"]);
        assert_eq!(seen, (&json!("Undecided"), &json!(reason), &json!(reason), &rows[0]["e_fail"]), "{line}");
    }
    let clean = given(&["verdict", "-", "-o", "json"], &format!("{good}{good}"));
    let last: Value = serde_json::from_str(stdout(&clean).lines().last().unwrap()).unwrap();
    assert_eq!((&rows[6]["e_fail"], &rows[6]["upper"]), (&last["e_fail"], &last["upper"]));
    let summary = stdout(&given(&["verdict", "-", "--summary"], &format!("{good}{lines}{good}")));
    let why = "2 windows used, 5 left out (BadAboveTotal 1, BrokenLine 1, NegativeCount 1, NotFinite 2)\n";
    assert!(summary.ends_with(why), "{summary}");
}

#[cfg(unix)]
#[test]
fn as_a_kubectl_plugin_the_help_shows_kubectl() {
    let link = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl-tidegate");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegate"), &link).unwrap();
    let output = Command::new(&link).args(["promote", "--help"]).output().unwrap();
    assert!(stdout(&output).contains("Usage: kubectl tidegate promote"), "{}", stdout(&output));
}

#[test]
fn the_reference_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    let printed = tidegate::cli::reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &printed).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, committed, "docs/reference/cli.md is old; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn a_record_whose_decisions_are_gone_was_changed() {
    let record = |status: Value| json!({"apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutRun", "metadata": {"name": "app-1"}, "status": status});
    for (status, code, said) in [
        (json!({"seq": 0}), Some(0), "RolloutRun app-1  no decisions yet"),
        (json!({"seq": 14}), Some(3), "the log: status.seq is 14, and there are no decisions: 0 is expected"),
    ] {
        let file = file(&format!("audit-{}.json", status["seq"]), &record(status).to_string());
        let output = run(&["audit", "verify", "--filename", &file.display().to_string()]);
        assert_eq!(output.status.code(), code, "{}", stderr(&output));
        assert!(stdout(&output).contains(said), "{}", stdout(&output));
    }
}
