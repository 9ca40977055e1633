//! `tidegate controller`: the operator's start from the command line.
//!
//! The operator itself is in `controller`.

use super::{
    Failure,
    arguments::{ConnectionArguments, ControllerArguments, LogFormat},
};
use crate::controller;

pub async fn run(connection: &ConnectionArguments, arguments: &ControllerArguments) -> Result<(), Failure> {
    let args = controller::Args {
        kubeconfig: connection.kubeconfig.clone(),
        context: connection.context.clone(),
        namespace: connection.namespace.clone(),
        listen: arguments.listen,
        notifications_file: arguments.notifications_file.clone(),
        json_log: arguments.log_format == LogFormat::Json,
        log_filter: arguments.log_level.clone(),
    };
    controller::run(args).await.map_err(Failure::Controller)
}
