//! A typed model of a cluster for the engine's stories: it applies a decision's actions to a World, lets pods, endpoints and
//! routes follow after a delay, and checks the laws and the traffic at every step.
//!
//! It knows no documents and no API server; those are tested elsewhere.

#![allow(dead_code)]

use std::collections::BTreeMap;

use tidegate::{
    api::{
        ActionOutcome, ActionType, ErrorBudget, EvidenceRecord, Percent, PlanStep, Reason, ResolvedAnalysis,
        RolloutPolicySpec, RolloutRunStatus, RolloutStatus, RunPhase, RunRoute, Span, recorded_as,
    },
    engine::*,
    stats::{Burn, Verdict},
};

pub struct Model {
    pub world: World,
    pub millis: u64,
    facts: BTreeMap<Fact, u64>,
    /// Milliseconds from a pod's creation to its readiness; absent: never.
    pub ready_after: BTreeMap<Revision, u64>,
    growing: BTreeMap<Revision, u64>,
    route_changed: BTreeMap<String, u64>,
    pub notes: Vec<String>,
    pub outcomes: Vec<(String, ActionOutcome, String)>,
    pub verdict: Option<Verdict>,
    /// RolloutPolicies that select the Rollout, by name.
    pub policies: Vec<(String, RolloutPolicySpec)>,
    /// What the metrics server says of the service's error budget when it is asked; None: it does not answer.
    pub burn: Option<Result<Burn, String>>,
    asked_burn: Option<u64>,
    /// How often it was asked.
    pub questions: usize,
    /// Kinds of route whose parents say nothing of what is written.
    pub silent: Vec<&'static str>,
    pub writes: usize,
    /// The controller dies right after this many writes, once.
    pub crash_after: Option<usize>,
    pub timeline: Vec<String>,
    /// Whether each decision is made twice and compared.
    pub decides_twice: bool,
}

pub fn step(weight: u32, bake: u64) -> PlanStep {
    PlanStep { weight: Percent::whole(weight), bake: Span::seconds(bake), ..PlanStep::default() }
}

impl Model {
    /// A Rollout with these steps and one revision `v1` in its template.
    pub fn new(steps: Vec<PlanStep>, routes: usize) -> Self {
        let spec = ValidRollout {
            release: None,
            replicas: Some(4),
            min_ready_seconds: 0,
            deployment_ref: None,
            services: vec!["app".into()],
            preview: None,
            routes: (0..routes).map(|index| ("HTTPRoute".to_owned(), format!("route-{index}"))).collect(),
            warm: Span::seconds(5),
            drain: Span::seconds(15),
            steps,
            soak: Span::seconds(30),
            baseline: false,
            known_in_steps: false,
            error_budget: None,
            progress_deadline: Span::seconds(45),
            paused: false,
            run_history_limit: 10,
        };
        let world = World {
            now: stamp(0),
            elapsed_millis: 0,
            held: BTreeMap::new(),
            epoch: 1,
            rollout: RolloutView {
                name: "app".into(),
                namespace: "shop".into(),
                uid: "uid-1".into(),
                generation: 1,
                deleting: false,
                has_finalizer: false,
                orphan: false,
                namespace_terminating: false,
                spec: Ok(spec.clone()),
                status: RolloutStatus::default(),
            },
            source: Seen::Known(SourceView { revision: "v1".into(), deployment: None }),
            revisions: BTreeMap::new(),
            services: vec![ServiceView { name: "app".into(), state: Seen::Known(ServiceState::default()) }],
            preview: None,
            routes: spec.routes.iter().map(|(kind, name)| route(kind, name)).collect(),
            runs: Vec::new(),
            actions: Vec::new(),
            spent_actions: Vec::new(),
            refusals: Vec::new(),
            guardrails: Guardrails::default(),
            not_carried: Vec::new(),
            dry_run: Some(Ok(())),
            analysis: Ok(ResolvedAnalysis::default()),
            evidence: None,
        };
        let ready_after = ["v1", "v2", "v3"].map(|revision| (revision.to_owned(), 2_000)).into_iter().collect();
        Self {
            world,
            millis: 0,
            facts: BTreeMap::new(),
            ready_after,
            growing: BTreeMap::new(),
            route_changed: BTreeMap::new(),
            notes: Vec::new(),
            outcomes: Vec::new(),
            verdict: None,
            policies: Vec::new(),
            burn: None,
            asked_burn: None,
            questions: 0,
            silent: Vec::new(),
            writes: 0,
            crash_after: None,
            timeline: Vec::new(),
            decides_twice: true,
        }
    }

