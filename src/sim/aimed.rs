//! Things that happen right when a run has come to a phase: some phases are short, and by chance alone little would ever happen in
//! them.

use super::{
    chance::Chance,
    clock::Millis,
    people::Deed,
    scenario::{IMAGES, ROLLOUT_NAME, ROUTE_NAME},
};
use crate::api::ActionType;

/// Makes another stream of a seed, so that everything else in its schedule is as it was.
const STREAM: u64 = 0x5DEE_CE66_D1CE_4E5B;
/// When a schedule begins to wait for a phase.
const FROM: Millis = 1_500;
/// Looks at the phase that is waited for: as long as a schedule's trouble.
const LOOKS: u32 = 230;

/// Something that is done once a run has come to this phase.
pub fn when(phase: &'static str, then: Deed) -> (Millis, Deed) {
    (FROM, Deed::When { phase, looks: LOOKS, then: Box::new(then) })
}

/// In half of the schedules one thing.
pub fn deed(seed: u64) -> Option<(Millis, Deed)> {
    let mut chance = Chance::new(seed ^ STREAM);
    if chance.below(2) == 0 {
        return None;
    }
    let rollout = || ROLLOUT_NAME.to_owned();
    let ask = |kind| Deed::Ask { rollout: rollout(), kind };
    let phase = chance.pick(&["Soaking", "Finishing", "Aborting"]);
    let which = chance.below(2) as usize;
    let then = match chance.below(12) {
        0 | 1 => ask(ActionType::Abort),
        2 => ask(ActionType::Pause),
        3 => Deed::Deploy { rollout: rollout(), image: IMAGES[2 * which].to_owned() },
        4 => Deed::DeleteRollout { rollout: rollout() },
        5 => Deed::DeleteRun { rollout: rollout() },
        6 => Deed::DeleteDeployment { rollout: rollout(), which },
        7 => Deed::ResetRoute { name: ROUTE_NAME.into() },
        8 => Deed::ResetService { name: ROLLOUT_NAME.into() },
        9 => Deed::Kill,
        10 => Deed::Prometheus { away: true },
        _ => Deed::Gateway { silent: true },
    };
    Some(when(phase, then))
}
