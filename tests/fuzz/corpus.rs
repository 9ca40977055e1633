//! What each target begins from: documents of the repository, cases that were chosen, and the inputs that once failed
//! (`tests/fuzz/corpus/TARGET/*`).

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::traffic::ROUTERS;

use crate::targets;

/// The files of a folder of the repository.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(found) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<_> = found.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The documents of these YAML files, as JSON, and the files as they are.
fn documents(folders: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let text = String::from_utf8(file.clone()).unwrap();
        let read = serde_yaml_ng::Deserializer::from_str(&text).map_while(|one| Value::deserialize(one).ok());
        found.extend(read.filter(Value::is_object).map(|document| document.to_string().into_bytes()));
        found.push(file);
    }
    found
}

pub fn manifests() -> Vec<Vec<u8>> {
    let folders =
        ["e2e/data/accepted", "e2e/data/refused", "deploy/examples", "deploy/presets", "tests/fuzz/corpus/manifests"];
    let mut found = documents(&folders);
    found.extend(texts(&["a: &a [*a]", "--- |\n---\n", "- - - - -", "{\"spec\":"]));
    found
}

pub fn answers() -> Vec<Vec<u8>> {
    let matrix = |rows: Value| json!({"status": "success", "data": {"resultType": "matrix", "result": rows}});
    let grown = |name: &str, by: i64| -> Value {
        let values: Vec<Value> = (0..80).map(|at| json!([300 + at * 15, (at * by).to_string()])).collect();
        json!({"metric": {"__name__": name, "job": "a", "instance": "b", "pod": "checkout-abc-1"}, "values": values})
    };
    let bucket = |le: &str, by: i64| {
        let mut row = grown("x_bucket", by);
        row["metric"]["le"] = json!(le);
        row
    };
    let native: Vec<Value> = (0..80)
        .map(|at: i64| {
            let count = (at * 9).to_string();
            let buckets = json!([[0, "0.25", "0.5", (at * 3).to_string()], [0, "0.5", "1", (at * 6).to_string()]]);
            json!([300 + at * 15, {"count": count, "sum": "1.5", "buckets": buckets}])
        })
        .collect();
    let mut found = vec![
        matrix(json!([])),
        matrix(json!([grown("a", 100)])),
        matrix(json!([grown("a", 100), grown("b", 3)])),
        matrix(json!([bucket("0.1", 50), bucket("0.25", 80), bucket("+Inf", 100)])),
        matrix(json!([{"metric": {"pod": "checkout-abc-1"}, "histograms": native}])),
        json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.5"]}]}}),
        json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}, "warnings": ["PromQL info: x"]}),
        json!({"status": "success", "data": {"resultType": "matrix", "result": []}, "warnings": ["partial"]}),
        json!({"status": "error", "errorType": "timeout", "error": "query timed out"}),
    ]
    .into_iter()
    .map(|document| document.to_string().into_bytes())
    .collect::<Vec<_>>();
    found.extend(texts(&[
        "",
        "<html>sign in</html>",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"resu",
    ]));
    found.push("[".repeat(10_000).into_bytes());
    found.extend(files("tests/fuzz/corpus/answers"));
    found
}

