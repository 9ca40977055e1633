//! The flags of `tidegate controller`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

const LEVELS: &str = "off, error, warn, info, debug or trace";

#[derive(Debug, Args)]
pub struct ControllerArguments {
    /// Work only while this process holds the Lease, so that several can run; =false: it is the only one, as in a trial
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub leader_elect: bool,
    /// Namespace of the Lease [default: the pod's own; outside a pod that of --namespace, or kube-system]
    #[arg(long)]
    pub lease_namespace: Option<String>,
    /// Name of the Lease [default: tidegate, with --namespace tidegate-NAMESPACE]; with --leader-elect=false: of the one whose
    /// holder this process gives way to
    #[arg(long)]
    pub lease_name: Option<String>,
    /// Address for metrics and probes
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// File with receivers that every decision is sent to; docs/audit.md has its form
    #[arg(long, value_name = "FILE")]
    pub notifications_file: Option<PathBuf>,
    /// Form of the log
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace, or a filter such as info,kube=warn
    #[arg(long, env = "TIDEGATE_LOG", hide_env_values = true, default_value = "info",
          value_parser = log_filter)]
    pub log_level: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A word by itself would be taken for the name of a part of the program, and `warning` would turn everything else off.
fn log_filter(text: &str) -> Result<String, String> {
    for part in text.split(',').map(str::trim) {
        let is_word = part.chars().all(|char| char.is_alphanumeric() || ['_', '-', ':'].contains(&char));
        let is_level = LEVELS.replace(" or", ",").split(", ").any(|level| part.eq_ignore_ascii_case(level));
        if is_word && !is_level {
            return Err(format!(
                "{part:?} is no level: write {LEVELS}, or a part of the program with one, as in kube=warn"
            ));
        }
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}: write {LEVELS}, or a filter such as info,kube=warn")),
    }
}
