//! Named schedules without faults, each about one thing: crashes are swept through them.

use super::{
    habits::Habits,
    leaders::{Candidates, LeaderDeed},
    link::Crash,
    mishaps::Mishap,
    people::Deed,
    scenario::{IMAGES, ROLLOUT_NAME, ROUTE_NAME, Shop},
    schedule::{Outcome, Schedule},
};
use crate::api::ActionType;

/// A schedule and what it is called.
#[derive(Clone, Debug)]
pub struct Story {
    pub name: &'static str,
    schedule: Schedule,
}

fn deploy(version: usize) -> Deed {
    Deed::Deploy { rollout: ROLLOUT_NAME.into(), image: IMAGES[version - 1].into() }
}

fn ask(kind: ActionType) -> Deed {
    Deed::Ask { rollout: ROLLOUT_NAME.into(), kind }
}

fn failing() -> Deed {
    Deed::Fail { image: IMAGES[1].into(), per_million: 500_000 }
}

fn rollout() -> String {
    ROLLOUT_NAME.to_owned()
}

/// Steps as short as they can be.
fn brief() -> Shop {
    Shop { steps: vec![(10, 1), (50, 1)], soak_seconds: 2, drain_seconds: 2, ..Shop::default() }
}

fn direct() -> Shop {
    Shop { routed: false, ..brief() }
}

fn judged() -> Shop {
    Shop { judged: true, requests_per_second: 200.0, ..brief() }
}

fn referenced() -> Shop {
    Shop { referenced: true, ..brief() }
}

/// Most of every minute is frozen.
fn frozen() -> Shop {
    Shop { freeze_seconds: 40, ..brief() }
}

/// The service has burnt its error budget for a long time.
fn burning() -> Shop {
    Shop { guarded: true, past_errors: 0.05, ..judged() }
}

impl Story {
    fn of(name: &'static str, shop: Shop, deeds: Vec<(u64, Deed)>) -> Self {
        let deeds = deeds.into_iter().map(|(second, deed)| (1_000 * second, deed)).collect();
        let (habits, crashes) = (Habits::default(), Vec::new());
        Self { name, schedule: Schedule { seed: 1, shop, habits, deeds, crashes, heals: false } }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let mut all = Self::releases();
        all.extend(Self::troubles());
        all.extend(Self::changes_of_the_leader());
        all.extend(Self::of_an_autoscaler());
        all
    }

    /// Releases, and what people ask of them.
    fn releases() -> Vec<Self> {
        vec![
            Self::of("a version is promoted", brief(), vec![(1, deploy(2))]),
            Self::of("a version is promoted without a route", direct(), vec![(1, deploy(2))]),
            Self::of("a version fails and is taken back", judged(), vec![(1, failing()), (1, deploy(2))]),
            Self::of("a version is promoted on evidence", judged(), vec![(1, deploy(2))]),
            Self::of("a person takes a version back", brief(), vec![(1, deploy(2)), (14, ask(ActionType::Abort))]),
            Self::of(
                "without a route a person takes a version back",
                direct(),
                vec![(1, deploy(2)), (9, ask(ActionType::Abort))],
            ),
            Self::of("a version is promoted between freeze windows", frozen(), vec![(1, deploy(2))]),
            Self::of(
                "a person takes a version back in a freeze window",
                frozen(),
                vec![(1, deploy(2)), (75, ask(ActionType::Abort))],
            ),
            Self::of(
                "a person overrides a freeze window",
                frozen(),
                vec![(1, deploy(2)), (2, ask(ActionType::Override))],
            ),
            Self::of(
                "a person overrides the guard of the error budget",
                burning(),
                vec![(1, deploy(2)), (4, ask(ActionType::Override))],
            ),
            Self::of("a version is overtaken by a newer one", brief(), vec![(1, deploy(2)), (14, deploy(3))]),
            Self::of("the stable version is asked for again", brief(), vec![(1, deploy(2)), (14, deploy(1))]),
            Self::of(
                "a full promotion is asked for",
                brief(),
                vec![(1, deploy(2)), (12, ask(ActionType::PromoteFull))],
            ),
        ]
    }

