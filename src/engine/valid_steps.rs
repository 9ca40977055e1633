//! What must hold of the steps of a strategy. How they become a plan is in `valid`.

use super::problems::Problems;
use crate::api::{Gate, Percent, Replicas, Step};

const GATES_MAX: usize = 4;

/// Weights may repeat, they may not fall: a plan that falls would take traffic back without a reason.
pub fn check_rising(problems: &mut Problems, steps: &[Step]) {
    for (index, pair) in steps.windows(2).enumerate() {
        let [before, step] = pair else { continue };
        if step.weight < before.weight {
            problems.add(format!(
                "spec.strategy.canary.steps[{}].weight is {} after {}: weights may repeat, they may not fall",
                index + 1,
                step.weight,
                before.weight
            ));
        }
    }
}

pub fn check_replicas(problems: &mut Problems, path: &str, replicas: Option<&Replicas>) {
    if let Some(Replicas::Share(text)) = replicas {
        let share = text.strip_suffix('%').and_then(|share| share.parse::<Percent>().ok());
        if share.is_none() {
            problems
                .add(format!("{path}.replicas is {text:?}: write a number of pods, or a percentage such as \"50%\""));
        }
    }
}

pub fn check_gates(problems: &mut Problems, path: &str, gates: &[Gate]) {
    problems.at_most(&format!("{path}.gates"), gates.len(), GATES_MAX);
    problems.unique(&format!("{path}.gates"), gates.iter().map(|gate| gate.name.as_str()));
    for (index, gate) in gates.iter().enumerate() {
        if gate.approvals == 0 {
            problems.add(format!(
                "{path}.gates[{index}].approvals is 0, at least 1 is needed: delete a gate that nobody has to open"
            ));
        }
    }
}
