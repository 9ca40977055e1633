//! `tidegate verdict`: one metric judged over recorded windows, a line each, in constant memory.
//!
//! The evidence is that of `stats`; no cluster is asked.

mod flags;
mod line;
mod lines;
mod sentence;
mod table;

use std::{
    fs::File,
    io::{Read, stdin},
    path::Path,
};

use serde::Serialize;

use super::{Failure, Terminal};
use crate::stats::{Replay, Standing, Unused};
pub use flags::{VerdictArguments, VerdictOutput};
pub use line::read as read_window;
pub use lines::Lines;
use table::Table;

/// Answers are written in pieces of this size, or whenever the input has to be waited for.
const PIECE_BYTES: usize = 64 * 1024;

/// One window of `-o json`. Bounds are those of the difference of the two bad ratios.
#[derive(Serialize)]
struct Row<'a> {
    k: u64,
    e_fail: f64,
    e_pass: f64,
    lower: f64,
    upper: f64,
    state: &'a str,
    reason: &'a str,
    /// Why this window is no evidence of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    unused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary<'a>>,
}

/// What became of the windows.
#[derive(Serialize)]
struct Summary<'a> {
    used: u64,
    merged: u64,
    waiting: u64,
    dropped: &'a std::collections::BTreeMap<&'static str, u64>,
}

pub fn run(arguments: &VerdictArguments) -> Result<(), Failure> {
    let mut replay = Replay::new(arguments.terms()?);
    let path = &arguments.windows;
    let input = open(path).map_err(|error| unreadable(path, &error))?;
    let mut lines = Lines::new(input);
    let mut answer = Answer { terminal: Terminal::stdout(), text: String::new() };
    let mut table = Table::default();
    while let Some(line) = lines.read().map_err(|error| unreadable(path, &error))? {
        let unused = replay.absorb(line::read(line));
        match arguments.output {
            _ if arguments.summary => {}
            Some(VerdictOutput::Json) => answer.json(&row(&replay, unused, false))?,
            None => answer.text.push_str(&table.after(&replay)),
        }
        if answer.text.len() >= PIECE_BYTES || lines.must_wait() {
            answer.flush()?;
        }
    }
    match arguments.output {
        Some(VerdictOutput::Json) if arguments.summary => answer.json(&row(&replay, None, true))?,
        Some(VerdictOutput::Json) => {}
        None => answer.text.push_str(&sentence::of(&replay, arguments.metric.as_deref())),
    }
    answer.flush()
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    Ok(if path.as_os_str() == "-" { Box::new(stdin()) } else { Box::new(File::open(path)?) })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    Failure::Windows { name, message: error.to_string() }
}

fn row<'a>(replay: &'a Replay, unused: Option<Unused>, whole: bool) -> Row<'a> {
    let standing = replay.standing();
    let ledger = replay.ledger();
    // Where the evidence so far says nothing of its own, the window's reason is the reason.
    let own = unused.filter(|_| standing == Standing::InsufficientEvidence).map(Unused::word);
    Row {
        k: ledger.recorded,
        e_fail: replay.fail().evidence(),
        e_pass: replay.pass().evidence(),
        lower: replay.lower(),
        upper: replay.upper(),
        state: standing.state(),
        reason: own.unwrap_or(standing.reason()),
        unused: unused.map(Unused::word),
        summary: whole.then(|| Summary {
            used: ledger.used,
            merged: ledger.merged,
            waiting: replay.waiting(),
            dropped: &ledger.dropped,
        }),
    }
}

/// What is not written yet.
struct Answer {
    terminal: Terminal,
    text: String,
}

impl Answer {
    fn json(&mut self, row: &Row) -> Result<(), Failure> {
        let text = serde_json::to_string(row).map_err(|error| Failure::Write(error.into()))?;
        self.text.push_str(&text);
        self.text.push('\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if !self.text.is_empty() {
            self.terminal.print(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }
}
