//! Random schedules on the typed model: people, GitOps tools, pods and crashes do what they like, then stop, and the engine must
//! come to rest with everything given back. The laws are checked on every decision on the way.
//!
//! A failure prints its seed; `SEED=n cargo test --test engine_schedules` replays it, `SCHEDULES=n` runs more.

mod model;
mod threads;

use model::{Model, step};
use threads::{number, side_by_side};
use tidegate::sim::chance::Chance;
use tidegate::{
    api::{ActionType, Percent, Reason, Span, baseline_of},
    engine::{CanaryRefs, Seen},
    stats::Verdict,
};

/// Schedules in the small form that runs with every test run.
const SCHEDULES: u64 = 500;

/// One schedule in this many makes each decision twice.
const TWICE: u64 = 50;

#[test]
fn every_schedule_keeps_the_laws_and_comes_to_rest() {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SCHEDULES").unwrap_or(SCHEDULES)).collect(),
    };
    let failed = side_by_side(&seeds, |seed| std::panic::catch_unwind(|| schedule(*seed)).is_err());
    let bad: Vec<&u64> = seeds.iter().zip(failed).filter(|(_, failed)| *failed).map(|(seed, _)| seed).collect();
    println!("{} schedules, {} laws broken", seeds.len(), bad.len());
    assert!(bad.is_empty(), "SEED={}", bad[0]);
}

fn schedule(seed: u64) {
    let mut chance = Chance::new(seed);
    let weights = chance.pick(&[[10, 50], [1, 100], [50, 50], [30, 99], [0, 20]]);
    let routes = chance.below(3) as usize;
    let mut model = Model::adopted(vec![step(weights[0], 5), step(weights[1], 5), step(100, 0)], routes);
    model.decides_twice = seed.is_multiple_of(TWICE);
    model.spec().soak = Span::seconds(chance.below(2) * 20);
    // Drawn from a chance of its own, so that a seed is the schedule that it was.
    model.spec().baseline = routes > 0 && Chance::new(!seed).below(2) == 0;
    if chance.below(2) == 0 {
        model.budget();
        model.evidence(Model::undecided());
    }
    let mut leaders = Chance::new(seed ^ 0x5ea1);
    for _ in 0..chance.below(12) {
        happen(&mut model, &mut chance);
        if leaders.below(6) == 0 {
            model.world.epoch += 1;
            model.forget();
        }
        for _ in 0..chance.below(25) {
            model.pass();
        }
    }
    heal(&mut model);
    let end = model.millis + 3_600_000;
    while !at_rest(&model) {
        assert!(
            model.millis < end,
            "no rest within an hour:\n{}",
            model.timeline[model.timeline.len().saturating_sub(80)..].join("\n")
        );
        model.pass();
    }
    model.assert_at_rest();
}

/// One thing that nobody announced.
fn happen(model: &mut Model, chance: &mut Chance) {
    match chance.below(14) {
        0 | 1 => model.template(chance.pick(&["v1", "v2", "v3"])),
        2 => model.ask(chance.pick(&[ActionType::Abort, ActionType::Retry, ActionType::Restart]), |_| {}),
        3 => model.ask(
            chance.pick(&[ActionType::Promote, ActionType::PromoteFull, ActionType::Pause, ActionType::Resume]),
            |_| {},
        ),
        4 => model.spec().paused = chance.below(2) == 0,
        5 => model.spec().replicas = Some(chance.pick(&[1, 2, 4, 9])),
        6 => reset_route(model, chance),
        7 => {
            if let Seen::Known(state) = &mut model.world.services[0].state {
                (state.pin, state.run) = (None, None);
            }
        }
        8 => flap(model, chance),
        9 => model.forget(),
        10 => model.verdict = model.verdict.take().map(|_| Verdict::fail(Reason::BudgetSpent, "spent")),
        11 => model.verdict = model.verdict.take().map(|_| Verdict::hold(Reason::MetricsUnavailable, "away")),
        12 => model.verdict = model.verdict.take().map(|_| Model::undecided()),
        _ => {
            let revision = of_baseline(model, chance.pick(&["v1", "v2", "v3"]));
            if let Some(view) = model.world.revisions.get_mut(&revision) {
                view.deployment = None;
            }
        }
    }
}

fn reset_route(model: &mut Model, chance: &mut Chance) {
    let count = model.world.routes.len() as u64;
    if count > 0 {
        let index = chance.below(count) as usize;
        let state = model.route_state(index);
        (state.canary, state.run) = (CanaryRefs::Absent, state.run.take().filter(|_| chance.below(2) == 0));
        state.baseline = None;
    }
}

/// Every third time it is the baseline's that something happens to, if there is one.
fn of_baseline(model: &Model, revision: &str) -> String {
    let baseline = baseline_of(revision);
    let hit = model.millis.is_multiple_of(3) && model.world.revisions.contains_key(&baseline);
    if hit { baseline } else { revision.to_owned() }
}

fn flap(model: &mut Model, chance: &mut Chance) {
    let revision = of_baseline(model, chance.pick(&["v1", "v2", "v3"]));
    if chance.below(3) == 0 {
        model.ready_after.insert(revision.clone(), u64::MAX / 2);
    } else {
        model.ready_after.insert(revision.clone(), 1_000 * chance.below(20));
    }
    if let Some(pods) = model.world.revisions.get_mut(&revision).and_then(|view| view.deployment.as_mut()) {
        pods.ready = chance.below(u64::from(pods.pods) + 1) as u32;
    }
}

/// Faults stop: pods get ready, nobody pauses, evidence comes in, nobody asks for anything more.
fn heal(model: &mut Model) {
    for delay in model.ready_after.values_mut() {
        *delay = 1_000;
    }
    model.spec().paused = false;
    if model.verdict.is_some() {
        model.evidence(Model::undecided());
    }
    if model.run().paused {
        model.ask(ActionType::Resume, |_| {});
    }
}

fn at_rest(model: &Model) -> bool {
    let run_over = model.world.runs.is_empty() || model.ended();
    let settled = matches!(model.phase().as_str(), "Healthy" | "Degraded");
    let unmarked =
        model.world.services[0].state.known().is_some_and(|state| state.pin.is_none() && state.run.is_none());
    let alone = model.world.revisions.values().filter(|view| view.deployment.is_some()).count() == 1;
    run_over && settled && unmarked && alone && model.share() == Percent::ZERO && model.world.actions.is_empty()
}
