//! A Rollout as it is in the cluster now, with what its page shows beside it.
//!
//! It reads; it decides nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt, api::ListParams};

use super::{Failure, connection::Connection};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Rollout, RolloutRun},
    view::{Pods, Scene},
};

pub struct Live {
    pub rollout: Rollout,
    /// The run that the Rollout's status names.
    pub run: Option<RolloutRun>,
    pub pods: BTreeMap<String, Pods>,
}

impl Live {
    pub async fn read(connection: &Connection, name: &str) -> Result<Self, Failure> {
        let rollout = find(connection, name).await?;
        let run = match run_name(&rollout) {
            Some(run) => {
                let api: Api<RolloutRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
                let read = api.get_opt(run).await;
                read.map_err(|error| connection.failure(format!("read RolloutRun {run}"), &error))?
            }
            None => None,
        };
        let api: Api<Deployment> = Api::namespaced(connection.client.clone(), &connection.namespace);
        let listed = api.list(&ListParams::default().labels(&format!("{ROLLOUT_LABEL}={name}"))).await;
        let deployments =
            listed.map_err(|error| connection.failure(format!("list the Deployments of Rollout {name}"), &error))?;
        Ok(Self { rollout, run, pods: pods(deployments.iter()) })
    }

    pub fn scene(&self, now: Option<Timestamp>) -> Scene<'_> {
        Scene { rollout: &self.rollout, run: self.run.as_ref(), pods: self.pods.clone(), now }
    }
}

/// The Rollout, or a failure that names near ones.
pub async fn find(connection: &Connection, name: &str) -> Result<Rollout, Failure> {
    let api: Api<Rollout> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let failed = |error| connection.failure(format!("read Rollout {name}"), &error);
    if let Some(rollout) = api.get_opt(name).await.map_err(failed)? {
        return Ok(rollout);
    }
    // The list is only for the hint; but a server without our kinds answers the read with "not found" too.
    let known = match api.list(&ListParams::default()).await.map_err(failed) {
        Ok(rollouts) => rollouts.iter().map(ResourceExt::name_any).collect(),
        Err(failure @ Failure::KindsMissing { .. }) => return Err(failure),
        Err(_) => Vec::new(),
    };
    Err(Failure::RolloutNotFound { name: name.to_owned(), namespace: connection.namespace.clone(), known })
}

pub fn run_name(rollout: &Rollout) -> Option<&str> {
    rollout.status.as_ref()?.run.as_deref()
}

/// Pods by revision, from the revisions' Deployments.
pub fn pods<'d>(deployments: impl Iterator<Item = &'d Deployment>) -> BTreeMap<String, Pods> {
    let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let entry = |deployment: &Deployment| {
        let revision = deployment.labels().get(REVISION_LABEL)?.clone();
        let desired = count(deployment.spec.as_ref().and_then(|spec| spec.replicas));
        let ready = count(deployment.status.as_ref().and_then(|status| status.ready_replicas));
        Some((revision, Pods { desired, ready }))
    };
    deployments.filter_map(entry).collect()
}
