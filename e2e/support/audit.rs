//! The API server's audit log: who wrote what, and when, and what the controllers read. It has no bodies.

use jiff::Timestamp;
use serde_json::Value;

use super::space::{CONTROLLER, lab};

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

/// What the API server made of one request's rights.
#[derive(Clone, Debug)]
pub struct Decision {
    pub granted: bool,
    pub verb: String,
    pub group: String,
    /// With its subresource, as in a Role.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    /// The status code; of a watch that has begun, 200.
    pub code: u64,
}

/// The controllers' writes in this namespace so far, in the order of their answers.
pub fn writes_in(namespace: &str) -> Vec<Write> {
    let ours = |line: &Value| {
        line["user"]["username"] == CONTROLLER
            && line["objectRef"]["namespace"] == namespace
            && line["stage"] == "ResponseComplete"
            && !["get", "list", "watch"].contains(&line["verb"].as_str().unwrap_or_default())
    };
    lines(&format!("\"{namespace}\"")).into_iter().filter(ours).map(|line| write(&line)).collect()
}

/// What was decided of this user's requests for objects so far.
pub fn decisions(user: &str) -> Vec<Decision> {
    let of_user = |line: &Value| line["user"]["username"] == user && line["objectRef"].is_object();
    lines(user).into_iter().filter(of_user).map(|line| decision(&line)).collect()
}

/// The log's lines in which these words stand: most lines are about others, and reading one takes its time.
fn lines(words: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(lab("TIDEGATE_LAB_AUDIT_LOG")).expect("the audit log");
    // The last line may be half written.
    text.lines().filter(|line| line.contains(words)).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn decision(line: &Value) -> Decision {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &line["objectRef"];
    let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    Decision {
        granted: line["annotations"]["authorization.k8s.io/decision"] == "allow",
        verb: text(&line["verb"]),
        group: text(&object["apiGroup"]),
        resource: text(&object["resource"]) + &subresource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
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