pub fn routes() -> Vec<Vec<u8>> {
    let mut found: Vec<Value> = ROUTERS.iter().map(|router| router.example()).collect();
    for rules in [
        json!([{"backendRefs": [{"name": "checkout", "port": 80, "weight": 7, "filters": [{"type": "X"}]}, {"name": "other", "port": 1, "weight": 2}]}]),
        json!([{"name": "a", "matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "checkout", "port": 80}]}, {"backendRefs": [{"name": "checkout", "port": 81, "weight": 0}]}]),
        json!([{"backendRefs": [{"name": "checkout", "port": 80}, {"name": "checkout-abc", "port": 80, "weight": 0}]}]),
        json!([{"backendRefs": [{"name": "checkout", "port": 80, "namespace": "pay"}], "sessionPersistence": {}}]),
        json!([{"filters": [], "backendRefs": []}, {}]),
    ] {
        let mut route = ROUTERS[0].example();
        route["spec"]["rules"] = rules;
        route["spec"]["unknown"] = json!({"field": [1, null, "x"]});
        route["metadata"]["annotations"] = json!({"owner": "shop", "tidegate.io/run": "cart-8"});
        route["status"] = json!({"parents": [{"parentRef": {"name": "edge"}, "conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1}]}]});
        found.push(route);
    }
    let mut found: Vec<Vec<u8>> = found.iter().map(|document| document.to_string().into_bytes()).collect();
    found.extend(texts(&["{}", "[]", "null", "not a route"]));
    found.extend(files("tests/fuzz/corpus/routes"));
    found
}

pub fn queries() -> Vec<Vec<u8>> {
    let mut found = texts(&[
        "5",
        r#"x"} or vector(0) #"#,
        r#"x'} or vector(0) #"#,
        "x`} or vector(0) #",
        r#"\"} or vector(0) #"#,
        r#"\\"} or vector(0) #"#,
        "x\"}\n or vector(0)",
        "x\\",
        "\u{0}\u{1b}\u{7f}",
        "é\u{202e}𝒳\u{feff}",
        "hole0x",
        "{{ args.x }}",
        "}} {{ pods }}",
        ".*|.+",
        r#"sum(rate(a{b="{{ args.x }}"}[5m])) / on (pod) group_left max(b{c=~"{{ pods }}"} offset 5m)"#,
        r#"histogram_quantile(0.9, sum by (le) (rate(x_bucket{n="{{ namespace }}"}[1m:5s] @ end())))"#,
        r#"topk(scalar(count(b)), {__name__=~"a|b", c!~"d"}) unless ignoring (x) -a ^ 2 > bool 1"#,
        r#"label_replace(a{b='c'}, "x", "$1", "y", "(.*)") or absent(c{d=`e`}) or info(a)"#,
    ]);
    // Deep trees: a parser, or whoever walks what it gives, may recurse.
    found.extend(
        ["(", "-", "sum(", "1+", "a or ", "a^", "[", "{", "a[1m:]"]
            .map(|part| part.repeat(8_000 / part.len()).into_bytes()),
    );
    found.extend(["(|)", "-|", "sum(|)", "1+|", "-(|)"].map(|pair| {
        let (before, after) = pair.split_once('|').unwrap();
        let times = 8_000 / (pair.len() - 1);
        format!("{}a{}", before.repeat(times), after.repeat(times)).into_bytes()
    }));
    found.extend(files("tests/fuzz/corpus/queries"));
    found
}

pub fn numbers() -> Vec<Vec<u8>> {
    let mut found = texts(&[
        "",
        "0",
        "0s",
        "5m",
        "1h30m",
        "500ms",
        "99999h",
        "99999h99999h99999h99999h",
        "1h1h1h1h1h",
        "s",
        "-1s",
        "1.5s",
        " 1s",
        "1S",
        "100",
        "100.0",
        "99.9",
        "99.999",
        "0.0001",
        "1e2",
        "-0",
        "101",
        "NaN",
        "99.9999999999999999999999",
        "1/3",
        "+5",
        ".5",
        "5.",
        "\u{661}",
        "5%",
        "18446744073709551615ms",
        "99999999999999999999h",
    ]);
    found.extend(files("tests/fuzz/corpus/numbers"));
    found
}

pub fn records() -> Vec<Vec<u8>> {
    let mut found = targets::recorded_runs();
    found.extend(texts(&["{}", "null"]));
    found.extend(files("tests/fuzz/corpus/records"));
    found
}

pub fn windows() -> Vec<Vec<u8>> {
    let line = r#"{"xc":0,"nc":48,"xs":1,"ns":950}"#;
    let mut found = texts(&[
        line,
        r#"{"xc":null,"nc":null,"xs":1,"ns":950}"#,
        r#"{"xc":NaN,"nc":1e999,"xs":-1,"ns":"+Inf"}"#,
        "[0,48,1,950]",
        "0,48,1,950",
        r#"{"xc":1e308,"nc":1e308,"xs":1e-308,"ns":1e308}"#,
        r#"{"xc":9007199254740993,"nc":9007199254740994,"xs":0.5,"ns":0.7}"#,
    ]);
    found.push(format!("{line}\n").repeat(200).into_bytes());
    found.push(r#"{"xc":48,"nc":48,"xs":0,"ns":950}"#.replace('}', "}\n").repeat(50).into_bytes());
    found.push(" ".repeat(9_000).into_bytes());
    found.extend(files("tests/fuzz/corpus/windows"));
    found
}
