//! `tidegate replay` as its callers see it, on a record that an evaluation has written.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Output, Stdio},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate::{
    api::{EvidenceRecord, Percent, RolloutRun, RolloutRunSpec, Span},
    measure::{Order, Provider, Sample, Series, WhyNot, evaluate},
    stats::marks,
};

const START: i64 = 1_700_000_000;

/// Counters of both arms that grow by as much in every second.
struct Counters;

#[async_trait]
impl Provider for Counters {
    async fn instant(&self, _: &str, _: i64) -> Result<Vec<Sample>, WhyNot> {
        Ok(Vec::new())
    }

    async fn over(&self, _: &str, _: i64, _: i64, _: i64) -> Result<Vec<Series>, WhyNot> {
        Ok(Vec::new())
    }

    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        let rate = match (selector.starts_with("bad"), selector.contains("checkout-abc")) {
            (false, true) => 20,
            (false, false) => 180,
            (true, true) => 2,
            (true, false) => 1,
        };
        let labels = [("job", "envoy"), ("instance", "a"), ("selector", selector)];
        let labels = BTreeMap::from(labels.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let scrapes = (START - 600 + 2..START + 600).step_by(5).filter(|at| from < *at && *at <= to);
        Ok(vec![Series {
            labels,
            samples: scrapes.map(|at| (at * 1_000, (rate * (at - START + 600)) as f64)).collect(),
            ..Series::default()
        }])
    }
}

fn spec() -> RolloutRunSpec {
    let selector = |name: &str| format!("{name}{{c=\"{{{{ route.cluster }}}}\"}}");
    serde_json::from_value(json!({
        "rollout": "checkout", "rolloutUID": "u", "stable": "def", "canary": "abc",
        "plan": {"steps": [{"weight": 10, "bake": "5m"}, {"weight": 100}]},
        "analysis": {"metrics": [{"name": "errors", "ratio": {"bad": selector("bad"), "total": selector("all")}}]},
        "progressDeadline": "10m", "services": ["checkout"], "warm": "5s", "drain": "15s",
        "routes": [{"kind": "HTTPRoute", "name": "checkout", "rules": [
            {"index": 0, "identity": "i", "services": ["checkout"], "backendRefs": [{"name": "checkout", "port": 80}]},
        ]}],
    }))
    .unwrap()
}

/// The document of a run after five minutes at its first weight.
async fn document() -> Value {
    let mut order = Order {
        weight: Percent::whole(10),
        settled_at: START,
        run_started_at: START - 20,
        scrape_interval: Span::seconds(5),
        ..Order::of("shop", &spec()).unwrap()
    };
    for now in (START..START + 300).step_by(5) {
        let record = evaluate(&order, &Counters, now).await.record;
        order.previous = Some(serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap());
    }
    let evidence: Option<EvidenceRecord> = order.previous;
    let mut run = serde_json::to_value(RolloutRun::new("checkout-7", spec())).unwrap();
    run["metadata"]["namespace"] = "shop".into();
    run["metadata"]["creationTimestamp"] = "2023-11-14T22:13:00Z".into();
    let folds = evidence.as_ref().and_then(marks);
    let decision = json!({
        "seq": 1, "at": "2023-11-14T22:18:00Z", "step": 0, "weight": 10, "reason": "Baking", "message": "x", "folds": folds,
    });
    run["status"] = json!({"evidence": evidence, "decisions": {"entries": [decision]}});
    run
}

fn replay(arguments: &[&str], input: &Value) -> (Output, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", "/nonexistent").arg("replay").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(input).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

#[tokio::test]
async fn a_saved_run_replays_bit_for_bit_without_a_cluster() {
    let run = document().await;
    for arguments in [&["-f", "-"][..], &["rolloutrun/checkout-7", "-f", "-"]] {
        let (output, page, error) = replay(arguments, &run);
        assert_eq!(output.status.code(), Some(0), "{page}{error}");
        assert!(page.starts_with("Replay of RolloutRun shop/checkout-7  from its record\n"), "{page}");
        assert!(page.contains("windows folded again: identical bit for bit\n"), "{page}");
        assert!(page.contains("  1 of 1 decisions compared with the evidence folded again: identical\n"), "{page}");
        assert!(page.contains("spending of the record: as the folds make it\n"), "{page}");
        assert!(page.contains("evidence for a Fail: ") && page.contains("evidence for a Pass: "), "{page}");
    }
    let list = json!({"kind": "List", "items": [run]});
    let (_, text, _) = replay(&["-f", "-", "-o", "json"], &list);
    let printed: Value = serde_json::from_str(&text).unwrap();
    let metric = &printed[0]["metrics"][0];
    assert_eq!((&printed[0]["run"], &metric["metric"]), (&json!("checkout-7"), &json!("errors")));
    assert_eq!(metric["failEvidence"]["recorded"], metric["failEvidence"]["again"]);
    assert_eq!((&metric["difference"], &metric["incomplete"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn what_does_not_replay_exits_with_1_and_says_where() {
    let run = document().await;
    let mut changed = run.clone();
    let windows = changed.pointer_mut("/status/evidence/metrics/errors/fold/comparison/recording/windows").unwrap();
    *windows = windows.as_str().unwrap().replacen("10,100,", "11,100,", 1).into();
    assert_ne!(changed, run);
    let (mut forged, mut decided) = (run.clone(), run.clone());
    forged["status"]["evidence"]["reason"] = "SloBreach".into();
    let folds = &mut decided["status"]["decisions"]["entries"][0]["folds"];
    *folds = format!("{}0123456789ab", folds.as_str().unwrap().split_inclusive(':').next().unwrap()).into();
    let mut empty = run.clone();
    empty["status"] = json!({});
    for (arguments, input, words) in [
        (
            vec!["-f", "-"],
            &changed,
            "error: the record does not replay: RolloutRun checkout-7, errors and its decisions\nhint: ",
        ),
        (vec!["-f", "-"], &forged, "error: the record does not replay: RolloutRun checkout-7, its verdict\nhint: "),
        (vec!["-f", "-"], &decided, "error: the record does not replay: RolloutRun checkout-7, its decisions\nhint: "),
        (vec!["-f", "-"], &empty, "error: failed to replay RolloutRun checkout-7: its status holds no evidence\n"),
        (
            vec!["chekout-7", "-f", "-"],
            &run,
            "error: RolloutRun \"chekout-7\" not found in standard input\nhint: Did you mean checkout-7?",
        ),
        (vec!["-f", "-"], &json!({"kind": "Service"}), "error: failed to read standard input: it holds no RolloutRun"),
        // Port 9 is discard's: nothing listens there.
        (
            vec!["-f", "-", "--prometheus", "http://127.0.0.1:9"],
            &run,
            "error: not all of the record could be compared: RolloutRun checkout-7, errors\n",
        ),
    ] {
        let (output, page, error) = replay(&arguments, input);
        assert_eq!(output.status.code(), Some(1), "{page}{error}");
        assert!(error.starts_with(words), "{arguments:?}: {page}{error}");
    }
    let (_, page, _) = replay(&["-f", "-"], &changed);
    assert!(
        page.contains("folded again: differs\n") && page.contains("part 1 of the evidence for a Fail is"),
        "{page}"
    );
    let (_, page, _) = replay(&["-f", "-", "--prometheus", "http://127.0.0.1:9"], &run);
    assert!(page.contains("from http://127.0.0.1:9") && page.contains("failed to reach the metrics server"), "{page}");
}