    /// An autoscaler, which looks 15 s after it came and then again, and other numbers of customers than usual.
    fn of_an_autoscaler() -> Vec<Self> {
        let scaled = |name, percent, mut deeds: Vec<(u64, Deed)>| {
            let autoscale = Deed::Autoscale { rollout: rollout(), most: 9, patience: 0 };
            deeds.splice(0..0, [(0, autoscale), (1, deploy(2)), (2, Deed::Load { percent })]);
            Self::of(name, Shop { steps: vec![(10, 5), (50, 10)], ..brief() }, deeds)
        };
        vec![
            scaled("an autoscaler scales out in a step", 200, vec![]),
            scaled("an autoscaler scales in, and the version is taken back", 50, vec![(17, ask(ActionType::Abort))]),
            scaled("an autoscaler scales out while a version is taken back", 200, vec![(13, ask(ActionType::Abort))]),
        ]
    }

    /// One of two candidates leads, and then the other.
    fn changes_of_the_leader() -> Vec<Self> {
        let change = |name, deed| {
            let mut story = Self::of(name, brief(), vec![(1, deploy(2)), (14, Deed::Leader(deed))]);
            story.schedule.habits.candidates = Candidates { count: 2, skewed: false };
            story
        };
        vec![
            change("the leader is told to end in a step", LeaderDeed::Terminate),
            change("the leader is stopped for a minute in a step", LeaderDeed::Pause { millis: 60_000 }),
        ]
    }

    /// What comes in between, and other kinds of shop.
    fn troubles() -> Vec<Self> {
        vec![
            Self::of(
                "a route is reset by its owner",
                brief(),
                vec![(1, deploy(2)), (15, Deed::ResetRoute { name: ROUTE_NAME.into() })],
            ),
            Self::of(
                "a Service is reset by its owner",
                brief(),
                vec![(1, deploy(2)), (15, Deed::ResetService { name: ROLLOUT_NAME.into() })],
            ),
            Self::of(
                "a version is promoted against a baseline",
                Shop { baseline: true, ..judged() },
                vec![(1, deploy(2))],
            ),
            Self::of(
                "a person takes a version and its baseline back",
                Shop { baseline: true, ..judged() },
                vec![(1, deploy(2)), (16, ask(ActionType::Abort))],
            ),
            Self::of("a version behind TLS is promoted", Shop { tls: true, ..brief() }, vec![(1, deploy(2))]),
            Self::of("the pods are restarted", brief(), vec![(1, ask(ActionType::Restart))]),
            Self::of("a referenced Deployment's version is promoted", referenced(), vec![(1, deploy(2))]),
            Self::of(
                "the Rollout of a referenced Deployment is deleted in a step",
                referenced(),
                vec![(1, deploy(2)), (15, Deed::DeleteRollout { rollout: rollout() })],
            ),
            Self::of(
                "a record is lost in a step",
                brief(),
                vec![(1, deploy(2)), (15, Deed::DeleteRun { rollout: rollout() })],
            ),
            Self::of(
                "the Rollout is deleted in a step",
                brief(),
                vec![(1, deploy(2)), (15, Deed::DeleteRollout { rollout: rollout() })],
            ),
            Self::of(
                "the Rollout is scaled in a step",
                brief(),
                vec![(1, deploy(2)), (13, Deed::Scale { rollout: rollout(), replicas: 7 })],
            ),
            Self::of(
                "the pods never get ready",
                Shop { deadline_seconds: 10, ..brief() },
                vec![(1, Deed::Slow { image: IMAGES[1].into(), ready: None }), (1, deploy(2))],
            ),
        ]
    }

    /// Goes through it with kills at these writes, counted from 1.
    pub fn run(&self, crashes: &[Crash]) -> Outcome {
        Schedule { crashes: crashes.to_vec(), ..self.schedule.clone() }.run()
    }

    /// Goes through it with one mishap.
    pub fn run_with(&self, mishap: Mishap) -> Outcome {
        let habits = Habits { mishap: Some(mishap), ..self.schedule.habits };
        Schedule { habits, ..self.schedule.clone() }.run()
    }

    /// All that is done is done at once: what comes of it does not hang on how fast the controller is.
    pub fn is_of_one_moment(&self) -> bool {
        let first = self.schedule.deeds.first().map(|(at, _)| at);
        self.schedule.deeds.iter().all(|(at, _)| Some(at) == first)
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}
