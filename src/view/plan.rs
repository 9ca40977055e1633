//! The page of a plan: the exposure curve, a sentence for each stage, and what the whole of it takes and promises.
//!
//! It computes nothing but roundings, and those to the careful side.

use super::{
    Line, Tone,
    age::{counted, length},
    curve::curve,
    paragraph::{rounded, rounded_up, wrapped},
};
use crate::{
    plan::{Finding, Forecast, Lengths, PassProgress, PowerInsufficient, Stage, WhyNothing},
    stats::POWER,
};

/// Indent of what belongs to a stage's sentence.
const DEEPER: &str = "    ";

/// The page. `assumed`: where the figures come from, a phrase each; `violations`: what keeps a run from starting, a sentence each.
pub fn plan(name: &str, forecast: &Forecast, assumed: &[String], violations: &[String]) -> Vec<Line> {
    let rate = rounded(forecast.load.requests_per_second);
    let heading = Line::plain("Plan of Rollout ").and(Tone::Strong, name.to_owned());
    let errors = format!("{} %", rounded(100.0 * forecast.load.error_ratio));
    let mut lines = vec![heading.and(Tone::Plain, format!("  {rate} req/s, {errors} of them bad")), Line::default()];
    let curve = curve(forecast);
    if !curve.is_empty() {
        lines.extend(curve.into_iter().map(Line::plain));
        lines.push(Line::default());
    }
    for stage in &forecast.stages {
        lines.extend(plain(&format!("{}: {}", place(stage, &rate), finding(stage))));
        if let Some(text) = cost(stage) {
            lines.extend(wrapped(&text, DEEPER, DEEPER).into_iter().map(Line::plain));
        }
    }
    lines.push(Line::default());
    lines.extend(plain(&duration(&forecast.lengths)));
    if let Some(budget) = &forecast.budget {
        lines.extend(plain(&format!("Error budget: the release may cost {} bad requests", budget.sentence)));
    }
    if let Some(pass) = &forecast.pass {
        lines.extend(plain(&promotion(pass, forecast.load.error_ratio)));
    }
    if !assumed.is_empty() {
        lines.extend(plain(&format!("Assumed: {}", assumed.join(", "))));
    }
    if let Some(warning) = &forecast.power_insufficient {
        let text = wrapped(&power_insufficient(warning, forecast.load.error_ratio), "", "  ");
        lines.extend(text.into_iter().map(|line| Line::toned(Tone::Attention, line)));
    }
    for violation in violations {
        let text = wrapped(&format!("refused: {violation}"), "", "  ");
        lines.extend(text.into_iter().map(|line| Line::toned(Tone::Bad, line)));
    }
    lines
}

fn plain(text: &str) -> impl Iterator<Item = Line> {
    wrapped(text, "", "  ").into_iter().map(Line::plain)
}

/// "Step 2 (10 % of 40 req/s, 5m)".
fn place(stage: &Stage, rate: &str) -> String {
    let name = stage.step.map_or_else(|| "Soak".to_owned(), |step| format!("Step {step}"));
    let bake = match stage.bake.as_millis() {
        0 => "no bake".to_owned(),
        millis => length(millis),
    };
    format!("{name} ({} % of {rate} req/s, {bake})", stage.weight)
}

fn finding(stage: &Stage) -> String {
    let within =
        format!("is found within {} with a probability of {} %", length(stage.bake.as_millis()), POWER * 100.0);
    match &stage.finding {
        Finding::SmallestRise(rise) => format!("a rise of {} or more in the error ratio {within}", points(*rise)),
        Finding::SmallestRatio(ratio) => format!(
            "there is no stable traffic to compare with; an error ratio of {} % or more {within}",
            rounded_up(100.0 * ratio)
        ),
        Finding::Nothing(why) => nothing(*why, stage),
    }
}

