//! `tidegate controller`: the operator's start from the command line.
//!
//! The operator itself is in `controller`.

use tracing_subscriber::EnvFilter;

use super::{
    Failure,
    arguments::{ConnectionArguments, ControllerArguments, LogFormat},
};
use crate::controller;

pub async fn run(connection: &ConnectionArguments, arguments: &ControllerArguments) -> Result<(), Failure> {
    start_log(arguments)?;
    let ConnectionArguments { namespace, context, kubeconfig } = connection.clone();
    let log = match arguments.log_format {
        LogFormat::Text => controller::LogFormat::Text,
        LogFormat::Json => controller::LogFormat::Json,
    };
    let args = controller::Args { kubeconfig, context, namespace, listen: arguments.listen, log };
    controller::run(args).await.map_err(|error| Failure::of_chain(&error))
}

/// The controller starts a log only if there is none yet.
fn start_log(arguments: &ControllerArguments) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&arguments.log_level)
        .map_err(|error| Failure::Controller(format!("--log-level {:?}: {error}", arguments.log_level)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match arguments.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Failure::Controller(error.to_string()))
}
