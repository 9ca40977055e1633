//! The plan as a list: what is done, where the run stands with its bake, and what is to come.

use super::{
    Line, Scene, Tone,
    age::{clock, length},
};
use crate::api::{PlanStep, Reason, RolloutRun, RolloutRunStatus, RunOutcome, RunPhase, named};

const BAR_WIDTH: u64 = 10;

enum Place {
    Done,
    Here,
    Ahead,
    /// Here the traffic was taken back.
    Stopped,
    /// The run ended before.
    Never,
}

impl Place {
    const fn mark(&self) -> (Tone, &'static str) {
        match self {
            Self::Done => (Tone::Good, "✔ "),
            Self::Here => (Tone::Strong, "● "),
            Self::Ahead => (Tone::Faint, "○ "),
            Self::Stopped => (Tone::Bad, "✘ "),
            Self::Never => (Tone::Faint, "- "),
        }
    }
}

/// One line per step, and one for the soak.
pub fn steps(scene: &Scene) -> Vec<Line> {
    let (Some(run), Some(record)) = (scene.run, scene.record()) else { return Vec::new() };
    let plan = &run.spec.plan;
    let mut lines = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let place = place(index, record);
        let number = index + 1;
        let text = format!("{number}  {:<11}  {}", format!("weight {}", step.weight), conditions(step, &place, record));
        lines.push(marked(&place, text.trim_end(), bake(scene, &place, step.bake.as_millis())));
    }
    if plan.soak.as_millis() > 0 {
        let place = match record.phase {
            RunPhase::Soaking => Place::Here,
            _ if is_promoted(record) => Place::Done,
            RunPhase::Stepping => Place::Ahead,
            RunPhase::Finishing | RunPhase::Aborting | RunPhase::Ended => Place::Never,
        };
        let text = format!("   soak         {}", length(plan.soak.as_millis()));
        lines.push(marked(&place, &text, bake(scene, &place, plan.soak.as_millis())));
    }
    lines
}

/// "checkout-7d9f4a-1, unchanged since 10:03:12 UTC".
pub fn title(scene: &Scene, run: &RolloutRun) -> String {
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let record = scene.record();
    let outcome = record.and_then(|record| record.outcome).map(|outcome| format!(", {}", outcome_word(outcome)));
    let since = record.and_then(|record| record.since.as_deref()).map(|since| clock(since, scene.now));
    let since = since.map(|since| format!(", unchanged since {since} UTC"));
    format!("{name}{}{}", outcome.unwrap_or_default(), since.unwrap_or_default())
}

pub const fn outcome_word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Promoted => "promoted",
        RunOutcome::Reverted => "reverted",
        RunOutcome::Aborted => "aborted",
        RunOutcome::Superseded => "superseded",
        RunOutcome::Adopted => "adopted",
    }
}

/// What the step's gates still want: "1 more approval of gate qa".
pub fn missing_approvals(step: &PlanStep, record: &RolloutRunStatus) -> Vec<String> {
    if record.skip_bake || record.skip_all {
        return Vec::new();
    }
    let missing = step.gates.iter().map(|gate| (gate, gate.approvals.saturating_sub(given(&gate.name, record))));
    let missing = missing.filter(|(_, count)| *count > 0);
    missing
        .map(|(gate, count)| {
            let more = if count == gate.approvals { "" } else { "more " };
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {more}approval{plural} of gate {}", gate.name)
        })
        .collect()
}

fn given(gate: &str, record: &RolloutRunStatus) -> u32 {
    let count = record.approvals.iter().filter(|approval| approval.gate == gate).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn place(index: usize, record: &RolloutRunStatus) -> Place {
    let here = record.step as usize;
    match record.phase {
        RunPhase::Stepping if index == here => Place::Here,
        RunPhase::Stepping if index > here => Place::Ahead,
        RunPhase::Soaking | RunPhase::Finishing => Place::Done,
        RunPhase::Stepping => Place::Done,
        RunPhase::Aborting | RunPhase::Ended if is_promoted(record) || index < here => Place::Done,
        RunPhase::Aborting | RunPhase::Ended if index == here => Place::Stopped,
        RunPhase::Aborting | RunPhase::Ended => Place::Never,
    }
}

fn is_promoted(record: &RolloutRunStatus) -> bool {
    record.phase == RunPhase::Finishing || record.outcome == Some(RunOutcome::Promoted)
}

fn conditions(step: &PlanStep, place: &Place, record: &RolloutRunStatus) -> String {
    let mut parts = Vec::new();
    if step.bake.as_millis() > 0 {
        parts.push(format!("bake {}", length(step.bake.as_millis())));
    }
    for gate in &step.gates {
        let given = match place {
            Place::Here => format!("{} of {}", given(&gate.name, record), gate.approvals),
            Place::Done | Place::Ahead | Place::Stopped | Place::Never => gate.approvals.to_string(),
        };
        let plural = if gate.approvals == 1 { "" } else { "s" };
        parts.push(format!("gate {} ({given} approval{plural}{})", gate.name, givers(&gate.name, place, record)));
    }
    parts.join(", ")
}

/// Who has approved the gate of the present step: ": ana, bob (author: unverified)".
fn givers(gate: &str, place: &Place, record: &RolloutRunStatus) -> String {
    let of_gate = record.approvals.iter().filter(|approval| matches!(place, Place::Here) && approval.gate == gate);
    let names: Vec<String> = of_gate.map(|approval| named(&approval.author, approval.verified)).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

fn marked(place: &Place, text: &str, progress: Option<String>) -> Line {
    let (tone, mark) = place.mark();
    let tone_of_text = match place {
        Place::Here => Tone::Strong,
        Place::Done | Place::Stopped => Tone::Plain,
        Place::Ahead | Place::Never => Tone::Faint,
    };
    let line = Line::toned(tone, mark).and(tone_of_text, text);
    match progress {
        Some(progress) => line.and(Tone::Plain, format!("  {progress}")),
        None => line,
    }
}

/// A bar and the time done of the bake or soak that the run is in.
fn bake(scene: &Scene, place: &Place, whole_millis: u64) -> Option<String> {
    let record = scene.record()?;
    if !matches!(place, Place::Here) || record.settled_at.is_none() || whole_millis == 0 {
        return None;
    }
    scene.now?;
    let done = whole_millis - left(scene, whole_millis, record)?;
    let full = done * BAR_WIDTH / whole_millis;
    let bar: String = (0..BAR_WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect();
    Some(format!("{bar} {} done", length(done)))
}

/// Time left of a bake or soak: the credit in the record, and what has passed since it was written.
pub fn left(scene: &Scene, whole_millis: u64, record: &RolloutRunStatus) -> Option<u64> {
    let runs = record.settled_at.is_some() && !scene.reason().is_some_and(stops_the_bake);
    let passed = if runs { scene.since_written()? } else { 0 };
    Some(whole_millis.saturating_sub(record.credits.bake_millis + passed))
}

/// While the step waits for these, its bake does not go on. A pause or a hold does not stop it: they keep its end back.
const fn stops_the_bake(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Preparing
            | Reason::WaitingForPods
            | Reason::WaitingForRoute
            | Reason::ApiUnavailable
            | Reason::RouteMissing
            | Reason::ServiceMissing
            | Reason::RouteContended
            | Reason::ServiceContended
    )
}
