//! A file of Kubernetes documents, as YAML or JSON, one or several: what commands that work before the start read.
//!
//! It looks at no cluster, and leaves documents of other kinds alone. Misspelt fields are not found here.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, stdin},
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Failure, terminal::escaped};
use crate::{
    api::{AnalysisSpec, AnalysisTemplateSpec, MetricsProviderSpec, ROLLOUT_NAME_MAX, RolloutRun, TemplateKind},
    engine::{Refusal, ValidRollout, read_spec, validate},
    measure,
    workload::object,
};

const STDIN: &str = "-";
const GROUP: &str = "tidegate.io/";

/// The documents of a file.
#[derive(Debug)]
pub struct Manifest {
    /// For messages.
    file: String,
    documents: Vec<Value>,
}

/// A Rollout of the file that is valid.
#[derive(Debug)]
pub struct Written {
    pub name: String,
    pub namespace: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub valid: ValidRollout,
    pub analysis: AnalysisSpec,
}

pub type Templates = Vec<(TemplateKind, String, AnalysisTemplateSpec)>;

impl Manifest {
    /// `-` is standard input.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let file = if path == Path::new(STDIN) { "standard input".into() } else { path.display().to_string() };
        let mut text = String::new();
        let read = match path.to_str() {
            Some(STDIN) => stdin().read_to_string(&mut text).map(|_| ()),
            _ => fs::read_to_string(path).map(|read| text = read),
        };
        let failed = |message: String| Failure::File { file: file.clone(), message };
        read.map_err(|error| failed(error.to_string()))?;
        let documents = documents(&text).map_err(failed)?;
        Ok(Self { file, documents })
    }

    /// Every Rollout of the file; or else every problem of all of them.
    pub fn rollouts(&self) -> Result<Vec<Written>, Failure> {
        let (mut found, mut problems, mut total) = (Vec::new(), Vec::new(), 0);
        let templates = self.templates();
        for document in self.of_kind("Rollout") {
            total += 1;
            match checked(document, &templates) {
                Ok(written) => found.push(written),
                Err(sentences) => {
                    problems.extend(sentences.into_iter().map(|sentence| (shown_name(document), sentence)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(Failure::Invalid { file: self.file.clone(), problems });
        }
        if total == 0 {
            let kind = |document: &Value| document["kind"].as_str().unwrap_or("a document without a kind").to_owned();
            let kinds = self.documents.iter().map(kind).collect();
            return Err(Failure::NoRollout { file: self.file.clone(), kinds });
        }
        Ok(found)
    }

    /// Every RolloutRun of the file.
    pub fn runs(&self) -> Result<Vec<RolloutRun>, Failure> {
        let read = |document: &Value| {
            serde_json::from_value(document.clone()).map_err(|error| Failure::File {
                file: self.file.clone(),
                message: format!("{} is no RolloutRun: {error}", document["metadata"]["name"]),
            })
        };
        let runs: Vec<RolloutRun> = self.of_kind("RolloutRun").map(read).collect::<Result<_, _>>()?;
        if runs.is_empty() {
            let message = "it holds no RolloutRun of tidegate.io".into();
            return Err(Failure::File { file: self.file.clone(), message });
        }
        Ok(runs)
    }

    /// The RolloutRuns of the file as they were stored, with fields that this version does not know.
    pub fn stored_runs(&self) -> impl Iterator<Item = &Value> {
        self.of_kind("RolloutRun")
    }

    pub fn name(&self) -> &str {
        &self.file
    }

    /// The templates in the file; what cannot be read as one is none.
    pub fn templates(&self) -> Templates {
        let of = |kind: TemplateKind, word: &'static str| {
            self.specs::<AnalysisTemplateSpec>(word).map(move |(name, spec)| (kind, name, spec))
        };
        let of_namespace = of(TemplateKind::AnalysisTemplate, "AnalysisTemplate");
        of_namespace.chain(of(TemplateKind::ClusterAnalysisTemplate, "ClusterAnalysisTemplate")).collect()
    }

    pub fn providers(&self) -> Vec<(String, MetricsProviderSpec)> {
        self.specs("MetricsProvider").collect()
    }

    /// The RolloutPolicies by name, each with its spec as it is written.
    pub fn policies(&self) -> impl Iterator<Item = (String, &Value)> {
        self.of_kind("RolloutPolicy").map(|document| (object::name(document).to_owned(), &document["spec"]))
    }

    /// The labels of this namespace, as a cluster would have them; None: the file does not have it.
    pub fn namespace_labels(&self, wanted: &str) -> Option<BTreeMap<String, String>> {
        let is_it = |document: &&Value| document["kind"] == "Namespace" && object::name(document) == wanted;
        let mut labels = labels(self.documents.iter().find(is_it)?);
        labels.insert("kubernetes.io/metadata.name".to_owned(), wanted.to_owned());
        Some(labels)
    }

    fn specs<S: DeserializeOwned>(&self, kind: &'static str) -> impl Iterator<Item = (String, S)> {
        self.of_kind(kind).filter_map(|document| {
            let name = document["metadata"]["name"].as_str()?.to_owned();
            Some((name, serde_json::from_value(document["spec"].clone()).ok()?))
        })
    }

    /// Documents of a kind of ours.
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.documents.iter().filter(move |document| is_ours(document) && document["kind"] == *kind)
    }

    /// Documents of all kinds: routes and Services say which port an application has.
    pub fn documents(&self) -> &[Value] {
        &self.documents
    }
}

fn labels(document: &Value) -> BTreeMap<String, String> {
    Deserialize::deserialize(&document["metadata"]["labels"]).unwrap_or_default()
}

/// A Rollout as the controller would read it, or all that is wrong with it. What a template that is not there may hold is not
/// missed.
pub fn checked(document: &Value, templates: &Templates) -> Result<Written, Vec<String>> {
    let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let spec = read_spec(document).map_err(sentences)?;
    let valid = validate(&name, &spec).map_err(sentences)?;
    let analysis = spec.analysis.clone().unwrap_or_default();
    if spec.error_budget.is_some() || spec.analysis.is_some() {
        let (budget, routed) = (spec.error_budget.as_ref(), !valid.routes.is_empty());
        measure::resolve_known(&analysis, templates, budget, routed).map_err(sentences)?;
    }
    let namespace = document["metadata"]["namespace"].as_str().map(str::to_owned);
    Ok(Written { name, namespace, labels: labels(document), valid, analysis })
}

pub fn sentences(refusals: Vec<Refusal>) -> Vec<String> {
    refusals.into_iter().map(|refusal| refusal.message).collect()
}

pub fn is_empty(analysis: &AnalysisSpec) -> bool {
    analysis.metrics.is_empty() && analysis.templates.is_empty()
}

/// Whether its kind is one of tidegate.io.
pub fn is_ours(document: &Value) -> bool {
    document["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP))
}

/// Kind and name for messages: whoever forgot the name must still find the document.
pub fn shown_name(document: &Value) -> String {
    let kind = document["kind"].as_str().unwrap_or("a document without a kind");
    let name = document["metadata"]["name"].as_str().unwrap_or("without a name");
    escaped(&format!("{kind} {}", name.chars().take(2 * ROLLOUT_NAME_MAX).collect::<String>()))
}

fn not_yaml(error: &str) -> String {
    let twice = error.contains("duplicate entry");
    let hint = if twice { "; between two documents there is a line ---" } else { "" };
    format!("it is not YAML: {error}{hint}")
}

/// All documents of a text: YAML's, or JSON's one after the other; lists are taken apart.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    // Editors on Windows put a byte order mark there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = text.trim_start().starts_with('{');
    // YAML reads JSON too, but not several documents without a line between them, and no tabs.
    let read: Vec<Value> = if is_json {
        let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        stream.collect::<Result<_, _>>().map_err(|error| format!("it is not JSON: {error}"))?
    } else {
        // Read as YAML's own values first: they find a key that is there twice, and JSON's take the last.
        let stream = serde_yaml_ng::Deserializer::from_str(text).map(serde_yaml_ng::Value::deserialize);
        let read = stream.map(|document| serde_json::to_value(document?).map_err(serde::de::Error::custom));
        read.collect::<Result<_, serde_yaml_ng::Error>>().map_err(|error| not_yaml(&error.to_string()))?
    };
    let taken_apart = read.into_iter().flat_map(|document| match document["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![document],
    });
    Ok(taken_apart.filter(|document| !document.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLOUT: &str = "apiVersion: tidegate.io/v1alpha1\nkind: Rollout\nmetadata: {name: NAME}\nspec:\n  \
        workload: {deploymentRef: {name: a}}\n  traffic: {services: [{name: a}]}\n  \
        strategy: {canary: {steps: [{weight: 10, bake: BAKE}]}}\n";

    fn rollout(name: &str, bake: &str) -> String {
        ROLLOUT.replace("NAME", name).replace("BAKE", bake)
    }

    fn manifest(text: &str) -> Manifest {
        Manifest { file: "a.yaml".into(), documents: documents(text).unwrap() }
    }

    #[test]
    fn documents_that_run_into_each_other_are_refused() {
        let both = rollout("a", "5m") + &rollout("b", "5m");
        let said = documents(&both).unwrap_err();
        assert!(
            said.contains("duplicate entry") && said.ends_with("between two documents there is a line ---"),
            "{said}"
        );
        assert_eq!(documents(&format!("{}---\n{}", rollout("a", "5m"), rollout("b", "5m"))).unwrap().len(), 2);
    }

    #[test]
    fn every_rollout_is_found_in_yaml_json_and_lists_and_nothing_else() {
        let json = |name: &str| {
            let value: Value = serde_yaml_ng::from_str(&rollout(name, "5m")).unwrap();
            serde_json::to_string_pretty(&value).unwrap()
        };
        let foreign = "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: x}\n---\nkind: Service\n";
        for (text, names) in [
            (format!("{}---\n{}{foreign}", rollout("a", "5m"), rollout("b", "1m")), vec!["a", "b"]),
            (format!("{}\n\t{}", json("a"), json("b")), vec!["a", "b"]),
            (format!("{{\"kind\": \"List\", \"items\": [{}]}}", json("c")), vec!["c"]),
            (format!("\u{feff}{}", json("e")), vec!["e"]),
            (format!("\u{feff}{}", rollout("f", "5m")), vec!["f"]),
            (format!("# a comment\n---\n---\n{}", rollout("d", "5m")), vec!["d"]),
        ] {
            let found = manifest(&text).rollouts().unwrap();
            assert_eq!(found.iter().map(|written| written.name.as_str()).collect::<Vec<_>>(), names, "{text}");
        }
    }

    #[test]
    fn the_problems_of_all_rollouts_are_said_at_once() {
        let text = format!("{}---\n{}---\n{}", rollout("a", "0s"), rollout("b", "5m"), rollout("C_", "soon"));
        let Err(Failure::Invalid { problems, .. }) = manifest(&text).rollouts() else { panic!() };
        let names: Vec<&str> = problems.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Rollout a", "Rollout C_"]);
        assert!(problems[0].1.starts_with("spec.strategy.canary.steps[0].bake is 0s"), "{problems:?}");
        assert!(problems[1].1.contains("not a duration"), "{problems:?}");
    }

    #[test]
    fn a_template_that_is_not_there_hides_no_problem_of_the_rollout_itself() {
        let with = |analysis: &str| {
            let budget = "{objective: \"99.9\", maxBudgetSpend: 5, metric: errors}";
            let text = format!("{}  errorBudget: {budget}\n  analysis: {analysis}\n", rollout("a", "5m"));
            manifest(&text).rollouts()
        };
        assert_eq!(with("{templates: [{name: gone}]}").unwrap().len(), 1, "the template may have metric errors");
        for (own, problem) in [
            ("confirmWindows: 1", "spec.analysis.confirmWindows is 1"),
            ("metrics: [{name: lag, latency: {histogram: 'a{b=\"c\"}'}}]", "both arms select the same series"),
            ("metrics: [{name: errors, threshold: {query: a, success: '> 1'}}]", "there is no ratio metric errors"),
        ] {
            let failure = with(&format!("{{templates: [{{name: gone}}], {own}}}")).unwrap_err().to_string();
            assert!(failure.contains(problem) && !failure.contains("gone"), "{own}: {failure}");
        }
    }

    #[test]
    fn what_a_manifest_holds_moves_no_cursor() {
        let text = rollout("\"a\\e[2J\\nb\"", "5m");
        let failure = manifest(&text).rollouts().unwrap_err().to_string();
        assert!(failure.starts_with("Rollout a\\u{1b}[2J\\nb in a.yaml: "), "{failure:?}");
        assert!(!failure.contains(char::is_control), "{failure:?}");
    }

    #[test]
    fn a_file_without_a_rollout_is_refused_with_what_it_has() {
        let failure = manifest("kind: Service\n---\nkind: HTTPRoute\n").rollouts().unwrap_err();
        assert!(matches!(failure, Failure::NoRollout { kinds, .. } if kinds == ["Service", "HTTPRoute"]));
        assert!(documents("a: [").is_err() && documents("{\"a\": ").is_err());
    }
}