    /// A Rollout whose first revision was adopted.
    pub fn adopted(steps: Vec<PlanStep>, routes: usize) -> Self {
        let mut model = Self::new(steps, routes);
        model.until("adopted", 60, |model| model.reason("Ready") == "Stable");
        model
    }

    pub fn spec(&mut self) -> &mut ValidRollout {
        self.world.rollout.spec.as_mut().unwrap()
    }

    pub fn budget(&mut self) {
        self.spec().error_budget = Some(ErrorBudget { objective: "99.9".parse().unwrap(), ..ErrorBudget::default() });
    }

    pub fn template(&mut self, revision: &str) {
        self.world.source = Seen::Known(SourceView { revision: revision.into(), deployment: None });
    }

    /// A RolloutPolicy of this name, as YAML; it takes the place of one that was there.
    pub fn policy(&mut self, name: &str, spec: &str) {
        self.policies.retain(|(other, _)| other != name);
        self.policies.push((name.to_owned(), serde_yaml_ng::from_str(spec).unwrap()));
    }

    pub fn ask(&mut self, kind: ActionType, change: impl FnOnce(&mut ActionView)) {
        let name = format!("action-{}", self.outcomes.len() + self.world.actions.len());
        let mut action = ActionView {
            uid: name.clone(),
            name,
            kind,
            rollout_uid: None,
            run: None,
            step: None,
            gate: None,
            author: "ada".into(),
            verified: true,
            on_behalf_of: None,
            reason: String::new(),
        };
        change(&mut action);
        self.world.actions.push(action);
    }

    /// The last run's state; the state before the start if there is none.
    pub fn run(&self) -> RolloutRunStatus {
        self.world.runs.last().and_then(|run| run.status.clone()).unwrap_or_default()
    }

    pub fn route_state(&mut self, index: usize) -> &mut RouteState {
        match &mut self.world.routes[index].state {
            Seen::Known(state) => state,
            other => panic!("route {index} is {other:?}"),
        }
    }

    pub fn service_state(&mut self) -> &mut ServiceState {
        match &mut self.world.services[0].state {
            Seen::Known(state) => state,
            other => panic!("the Service is {other:?}"),
        }
    }

    pub fn share(&self) -> Percent {
        let states = self.world.routes.iter().filter_map(|route| route.state.known());
        states.map(|state| state.canary.largest()).max().unwrap_or_default()
    }

    /// How the canary's refs stand in the first route.
    pub fn route_refs(&self) -> CanaryRefs {
        self.world.routes[0].state.known().unwrap().canary
    }

