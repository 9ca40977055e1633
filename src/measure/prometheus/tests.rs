//! The live provider against a server on this host that gives one prepared answer.

mod bodies;
mod credentials;
mod targets;

use std::sync::Mutex;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{api::AddressKind, measure::secrets::NoSecrets};

const MATRIX: &str =
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[5,"7"]]}]}}"#;

/// A server that gives this answer to every request; and the requests that it got.
async fn serve(head: &str, body: String) -> (MetricsProviderSpec, Arc<Mutex<Vec<String>>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (seen, head) = (requests.clone(), head.to_owned());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = request(&mut stream).await;
            seen.lock().unwrap().push(request);
            let answer =
                format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let allow_addresses = vec![AddressKind::Loopback];
    (MetricsProviderSpec { address, allow_addresses, ..MetricsProviderSpec::default() }, requests)
}

fn open(spec: &MetricsProviderSpec) -> Result<Prometheus, PrometheusError> {
    Prometheus::new("prometheus", spec, Arc::new(NoSecrets))
}

/// One request with its body, or as much as comes.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut request, mut length) = (vec![0; 16_384], 0);
    while !complete(&request[..length]) {
        match stream.read(&mut request[length..]).await {
            Ok(read) if read > 0 => length += read,
            _ => break,
        }
    }
    String::from_utf8_lossy(&request[..length]).into_owned()
}

/// Whether a request has come with its whole body.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

const JSON: &str = "200 OK\r\ncontent-type: application/json; charset=utf-8";

#[tokio::test]
async fn a_query_over_time_is_a_subquery_without_the_moment_it_begins_at() {
    let body = MATRIX.replace(r#"[[5,"7"]]"#, r#"[[100,"6"],[115,"7"]]"#);
    let (spec, requests) = serve(JSON, body).await;
    let series = open(&spec).unwrap().over("sum(a) # note", 100, 160, 15).await.unwrap();
    assert_eq!(series[0].samples, [(115_000, 7.0)]);
    let request = requests.lock().unwrap()[0].clone();
    assert!(
        request.contains("time=160") && request.contains("%28sum%28a%29+%23+note%0A%29%5B60s%3A15s%5D"),
        "{request}"
    );
}

#[tokio::test]
async fn a_range_selector_is_asked_for_at_its_end() {
    let (spec, requests) = serve(JSON, MATRIX.into()).await;
    let provider = open(&spec).unwrap();
    let series = provider.raw(r#"a{b="c"} # note"#, 100, 160).await.unwrap();
    assert_eq!(series[0].samples, [(5_000, 7.0)]);
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST /api/v1/query "), "{request}");
    assert!(request.contains("time=160") && request.contains("%23+note%0A%5B60s%5D"), "{request}");
    assert!(!request.to_lowercase().contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_token_is_read_anew_for_each_query() {
    let (mut spec, requests) = serve(JSON, MATRIX.into()).await;
    let file = std::env::temp_dir().join(format!("tidegate-token-{}", std::process::id()));
    spec.bearer_token_file = Some(file.display().to_string());
    let provider = open(&spec).unwrap();
    for token in ["one", "two"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        provider.raw("a", 0, 60).await.unwrap();
        let request = requests.lock().unwrap().pop().unwrap();
        assert!(request.contains(&format!("Bearer {token}\r\n")), "{request}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(provider.raw("a", 0, 60).await, Err(WhyNot::Token));
}

#[tokio::test]
async fn what_is_no_answer_says_why_not() {
    let page = || "<html>sign in</html>".to_owned();
    for (head, body, expected) in [
        ("302 Found\r\nlocation: http://example.invalid/login", String::new(), WhyNot::Status(302)),
        ("503 Service Unavailable\r\ncontent-type: application/json", "{}".into(), WhyNot::Status(503)),
        ("200 OK\r\ncontent-type: text/html", page(), WhyNot::NotJson),
        (JSON, page(), WhyNot::NotJson),
    ] {
        let (spec, _) = serve(head, body).await;
        let provider = open(&spec).unwrap();
        assert_eq!(provider.instant("up", 5).await, Err(expected), "{head}");
    }
    let (mut spec, _) = serve(JSON, MATRIX.into()).await;
    spec.address = "http://127.0.0.1:1".into();
    assert_eq!(open(&spec).unwrap().instant("up", 5).await, Err(WhyNot::Unreachable));
}

#[tokio::test]
async fn a_provider_that_cannot_be_built_says_which_field() {
    let (spec, _) = serve(JSON, MATRIX.into()).await;
    for address in ["prometheus:9090", "ftp://prometheus", "", "http://"] {
        let spec = MetricsProviderSpec { address: address.into(), ..spec.clone() };
        assert!(matches!(open(&spec), Err(PrometheusError::Address(_))), "{address}");
    }
    for bundle in ["no certificates", ""] {
        let spec = MetricsProviderSpec { ca_bundle: Some(bundle.into()), ..spec.clone() };
        assert!(matches!(open(&spec), Err(PrometheusError::CaBundle)));
    }
}
