//! The runs of a Rollout with their decisions, as a table: when, where it went, who asked, and why.
//!
//! What the record has dropped is counted; whether the rest is whole is `tidegate audit verify`'s to say.

use super::{Line, Tone, steps::outcome_word};
use crate::api::{Asked, DecisionEntry, RolloutRun, RunOutcome, RunPhase};

/// The runs in this order, each with its decisions, the oldest first.
pub fn history(runs: &[RolloutRun]) -> Vec<Line> {
    let mut lines = Vec::new();
    for run in runs {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(heading(run));
        let log = run.status.as_ref().map(|status| &status.decisions);
        let dropped = log.map_or(0, |log| log.dropped);
        if dropped > 0 {
            lines.push(Line::toned(Tone::Faint, format!("  {dropped} older decisions were dropped")));
        }
        lines.extend(decisions(log.map_or(&[], |log| log.entries.as_slice())));
    }
    lines
}

fn heading(run: &RolloutRun) -> Line {
    let (meta, spec) = (&run.metadata, &run.spec);
    let outcome = run.status.as_ref().and_then(|status| status.outcome);
    let tone = match outcome {
        Some(RunOutcome::Promoted | RunOutcome::Adopted) => Tone::Good,
        Some(RunOutcome::Reverted | RunOutcome::Aborted) => Tone::Bad,
        Some(RunOutcome::Superseded) | None => Tone::Attention,
    };
    let release = spec.release.as_ref().map_or(String::new(), |release| format!(", release {release}"));
    let asked = spec.requested_by.as_ref().map_or(String::new(), |asked| format!(", asked for by {}", asked.who()));
    let name =
        format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    Line::plain("RolloutRun ")
        .and(Tone::Strong, name)
        .and(Tone::Plain, "  ")
        .and(tone, outcome.map_or("open", outcome_word))
        .and(Tone::Plain, format!(", from {} to {}{release}{asked}", spec.stable, spec.canary))
}

fn decisions(entries: &[DecisionEntry]) -> Vec<Line> {
    let header = ["TIME (UTC)", "SEQ", "TO", "BY", "DECISION"].map(str::to_owned);
    let row = |entry: &DecisionEntry| {
        [
            entry.at.trim_end_matches('Z').replace('T', " "),
            entry.seq.to_string(),
            place(entry),
            entry.asked.as_ref().map_or("-".into(), Asked::who),
            format!("{}: {}", entry.reason.word(), entry.message),
        ]
    };
    if entries.is_empty() {
        return Vec::new();
    }
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(entries.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let cells = widths.iter().zip(row).map(|(width, cell)| format!("{cell:<width$}  "));
        Line::plain(format!("  {}{}", cells.collect::<String>(), row[4]))
    };
    rows.iter().map(line).collect()
}

/// "step 2, 10 %"
fn place(entry: &DecisionEntry) -> String {
    let weight = entry.weight;
    match entry.phase {
        RunPhase::Stepping => format!("step {}, {weight} %", entry.step + 1),
        RunPhase::Soaking => format!("soak, {weight} %"),
        RunPhase::Finishing => "finish".into(),
        RunPhase::Aborting => format!("back, {weight} %"),
        RunPhase::Ended => "end".into(),
    }
}
