//! The program as its callers see it: exit codes, sentences on standard error, and the committed reference.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

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
