//! An unfinished run beside the World it is looked at in: counts, shares and needs that every phase asks for.
//!
//! It changes nothing but the run's own record.

use super::{Note, RevisionView, RouteState, RouteView, RunView, Seen, ServiceState, ServiceView, World, record};
use crate::api::{Asked, Percent, PlanStep, Reason, RolloutRunSpec, RolloutRunStatus, RunOutcome, RunPhase, RunRoute};

pub(super) struct Active<'w> {
    pub world: &'w World,
    pub name: &'w str,
    pub spec: &'w RolloutRunSpec,
    /// The state after this pass.
    pub status: RolloutRunStatus,
    /// N: pods at full capacity.
    pub full: u32,
    /// The action that the next transition carries out.
    pub asked: Option<Asked>,
    /// There was a transition in this pass.
    pub moved: bool,
    /// What people are told of this pass: one note for each transition, and one for the end.
    pub notes: Vec<Note>,
    /// The run ended in this pass.
    pub ended: bool,
}

/// Pods needed for a share: none for none, else at least one, rounded up.
pub(super) fn need(full: u32, share: Percent) -> u32 {
    if share == Percent::ZERO { 0 } else { share.of_ceil(full).max(1) }
}

/// Pods beside N stable ones that make this share of one Service's endpoints: N w / (100 - w), at most N.
pub(super) fn beside(full: u32, share: Percent) -> u32 {
    if share == Percent::ZERO {
        return 0;
    }
    if share >= Percent::whole(50) {
        return full.max(1);
    }
    let (weight, rest) = (u64::from(share.thousandths()), u64::from(share.rest().thousandths()));
    let pods = (2 * u64::from(full) * weight + rest) / (2 * rest);
    u32::try_from(pods).unwrap_or(u32::MAX).max(1)
}

impl<'w> Active<'w> {
    pub fn new(world: &'w World, run: &'w RunView, status: RolloutRunStatus) -> Self {
        let stable = world.revisions.get(&run.spec.stable).and_then(|revision| revision.deployment.as_ref());
        let full = match &world.rollout.spec {
            Ok(spec) => spec.replicas,
            Err(_) => None,
        }
        .or(stable.map(|deployment| deployment.desired))
        .unwrap_or(1);
        Self {
            world,
            name: &run.name,
            spec: &run.spec,
            status,
            full,
            asked: None,
            moved: false,
            notes: Vec::new(),
            ended: false,
        }
    }

    pub fn routed(&self) -> bool {
        !self.spec.routes.is_empty()
    }

