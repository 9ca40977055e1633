//! The chart as Helm renders it: linted, compared with golden files, refused with a sentence where values are wrong.
//! `make chart` runs it with the lab's Helm; `UPDATE_GOLDEN=1` writes the golden files and `deploy/tidegate.yaml` anew.
//!
//! No cluster; a real installation is in `e2e/install`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NAMESPACE: &str = "tidegate-system";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn helm(arguments: &[&str]) -> Output {
    let lab = root().join("target/lab");
    let run = Command::new(&lab).arg("helm").args(arguments).current_dir(root()).output();
    run.unwrap_or_else(|error| panic!("{}: {error}: run this by make chart", lab.display()))
}

/// What Helm prints, without what it says about the chart's link to the CRDs.
fn errors(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().filter(|line| !line.contains("symbolic link")).map(|line| format!("{line}\n")).collect()
}

fn template(more: &[&str]) -> String {
    let fixed = ["template", "tidegate", "charts/tidegate", "--namespace", NAMESPACE];
    let output = helm(&[&fixed, more].concat());
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The documents of a rendering by kind and name, without Helm's remarks.
fn documents(rendered: &str) -> BTreeMap<String, String> {
    let documents = rendered.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
    let tidy = documents.map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("# Source:") && !line.trim().is_empty());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    });
    tidy.filter(|text| !text.is_empty()).map(|text| (title(&text), text)).collect()
}

fn title(document: &str) -> String {
    let parsed: serde_json::Value =
        serde_yaml_ng::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    let text = |pointer: &str| parsed.pointer(pointer).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
    format!("{} {} {}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Lines that went and came, in their order, by the longest common subsequence.
fn changes(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (row, line) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            let longer = common[row + 1][column].max(common[row][column + 1]);
            common[row][column] = if line == other { common[row + 1][column + 1] + 1 } else { longer };
        }
    }
    let (mut row, mut column, mut text) = (0, 0, String::new());
    while row < old.len() || column < new.len() {
        if row < old.len() && column < new.len() && old[row] == new[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == new.len() || (row < old.len() && common[row + 1][column] >= common[row][column + 1]) {
            text.push_str(&format!("-{}\n", old[row]));
            row += 1;
        } else {
            text.push_str(&format!("+{}\n", new[column]));
            column += 1;
        }
    }
    text
}

fn compare(path: PathBuf, printed: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, printed).expect("the golden file is written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == printed, "{} is not what Helm prints: make generate\n{printed}", path.display());
}

#[test]
fn helm_has_nothing_against_the_chart() {
    for values in ["everything", "one-namespace", "own-rbac"] {
        let values = format!("e2e/chart/values/{values}.yaml");
        let output = helm(&["lint", "--strict", "charts/tidegate", "--values", &values]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
        assert!(output.status.success() && !said.contains("WARNING"), "{values}: {said}");
    }
}

#[test]
fn the_plain_manifests_are_the_default_release() {
    let mut text = format!(
        "# Generated from charts/tidegate: make generate. Before it: kubectl apply --server-side -f crds/\n\
         apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    );
    // In Helm's order: what others need comes first.
    let rendered = template(&["--set", "crds.install=false", "--no-hooks"]);
    let documents = documents(&rendered);
    let ordered = rendered.split("\n---\n").filter(|text| text.contains("kind:"));
    for document in ordered.map(|text| &documents[&title(text.trim_start_matches("---\n"))]) {
        text.push_str(&format!("---\n{document}"));
    }
    compare(root().join("deploy/tidegate.yaml"), &text);
}

/// A golden file has what a release with these values has besides the default one, and what it lacks.
#[test]
fn releases_differ_from_the_default_one_as_recorded() {
    let default = documents(&template(&[]));
    for values in ["everything", "one-namespace", "own-rbac"] {
        let file = format!("e2e/chart/values/{values}.yaml");
        let release = documents(&template(&["--values", &file]));
        let mut text = String::new();
        for title in default.keys().filter(|title| !release.contains_key(*title)) {
            text.push_str(&format!("# without {title}\n"));
        }
        for (title, document) in &release {
            match default.get(title) {
                Some(before) if before == document => {}
                Some(before) => text.push_str(&format!("--- # changed: {title}\n{}", changes(before, document))),
                // The first lines of what is a file of the chart: more of it is no news.
                None if title.starts_with("PrometheusRule") || title.starts_with("ConfigMap") => {
                    text.push_str(&format!(
                        "---\n{}...\n",
                        document.split_inclusive('\n').take(20).collect::<String>()
                    ));
                }
                None => text.push_str(&format!("---\n{document}")),
            }
        }
        compare(root().join(format!("e2e/chart/golden/{values}.diff")), &text);
    }
}

#[test]
fn wrong_values_are_refused_with_a_sentence() {
    for (set, words) in [
        ("replicas=2,leaderElection.enabled=false", "replicas: more than 1 needs leaderElection.enabled"),
        ("serviceAccount.create=false", "serviceAccount.name: name the ServiceAccount"),
        ("watchNamespaces=shop", "additional properties 'watchNamespaces' not allowed"),
        ("networkPolicy.prometheus.port=1", "additional properties 'port' not allowed"),
        ("watchNamespace=Shop", "watchNamespace"),
        ("image.digest=latest", "image/digest"),
        ("log.format=yaml", "log/format"),
    ] {
        let output = helm(&["template", "tidegate", "charts/tidegate", "--set", set]);
        assert!(!output.status.success() && errors(&output).contains(words), "{set}: {}", errors(&output));
    }
}

#[test]
fn every_crd_is_kept_and_all_but_that_is_the_printed_one() {
    let release = documents(&template(&[]));
    for (file, printed) in tidegate::api::crds::crd_files() {
        let name = file.trim_end_matches(".yaml");
        let rendered = &release[&format!("CustomResourceDefinition  {name}")];
        let kept = "  annotations:\n    helm.sh/resource-policy: keep\n";
        assert_eq!(rendered.matches(kept).count(), 1, "{name}");
        let lines = printed.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n"));
        assert_eq!(rendered.replace(kept, ""), lines.collect::<String>(), "{name}");
    }
    assert_eq!(release.keys().filter(|title| title.starts_with("CustomResource")).count(), tidegate::api::crds().len());
}
