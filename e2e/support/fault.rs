//! What the proxy does to a request besides passing it on, and to which requests.
//!
//! Nothing is left to chance: a rule counts the requests that it is about, so that a failure comes again.

use std::time::Duration;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::json;

use super::request::Asks;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this code, and never passed on.
    Refused(u16),
    /// Passed on, and answered with 504 all the same.
    Applied504,
    /// The connection ends without an answer; the request was not passed on.
    Lost,
    /// The connection ends without an answer; the request was passed on.
    AppliedLost,
    /// Passed on after a while.
    Slow(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Reads,
    /// Writes of this resource, "" for all: `rolloutruns/status`, `httproutes`.
    Writes(&'static str),
}

/// A fault for every n-th request that it is about.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub of: Of,
    pub every: u64,
    pub fault: Fault,
}

impl Rule {
    pub fn concerns(&self, asks: &Asks) -> bool {
        match self.of {
            Of::Reads => *asks == Asks::Read,
            Of::Writes(resource) => asks.write().is_some_and(|write| resource.is_empty() || write.resource == resource),
        }
    }
}

/// A Status as the API server writes it.
pub fn refusal(code: u16) -> Response {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        other => panic!("the proxy has no Status for {other}"),
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("injected by the lab's proxy: {code}"), "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).expect("a status code");
    let mut answer = (code, [(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response();
    if code == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}

/// A body that breaks off at once: the client is left without an answer.
pub fn broken_off() -> Response {
    Response::new(Body::from_stream(stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("broken off"))])))
}
