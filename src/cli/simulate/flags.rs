//! What can be asked of a simulation: its traffic, and what goes wrong in it.
//!
//! No behaviour.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    api::Span,
    cli::arguments::{longer_than_nothing, part, rate},
};

/// Exit codes: 0 promoted, 1 refused or failed, 2 wrong arguments, 3 taken back, 4 still open when the simulated time was over.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Exit codes: 0 promoted, 1 refused or failed, 2 wrong arguments, 3 taken back, 4 still open")]
pub struct SimulateArguments {
    /// File with the Rollout, as YAML or JSON; what it lacks (Service, route, metrics) is made up; - is standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: PathBuf,
    /// Requests per second of the service; default: what errorBudget.expectedRequests means, else 50
    #[arg(long, value_parser = rate)]
    pub rps: Option<f64>,
    /// Part of the stable revision's requests that are bad, such as 0.1% or 0.001
    #[arg(long, value_name = "PART", default_value = "0.1%", value_parser = share)]
    pub error_ratio: f64,
    /// Part of the new revision's requests that are bad, such as 2%; default: as the stable revision's
    #[arg(long, value_name = "PART", value_parser = share)]
    pub canary_errors: Option<f64>,
    /// The step, counted from 1, at whose weight errors, --prometheus-down and --reset-route begin
    #[arg(long, value_name = "STEP", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub from_step: u32,
    /// Pods of the new revision take this long to get ready
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2m", value_parser = longer_than_nothing)]
    pub slow_pods: Option<Span>,
    /// Pods of the new revision never get ready
    #[arg(long, conflicts_with = "slow_pods")]
    pub pods_never_ready: bool,
    /// The metrics server does not answer for this long
    #[arg(long, value_name = "DURATION", value_parser = longer_than_nothing)]
    pub prometheus_down: Option<Span>,
    /// A person aborts the run this long after the release
    #[arg(long, value_name = "DURATION", value_parser = longer_than_nothing)]
    pub abort_at: Option<Span>,
    /// Gates are approved, a minute after the rest of their step is done
    #[arg(long)]
    pub approve: bool,
    /// The controller is killed this many times in the course of the run
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub controller_restarts: u64,
    /// Another tool writes the routes back as the file has them, half a minute into the step of --from-step
    #[arg(long)]
    pub reset_route: bool,
    /// Simulated time at most
    #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = longer_than_nothing)]
    pub limit: Span,
    /// Another seed is another course of chance; the same one gives the same output
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// Form of the answer; default: a page of text
    #[arg(short, long, value_enum)]
    pub output: Option<SimulateOutput>,
    /// The same as `-o json`
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimulateOutput {
    /// A list with one entry for each Rollout, as JSON
    Json,
}

/// `2%` or `0.02`.
fn share(text: &str) -> Result<f64, String> {
    let wrong = || "write a part of the requests below 100%, such as 2% or 0.02".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.trim_end().parse::<f64>().map_err(|_| wrong())?;
            if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err(wrong()) }
        }
        None => part(text).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_as_percent_or_as_a_ratio() {
        for (text, wanted) in [("2%", Some(0.02)), ("0.02", Some(0.02)), ("0", Some(0.0)), ("100 %", Some(1.0))] {
            assert_eq!(share(text).ok(), wanted, "{text}");
        }
        for text in ["2", "101%", "-1%", "few", "%", "NaN", "nan%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
