//! What happened in a simulation, in lines short enough to read.

use serde_json::Value;

use super::{clock::Millis, oracle::Change};
use crate::{
    api::REVISION_LABEL,
    controller::{ACTION, DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, Kind, ROLLOUT, RUN, SERVICE},
    workload::object::{items, name, number, text},
};

/// Lines that are kept: the last ones say where it went wrong.
const KEPT: usize = 4_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Millis,
    pub text: String,
}

/// The lines, oldest first.
#[derive(Debug, Default)]
pub struct Timeline {
    pub lines: Vec<Line>,
}

impl Timeline {
    pub fn add(&mut self, at: Millis, text: String) {
        if self.lines.len() < KEPT {
            self.lines.push(Line { at, text });
        }
    }

    /// Takes a change in, if it says something new.
    pub fn see(&mut self, change: &Change) {
        let (kind, said) =
            (change.kind, |document: Option<&Value>| document.and_then(|document| said(change.kind, document)));
        let (before, after) = (said(change.before), said(change.after));
        let Some(document) = change.document() else { return };
        if before == after {
            return;
        }
        let who = if change.ours { "" } else { "  (others) " };
        let what = after.unwrap_or_else(|| "is gone".to_owned());
        self.add(change.at, format!("{who}{} {} {what}", kind.kind, name(document)));
    }
}

impl std::fmt::Display for Timeline {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Line { at, text } in &self.lines {
            writeln!(out, "{:>9.3} {text}", *at as f64 / 1_000.0)?;
        }
        Ok(())
    }
}

/// What of a document is worth a line.
fn said(kind: Kind, document: &Value) -> Option<String> {
    let status = |field: &str| text(document, &format!("/status/{field}")).unwrap_or_default();
    Some(match kind {
        ROLLOUT => format!("{}: {}", status("phase"), status("message")),
        RUN => {
            let (step, weight) = (number(document, "/status/step").unwrap_or(0) + 1, &document["status"]["weight"]);
            format!("{} step {step} weight {weight} {}: {}", status("phase"), status("outcome"), status("message"))
        }
        HTTP_ROUTE | GRPC_ROUTE => {
            let rule = |rule: &Value| {
                let part = |part: &Value| {
                    format!("{}={}", text(part, "/name").unwrap_or_default(), number(part, "/weight").unwrap_or(1))
                };
                items(rule, "/backendRefs").iter().map(part).collect::<Vec<_>>().join(" ")
            };
            items(document, "/spec/rules").iter().map(rule).collect::<Vec<_>>().join(" | ")
        }
        SERVICE => {
            let pin = document.pointer("/spec/selector").and_then(|selector| selector.get(REVISION_LABEL));
            format!("selects {}", pin.and_then(Value::as_str).unwrap_or("all revisions"))
        }
        DEPLOYMENT => {
            let ready = number(document, "/status/readyReplicas").unwrap_or(0);
            format!("{ready} of {} pods are ready", number(document, "/spec/replicas").unwrap_or(1))
        }
        ACTION => {
            format!("{}: {} {}", text(document, "/spec/type").unwrap_or_default(), status("outcome"), status("message"))
        }
        _ => return None,
    })
}
