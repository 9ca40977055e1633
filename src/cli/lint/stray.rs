//! Documents that would pass because nobody knows them: no manifests, and ours under another group's name.
//!
//! Documents of other groups are not looked at.

use serde_json::Value;

use super::{Severity, document::VERSION};
use crate::{cli::manifest::is_ours, sim::server::schema};

/// Who has kinds of our names too.
const NAMESAKES: [&str; 2] = ["argoproj.io", "rollouts.kruise.io"];

/// What is to be said of a document whatever its kind is.
pub fn of(document: &Value) -> Option<(Severity, String)> {
    if !document.is_object() {
        let text = "it is no manifest: write apiVersion, kind, metadata and spec, each on a line of its own";
        return Some((Severity::Error, text.to_owned()));
    }
    let is_lacking = |field: &&str| document[*field].as_str().is_none_or(|word| word.trim().is_empty());
    let lacking: Vec<&str> = ["apiVersion", "kind"].into_iter().filter(is_lacking).collect();
    if !lacking.is_empty() {
        let text = format!("it has no {}: nobody knows what it is without", lacking.join(" and no "));
        return Some((Severity::Error, text));
    }
    let (version, kind) = (document["apiVersion"].as_str()?, document["kind"].as_str()?);
    let group = version.split('/').next()?;
    let is_strange = !is_ours(document) && schema::named(kind).is_some() && !NAMESAKES.contains(&group);
    is_strange.then(|| {
        let text = format!("it is of apiVersion {version} and is not looked at: write apiVersion: {VERSION}");
        (Severity::Warning, text)
    })
}