fn nothing(why: WhyNothing, stage: &Stage) -> String {
    match why {
        WhyNothing::NoTraffic => "without traffic nothing is found".into(),
        WhyNothing::NoMetric => "no metric compares the revisions, so nothing is found".into(),
        WhyNothing::NoControl => {
            "there is no stable traffic to compare with and no error budget, so nothing is found".into()
        }
        WhyNothing::NoBake => "it ends as soon as its weight is accepted, so nothing is found in it".into(),
        WhyNothing::TooShort => format!(
            "nothing is found in so short a time; a bake of {} or more would do",
            length(stage.least_bake.as_millis())
        ),
        WhyNothing::NothingWorse => {
            "nothing is found: at stable's error ratio failMargin tolerates whatever a canary does".into()
        }
        WhyNothing::TooFewRequests => format!(
            "{} are too few: not even a canary that fails all of them is found with a probability of {} %",
            counted(stage.canary_requests.round() as u64, "request"),
            POWER * 100.0
        ),
    }
}

/// What the stage costs at worst, how long evidence for a Pass takes, and whom it waits for.
fn cost(stage: &Stage) -> Option<String> {
    let mut parts = Vec::new();
    let worst = &stage.worst;
    if worst.requests > 0.0 {
        let share = stage.worst_budget_percent.map(|percent| format!(" ({} % of the budget)", rounded_up(percent)));
        parts.push(format!(
            "at worst {}{}, from a rise of {} for {}",
            counted(worst.requests.ceil() as u64, "more bad request"),
            share.unwrap_or_default(),
            points(worst.excess_ratio),
            seconds(worst.seconds)
        ));
    }
    parts.extend(stage.seconds_to_pass.map(|time| format!("evidence for a Pass takes {} here", seconds(time))));
    parts.extend(
        stage
            .gates
            .iter()
            .map(|gate| format!("then {} of gate {}", counted(u64::from(gate.approvals), "approval"), gate.name)),
    );
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn duration(lengths: &Lengths) -> String {
    let of = |span: crate::api::Span| length(span.as_millis());
    format!(
        "In all {} if nothing holds it: bakes {}, soak {}, and {} to settle, warm and drain; pods and routers come on top",
        of(lengths.total),
        of(lengths.bakes),
        of(lengths.soak),
        of(lengths.constants())
    )
}

fn promotion(pass: &PassProgress, error_ratio: f64) -> String {
    let PassProgress { margin_ratio, margin_absolute, gathered, step, on_insufficient_evidence } = pass;
    let most = 100.0 * (margin_ratio * error_ratio + margin_absolute);
    let margin = format!(
        "A Pass proves an error ratio below {margin_ratio} times stable's + {}, here {} %",
        points(*margin_absolute),
        rounded(most)
    );
    match step {
        Some(step) => {
            format!("{margin}: enough evidence for it in step {step} with a probability of {} %", POWER * 100.0)
        }
        None => format!(
            "{margin}: the bakes give {} % of the evidence that it needs, then onInsufficientEvidence: {on_insufficient_evidence:?} decides",
            (100.0 * gathered).floor()
        ),
    }
}

fn power_insufficient(warning: &PowerInsufficient, error_ratio: f64) -> String {
    let PowerInsufficient { weight, horizon_seconds, smallest_ratio, allowed_ratio } = warning;
    let smallest = match smallest_ratio {
        Some(ratio) => format!("the smallest rise that is found is {}", points(ratio - error_ratio)),
        None => "no rise is found".to_owned(),
    };
    format!(
        "warning: PowerInsufficient: even within {} at {weight} % {smallest}, and a Pass allows {} only: what lies between may stay unnoticed; bake longer, or at a higher weight",
        seconds(*horizon_seconds),
        points(allowed_ratio - error_ratio)
    )
}

/// "1.3 points", of a ratio.
fn points(ratio: f64) -> String {
    let text = rounded_up(100.0 * ratio);
    let noun = if text == "1" { "point" } else { "points" };
    format!("{text} {noun}")
}

fn seconds(seconds: f64) -> String {
    length((seconds * 1_000.0).ceil() as u64)
}
