//! `tidegate history`: the runs of a Rollout with their decisions.
//!
//! It shows what the records say; whether they are whole is `tidegate audit verify`'s to say.

use clap::{Args, ValueEnum};
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, bare_name},
    connection::Connection,
    get::{json, yaml},
    live::find,
};
use crate::{
    api::{Asked, DecisionLog, ROLLOUT_LABEL, RolloutRun, RunOutcome},
    view,
};

#[derive(Clone, Debug, Args)]
pub struct HistoryArguments {
    /// Name of the Rollout, as NAME or rollout/NAME
    #[arg(value_parser = bare_name)]
    pub name: String,
    /// Form of the answer; default: a table
    #[arg(short, long, value_enum)]
    pub output: Option<HistoryOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryOutput {
    /// A list with one entry for each RolloutRun, as JSON
    Json,
    /// The same as YAML
    Yaml,
}

/// One run as a script reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'r> {
    name: String,
    namespace: String,
    release: Option<&'r str>,
    stable: &'r str,
    canary: &'r str,
    requested_by: Option<&'r Asked>,
    outcome: Option<RunOutcome>,
    decisions: DecisionLog,
}

pub async fn run(arguments: &ConnectionArguments, given: &HistoryArguments) -> Result<(), Failure> {
    let connection = Connection::new(arguments).await?;
    let rollout = find(&connection, &given.name).await?;
    let api: Api<RolloutRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let listed = api.list(&ListParams::default().labels(&format!("{ROLLOUT_LABEL}={}", given.name))).await;
    let mut runs =
        listed.map_err(|error| connection.failure(format!("list the runs of Rollout {}", given.name), &error))?.items;
    runs.retain(|run| rollout.metadata.uid.as_deref() == Some(&run.spec.rollout_uid));
    runs.sort_by_key(|run| (run.metadata.creation_timestamp.clone().map(|time| time.0), run.name_any()));
    let mut terminal = Terminal::stdout();
    match given.output {
        None if runs.is_empty() => Terminal::stderr().print(&format!("Rollout {} has no RolloutRun yet\n", given.name)),
        None => terminal.lines(&view::history(&runs)),
        Some(HistoryOutput::Json) => terminal.print(&json(&runs.iter().map(told).collect::<Vec<_>>())?),
        Some(HistoryOutput::Yaml) => terminal.print(&yaml(&runs.iter().map(told).collect::<Vec<_>>())?),
    }
}

fn told(run: &RolloutRun) -> Run<'_> {
    let status = run.status.as_ref();
    Run {
        name: run.name_any(),
        namespace: run.namespace().unwrap_or_default(),
        release: run.spec.release.as_deref(),
        stable: &run.spec.stable,
        canary: &run.spec.canary,
        requested_by: run.spec.requested_by.as_ref(),
        outcome: status.and_then(|status| status.outcome),
        decisions: status.map(|status| status.decisions.clone()).unwrap_or_default(),
    }
}
