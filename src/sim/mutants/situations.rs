//! Schedules that lead to where a bug shows: each is one thing that goes wrong, without faults of the network.

use crate::{
    api::ActionType,
    sim::{
        Candidates, Deed, Delay, Habits, LeaderDeed,
        scenario::{IMAGES, NEIGHBOUR, ROLLOUT_NAME, Shop},
        schedule::Schedule,
        story::Story,
    },
};

/// Moments of a release at which its leader is stopped.
const MOMENTS: u64 = 12;
/// Draws in which one of four pods is killed, or none.
const SEEDS: [u64; 6] = [1, 5, 6, 7, 9, 11];

fn deploy() -> Deed {
    Deed::Deploy { rollout: ROLLOUT_NAME.into(), image: IMAGES[1].into() }
}

fn ask(kind: ActionType) -> Deed {
    Deed::Ask { rollout: ROLLOUT_NAME.into(), kind }
}

fn of(name: &'static str, shop: &Shop, deeds: Vec<(u64, Deed)>) -> (&'static str, Schedule) {
    let deeds = deeds.into_iter().map(|(second, deed)| (1_000 * second, deed)).collect();
    let (habits, crashes) = (Habits::default(), Vec::new());
    (name, Schedule { seed: 1, shop: shop.clone(), habits, deeds, crashes, heals: false })
}

/// The stories, then more of one controller, then of two.
pub fn situations() -> Vec<(&'static str, Schedule)> {
    let long = Shop { steps: vec![(10, 10), (50, 10)], soak_seconds: 2, drain_seconds: 2, ..Shop::default() };
    let mut all = of_one_controller();
    all.extend(SEEDS.map(|seed| missing(&long, seed)));
    all.extend((0..MOMENTS).map(|index| stopped(&long, 3_000 + 751 * index)));
    all
}

/// A stable pod of four is killed in a step and does not come back, and the version is taken back: enough are left to do so at once.
fn missing(shop: &Shop, seed: u64) -> (&'static str, Schedule) {
    let stable = IMAGES[0].to_owned();
    let deeds = vec![
        (1, deploy()),
        (2, Deed::Slow { image: stable.clone(), ready: None }),
        (14, Deed::KillPods { image: stable, percent: 30 }),
        (16, ask(ActionType::Abort)),
    ];
    let (name, schedule) = of("a stable pod is missing while a version is taken back", shop, deeds);
    (name, Schedule { seed, ..schedule })
}

fn of_one_controller() -> Vec<(&'static str, Schedule)> {
    let brief = Shop { steps: vec![(10, 1), (50, 1)], soak_seconds: 2, drain_seconds: 2, ..Shop::default() };
    let long = Shop { steps: vec![(10, 10), (50, 10)], deadline_seconds: 20, ..brief.clone() };
    let judged = Shop { judged: true, requests_per_second: 200.0, ..brief.clone() };
    let canary = IMAGES[1].to_owned();
    let pause = |paused| Deed::Pause { rollout: ROLLOUT_NAME.into(), paused };
    let flap = |millis| Deed::Flap { image: canary.clone(), percent: 100, millis };
    let mut all: Vec<_> = Story::all().iter().map(|story| (story.name, story.schedule().clone())).collect();
    all.extend([
        of(
            "a run is paused for longer than its deadline",
            &long,
            vec![(1, deploy()), (12, pause(true)), (60, pause(false))],
        ),
        of(
            "a person pauses a run for longer than its deadline",
            &long,
            vec![(1, deploy()), (12, ask(ActionType::Pause)), (60, ask(ActionType::Resume))],
        ),
        of("a step is promoted by a person", &long, vec![(1, deploy()), (12, ask(ActionType::Promote))]),
        of(
            "the metrics server is away for a while",
            &judged,
            vec![(1, deploy()), (30, Deed::Prometheus { away: true }), (400, Deed::Prometheus { away: false })],
        ),
        of(
            "the metrics server warns of parts while a bad version is out",
            &judged,
            vec![
                (1, Deed::Partial { now: true }),
                (1, Deed::Fail { image: canary.clone(), per_million: 500_000 }),
                (1, deploy()),
                (150, Deed::Partial { now: false }),
            ],
        ),
        of(
            "two runs on one route",
            &Shop { neighbour: true, ..long.clone() },
            vec![(10, deploy()), (15, Deed::Deploy { rollout: NEIGHBOUR.into(), image: canary.clone() })],
        ),
        of("the controller restarts at rest", &brief, vec![(1, deploy()), (80, Deed::Kill)]),
        of(
            "a promoted version's pods flap",
            &brief,
            vec![(1, deploy()), (24, flap(1_000)), (27, flap(1_000)), (30, flap(1_000))],
        ),
        of("a Rollout is restarted", &brief, vec![(1, deploy()), (90, ask(ActionType::Restart))]),
        of(
            "the Gateway says nothing for a while",
            &brief,
            vec![
                (1, deploy()),
                (12, Deed::Gateway { silent: true }),
                (13, ask(ActionType::Abort)),
                (70, Deed::Gateway { silent: false }),
            ],
        ),
    ]);
    all
}

/// The leader of two is stopped for longer than its lease lasts, this long after the release. Requests are slow, so that some
/// stops fall between a read and the write that follows from it.
fn stopped(shop: &Shop, millis: u64) -> (&'static str, Schedule) {
    let (name, mut schedule) = of("the leader is stopped for a minute", shop, vec![(0, deploy())]);
    schedule.habits.candidates = Candidates { count: 2, skewed: false };
    schedule.habits.request = Delay::of(50, 150);
    schedule.deeds.push((millis, Deed::Leader(LeaderDeed::Pause { millis: 60_000 })));
    (name, schedule)
}
