//! `tidegate controller`: the operator's start from the command line.
//!
//! The operator itself is in `controller`.

mod flags;

use super::{Failure, arguments::ConnectionArguments};
use crate::controller;
pub use flags::ControllerArguments;
use flags::LogFormat;

pub async fn run(connection: &ConnectionArguments, arguments: &ControllerArguments) -> Result<(), Failure> {
    let place = || {
        let (namespace, name) = (arguments.lease_namespace.clone(), arguments.lease_name.clone());
        controller::Place::new(namespace, name, connection.namespace.as_deref())
    };
    let args = controller::Args {
        kubeconfig: connection.kubeconfig.clone(),
        context: connection.context.clone(),
        namespace: connection.namespace.clone(),
        lease: arguments.leader_elect.then(place),
        lookout: (!arguments.leader_elect && arguments.lease_name.is_some()).then(place),
        listen: arguments.listen,
        notifications_file: arguments.notifications_file.clone(),
        json_log: arguments.log_format == LogFormat::Json,
        log_filter: arguments.log_level.clone(),
    };
    controller::run(args).await.map_err(Failure::Controller)
}
