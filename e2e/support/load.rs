//! The lab's load generator: a constant rate through the gateway, every answer counted by version and code.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;

use super::{Space, space::lab};

/// A machine that stalls for seconds must not look like a gateway that fails.
const TIMEOUT: &str = "20s";
/// The demo application answers to every gRPC method.
const METHOD: &str = "/lab.Demo/Echo";

/// The owner's reset takes the canary's weight and its name out of the route in one write. Envoy may then have removed the
/// cluster a few milliseconds before it has the new route, and answers what comes in between with 503 (NC). No controller
/// can prevent that; it is counted apart, and it is little.
const MOST_LOST_BY_A_RESET: u64 = 5;

/// Answers by version, then by code. Transport errors have no version.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Tally {
    pub sent: u64,
    pub answered: u64,
    pub counts: Counts,
    #[serde(default)]
    pub seconds: Vec<Second>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Second {
    pub t: i64,
    pub counts: Counts,
}

impl Tally {
    /// Answers other than 200, or OK of gRPC.
    pub fn failed(&self) -> u64 {
        self.counts.values().flatten().filter(|(code, _)| is_failure(code)).map(|(_, count)| count).sum()
    }

    /// Answers of one version, whatever their code.
    pub fn of(&self, version: &str) -> u64 {
        self.counts.get(version).map(|codes| codes.values().sum()).unwrap_or_default()
    }

    /// Failures before this moment (seconds since the epoch).
    pub fn failed_before(&self, moment: i64) -> u64 {
        self.failed_between(i64::MIN, moment)
    }

    pub fn failed_between(&self, from: i64, to: i64) -> u64 {
        let seconds = self.seconds.iter().filter(|second| (from..to).contains(&second.t));
        seconds
            .flat_map(|second| second.counts.values().flatten())
            .filter(|(code, _)| is_failure(code))
            .map(|(_, count)| count)
            .sum()
    }

    /// No request failed but a few right after these resets of a route by its owner.
    pub fn nothing_failed_but_at(&self, resets: &[i64]) {
        let by_reset: Vec<u64> = resets.iter().map(|reset| self.failed_between(*reset, *reset + 4)).collect();
        println!("lost by the owner's own resets: {by_reset:?} of {} requests", self.sent);
        assert!(by_reset.iter().all(|lost| *lost <= MOST_LOST_BY_A_RESET), "{by_reset:?}: {}", self.failures());
        assert_eq!(self.failed(), by_reset.iter().sum::<u64>(), "{}", self.failures());
    }

    /// The seconds in which something failed, for a failure's message.
    pub fn failures(&self) -> String {
        let failed =
            self.seconds.iter().filter(|second| second.counts.values().flatten().any(|(code, _)| is_failure(code)));
        failed.map(|second| format!("{}: {:?}\n", second.t, second.counts)).collect()
    }

    /// Answers of one version between two moments (seconds since the epoch, the first included), and all answers.
    pub fn between(&self, version: &str, from: i64, to: i64) -> (u64, u64) {
        let seconds = self.seconds.iter().filter(|second| (from..to).contains(&second.t));
        seconds.fold((0, 0), |(of, all), second| {
            let version: u64 = second.counts.get(version).map(|codes| codes.values().sum()).unwrap_or_default();
            (of + version, all + second.counts.values().flatten().map(|(_, count)| count).sum::<u64>())
        })
    }
}

fn is_failure(code: &str) -> bool {
    !["200", "grpc:0"].contains(&code)
}

pub struct Load {
    child: Option<Child>,
    file: PathBuf,
}

impl Load {
    /// A constant rate to this host until it is stopped.
    pub fn start(host: &str, rate: u32) -> Self {
        Self::send(host, rate, &lab("TIDEGATE_LAB_GATEWAY"), &[])
    }

    fn send(host: &str, rate: u32, url: &str, more: &[&str]) -> Self {
        let file = PathBuf::from(lab("TIDEGATE_LAB_DIR")).join(format!("load-{host}-{rate}.json"));
        let child = Command::new(lab("TIDEGATE_LAB_BIN"))
            .args(["load", "--url", url, "--host", host, "--timeout", TIMEOUT])
            .args(more)
            .args(["--rate", &rate.to_string(), "--out"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the load generator starts");
        Self { child: Some(child), file }
    }

    /// The same, once the gateway answers this host with 200 three times in a row.
    pub async fn when_served(space: &Space, host: &str, rate: u32) -> Self {
        served(space, host, &lab("TIDEGATE_LAB_GATEWAY")).await;
        Self::start(host, rate)
    }

    /// Unary gRPC calls, once the gateway answers on their path.
    pub async fn when_called(space: &Space, host: &str, rate: u32) -> Self {
        let url = lab("TIDEGATE_LAB_GATEWAY") + METHOD;
        served(space, host, &url).await;
        Self::send(host, rate, &url, &["--grpc"])
    }

    /// The count so far (written once a second).
    pub fn tally(&self) -> Tally {
        let text = std::fs::read(&self.file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Ends the load; answers in flight are waited for.
    pub fn stop(mut self) -> Tally {
        self.end();
        self.tally()
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            for _ in 0..250 {
                if child.try_wait().ok().flatten().is_some() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The gateway answers with 200 three times in a row. It takes a plain request to the application for gRPC's path too.
async fn served(space: &Space, host: &str, url: &str) {
    let client = reqwest::Client::new();
    let answer = async || {
        let request = client.get(url).header("Host", host);
        request.send().await.is_ok_and(|answer| answer.status() == 200)
    };
    let what = format!("{host} to be served");
    space.until(&what, 30, async || answer().await && answer().await && answer().await).await;
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}
