//! The page of a simulated release: the weight over time, what happened when, what it has cost, and how it ended.
//!
//! The sentences are those of the run's record and the Rollout's status; it makes no verdicts.

use serde::Serialize;

use super::{
    Line, Tone,
    age::{counted, length},
    curve::{Stretch, drawn},
    paragraph::wrapped,
};
use crate::api::{Percent, RunOutcome, Span};

/// What became of one Rollout. Times are counted from the release.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulated {
    pub rollout: String,
    pub namespace: String,
    /// What is simulated and what is not, a phrase each.
    pub assumed: Vec<String>,
    /// None: it was still open when the simulation ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
    pub lasted: Span,
    /// The Rollout's phase and sentence at the end.
    pub phase: String,
    pub message: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    pub weights: Vec<Weight>,
    pub events: Vec<Happened>,
    /// Requests that the new revision has answered, and the bad ones of them.
    pub canary_requests: u64,
    pub canary_bad_requests: u64,
    /// Requests that found no pod, of either revision.
    pub lost_requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Spent>,
}

/// A weight, and from when on it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Weight {
    pub at: Span,
    pub weight: Percent,
    pub soak: bool,
}

/// Excess bad requests, of how many that the release may spend.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spent {
    pub requests: u64,
    pub allowance: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Whose {
    /// A decision of the run.
    Decision,
    /// The verdict on the evidence has changed.
    Evidence,
    /// The Rollout waits, or goes on.
    Phase,
    /// What the simulation was asked to do.
    Outside,
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    pub at: Span,
    pub kind: Whose,
    /// A word: a reason, a verdict, a phase, or a deed.
    pub word: String,
    pub message: String,
}

pub fn simulated(story: &Simulated) -> Vec<Line> {
    let name = format!("{}/{}", story.namespace, story.rollout);
    let mut lines = vec![Line::plain("Simulation of Rollout ").and(Tone::Strong, name), Line::default()];
    let curve = drawn(&stretches(story));
    if !curve.is_empty() {
        lines.extend(curve.into_iter().map(Line::plain));
        lines.push(Line::default());
    }
    story.events.iter().for_each(|event| lines.extend(of_event(event)));
    lines.push(Line::default());
    lines.extend(toned(ending_tone(story), &ending(story)));
    for hint in &story.hints {
        lines.extend(toned(Tone::Good, &format!("hint: {hint}")));
    }
    lines.extend(toned(Tone::Plain, &cost(story)));
    lines.extend(toned(Tone::Faint, &format!("Simulated: {}", story.assumed.join("; "))));
    lines
}

fn toned(tone: Tone, text: &str) -> impl Iterator<Item = Line> {
    wrapped(text, "", "  ").into_iter().map(move |line| Line::toned(tone, line))
}

/// Columns of the time.
const TIME: usize = 9;

fn of_event(event: &Happened) -> Vec<Line> {
    let tone = match (event.kind, event.word.as_str()) {
        (Whose::Evidence, "Pass") => Tone::Good,
        (Whose::Evidence, "Fail") => Tone::Bad,
        (Whose::Outside, _) => Tone::Attention,
        (Whose::Decision | Whose::Phase | Whose::Evidence, _) => Tone::Plain,
    };
    let at = format!("{:<TIME$}", format!("+{}", length(event.at.as_millis())));
    let text = if event.message.is_empty() { event.word.clone() } else { format!("{}: {}", event.word, event.message) };
    let indent = " ".repeat(TIME);
    // The first line begins with the time, which is none of its words.
    let rest = wrapped(&text, &indent, &indent).into_iter().map(|line| line[TIME..].to_owned());
    let line = |(index, text): (usize, String)| {
        Line::toned(Tone::Faint, if index == 0 { at.clone() } else { indent.clone() }).and(tone, text)
    };
    rest.enumerate().map(line).collect()
}

fn stretches(story: &Simulated) -> Vec<Stretch> {
    let end = |index: usize| story.weights.get(index + 1).map_or(story.lasted, |next| next.at).as_millis();
    let stretch = |(index, weight): (usize, &Weight)| Stretch {
        weight: weight.weight,
        begins_millis: weight.at.as_millis(),
        millis: end(index).saturating_sub(weight.at.as_millis()),
        is_soak: weight.soak,
    };
    story.weights.iter().enumerate().map(stretch).collect()
}

const fn ending_tone(story: &Simulated) -> Tone {
    match story.outcome {
        Some(RunOutcome::Promoted | RunOutcome::Adopted) => Tone::Good,
        Some(RunOutcome::Reverted | RunOutcome::Aborted | RunOutcome::Superseded) => Tone::Bad,
        None => Tone::Attention,
    }
}

fn ending(story: &Simulated) -> String {
    let after = length(story.lasted.as_millis());
    let how = story.outcome.map_or_else(|| "Still open".to_owned(), |outcome| format!("{outcome:?}"));
    format!("{how} after {after}. {}: {}", story.phase, story.message)
}

fn cost(story: &Simulated) -> String {
    let mut text = format!(
        "Cost: {} of the new revision, {} of them bad; {} lost",
        counted(story.canary_requests, "request"),
        story.canary_bad_requests,
        counted(story.lost_requests, "request")
    );
    if let Some(Spent { requests, allowance }) = story.budget {
        text += &format!("; {requests} of {} of the error budget spent", counted(allowance, "bad request"));
    }
    text
}
