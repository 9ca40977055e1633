//! What a run does, as it does it: each decision with its numbers, and the moments between which a weight stood.

use std::time::Instant;

use serde_json::Value;

use crate::support::{
    Application, Space,
    stood::{decided, stood},
};

/// A finished run as the demo judges it.
pub struct Story {
    pub run: Value,
    /// Weight in percent and the seconds (since the epoch) between which it stood, margins cut.
    pub stood: Vec<(f64, i64, i64)>,
    /// Second (since the epoch) of the last decision.
    pub decided: i64,
}

pub struct Timeline<'a> {
    space: &'a Space,
    begin: Instant,
}

impl<'a> Timeline<'a> {
    pub fn new(space: &'a Space) -> Self {
        Self { space, begin: Instant::now() }
    }

    /// Prints the newest run's decisions until the Rollout is in this phase for the release, and returns what it was.
    pub async fn follow(&mut self, app: &Application, phase: &str, seconds: u64) -> Story {
        let printed = std::cell::Cell::new(0);
        let release = app.version.as_str();
        self.space
            .until(&format!("{release} to be {phase}"), seconds, async || {
                let run = self.space.newest_run(&app.name).await.filter(|run| run["spec"]["release"] == release);
                let Some(run) = run else { return false };
                self.print(&run, &printed);
                let status = self.space.status(&app.name).await;
                run["status"]["phase"] == "Ended" && status["phase"] == phase && status["release"]["id"] == release
            })
            .await;
        let run = self.space.newest_run(&app.name).await.unwrap_or_default();
        self.print(&run, &printed);
        Story { stood: stood(&run), decided: decided(&run), run }
    }

    fn print(&self, run: &Value, printed: &std::cell::Cell<i64>) {
        let entries = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry["seq"].as_i64() > Some(printed.get())) {
            let (weight, reason) = (&entry["weight"], entry["reason"].as_str().unwrap_or_default());
            let message = entry["message"].as_str().unwrap_or_default();
            println!(
                "  {:>6.1}s  weight {:>4}  {reason:<14} {message}",
                self.begin.elapsed().as_secs_f64(),
                weight.to_string()
            );
            printed.set(entry["seq"].as_i64().unwrap_or_default());
        }
    }
}
