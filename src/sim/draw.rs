//! What a seed draws for a random schedule: the shop, the habits of its cluster, and what people and chance do.

use super::{
    chance::Chance,
    clock::Millis,
    habits::{Delay, Faults, Habits},
    people::Deed,
    scenario::{IMAGES, ROLLOUT_NAME, ROUTE_NAME, Shop},
};
use crate::api::ActionType;

pub fn shop(chance: &mut Chance, seed: u64) -> Shop {
    // Drawn from a chance of its own, so that a seed is the schedule that it was.
    let has_baseline = Chance::new(!seed).below(3) == 0;
    let mut of_policy = Chance::new(seed.rotate_left(32));
    let freeze_seconds = if of_policy.below(4) == 0 { of_policy.pick(&[5, 20, 45]) } else { 0 };
    let weights = chance.pick(&[[10, 50], [1, 99], [50, 50], [25, 75], [5, 30]]);
    let routed = chance.below(4) > 0;
    Shop {
        replicas: chance.pick(&[1, 2, 4, 7]),
        steps: weights.map(|weight| (weight, chance.pick(&[1, 3, 8]))).to_vec(),
        soak_seconds: chance.pick(&[1, 5, 20]),
        drain_seconds: 5,
        deadline_seconds: 45,
        routed,
        baseline: routed && has_baseline,
        freeze_seconds,
        judged: routed && chance.below(3) == 0,
        requests_per_second: chance.pick(&[5.0, 40.0, 200.0]),
        ..Shop::default()
    }
}

/// What people lift where there are freeze windows: in half of those schedules one.
pub fn lifts(seed: u64, shop: &Shop, within: Millis) -> Option<(Millis, Deed)> {
    let mut chance = Chance::new(seed.rotate_left(16));
    let lifts = shop.freeze_seconds > 0 && chance.below(2) == 0;
    let lift = Deed::Ask { rollout: ROLLOUT_NAME.into(), kind: ActionType::Override };
    lifts.then(|| (chance.below(within), lift))
}

/// Fault rates vary by seed, and many are 0: a cluster in which everything fails at once reaches little (swarm testing,
/// Groce et al.).
pub fn habits(chance: &mut Chance) -> Habits {
    let mut rate = |most: f64| if chance.below(3) == 0 { most * chance.unit() } else { 0.0 };
    let faults = Faults {
        conflict: rate(0.3),
        refused: rate(0.3),
        unheard: rate(0.2),
        unread: rate(0.1),
        crash: rate(0.1),
        event_lost: rate(1.0),
        event_twice: rate(0.5),
    };
    Habits {
        faults,
        request: chance.pick(&[Delay::of(0, 2), Delay::of(1, 20), Delay::of(5, 300)]),
        watch: chance.pick(&[Delay::of(1, 20), Delay::of(50, 2_000)]),
        acceptance: chance.pick(&[Delay::of(50, 300), Delay::of(300, 4_000)]),
        data_plane: chance.pick(&[Delay::of(0, 50), Delay::of(100, 1_500)]),
        endpoints: chance.pick(&[Delay::of(5, 50), Delay::of(100, 1_000)]),
        controllers: chance.pick(&[Delay::of(5, 50), Delay::of(100, 1_500)]),
        termination: chance.pick(&[Delay::of(200, 1_000), Delay::of(3_000, 20_000)]),
        gitops: chance.pick(&[0, 0, 0, 20_000]),
        ..Habits::default()
    }
}

/// Up to eight things that happen within this time, and a release, without which nothing much would.
pub fn deeds(chance: &mut Chance, within: Millis) -> Vec<(Millis, Deed)> {
    let count = chance.below(9);
    let mut deeds: Vec<(Millis, Deed)> = (0..count).map(|_| (chance.below(within), deed(chance))).collect();
    deeds.push((1_000, Deed::Deploy { rollout: ROLLOUT_NAME.into(), image: IMAGES[1].into() }));
    deeds
}

fn deed(chance: &mut Chance) -> Deed {
    let rollout = || ROLLOUT_NAME.to_owned();
    let image = chance.pick(&IMAGES).to_owned();
    let percent = chance.pick(&[30, 60, 100]);
    match chance.below(18) {
        0..=2 => Deed::Deploy { rollout: rollout(), image },
        3 => Deed::Scale { rollout: rollout(), replicas: chance.pick(&[1, 2, 5, 9]) as u32 },
        4 => Deed::Pause { rollout: rollout(), paused: chance.below(2) == 0 },
        5..=7 => Deed::Ask {
            rollout: rollout(),
            kind: chance.pick(&[
                ActionType::Abort,
                ActionType::Promote,
                ActionType::PromoteFull,
                ActionType::Retry,
                ActionType::Pause,
                ActionType::Resume,
                ActionType::Restart,
            ]),
        },
        8 => Deed::KillPods { image, percent },
        9 => Deed::Flap { image, percent, millis: chance.between(100, 20_000) },
        10 => Deed::Slow { image, ready: chance.pick(&[None, Some(500), Some(15_000)]) },
        11 => Deed::Fail { image, per_million: chance.pick(&[0, 1_000, 50_000, 500_000]) },
        12 => Deed::Prometheus { away: chance.below(2) == 0 },
        13 => Deed::Gateway { silent: chance.below(2) == 0 },
        14 if chance.below(2) == 0 => Deed::ResetRoute { name: ROUTE_NAME.into() },
        14 => Deed::ResetService { name: ROLLOUT_NAME.into() },
        15 => match chance.below(4) {
            0 => Deed::DeleteRollout { rollout: rollout() },
            1 => Deed::DeleteRun { rollout: rollout() },
            _ => Deed::DeleteDeployment { rollout: rollout(), which: chance.below(2) as usize },
        },
        _ => Deed::Kill,
    }
}
