//! Rollouts as a table, one line each.

use jiff::Timestamp;

use super::{Line, Tone, age, tree::phase_tone};
use crate::api::Rollout;

/// What a table shows besides what it always shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns {
    /// Rollouts of several namespaces.
    pub namespace: bool,
    /// Revisions, the release and the whole message.
    pub wide: bool,
}

/// Longest message in a table that is not wide.
const MESSAGE_CHARS: usize = 60;

/// The lines of the table, with a header, sorted by namespace and name. `now` None: no ages.
pub fn table(rollouts: &[&Rollout], now: Option<Timestamp>, columns: Columns) -> Vec<Line> {
    let mut sorted: Vec<&Rollout> = rollouts.to_vec();
    sorted.sort_by_key(|rollout| (rollout.metadata.namespace.clone(), rollout.metadata.name.clone()));
    let header = cells(columns, now, &Row::header());
    let rows: Vec<Row> = sorted.iter().map(|rollout| Row::of(rollout, now, columns)).collect();
    let texts: Vec<Vec<String>> = rows.iter().map(|row| cells(columns, now, row)).collect();
    let width = |column: usize| {
        let all = std::iter::once(&header).chain(&texts);
        all.map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let phase_column = usize::from(columns.namespace) + 1;
    let line = |row: &[String], tone: Tone| {
        let mut line = Line::default();
        for (column, text) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let padded = if last { text.clone() } else { format!("{text:<width$}  ", width = widths[column]) };
            line = line.and(if column == phase_column { tone } else { Tone::Plain }, padded);
        }
        line
    };
    let body = rows.iter().zip(&texts).map(|(row, text)| line(text, row.tone));
    std::iter::once(line(&header, Tone::Plain)).chain(body).collect()
}

struct Row {
    namespace: String,
    name: String,
    phase: String,
    tone: Tone,
    step: String,
    weight: String,
    ready: String,
    stable: String,
    canary: String,
    release: String,
    age: String,
    message: String,
}

impl Row {
    fn header() -> Self {
        let word = str::to_owned;
        Self {
            namespace: word("NAMESPACE"),
            name: word("NAME"),
            phase: word("PHASE"),
            tone: Tone::Plain,
            step: word("STEP"),
            weight: word("WEIGHT"),
            ready: word("READY"),
            stable: word("STABLE"),
            canary: word("CANARY"),
            release: word("RELEASE"),
            age: word("AGE"),
            message: word("MESSAGE"),
        }
    }

    fn of(rollout: &Rollout, now: Option<Timestamp>, columns: Columns) -> Self {
        let (meta, status) = (&rollout.metadata, rollout.status.clone().unwrap_or_default());
        let created = meta.creation_timestamp.as_ref().map(|time| time.0);
        let age = now.zip(created).map(|(now, created)| age::length(age::between(created, now)));
        let message = status.message.unwrap_or_default();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            phase: status.phase.map_or_else(|| "-".into(), |phase| format!("{phase:?}")),
            tone: status.phase.map_or(Tone::Attention, phase_tone),
            step: or_dash(status.step),
            weight: or_dash(status.weight.map(|weight| weight.to_string())),
            ready: format!(
                "{}/{}",
                status.ready_replicas.unwrap_or(0),
                or_dash(rollout.spec.replicas.map(|n| n.to_string()))
            ),
            stable: or_dash(status.stable_revision),
            canary: or_dash(status.canary_revision),
            release: or_dash(status.release.and_then(|release| release.id)),
            age: or_dash(age),
            message: or_dash(Some(if columns.wide { message } else { shortened(&message) })),
        }
    }
}

fn cells(columns: Columns, now: Option<Timestamp>, row: &Row) -> Vec<String> {
    let shown = [
        (columns.namespace, &row.namespace),
        (true, &row.name),
        (true, &row.phase),
        (true, &row.step),
        (true, &row.weight),
        (true, &row.ready),
        (columns.wide, &row.stable),
        (columns.wide, &row.canary),
        (columns.wide, &row.release),
        (now.is_some(), &row.age),
        (true, &row.message),
    ];
    shown.into_iter().filter(|(show, _)| *show).map(|(_, text)| text.clone()).collect()
}

fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into())
}

fn shortened(message: &str) -> String {
    if message.chars().count() <= MESSAGE_CHARS {
        return message.to_owned();
    }
    let cut: String = message.chars().take(MESSAGE_CHARS - 3).collect();
    format!("{}...", cut.trim_end())
}
