//! `tidegate lint`: what is wrong in manifests before anybody applies them, and what their authors had better know.
//!
//! No cluster is asked: what depends on other objects is looked at only if they stand in the same files.

mod document;
mod remarks;
mod stray;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::{
    Failure, Terminal,
    get::json,
    manifest::{Manifest, Templates, is_ours, shown_name},
    terminal::escaped,
};

/// Exit codes: 0 nothing is wrong, 1 something is, 2 wrong arguments.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing is wrong, 1 something is, 2 wrong arguments")]
pub struct LintArguments {
    /// File with manifests, as YAML or JSON; several times for several files, which may refer to each other; - is standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// A warning counts as an error
    #[arg(long)]
    pub strict: bool,
    /// Form of the answer; default: a line for each finding
    #[arg(short, long, value_enum)]
    pub output: Option<LintOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintOutput {
    /// A list with one entry for each finding, as JSON
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// The API server or the controller refuses it.
    Error,
    /// It works, and not as its author may think.
    Warning,
    /// What was not looked at, or how it is done.
    Note,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

#[derive(Serialize)]
struct Finding {
    file: String,
    /// None: the file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    severity: Severity,
    message: String,
}

pub fn run(given: &LintArguments) -> Result<ExitCode, Failure> {
    let (mut manifests, mut findings) = (Vec::new(), Vec::new());
    for file in &given.files {
        match Manifest::read(file) {
            Ok(manifest) => manifests.push(manifest),
            Err(Failure::File { file, message }) => {
                let message = format!("it cannot be read: {message}");
                findings.push(Finding { file, object: None, severity: Severity::Error, message });
            }
            Err(other) => return Err(other),
        }
    }
    findings.extend(of_documents(&manifests));
    let looked_at = manifests.iter().flat_map(Manifest::documents).filter(|document| is_ours(document)).count();
    // Whoever mistook the file shall not take silence for praise.
    if findings.is_empty() && looked_at == 0 {
        findings.extend(manifests.iter().map(|manifest| Finding {
            file: manifest.name().to_owned(),
            object: None,
            severity: Severity::Warning,
            message: "there is nothing to look at: it has no document of tidegate.io".into(),
        }));
    }
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mut terminal = Terminal::stdout();
    match given.output {
        Some(LintOutput::Json) => terminal.print(&json(&findings)?)?,
        None => terminal.print(&page(&findings, errors, warnings, looked_at))?,
    }
    let is_wrong = errors > 0 || (given.strict && warnings > 0);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn of_documents(manifests: &[Manifest]) -> Vec<Finding> {
    let templates: Templates = manifests.iter().flat_map(Manifest::templates).collect();
    let everything: Vec<_> = manifests.iter().flat_map(Manifest::documents).collect();
    let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
    for manifest in manifests {
        for document in manifest.documents() {
            let mut said: Vec<_> = stray::of(document).into_iter().collect();
            if is_ours(document) {
                let problems = document::problems(document, &templates);
                said.extend(problems.into_iter().map(|problem| (Severity::Error, problem)));
                if !seen.insert(identity(document)) {
                    let text =
                        "it is there twice in these files, and the last one that is applied counts: leave one out";
                    said.push((Severity::Error, text.to_owned()));
                }
                if document["kind"] == "Rollout" {
                    said.extend(remarks::of(document, &templates, &everything));
                }
            }
            findings.extend(said.into_iter().map(|(severity, message)| Finding {
                file: manifest.name().to_owned(),
                object: Some(shown_name(document)),
                severity,
                message,
            }));
        }
    }
    findings
}

/// What makes two documents the same object.
fn identity(document: &Value) -> [String; 3] {
    let metadata = &document["metadata"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [word(&document["kind"]), word(&metadata["namespace"]), word(&metadata["name"])]
}

fn page(findings: &[Finding], errors: usize, warnings: usize, looked_at: usize) -> String {
    let mut text = String::new();
    for Finding { file, object, severity, message } in findings {
        let object = object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        text += &escaped(&format!("{file}: {object}{}: {message}", severity.word()));
        text.push('\n');
    }
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (plural(errors, "error"), plural(warnings, "warning"));
    text + &format!("{errors} and {warnings} in {} of tidegate.io\n", plural(looked_at, "document"))
}
