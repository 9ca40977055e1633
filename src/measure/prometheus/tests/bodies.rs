//! Answers that are too large, too slow, or somebody else's page; and what a message may say of them.

use tokio::sync::oneshot;

use super::*;
use crate::{
    api::{Metric, Percent, RatioMetric, ThresholdMetric},
    measure::{ArmNames, Order, evaluate},
};

/// Stands in every body below, and must stand nowhere else.
const CANARY: &str = "canary-d41d8cd98f";

/// A server that writes these bytes and then neither writes more nor closes, until the sender is dropped.
async fn hang(bytes: Vec<u8>) -> (MetricsProviderSpec, oneshot::Sender<()>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (held, release) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        let _ = stream.write_all(&bytes).await;
        let _ = release.await;
    });
    let allow_addresses = vec![AddressKind::Loopback];
    (MetricsProviderSpec { address, allow_addresses, ..MetricsProviderSpec::default() }, held)
}

#[tokio::test]
async fn a_body_above_its_limit_is_refused_whether_or_not_it_says_its_length() {
    let small = WhyNot::TooMany { what: "bytes", limit: SMALL_ANSWER };
    let large = WhyNot::TooMany { what: "bytes", limit: LARGE_ANSWER };
    let (spec, _) = serve(JSON, " ".repeat(SMALL_ANSWER + 1)).await;
    let provider = open(&spec).unwrap();
    assert_eq!(provider.instant("a", 5).await, Err(small.clone()));
    assert_eq!(provider.over("a", 0, 60, 15).await, Err(small.clone()));
    assert_eq!(provider.raw("a", 0, 60).await, Err(WhyNot::NotJson), "raw samples may be more");
    let (spec, _) = serve(JSON, " ".repeat(LARGE_ANSWER + 1)).await;
    assert_eq!(open(&spec).unwrap().raw("a", 0, 60).await, Err(large));
    // A header that promises too much is enough: nothing of the body has come.
    let head = format!("HTTP/1.1 {JSON}\r\ncontent-length: {}\r\n\r\n", SMALL_ANSWER + 1);
    let (spec, _held) = hang(head.into_bytes()).await;
    assert_eq!(open(&spec).unwrap().instant("a", 5).await, Err(small.clone()));
    // In chunks, without an end.
    let chunk = format!("{:x}\r\n{}\r\n", SMALL_ANSWER + 1, " ".repeat(SMALL_ANSWER + 1));
    let (spec, _held) =
        hang(format!("HTTP/1.1 {JSON}\r\ntransfer-encoding: chunked\r\n\r\n{chunk}").into_bytes()).await;
    assert_eq!(open(&spec).unwrap().instant("a", 5).await, Err(small));
}

