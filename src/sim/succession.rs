//! Two candidates for the lease in some schedules, and what happens to the one that leads.

use super::{
    chance::Chance,
    clock::Millis,
    habits::Habits,
    leaders::{Candidates, LeaderDeed},
    people::Deed,
    scenario::{IMAGES, ROLLOUT_NAME},
};
use crate::api::ActionType;

/// Makes another stream of a seed, so that everything else in its schedule is as it was.
const STREAM: u64 = 0x1B87_3593_CC9E_2D51;
/// What befalls leaders comes up within this, while a run is under way.
const WITHIN: Millis = 50_000;
/// A lease that is not renewed has run out after this.
const EXPIRY: Millis = 15_000;

/// In one of eight schedules there are two candidates, and things happen to their leader. Their clocks go right: by wrong ones a
/// bake is not as long as the record says, and `tests/sim_leaders.rs` shows that elections bear them.
pub fn draw(seed: u64, habits: &mut Habits, deeds: &mut Vec<(Millis, Deed)>) {
    let mut chance = Chance::new(seed ^ STREAM);
    if chance.below(8) > 0 {
        return;
    }
    habits.candidates = Candidates { count: 2, skewed: false };
    for _ in 0..chance.between(1, 3) {
        let at = chance.between(2_000, WITHIN);
        deeds.extend(befalls(&mut chance, at));
        // Nobody leads for a while then, or two believe that they do.
        if chance.below(2) == 0 {
            deeds.push((at + chance.below(EXPIRY), asked(&mut chance)));
        }
    }
}

fn befalls(chance: &mut Chance, at: Millis) -> Vec<(Millis, Deed)> {
    let deed = match chance.below(6) {
        0 => LeaderDeed::Kill,
        1 => LeaderDeed::Terminate,
        2 => {
            let over = at + chance.between(5_000, 40_000);
            return vec![(at, Deed::Leader(LeaderDeed::CutOff)), (over, Deed::Leader(LeaderDeed::Reconnect))];
        }
        3 | 4 => LeaderDeed::Pause { millis: chance.pick(&[8_000, 20_000, 40_000]) },
        _ => LeaderDeed::DeleteLease,
    };
    vec![(at, Deed::Leader(deed))]
}

fn asked(chance: &mut Chance) -> Deed {
    let rollout = ROLLOUT_NAME.to_owned();
    match chance.below(3) {
        0 | 1 => Deed::Ask { rollout, kind: ActionType::Abort },
        _ => Deed::Deploy { rollout, image: IMAGES[2].into() },
    }
}
