//! The API server's audit log: who wrote what, and when. It has no reads and no bodies.

use jiff::Timestamp;
use serde_json::Value;

use super::space::lab;

#[derive(Clone, Debug)]
pub struct Write {
    pub verb: String,
    pub plural: String,
    pub subresource: String,
    pub name: String,
    /// When the API server got the request, and when it had answered.
    pub received: Timestamp,
    pub answered: Timestamp,
}

/// The controllers' writes in this namespace so far, in the order of their answers.
pub fn writes_in(namespace: &str) -> Vec<Write> {
    let text = std::fs::read_to_string(lab("TIDEGATE_LAB_AUDIT_LOG")).expect("the audit log");
    // The last line may be half written.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = |line: &Value| {
        line["user"]["username"] == "tidegate"
            && line["objectRef"]["namespace"] == namespace
            && line["stage"] == "ResponseComplete"
    };
    lines.filter(ours).map(|line| write(&line)).collect()
}

fn write(line: &Value) -> Write {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = |key: &str| text(&line[key]).parse().expect("an RFC 3339 time");
    let object = &line["objectRef"];
    Write {
        verb: text(&line["verb"]),
        plural: text(&object["resource"]),
        subresource: text(&object["subresource"]),
        name: text(&object["name"]),
        received: time("requestReceivedTimestamp"),
        answered: time("stageTimestamp"),
    }
}
