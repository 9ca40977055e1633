//! A server on this host that answers queries as Prometheus does, and reads of objects as an API server does.
//!
//! One request per connection; it lives as long as the test's process.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::{Value, json};

pub struct Server {
    pub address: String,
}

impl Server {
    /// `answer`: the value of a query. `objects`: by path; what is not there is answered as not found.
    pub fn start(answer: fn(&str) -> f64, objects: &[(String, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let objects: BTreeMap<String, Value> = objects.iter().cloned().collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), answer, &objects);
            }
        });
        Self { address }
    }
}

fn serve(stream: TcpStream, answer: fn(&str) -> f64, objects: &BTreeMap<String, Value>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let (status, text) = if path == "/api/v1/query" {
        let query = String::from_utf8(decoded(&body)).unwrap();
        let result = json!([{"metric": {}, "value": [0, answer(&query).to_string()]}]);
        ("200 OK", json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
    } else {
        match objects.get(path) {
            Some(object) => ("200 OK", object.to_string()),
            None => {
                let details = json!({"name": path.rsplit('/').next()});
                let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                    "message": "not found", "details": details});
                ("404 Not Found", status.to_string())
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    reader.into_inner().write_all((head + &text).as_bytes()).unwrap();
}

/// The text of a form.
fn decoded(form: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = form;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => text.push(b' '),
            (b'%', [high, low, ..]) => {
                let digits = [*high, *low];
                let hex = std::str::from_utf8(&digits).unwrap();
                text.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &after[2..];
            }
            (one, _) => text.push(*one),
        }
    }
    text
}
