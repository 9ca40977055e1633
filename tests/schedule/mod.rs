//! A random schedule of the engine on the typed model, as plain data, so that one that fails can be made smaller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate::{
    api::{ActionType, Percent, Reason, Span, baseline_of},
    engine::{CanaryRefs, Refusal, RouteState, Seen, ServiceState},
    sim::chance::Chance,
    stats::Verdict,
};

use super::model::{Model, route, step};

/// One schedule in this many makes each decision twice.
const TWICE: u64 = 50;
/// From the last trouble to rest, in the model's time.
const REST_MILLIS: u64 = 3_600_000;
const REVISIONS: [&str; 3] = ["v1", "v2", "v3"];
/// Lines of a timeline that are shown.
const SHOWN: usize = 80;

/// What happens, and in what kind of cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    seed: u64,
    weights: [u32; 2],
    routes: usize,
    soak_seconds: u64,
    baseline: bool,
    budget: bool,
    /// Each with the passes that come after it.
    events: Vec<(Event, u64)>,
}

/// One thing that nobody announced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Template(&'static str),
    Ask(ActionType),
    Paused(bool),
    Replicas(u32),
    ResetRoute {
        index: usize,
        keeps_mark: bool,
    },
    ResetService,
    /// Some pods are not ready, and new ones take this long.
    Flap {
        revision: &'static str,
        of_baseline: bool,
        ready: u32,
        millis: Option<u64>,
    },
    DeleteDeployment {
        revision: &'static str,
        of_baseline: bool,
    },
    /// The controller starts anew, at once or after this many more writes.
    Restart {
        after_writes: Option<usize>,
    },
    /// Another process leads from now on.
    Leads,
    Fails,
    MetricsAway,
    MetricsBack,
    /// A route or the Service is gone, or cannot be read, until somebody puts it back.
    RouteGone(usize),
    RouteUnreadable(usize),
    ServiceGone,
    ServiceUnreadable,
    Back,
    /// Parents say nothing, or speak again.
    Silent(bool),
}

/// What became of a schedule.
pub struct Told {
    /// None: every law was kept, and rest was found.
    pub fault: Option<String>,
    lines: Vec<String>,
}

/// A schedule under way.
struct Course {
    model: Model,
    unread_routes: Vec<(usize, RouteState)>,
    unread_service: Option<ServiceState>,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let weights = chance.pick(&[[10, 50], [1, 100], [50, 50], [30, 99], [0, 20]]);
        let routes = chance.below(3) as usize;
        let count = chance.below(12);
        Self {
            seed,
            weights,
            routes,
            soak_seconds: chance.below(2) * 20,
            baseline: routes > 0 && chance.below(2) == 0,
            budget: chance.below(2) == 0,
            events: (0..count).map(|_| (event(&mut chance), chance.below(25))).collect(),
        }
    }

    /// Runs it to its end.
    pub fn run(&self) -> Told {
        let mut course = Course::begun(self);
        let end = catch_unwind(AssertUnwindSafe(|| course.go_through(self)));
        let fault = end.err().map(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            said.lines().next().unwrap_or_default().to_owned()
        });
        Told { fault, lines: course.model.timeline }
    }

    /// A smaller schedule that fails in the same way.
    pub fn shrunk(&self) -> Self {
        let kind = self.run().kind();
        let fails = |smaller: &Self| kind.is_some() && smaller.run().kind() == kind;
        let mut smallest = self.clone();
        while let Some(smaller) = smallest.smaller().into_iter().find(fails) {
            smallest = smaller;
        }
        smallest
    }

    /// Schedules that lack one thing each.
    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for index in 0..self.events.len() {
            let mut events = self.events.clone();
            events.remove(index);
            all.push(Self { events, ..self.clone() });
        }
        let plainer = [
            Self { routes: self.routes.min(1), ..self.clone() },
            Self { baseline: false, ..self.clone() },
            Self { budget: false, ..self.clone() },
            Self { soak_seconds: 0, ..self.clone() },
        ];
        all.extend(plainer.into_iter().filter(|plainer| plainer != self));
        for index in 0..self.events.len() {
            let passes = self.events[index].1;
            for fewer in [passes / 2, passes.saturating_sub(1)].into_iter().filter(|fewer| *fewer < passes) {
                let mut events = self.events.clone();
                events[index].1 = fewer;
                all.push(Self { events, ..self.clone() });
            }
        }
        all
    }
}

impl Told {
    /// The law, or the beginning of what was said.
    fn kind(&self) -> Option<String> {
        Some(self.fault.as_ref()?.chars().take(24).collect())
    }

