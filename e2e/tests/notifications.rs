//! Decisions outside the cluster: a receiver that fails at first, a controller that is killed, and a record that somebody
//! changes afterwards.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tidegate::{controller::RUN, engine::chain};

use crate::{
    TIDEGATE,
    support::{Stage, space::lab},
};

const NAMESPACE: &str = "notifications";
const KEY: &[u8] = b"a key of the receiver";

/// What has come so far: signature and body.
type Inbox = Arc<Mutex<Vec<(String, Bytes)>>>;

/// Answers the first two requests with an error. Its address.
async fn receiver(inbox: Inbox) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let take = |State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes| async move {
        let signature = headers.get("tidegate-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut inbox = inbox.lock().expect("the inbox");
        inbox.push((signature.to_owned(), body));
        if inbox.len() <= 2 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
    };
    let router = Router::new().route("/hook", post(take)).with_state(inbox);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// As docs/audit.md tells a receiver to do it.
fn is_genuine(signature: &str, body: &[u8]) -> bool {
    let fields: BTreeMap<&str, &str> = signature.split(',').filter_map(|field| field.split_once('=')).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key");
    mac.update(fields["t"].as_bytes());
    mac.update(b".");
    mac.update(body);
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    expected == fields["v1"]
}

/// The events of one run by seq; the same id never has two bodies.
fn events(inbox: &Inbox, run: &str) -> BTreeMap<i64, Value> {
    let mut found: BTreeMap<i64, Value> = BTreeMap::new();
    for (signature, body) in inbox.lock().expect("the inbox").iter() {
        assert!(is_genuine(signature, body), "{signature}");
        let event: Value = serde_json::from_slice(body).expect("JSON");
        if event["data"]["run"] == run {
            let seq = event["data"]["decision"]["seq"].as_i64().expect("a seq");
            let before = found.insert(seq, event.clone());
            assert!(before.is_none_or(|before| before == event), "{event}");
        }
    }
    found
}

fn verify() -> (Option<i32>, String) {
    let out =
        Command::new(TIDEGATE).args(["audit", "verify", "--all", "-n", NAMESPACE]).output().expect("tidegate runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code(), text)
}

#[tokio::test]
async fn every_decision_reaches_a_receiver_and_a_changed_record_is_told_from_it() {
    let inbox = Inbox::default();
    let address = receiver(inbox.clone()).await;
    let folder = std::path::PathBuf::from(lab("TIDEGATE_LAB_DIR"));
    let (key, file) = (folder.join("notifications-key"), folder.join("notifications.yaml"));
    std::fs::write(&key, [KEY, b"\n"].concat()).expect("a key");
    let config = json!({"receivers": [{"name": "audit", "url": address, "secretFile": key}]});
    std::fs::write(&file, config.to_string()).expect("a file");
    let mut stage = Stage::new(NAMESPACE, TIDEGATE, |app| {
        app.steps = json!([{"weight": 20, "bake": "1s", "gates": [{"name": "qa"}]}, {"weight": 50, "bake": "1s"}]);
    })
    .await;
    stage.controller.arguments.extend(["--notifications-file".into(), file.display().to_string()]);
    stage.controller.restart();
    let run = stage.release_to("v2", 20).await["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    stage.space.until("the first decisions", 30, async || events(&inbox, &run).len() >= 3).await;
    stage.controller.restart();
    stage.space.act("Approve", "app", json!({"gate": "qa", "author": "ada"})).await;
    stage.until_outcome("v2", "Promoted").await;
    let stored = async || stage.space.get(RUN, &run).await.unwrap_or_default()["status"].clone();
    let decisions = stored().await["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    stage.space.until("all decisions", 30, async || events(&inbox, &run).len() >= decisions.len()).await;
    let told = events(&inbox, &run);
    for (decision, event) in decisions.iter().zip(told.values()) {
        assert_eq!((&event["data"]["decision"], &event["data"]["hash"]), (decision, &json!(chain::hash(decision))));
    }
    assert_eq!(told.len(), decisions.len());
    assert!(stored().await["notifiedSeq"].as_i64().is_some_and(|seq| seq > 0), "{}", stored().await);
    let (code, text) = verify();
    assert!(code == Some(0) && text.contains(&run) && text.contains("whole"), "{code:?} {text}");
    let forged = json!([{"op": "replace", "path": "/status/decisions/entries/1/message", "value": "nothing happened"}]);
    let params = kube::api::PatchParams::default();
    let patch: kube::api::Patch<()> = kube::api::Patch::Json(serde_json::from_value(forged).expect("a patch"));
    stage.space.api(RUN).patch_status(&run, &params, &patch).await.expect("the status is written");
    let (code, text) = verify();
    assert!(code == Some(3) && text.contains("decision 3: its previous is"), "{code:?} {text}");
    stage.nothing_failed().await;
}
