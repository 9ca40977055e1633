//! placeholder until measure is merged
use super::{Cluster, Key, Queue};
use crate::{
    api::RolloutRunStatus,
    engine::{EvidenceView, RunView, World},
};
use std::sync::Arc;
#[derive(Clone)]
pub struct Latest {
    pub view: EvidenceView,
    pub at_millis: u64,
}
pub struct Evaluators {}
impl Evaluators {
    pub fn new(_: Arc<dyn Cluster>, _: Arc<Queue>) -> Self {
        Self {}
    }
    pub fn latest(&self, _: &Key) -> Option<Latest> {
        None
    }
    pub fn follow(&self, _: &Key, _: &World, _: &RunView, _: &RolloutRunStatus) {}
    pub fn stop(&self, _: &Key) {}
}