    /// The largest share of the baseline; None: it is not named in every route.
    pub fn baseline_share(&self) -> Option<Percent> {
        let refs = |route: &RouteView| Some(route.state.known()?.baseline.as_ref()?.refs.largest());
        self.world.routes.iter().map(refs).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    pub fn phase(&self) -> String {
        format!("{:?}", self.world.rollout.status.phase.unwrap())
    }

    pub fn reason(&self, kind: &str) -> String {
        let conditions = &self.world.rollout.status.conditions;
        conditions.iter().find(|condition| condition.kind == kind).map(|found| found.reason.clone()).unwrap_or_default()
    }

    pub fn status(&self, kind: &str) -> String {
        let conditions = &self.world.rollout.status.conditions;
        conditions.iter().find(|condition| condition.kind == kind).map(|found| found.status.clone()).unwrap_or_default()
    }

    /// Passes until `done`; panics with the timeline after `seconds` of the model's time.
    pub fn until(&mut self, what: &str, seconds: u64, done: impl Fn(&Self) -> bool) {
        let end = self.millis + seconds * 1_000;
        self.pass();
        while !done(self) {
            assert!(self.millis < end, "{what} not reached in {seconds} s:\n{}", self.timeline.join("\n"));
            self.pass();
        }
    }

    /// Passes for this long while `holds`.
    pub fn during(&mut self, seconds: u64, holds: impl Fn(&Self) -> bool) {
        let end = self.millis + seconds * 1_000;
        while self.millis < end {
            self.pass();
            assert!(holds(self), "no longer so at {} s:\n{}", self.millis / 1_000, self.timeline.join("\n"));
        }
    }

    /// One pass: decide, check the laws, act, let time pass.
    pub fn pass(&mut self) {
        self.observe();
        let decision = decide(&self.world);
        if self.decides_twice {
            let again = format!("{:?}", decide(&self.world));
            assert_eq!(format!("{decision:?}"), again, "the same World gives the same Decision");
        }
        let broken = laws(&self.world, &decision);
        assert!(broken.is_empty(), "{broken:?}\n{}\n{:?}", self.timeline.join("\n"), self.world.revisions);
        self.remember(&decision);
        if decision.wants_burn {
            self.asked_burn = Some(self.millis);
            self.questions += 1;
        }
        self.write_run(decision.run);
        for action in decision.actions {
            self.timeline.push(format!("{:>6.1} {action:?}", self.millis as f64 / 1_000.0));
            self.writes += 1;
            self.apply(action);
            if self.crash_after.take_if(|after| *after <= self.writes).is_some() {
                self.millis += 1_000;
                return self.forget();
            }
        }
        if decision.status != self.world.rollout.status {
            let status = &decision.status;
            let line = format!("{:?} {}", status.phase.unwrap(), status.message.clone().unwrap_or_default());
            self.timeline.push(format!("{:>6.1} status {line}", self.millis as f64 / 1_000.0));
            self.world.rollout.status = decision.status;
            self.writes += 1;
        }
        let passed = u64::try_from(decision.wake.as_millis()).unwrap().clamp(50, 1_000);
        self.millis += passed;
        self.world.elapsed_millis = passed;
    }

    fn observe(&mut self) {
        self.world.now = stamp(self.millis);
        self.world.guardrails = Guardrails {
            burn: self.measured(),
            hostnames: std::mem::take(&mut self.world.guardrails.hostnames),
            ..Guardrails::at(&self.world.now, self.policies.clone())
        };
        self.grow();
        self.follow();
        let now = self.millis;
        self.world.held = self.facts.iter().map(|(fact, since)| (fact.clone(), now - since)).collect();
        let seq = self.world.runs.last().and_then(|run| run.status.as_ref()).map_or(0, |status| status.settled_seq);
        let view =
            |verdict: &Verdict| EvidenceView { seq, verdict: verdict.clone(), record: EvidenceRecord::default() };
        self.world.evidence = self.verdict.as_ref().map(view);
    }

    /// The answer to the last question, which comes at once.
    fn measured(&self) -> Option<BurnView> {
        let (burn, asked) = (self.burn.clone()?, self.asked_burn?);
        Some(BurnView { age_millis: self.millis - asked, burn })
    }

    fn remember(&mut self, decision: &Decision) {
        let now = self.millis;
        self.facts.retain(|fact, _| decision.facts.contains(fact));
        for fact in &decision.facts {
            self.facts.entry(fact.clone()).or_insert(now);
        }
        self.notes.extend(decision.notes.iter().map(|note| format!("{}: {}", note.reason.word(), note.message)));
    }

    fn write_run(&mut self, write: Option<RunWrite>) {
        match write {
            None => {}
            Some(RunWrite::Create { name, spec }) => {
                self.world.runs.push(RunView { name, spec: *spec, status: None, unwritten_millis: 0 });
            }
            Some(RunWrite::Status { name, status, .. } | RunWrite::Remember { name, status }) => {
                if self.decides_twice {
                    let held = chain::verify(&serde_json::to_value(&status).unwrap());
                    assert!(held.is_ok(), "{held:?}\n{}", self.timeline.join("\n"));
                }
                self.timeline.push(format!(
                    "{:>6.1} run {:?} step {} weight {} {}",
                    self.millis as f64 / 1_000.0,
                    status.phase,
                    status.step,
                    status.weight,
                    status.message
                ));
                self.timeline.dedup_by(|next, last| next[6..] == last[6..]);
                let run = self.world.runs.iter_mut().find(|run| run.name == name).expect("the run exists");
                run.status = Some(*status);
            }
        }
    }

    fn apply(&mut self, action: Action) {
        let epoch = self.world.epoch;
        match action {
            Action::AddFinalizer => self.world.rollout.has_finalizer = true,
            Action::RemoveFinalizer => self.world.rollout.has_finalizer = false,
            Action::WriteReplicas { replicas } => self.spec().replicas = Some(replicas),
            Action::DryRun { .. } => self.world.dry_run = Some(Ok(())),
            Action::RecordRevision { revision } => self.revision(&revision).recorded = true,
            Action::CreateDeployment { revision, replicas } => {
                let record = recorded_as(&revision);
                assert!(self.world.revisions[record].recorded, "{revision} is made from the record of {record}");
                self.revision(&revision).deployment = Some(DeploymentView { desired: replicas, ..Default::default() });
            }
            Action::Scale { revision, replicas } => {
                self.revision(&revision).deployment.as_mut().unwrap().desired = replicas;
            }
            Action::DeleteDeployment { revision } => self.revision(&revision).deployment = None,
            Action::ApplyServices { revision } => {
                self.revision(&revision).services.insert("app".into(), 0);
            }
            Action::DeleteServices { revision } => {
                let view = self.revision(&revision);
                view.services.clear();
                view.policies = 0;
            }
            Action::MarkProven { revision, ordinal } => self.revision(&revision).proven = Some(ordinal),
            Action::DeleteRecord { revision } => {
                self.world.revisions.remove(&revision);
            }
            Action::RestartPods { revision, .. } => {
                let pods = self.revision(&revision).deployment.as_mut().unwrap();
                pods.ready = pods.desired;
            }
            Action::Pin { revision, run, .. } => {
                let state = self.service_state();
                state.pin = Some(revision);
                (state.run, state.epoch) = (run.or_else(|| state.run.take()), epoch);
            }
            Action::Share { run, .. } => {
                let state = self.service_state();
                (state.pin, state.run, state.epoch) = (None, Some(run), epoch);
            }
            Action::Unpin { .. } => {
                let state = self.service_state();
                (state.pin, state.run) = (None, None);
            }
            Action::Route { original, baseline, edit, .. } => self.edit(&original, baseline, edit),
            Action::Seal { kind, name, run } => self.seal(&kind, &name, &run),
            Action::Preview { revision, .. } => self.world.preview.as_mut().unwrap().selects = Some(revision),
            Action::ScaleSource { replicas } => self.source().desired = replicas,
            Action::RestoreSource { revision } => self.template(&revision),
            Action::Resolve { action, outcome, message, .. } => {
                self.world.actions.retain(|open| open.name != action);
                self.outcomes.push((action, outcome, message));
            }
            Action::DeleteAction { .. } => {}
            Action::DeleteRun { name } => self.world.runs.retain(|run| run.name != name),
            Action::CloseRun { name, status } => {
                self.world.runs.iter_mut().find(|run| run.name == name).unwrap().status = Some(*status);
            }
        }
    }

    fn source(&mut self) -> &mut SourceDeployment {
        match &mut self.world.source {
            Seen::Known(SourceView { deployment: Some(deployment), .. }) => deployment,
            other => panic!("no Deployment is referenced: {other:?}"),
        }
    }

    fn revision(&mut self, revision: &str) -> &mut RevisionView {
        self.world.revisions.entry(revision.to_owned()).or_default()
    }

    fn seal(&mut self, kind: &str, name: &str, run: &str) {
        let epoch = self.world.epoch;
        let (marked, sealed) = if kind == "Service" {
            let state = self.service_state();
            (&state.run, &mut state.epoch)
        } else {
            let index = self.world.routes.iter().position(|route| route.name == name).unwrap();
            let state = self.route_state(index);
            (&state.run, &mut state.epoch)
        };
        assert_eq!(marked.as_deref(), Some(run));
        assert!(*sealed < epoch, "S9: from epoch {sealed} to {epoch}");
        *sealed = epoch;
    }

    fn edit(&mut self, original: &RunRoute, of_baseline: Option<Revision>, edit: RouteEdit) {
        let (now, epoch) = (self.millis, self.world.epoch);
        self.route_changed.insert(original.name.clone(), now);
        let same = |route: &&mut RouteView| route.kind == original.kind && route.name == original.name;
        let route = self.world.routes.iter_mut().find(same).unwrap();
        let Seen::Known(state) = &mut route.state else { panic!("an edit of a route that is not there") };
        state.accepted = false;
        let refs = |revision, refs| BaselineRefs { revision, refs };
        match edit {
            RouteEdit::Name { run } => {
                (state.run, state.epoch) = (Some(run), epoch);
                if state.canary == CanaryRefs::Absent {
                    state.canary = CanaryRefs::At(Percent::ZERO);
                }
                if state.baseline.is_none() {
                    state.baseline = of_baseline.map(|revision| refs(revision, CanaryRefs::At(Percent::ZERO)));
                }
            }
            RouteEdit::Weight { share, baseline } => {
                assert!(!state.is_without_refs(), "no weight before the backend is named");
                assert!(share.thousandths() + baseline.thousandths() <= 100_000, "{share} and {baseline}");
                if state.canary != CanaryRefs::Absent {
                    state.canary = CanaryRefs::At(share);
                }
                if let Some(named) = &mut state.baseline {
                    assert_eq!(Some(&named.revision), of_baseline.as_ref());
                    named.refs = CanaryRefs::At(baseline);
                }
            }
            RouteEdit::Drop { run: _ } => {
                assert!(state.gives_nothing(), "dropped only at weight 0");
                (state.canary, state.baseline, state.run) = (CanaryRefs::Absent, None, None);
            }
        }
    }

    /// Pods come and get ready after their delay; they go at once.
    fn grow(&mut self) {
        let now = self.millis;
        for (revision, view) in &mut self.world.revisions {
            let Some(pods) = &mut view.deployment else { continue };
            if pods.pods != pods.desired {
                (pods.pods, pods.pods_with_terminating) = (pods.desired, pods.desired);
                pods.ready = pods.ready.min(pods.pods);
                self.growing.insert(revision.clone(), now);
            }
            let delay = self.ready_after.get(revision).or(self.ready_after.get(recorded_as(revision)));
            if delay.is_some_and(|delay| now >= self.growing.get(revision).copied().unwrap_or(0) + delay) {
                pods.ready = pods.pods;
            }
        }
    }

    /// Endpoints follow pins and pods, acceptance follows writes after half a second.
    fn follow(&mut self) {
        let pods: Vec<(Revision, u32, u32)> = self
            .world
            .revisions
            .iter()
            .filter_map(|(name, view)| view.deployment.as_ref().map(|pods| (name.clone(), pods.ready, pods.pods)))
            .collect();
        if let Seen::Known(state) = &mut self.world.services[0].state {
            let selected = |name: &str| state.pin.as_deref().is_none_or(|pin| pin == name);
            let of = |count: fn(&(Revision, u32, u32)) -> u32| -> BTreeMap<Revision, u32> {
                pods.iter()
                    .filter(|pod| selected(&pod.0) && count(pod) > 0)
                    .map(|pod| (pod.0.clone(), count(pod)))
                    .collect()
            };
            (state.ready, state.endpoints) = (of(|pod| pod.1), of(|pod| pod.2));
        }
        for (revision, ready, _) in &pods {
            for count in self.world.revisions.get_mut(revision).unwrap().services.values_mut() {
                *count = *ready;
            }
        }
        for route in &mut self.world.routes {
            if let Seen::Known(state) = &mut route.state {
                if self.silent.contains(&route.kind.as_str()) {
                    let waits = (!state.accepted).then(|| "Gateway edge: Accepted is for generation 1".to_owned());
                    (state.waiting_for, state.parent_silent) = (waits, !state.accepted);
                    continue;
                }
                state.accepted |= self.millis >= self.route_changed.get(&route.name).copied().unwrap_or(0) + 500;
            }
        }
    }

    /// The controller starts anew: what it only remembered is gone.
    pub fn forget(&mut self) {
        self.facts.clear();
        self.world.elapsed_millis = 0;
    }

    pub fn evidence(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    pub fn undecided() -> Verdict {
        Verdict::undecided(Reason::InsufficientEvidence, "too little traffic")
    }

    pub fn ended(&self) -> bool {
        self.world.runs.last().and_then(|run| run.status.as_ref()).is_some_and(|status| status.phase == RunPhase::Ended)
    }

    /// Nothing of a run is left: the route and the Service are as their owners wrote them.
    pub fn assert_at_rest(&self) {
        for route in &self.world.routes {
            let state = route.state.known().unwrap();
            assert_eq!((state.canary, &state.baseline, &state.run), (CanaryRefs::Absent, &None, &None));
        }
        let state = self.world.services[0].state.known().unwrap();
        assert_eq!((&state.pin, &state.run), (&None, &None));
        assert_eq!(self.world.revisions.values().filter(|view| view.deployment.is_some()).count(), 1);
    }
}

pub fn route(kind: &str, name: &str) -> RouteView {
    let original = RunRoute { kind: kind.into(), name: name.into(), ..RunRoute::default() };
    let state = RouteState {
        run: None,
        epoch: 0,
        canary: CanaryRefs::Absent,
        baseline: None,
        accepted: true,
        waiting_for: None,
        parent_silent: false,
        refs_unresolved: false,
        original,
        foreign_change: false,
        last_manager: None,
    };
    RouteView { kind: kind.into(), name: name.into(), state: Seen::Known(state) }
}

fn stamp(millis: u64) -> String {
    let seconds = millis / 1_000;
    format!("2026-01-01T{:02}:{:02}:{:02}Z", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}
