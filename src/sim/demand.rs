//! An autoscaler in some schedules, and customers who come in other numbers than usual.

use super::{aimed, chance::Chance, clock::Millis, people::Deed, scenario::ROLLOUT_NAME};

/// Makes another stream of a seed, so that everything else in its schedule is as it was.
const STREAM: u64 = 0x2545_F491_4F6C_DD1D;
/// Within this it all happens.
const WITHIN: Millis = 60_000;

/// In one of five schedules there is an autoscaler: from the beginning, or from some moment on; some are taken away again.
pub fn draw(seed: u64, deeds: &mut Vec<(Millis, Deed)>) {
    let mut chance = Chance::new(seed ^ STREAM);
    if chance.below(5) > 0 {
        return;
    }
    let from = if chance.below(2) == 0 { 0 } else { chance.below(WITHIN) };
    let (most, patience) = (chance.pick(&[4, 6, 9]) as u32, chance.pick(&[0, 0, 30_000, 300_000]));
    deeds.push((from, Deed::Autoscale { rollout: ROLLOUT_NAME.into(), most, patience }));
    for _ in 0..chance.between(1, 4) {
        deeds.push((chance.below(WITHIN), load(&mut chance)));
    }
    if chance.below(4) == 0 {
        deeds.push((chance.between(from, WITHIN), Deed::RemoveAutoscaler { rollout: ROLLOUT_NAME.into() }));
    }
    if chance.below(2) == 0 {
        let phase = chance.pick(&["Soaking", "Finishing", "Aborting", "Aborting"]);
        deeds.push(aimed::when(phase, load(&mut chance)));
    }
}

fn load(chance: &mut Chance) -> Deed {
    Deed::Load { percent: chance.pick(&[0, 30, 60, 100, 150, 220]) }
}
