//! A new leader's seal on a run: what an older leader has under way fails before anything new is done.
//!
//! # Flow
//! The run's record gets the leader's epoch, then each mark of the run on Services and routes, then the pass goes on. Every
//! write builds on the version that was read, so what an older leader has sent and not finished is stale from then on; and
//! one that looks again meets the higher epoch and stops.
//!
//! # Caveats
//! What bears no mark is not sealed: a Rollout at rest gets no write from a new leader. Objects of Tidegate's own are looked
//! at by their version alone.

use super::{Action, Draft, World, active::Active};

/// The newest epoch in records, as far as a Lease can have it: `leaseTransitions` is an int32.
pub fn newest_epoch(epochs: impl IntoIterator<Item = i64>) -> i64 {
    epochs.into_iter().filter(|epoch| *epoch <= i64::from(i32::MAX)).max().unwrap_or(0)
}

impl World {
    /// The newest epoch in the runs' records.
    pub fn newest_record(&self) -> i64 {
        newest_epoch(self.runs.iter().filter_map(|run| Some(run.status.as_ref()?.epoch)))
    }

    /// The newest epoch in a mark on a Service or a route.
    pub fn newest_mark(&self) -> i64 {
        let services = self.services.iter().filter_map(|service| Some(service.state.known()?.epoch));
        let routes = self.routes.iter().filter_map(|route| Some(route.state.known()?.epoch));
        services.chain(routes).max().unwrap_or(0)
    }

    /// Kind and name of what bears the run's mark in another epoch than this leader's.
    pub(super) fn unsealed(&self, run: &str) -> Vec<(&str, &str)> {
        let is_open = |mark: Option<&str>, epoch| mark == Some(run) && epoch != self.epoch;
        let services = self.services.iter().filter_map(|service| {
            let state = service.state.known()?;
            is_open(state.run.as_deref(), state.epoch).then_some(("Service", service.name.as_str()))
        });
        let routes = self.routes.iter().filter_map(|route| {
            let state = route.state.known()?;
            is_open(state.run.as_deref(), state.epoch).then_some((route.kind.as_str(), route.name.as_str()))
        });
        services.chain(routes).collect()
    }
}

/// Seals the run: the record is written in this pass, the marks before any other action. True: the record was not sealed.
pub(super) fn seal(state: &mut Active, draft: &mut Draft) -> bool {
    for (kind, name) in state.world.unsealed(state.name) {
        draft.act(Action::Seal { kind: kind.to_owned(), name: name.to_owned(), run: state.name.to_owned() });
    }
    let is_older = state.status.epoch < state.world.epoch;
    state.status.epoch = state.status.epoch.max(state.world.epoch);
    is_older
}
