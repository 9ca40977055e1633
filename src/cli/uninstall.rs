//! `tidegate uninstall-check`: whether the controller may go. The chart asks it before its objects are deleted.
//!
//! It deletes nothing.

use kube::{Api, ResourceExt, api::ListParams, core::PartialObjectMeta};

use super::{Failure, Terminal, arguments::ConnectionArguments, connection::Connection};
use crate::api::Rollout;

/// Rollouts that are named; the others are counted.
const NAMED: usize = 5;

pub async fn check(arguments: &ConnectionArguments) -> Result<(), Failure> {
    let connection = Connection::new(arguments).await?;
    let api: Api<Rollout> = match &arguments.namespace {
        Some(namespace) => Api::namespaced(connection.client.clone(), namespace),
        None => Api::all(connection.client.clone()),
    };
    let rollouts: Vec<PartialObjectMeta<Rollout>> = match api.list_metadata(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(error) => match connection.failure("list Rollouts", &error) {
            // Without the kinds there are no Rollouts.
            Failure::KindsMissing { .. } => Vec::new(),
            failure => return Err(failure),
        },
    };
    if rollouts.is_empty() {
        return Terminal::stdout().print("no Rollouts exist\n");
    }
    let name = |rollout: &PartialObjectMeta<Rollout>| {
        format!("{}/{}", rollout.namespace().unwrap_or_default(), rollout.name_any())
    };
    Err(Failure::RolloutsRemain { count: rollouts.len(), some: rollouts.iter().take(NAMED).map(name).collect() })
}