#[tokio::test]
async fn a_full_answer_of_the_most_samples_is_under_the_limit() {
    let point = r#"[1700000000.123,"123456789012"],"#;
    let series = format!(r#"{{"metric":{{"pod":"{}"}},"values":[{}[1,"1"]]}}"#, "x".repeat(1_000), point.repeat(124));
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#,
        vec![series; crate::measure::answer::MOST_SERIES].join(",")
    );
    assert!(body.len() > 8 * SMALL_ANSWER, "{}", body.len());
    let (spec, _) = serve(JSON, body).await;
    let found = open(&spec).unwrap().raw("a", 0, 60).await.unwrap();
    assert_eq!(found.iter().map(|series| series.samples.len()).sum::<usize>(), crate::measure::answer::MOST_SAMPLES);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_after_its_time_limit() {
    let head = format!("HTTP/1.1 {JSON}\r\ncontent-length: 100\r\n\r\n");
    for said in [String::new(), "HTTP/1.1 200".into(), head.clone(), format!("{head}{{\"status\"")] {
        let (spec, _held) = hang(said.clone().into_bytes()).await;
        let spec = MetricsProviderSpec { timeout: Some(Span::millis(200)), ..spec };
        assert_eq!(open(&spec).unwrap().instant("a", 5).await, Err(WhyNot::TimedOut), "{said:?}");
    }
    let (spec, held) = hang(format!("{head}{{").into_bytes()).await;
    drop(held);
    assert_eq!(open(&spec).unwrap().instant("a", 5).await, Err(WhyNot::Unreachable), "half an answer");
}

/// Answers that are no evidence, each with the canary in its body.
fn answers() -> Vec<(&'static str, String)> {
    let error = format!(r#"{{"status":"error","errorType":"{CANARY}","error":"{CANARY}"}}"#);
    let success = |rest: &str| format!(r#"{{"status":"success",{rest}}}"#);
    let matrix = |row: &str| success(&format!(r#""data":{{"resultType":"matrix","result":[{row}]}}"#));
    vec![
        ("200 OK\r\ncontent-type: text/html", format!("<html>{CANARY}</html>")),
        ("200 OK", format!("{CANARY}{MATRIX}")),
        (JSON, format!("<html>{CANARY}</html>")),
        (JSON, format!("\"{CANARY}\"")),
        (JSON, error.clone()),
        ("422 Unprocessable Entity\r\ncontent-type: application/json", error.clone()),
        ("503 Service Unavailable\r\ncontent-type: text/plain", CANARY.into()),
        ("401 Unauthorized\r\nwww-authenticate: Basic realm=\"canary-d41d8cd98f\"", CANARY.into()),
        ("302 Found\r\nlocation: http://canary-d41d8cd98f.example", CANARY.into()),
        (JSON, success(&format!(r#""warnings":["{CANARY}"],"data":{{"resultType":"matrix","result":[]}}"#))),
        (JSON, success(&format!(r#""data":{{"resultType":"{CANARY}","result":[]}}"#))),
        (JSON, matrix(&format!(r#"{{"metric":{{"pod":"{CANARY}"}},"values":[[1,"{CANARY}"]]}}"#))),
        (JSON, matrix(&format!(r#"{{"metric":{{"pod":"{CANARY}"}},"values":[[1,"5"],[2,"NaN"]]}}"#))),
        (JSON, matrix(&format!(r#"{{"metric":{{"le":"{CANARY}"}},"values":[[1,"5"],[2,"6"]]}}"#))),
        (JSON, matrix(&format!(r#"{{"metric":{{"{CANARY}":"{CANARY}"}},"histograms":[[1,{{"count":"{CANARY}"}}]]}}"#))),
    ]
}

#[tokio::test]
async fn nothing_of_a_body_reaches_a_verdict_or_its_record() {
    let selector = |code: &str| format!(r#"a{{revision="{{{{ revision }}}}"{code}}}"#);
    let ratio = RatioMetric { total: selector(""), bad: Some(selector(r#",code="5""#)), good: None };
    let latency = crate::api::LatencyMetric { histogram: selector(""), ..Default::default() };
    let threshold = ThresholdMetric { query: selector(""), success: Some(">= 1".into()), ..Default::default() };
    let metrics = vec![
        Metric { name: "errors".into(), ratio: Some(ratio), ..Metric::default() },
        Metric { name: "latency".into(), latency: Some(latency), ..Metric::default() },
        Metric { name: "depth".into(), threshold: Some(threshold), ..Metric::default() },
        Metric {
            name: "memory".into(),
            gauge: Some(crate::api::GaugeMetric { query: selector("") }),
            ..Metric::default()
        },
    ];
    let arm = |revision: &str| ArmNames { service: "checkout".into(), revision: revision.into() };
    for (head, body) in answers() {
        let (spec, requests) = serve(head, body.clone()).await;
        let order = Order {
            namespace: "shop".into(),
            rollout: "checkout".into(),
            metrics: metrics.clone(),
            canary: arm("abc"),
            stable: arm("def"),
            weight: Percent::whole(10),
            ..Order::default()
        };
        let provider = open(&spec).unwrap();
        let view = evaluate(&order, &provider, 600).await;
        let said = format!("{view:?} {}", serde_json::to_string(&view.record).unwrap());
        assert!(!said.contains(CANARY), "{head} {body}: {said}");
        assert!(!requests.lock().unwrap().is_empty(), "{head} {body}");
        let errors = [provider.instant("a", 5).await.err(), provider.raw("a", 0, 60).await.err()];
        for error in errors.into_iter().flatten() {
            let said = format!("{error} {error:?}");
            assert!(!said.contains(CANARY) && said.len() < 400, "{said}");
        }
    }
}