    /// The last things that happened.
    pub fn timeline(&self) -> String {
        self.lines[self.lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

fn event(chance: &mut Chance) -> Event {
    let revision = chance.pick(&REVISIONS);
    let of_baseline = chance.below(3) == 0;
    match chance.below(21) {
        0 | 1 => Event::Template(revision),
        2 => Event::Ask(chance.pick(&[ActionType::Abort, ActionType::Retry, ActionType::Restart])),
        3 => Event::Ask(chance.pick(&[
            ActionType::Promote,
            ActionType::PromoteFull,
            ActionType::Pause,
            ActionType::Resume,
        ])),
        4 => Event::Paused(chance.below(2) == 0),
        5 => Event::Replicas(chance.pick(&[1, 2, 4, 9])),
        6 => Event::ResetRoute { index: chance.below(2) as usize, keeps_mark: chance.below(2) == 0 },
        7 => Event::ResetService,
        8 | 9 => {
            let millis = if chance.below(3) == 0 { None } else { Some(1_000 * chance.below(20)) };
            Event::Flap { revision, of_baseline, ready: chance.below(10) as u32, millis }
        }
        10 | 11 => {
            let after_writes = (chance.below(2) == 0).then(|| chance.below(6) as usize);
            Event::Restart { after_writes }
        }
        12 => Event::Fails,
        13 => Event::MetricsAway,
        14 => Event::MetricsBack,
        15 => chance.pick(&[Event::RouteGone(0), Event::RouteGone(1), Event::ServiceGone]),
        16 => chance.pick(&[Event::RouteUnreadable(0), Event::RouteUnreadable(1), Event::ServiceUnreadable]),
        17 => Event::Back,
        18 => Event::Silent(chance.below(2) == 0),
        19 => Event::Leads,
        _ => Event::DeleteDeployment { revision, of_baseline },
    }
}

impl Course {
    fn begun(schedule: &Schedule) -> Self {
        let [first, second] = schedule.weights;
        let steps = vec![step(first, 5), step(second, 5), step(100, 0)];
        let mut model = Model::adopted(steps, schedule.routes);
        model.decides_twice = schedule.seed.is_multiple_of(TWICE);
        model.spec().soak = Span::seconds(schedule.soak_seconds);
        model.spec().baseline = schedule.baseline && schedule.routes > 0;
        if schedule.budget {
            model.budget();
            model.evidence(Model::undecided());
        }
        Self { model, unread_routes: Vec::new(), unread_service: None }
    }

    fn go_through(&mut self, schedule: &Schedule) {
        for (event, passes) in &schedule.events {
            self.model.timeline.push(format!("{:>6.1} * {event:?}", self.model.millis as f64 / 1_000.0));
            self.happen(event);
            for _ in 0..*passes {
                self.pass();
            }
        }
        self.heal();
        let end = self.model.millis + REST_MILLIS;
        while !at_rest(&self.model) {
            assert!(self.model.millis < end, "no rest within an hour");
            self.pass();
        }
        self.model.assert_at_rest();
    }

    /// One pass. What is not there is told to it as it is told by the shell: nothing starts without it.
    fn pass(&mut self) {
        let world = &mut self.model.world;
        let refusal = |reason, name: &str| Refusal { reason, message: format!("{name} does not exist") };
        let services = world.services.iter().filter(|service| service.state.is_absent());
        let routes = world.routes.iter().filter(|route| route.state.is_absent());
        let services = services.map(|service| refusal(Reason::ServiceMissing, &service.name));
        world.refusals = services.chain(routes.map(|route| refusal(Reason::RouteMissing, &route.name))).collect();
        self.model.pass();
    }

    fn happen(&mut self, event: &Event) {
        let model = &mut self.model;
        match event {
            Event::Template(revision) => model.template(revision),
            Event::Ask(kind) => model.ask(*kind, |_| {}),
            Event::Paused(paused) => model.spec().paused = *paused,
            Event::Replicas(replicas) => model.spec().replicas = Some(*replicas),
            Event::ResetRoute { index, keeps_mark } => {
                if let Some(Seen::Known(state)) = model.world.routes.get_mut(*index).map(|route| &mut route.state) {
                    (state.canary, state.baseline) = (CanaryRefs::Absent, None);
                    state.run.take_if(|_| !keeps_mark);
                }
            }
            Event::ResetService => {
                if let Seen::Known(state) = &mut model.world.services[0].state {
                    (state.pin, state.run) = (None, None);
                }
            }
            Event::Flap { revision, of_baseline, ready, millis } => {
                let revision = meant(model, revision, *of_baseline);
                model.ready_after.insert(revision.clone(), millis.unwrap_or(u64::MAX / 2));
                if let Some(pods) = model.world.revisions.get_mut(&revision).and_then(|view| view.deployment.as_mut()) {
                    pods.ready = (*ready).min(pods.pods);
                }
            }
            Event::DeleteDeployment { revision, of_baseline } => {
                let revision = meant(model, revision, *of_baseline);
                if let Some(view) = model.world.revisions.get_mut(&revision) {
                    view.deployment = None;
                }
            }
            Event::Restart { after_writes: None } => {
                // Whoever leads after it does so in a new epoch.
                model.world.epoch += 1;
                model.forget();
            }
            Event::Restart { after_writes: Some(more) } => model.crash_after = Some(model.writes + more),
            Event::Leads => {
                model.world.epoch += 1;
                model.forget();
            }
            Event::Fails => model.verdict = model.verdict.take().map(|_| Verdict::fail(Reason::BudgetSpent, "spent")),
            Event::MetricsAway => {
                model.verdict = model.verdict.take().map(|_| Verdict::hold(Reason::MetricsUnavailable, "away"));
            }
            Event::MetricsBack => model.verdict = model.verdict.take().map(|_| Model::undecided()),
            Event::RouteGone(index) => {
                self.unread_routes.retain(|(unread, _)| unread != index);
                if let Some(route) = model.world.routes.get_mut(*index) {
                    route.state = Seen::Absent;
                }
            }
            Event::ServiceGone => {
                self.unread_service = None;
                model.world.services[0].state = Seen::Absent;
            }
            Event::RouteUnreadable(_) | Event::ServiceUnreadable => self.hide(event),
            Event::Back => self.put_back(),
            Event::Silent(silent) => model.silent = if *silent { vec!["HTTPRoute"] } else { Vec::new() },
        }
    }

    /// What cannot be read is still there.
    fn hide(&mut self, event: &Event) {
        let unknown = || "the request timed out".to_owned();
        let world = &mut self.model.world;
        if let Event::RouteUnreadable(index) = event
            && let Some(route) = world.routes.get_mut(*index)
            && route.state.known().is_some()
            && let Seen::Known(state) = std::mem::replace(&mut route.state, Seen::Unknown(unknown()))
        {
            self.unread_routes.push((*index, state));
        }
        if *event == Event::ServiceUnreadable
            && world.services[0].state.known().is_some()
            && let Seen::Known(state) = std::mem::replace(&mut world.services[0].state, Seen::Unknown(unknown()))
        {
            self.unread_service = Some(state);
        }
    }

    /// What is gone comes back as its owner wrote it, what could not be read as it was.
    fn put_back(&mut self) {
        let world = &mut self.model.world;
        for (index, state) in self.unread_routes.drain(..) {
            world.routes[index].state = Seen::Known(state);
        }
        if let Some(state) = self.unread_service.take() {
            world.services[0].state = Seen::Known(state);
        }
        for gone in world.routes.iter_mut().filter(|route| route.state.is_absent()) {
            *gone = route(&gone.kind, &gone.name);
        }
        if world.services[0].state.is_absent() {
            world.services[0].state = Seen::Known(ServiceState::default());
        }
    }

    /// Faults stop: everything can be read, pods get ready, nobody pauses, evidence comes in, nobody asks for anything more.
    fn heal(&mut self) {
        self.put_back();
        let model = &mut self.model;
        model.silent.clear();
        model.crash_after = None;
        for delay in model.ready_after.values_mut() {
            *delay = 1_000;
        }
        model.spec().paused = false;
        if model.verdict.is_some() {
            model.evidence(Model::undecided());
        }
        // A pause may be asked for that was not looked at yet.
        model.ask(ActionType::Resume, |_| {});
    }
}

/// The baseline's name, if it is meant and there is one.
fn meant(model: &Model, revision: &str, of_baseline: bool) -> String {
    let baseline = baseline_of(revision);
    let is_there = of_baseline && model.world.revisions.contains_key(&baseline);
    if is_there { baseline } else { revision.to_owned() }
}

fn at_rest(model: &Model) -> bool {
    let run_over = model.world.runs.is_empty() || model.ended();
    let settled = matches!(model.phase().as_str(), "Healthy" | "Degraded");
    let unmarked =
        model.world.services[0].state.known().is_some_and(|state| state.pin.is_none() && state.run.is_none());
    let alone = model.world.revisions.values().filter(|view| view.deployment.is_some()).count() == 1;
    run_over && settled && unmarked && alone && model.share() == Percent::ZERO && model.world.actions.is_empty()
}
