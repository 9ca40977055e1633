//! Answers of an API server, and what becomes of them.

use serde_json::json;

use super::*;
use crate::controller::{METRICS_PROVIDER, ROLLOUT, SERVICE};
use std::sync::atomic::{AtomicUsize, Ordering};

fn status(code: u16, reason: &str, name: &str) -> Answer {
    let details = json!({"name": name, "kind": "services"});
    let status = json!({"status": "Failure", "code": code, "reason": reason, "message": "m", "details": details});
    serde_json::from_value(status).map_or_else(|error| Answer::Lost(error.to_string()), Answer::Said)
}

fn live(server: axum::Router) -> Live {
    let client = Client::new(server, "shop");
    Live { client, limit: REQUEST_LIMIT, metrics: Arc::default(), unserved: Arc::default(), rollouts: Arc::default() }
}

/// An API server that gives these answers one after the other, and then a Service; how often it was asked.
fn answering(codes: Vec<u16>) -> (Live, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move || {
        let code = codes.get(counted.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(200);
        let body = if code == 200 { json!({"metadata": {"name": "a"}}) } else { refusal(code) };
        let code = http::StatusCode::from_u16(code).unwrap();
        async move { (code, body.to_string()) }
    };
    (live(axum::Router::new().fallback(answer)), asked)
}

fn refusal(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": "m"})
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again_and_no_more_than_twice() {
    let unavailable = || ClusterError::Unavailable { object: "Service shop/a".into(), message: "m".into() };
    for (codes, expected, asks) in [
        (vec![503], Ok(true), 2),
        (vec![504, 500], Ok(true), 3),
        (vec![503, 503, 503], Err(unavailable()), 3),
        (vec![403], Err(unavailable()), 1),
    ] {
        let (live, asked) = answering(codes.clone());
        let found = live.get(SERVICE, "shop", "a").await.map(|found| found.is_some());
        assert_eq!((found, asked.load(Ordering::SeqCst)), (expected, asks), "{codes:?}");
    }
}

#[tokio::test]
async fn a_write_that_fails_is_never_tried_again() {
    let document = json!({"metadata": {"name": "a"}});
    for code in [500, 503, 504] {
        let (live, asked) = answering(vec![code; 4]);
        let dry = live.create(WriteSite::DryRun, SERVICE, "shop", &document, true).await;
        let made = live.create(WriteSite::ServiceApply, SERVICE, "shop", &document, false).await;
        let patch = Patch::Merge(document.clone());
        let patched = live.patch(WriteSite::Pin, SERVICE, "shop", "a", "", &patch).await;
        let deleted = live.delete(WriteSite::ServiceDelete, SERVICE, "shop", "a", "u").await;
        assert!([dry, made, patched].iter().all(Result::is_err) && deleted.is_err(), "{code}");
        assert_eq!(asked.load(Ordering::SeqCst), 4, "one request each");
    }
}

#[test]
fn paths_follow_the_group_and_the_scope() {
    for (kind, namespace, expected) in [
        (SERVICE, "shop", "/api/v1/namespaces/shop/services"),
        (ROLLOUT, "", "/apis/tidegate.io/v1alpha1/rollouts"),
        (METRICS_PROVIDER, "shop", "/apis/tidegate.io/v1alpha1/metricsproviders"),
    ] {
        assert_eq!(path(kind, namespace), expected);
    }
}

#[test]
fn a_409_is_told_apart_by_its_reason_and_a_404_by_its_object() {
    let object = || "Service shop/a".to_string();
    for (answer, expected) in [
        (status(409, "AlreadyExists", "a"), ClusterError::Exists { object: object() }),
        (status(409, "Conflict", "a"), ClusterError::Conflict { object: object() }),
        (status(404, "NotFound", "a"), ClusterError::NotFound { object: object() }),
        (status(404, "NotFound", ""), ClusterError::Unavailable { object: object(), message: "m".into() }),
        (status(422, "Invalid", "a"), ClusterError::Refused { object: object(), message: "m".into() }),
        (status(503, "", "a"), ClusterError::Unavailable { object: object(), message: "m".into() }),
    ] {
        assert_eq!(write_error(object(), answer), expected);
    }
}

#[test]
fn a_404_that_names_no_object_is_about_the_kind() {
    let page = Status::failure("404 page not found", "Failed to parse error data").with_code(404);
    for (answer, expected) in [
        (Answer::Said(Box::new(page)), true),
        (status(404, "NotFound", ""), true),
        (status(404, "NotFound", "a"), false),
        (status(403, "Forbidden", ""), false),
        (status(503, "", ""), false),
    ] {
        let Answer::Said(status) = answer else { panic!("no status") };
        assert_eq!(names_no_kind(&status), expected, "{status:?}");
    }
}

#[test]
fn a_dry_run_is_strict() {
    let params = PostParams { dry_run: true, field_manager: None };
    let uri = Request::new("/api/v1/pods").create(&params, Vec::new()).and_then(strict).unwrap().uri().to_string();
    assert_eq!(uri, "/api/v1/pods?&dryRun=All&fieldValidation=Strict");
}

#[tokio::test]
async fn the_rollouts_of_a_namespace_are_read_page_by_page() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = asked.clone();
    let answer = move |request: axum::extract::Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_first = !query.contains("continue");
        told.lock().unwrap().push(query);
        let (name, more) = if is_first { ("a", "next") } else { ("b", "") };
        let body = json!({"metadata": {"continue": more}, "items": [{"metadata": {"name": name}}]});
        async move { body.to_string() }
    };
    let live = live(axum::Router::new().fallback(answer));
    let found = live.list(ROLLOUT, "shop", "").await.unwrap();
    let names: Vec<&str> = found.iter().filter_map(|rollout| rollout["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(*asked.lock().unwrap(), ["&limit=100", "&limit=100&continue=next"]);
}
