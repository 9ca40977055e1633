//! The flags of `tidegate controller`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct ControllerArguments {
    /// Work only while this process holds the Lease, so that several can run; =false: it is the only one, as in a trial
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub leader_elect: bool,
    /// Namespace of the Lease [default: the pod's own; outside a pod that of --namespace, or kube-system]
    #[arg(long)]
    pub lease_namespace: Option<String>,
    /// Name of the Lease [default: tidegate, with --namespace tidegate-NAMESPACE]
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
    /// What is logged: error, warn, info, debug or trace, or a filter such as info,kube=warn
    #[arg(long, env = "TIDEGATE_LOG", hide_env_values = true, default_value = "info")]
    pub log_level: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