    /// The present step; the last if the record is beyond it.
    pub fn step(&self) -> &'w PlanStep {
        let steps = &self.spec.plan.steps;
        &steps[(self.status.step as usize).min(steps.len() - 1)]
    }

    pub fn is_last_step(&self) -> bool {
        self.status.step as usize + 1 >= self.spec.plan.steps.len()
    }

    /// The share that the present phase works towards.
    pub fn target(&self) -> Percent {
        match self.status.phase {
            RunPhase::Stepping => self.step().weight,
            RunPhase::Soaking | RunPhase::Finishing => Percent::FULL,
            RunPhase::Aborting | RunPhase::Ended => Percent::ZERO,
        }
    }

    pub fn revision(&self, revision: &str) -> Option<&'w RevisionView> {
        self.world.revisions.get(revision)
    }

    pub fn canary(&self) -> Option<&'w RevisionView> {
        self.revision(&self.spec.canary)
    }

    /// The revisions that the run brings up beside stable, each with its word: the canary, and a baseline.
    pub fn tested(&self) -> impl Iterator<Item = (&'static str, &'w str)> + use<'w> {
        let baseline = self.spec.baseline.as_deref().map(|revision| ("baseline", revision));
        std::iter::once(("canary", self.spec.canary.as_str())).chain(baseline)
    }

    pub fn has_pods(&self, revision: &str) -> bool {
        self.revision(revision).is_some_and(|view| view.deployment.is_some())
    }

    /// Pods that the canary must have for the present step, the granted share and whatever share it has now.
    pub fn wanted_pods(&self) -> u32 {
        let (granted, target) = (self.status.weight, self.target());
        if self.routed() {
            let floor = match self.status.phase {
                RunPhase::Stepping => self.step().replicas.as_ref().map_or(0, |replicas| replicas.of(self.full)),
                _ => 0,
            };
            return floor.max(need(self.full, target.max(granted).max(self.largest_share()))).max(1);
        }
        if target == Percent::FULL || granted == Percent::FULL {
            return self.full.max(1);
        }
        // While pods share the Service, a pod more is traffic more: the next share's pods come only once it is granted.
        let share = if granted == Percent::ZERO { target } else { granted };
        let floor = match (share == Percent::ZERO, &self.step().replicas) {
            (true, Some(replicas)) => replicas.of(self.full),
            _ => 0,
        };
        beside(self.full, share).max(floor).max(1)
    }

    /// Pods that the baseline must have: as many as the canary. At 100 it gets nothing, and keeps what it has until the end.
    pub fn wanted_baseline_pods(&self, baseline: &str) -> u32 {
        if self.target() < Percent::FULL {
            return self.wanted_pods();
        }
        let present = self.revision(baseline).and_then(|view| view.deployment.as_ref()).map_or(0, |pods| pods.desired);
        present.max(need(self.full, self.spec.baseline_at(self.status.weight).max(self.largest_baseline_share())))
    }

    /// Ready pods of the canary that its backend reaches: the smallest count over its Services.
    pub fn canary_ready(&self) -> u32 {
        self.ready(&self.spec.canary)
    }

    /// The same of any revision under test; 0 of one that is not there. Without their Deployment pods are on their way out, whatever
    /// the endpoints say for a moment.
    pub fn ready(&self, revision: &str) -> u32 {
        let Some(revision) = self.revision(revision) else { return 0 };
        let Some(deployment) = &revision.deployment else { return 0 };
        if !self.routed() {
            return deployment.ready;
        }
        self.spec.services.iter().map(|name| revision.services.get(name).copied().unwrap_or(0)).min().unwrap_or(0)
    }

    /// Ready pods of stable that the application's Services reach; None: cannot be told.
    pub fn stable_ready(&self) -> Option<u32> {
        if !self.routed() {
            let deployment = self.revision(&self.spec.stable).and_then(|revision| revision.deployment.as_ref());
            return Some(deployment.map_or(0, |deployment| deployment.ready));
        }
        let counts = self.world.services.iter().map(|service| match &service.state {
            Seen::Known(state) => Some(state.ready.get(&self.spec.stable).copied().unwrap_or(0)),
            Seen::Absent => Some(0),
            Seen::Unknown(_) => None,
        });
        counts.collect::<Option<Vec<_>>>().and_then(|counts| counts.into_iter().min())
    }

    pub fn services(&self) -> impl Iterator<Item = (&'w ServiceView, &'w ServiceState)> {
        self.world.services.iter().filter_map(|service| service.state.known().map(|state| (service, state)))
    }

    /// The frozen route, or what was read anew after a foreign write.
    pub fn original(&self, route: &RouteView) -> RunRoute {
        let same = |frozen: &&RunRoute| frozen.kind == route.kind && frozen.name == route.name;
        let anew = self.status.routes.iter().find(same);
        anew.or_else(|| self.spec.routes.iter().find(same)).cloned().unwrap_or_default()
    }

    /// The smallest total in which every weight of the plan is a whole number.
    pub fn total(&self) -> u32 {
        record::weight_total(self.spec.plan.steps.iter().map(|step| step.weight))
    }

    /// The largest share that the canary has anywhere, whatever was granted.
    pub fn largest_share(&self) -> Percent {
        if self.routed() {
            let states = self.world.routes.iter().filter_map(|route| route.state.known());
            return states.map(|state| state.canary.largest()).max().unwrap_or_default();
        }
        let shares = self.services().map(|(_, state)| match &state.pin {
            Some(pin) if *pin == self.spec.canary => Percent::FULL,
            Some(_) => Percent::ZERO,
            None if state.run.as_deref() == Some(self.name) => self.status.weight,
            None => Percent::ZERO,
        });
        shares.max().unwrap_or_default()
    }

    /// The largest share that the baseline has anywhere.
    pub fn largest_baseline_share(&self) -> Percent {
        let states = self.world.routes.iter().filter_map(|route| route.state.known());
        states.map(|state| state.baseline_refs().largest()).max().unwrap_or_default()
    }

    /// The route gives the canary this share, and the baseline what belongs to it.
    pub fn is_at(&self, state: &RouteState, share: Percent) -> bool {
        state.is_at(share, self.spec.baseline.is_some().then(|| self.spec.baseline_at(share)))
    }

    /// The ready pods carry what the canary's share asks of it and of the baseline.
    pub fn carries(&self, share: Percent) -> bool {
        let of_baseline = need(self.full, self.spec.baseline_at(share));
        self.canary_ready() >= need(self.full, share)
            && self.spec.baseline.as_ref().is_none_or(|baseline| self.ready(baseline) >= of_baseline)
    }

    /// Every route (or Service) gives the canary this share and has accepted it.
    pub fn stands_at(&self, share: Percent) -> bool {
        if self.routed() {
            return !self.world.routes.is_empty()
                && self.world.routes.iter().all(|route| match &route.state {
                    Seen::Known(state) => self.is_at(state, share) && state.accepted,
                    Seen::Absent | Seen::Unknown(_) => false,
                });
        }
        let enough = self.canary_ready() >= self.wanted_pods();
        enough
            && self.world.services.iter().all(|service| match &service.state {
                Seen::Known(state) => self.service_stands_at(state, share),
                Seen::Absent | Seen::Unknown(_) => false,
            })
    }

    fn service_stands_at(&self, state: &ServiceState, share: Percent) -> bool {
        let only = |revision: &str| state.endpoints.keys().all(|found| found == revision);
        match self.pin_for(share) {
            Some(pin) => state.pin.as_deref() == Some(pin) && only(pin),
            None => {
                let ready = state.ready.get(&self.spec.canary).copied().unwrap_or(0);
                state.pin.is_none() && ready >= self.wanted_pods()
            }
        }
    }

    /// The pin that a Service has at this share; None without a route between 0 and 100: both revisions share it.
    pub fn pin_for(&self, share: Percent) -> Option<&'w str> {
        if self.status.phase == RunPhase::Finishing || (!self.routed() && share == Percent::FULL) {
            return Some(&self.spec.canary);
        }
        if self.routed() || share == Percent::ZERO { Some(&self.spec.stable) } else { None }
    }

    /// A transition: it is recorded with its sentence before anything is done about it.
    pub fn transition(&mut self, reason: Reason, message: impl Into<String>) {
        let goes_back = self.status.phase == RunPhase::Aborting;
        self.record(reason, &message.into(), goes_back);
    }

    /// The same for what somebody should look at, although the run goes on.
    pub fn alarm(&mut self, reason: Reason, message: &str) {
        self.record(reason, message, true);
    }

    fn record(&mut self, reason: Reason, message: &str, warning: bool) {
        record::transition(&mut self.status, &self.world.now, reason, message, self.asked.take());
        self.tell(reason, self.status.message.clone(), warning);
        self.moved = true;
    }

    pub fn tell(&mut self, reason: Reason, message: String, warning: bool) {
        let message = format!("RolloutRun {}: {message}", self.name);
        self.notes.push(Note { reason, message, warning });
    }

    /// Go back: from here on nothing raises the canary again.
    pub fn go_back(&mut self, ending: RunOutcome, reason: Reason, message: impl Into<String>) {
        self.status.phase = RunPhase::Aborting;
        self.status.ending = Some(ending);
        self.status.weight = Percent::ZERO;
        self.status.settled_at = None;
        self.transition(reason, message);
    }

    /// Enter a step (or the soak): its time and its consents begin anew.
    pub fn enter(&mut self, phase: RunPhase, step: u32) {
        self.status.phase = phase;
        self.status.step = step;
        self.status.settled_at = None;
        self.status.credits = crate::api::Credits::default();
        self.status.approvals.clear();
        self.status.skip_bake = false;
    }
}
