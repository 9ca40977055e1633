//! `tidegate simulate`: a Rollout's manifest released in a simulated cluster, by the real controller.
//!
//! No cluster is asked. What is made up, and what is not simulated, is said.

mod flags;
mod furniture;
mod stand_in;
mod story;

use std::process::ExitCode;

use super::{Failure, Terminal, get::json, manifest::Manifest};
use crate::{
    api::RunOutcome,
    sim::trial::{Record, Trial},
    view,
};
pub use flags::SimulateArguments;
use flags::SimulateOutput;

/// The release was taken back, or another one took its place.
const TAKEN_BACK: u8 = 3;
/// The simulated time was over before the run was.
const STILL_OPEN: u8 = 4;

/// `namespace`: that of a Rollout that does not say so.
pub fn run(given: &SimulateArguments, namespace: Option<&str>) -> Result<ExitCode, Failure> {
    let manifest = Manifest::read(&given.file)?;
    let mut stories = Vec::new();
    for written in &manifest.rollouts()? {
        let failed = |message: String| Failure::Simulate { rollout: written.name.clone(), message };
        let (trial, assumed) = furniture::trial(given, &manifest, written, namespace).map_err(failed)?;
        let record = alone(&trial).map_err(failed)?;
        stories.push(story::of(&trial, record, assumed));
    }
    let mut terminal = Terminal::stdout();
    match given.output {
        None if !given.json => terminal.lines(&page(&stories))?,
        None | Some(SimulateOutput::Json) => terminal.print(&json(&stories)?)?,
    }
    Ok(ExitCode::from(stories.iter().map(code).max().unwrap_or(0)))
}

/// On a thread of its own: the simulation has an executor of its own too, and within another one's task its locks would yield
/// to that one.
fn alone(trial: &Trial) -> Result<Record, String> {
    let joined = std::thread::scope(|scope| scope.spawn(|| trial.run()).join());
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn page(stories: &[view::Simulated]) -> Vec<view::Line> {
    let mut lines = Vec::new();
    for story in stories {
        if !lines.is_empty() {
            lines.push(view::Line::default());
        }
        lines.extend(view::simulated(story));
    }
    lines
}

const fn code(story: &view::Simulated) -> u8 {
    match story.outcome {
        Some(RunOutcome::Promoted | RunOutcome::Adopted) => 0,
        Some(RunOutcome::Reverted | RunOutcome::Aborted | RunOutcome::Superseded) => TAKEN_BACK,
        None => STILL_OPEN,
    }
}
