//! `tidegate audit verify`: whether the decisions of RolloutRuns are the ones that were written.
//!
//! How a chain is followed is in `engine::chain`. Records are looked at as they are stored, not as this version reads them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::ApiResource,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, run_name},
    connection::Connection,
    get::json,
    manifest::Manifest,
};
use crate::{
    api::RolloutRun,
    engine::chain::{self, Chain, Flaw},
    view::{Line, Tone, counted},
};

#[derive(Clone, Debug, Subcommand)]
pub enum Audit {
    /// Follow the chain of decisions of RolloutRuns: each carries the hash of the one before; exit code 3 if one was changed
    Verify(VerifyArguments),
}

#[derive(Clone, Debug, Args)]
pub struct VerifyArguments {
    /// Name of the RolloutRun, as NAME or rolloutrun/NAME
    #[arg(value_parser = run_name, required_unless_present_any = ["file", "all", "all_namespaces"])]
    pub name: Option<String>,
    /// File with RolloutRuns, as kubectl get -o yaml or json writes them; - is standard input
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with_all = ["all", "all_namespaces"])]
    pub file: Option<PathBuf>,
    /// Every RolloutRun of the namespace
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Every RolloutRun of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Form of the answer; default: a line for each RolloutRun
    #[arg(short, long, value_enum)]
    pub output: Option<AuditOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditOutput {
    /// A list with one entry for each RolloutRun, as JSON
    Json,
}

/// What became of one run's chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    run: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Chain>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flaws: Vec<Flaw>,
}

pub async fn run(arguments: &ConnectionArguments, audit: &Audit) -> Result<(), Failure> {
    let Audit::Verify(given) = audit;
    let verified: Vec<Verified> = documents(arguments, given).await?.iter().map(verify).collect();
    let mut terminal = Terminal::stdout();
    match given.output {
        None if verified.is_empty() => Terminal::stderr().print("There are no RolloutRuns\n")?,
        None => terminal.lines(&verified.iter().flat_map(lines).collect::<Vec<_>>())?,
        Some(AuditOutput::Json) => terminal.print(&json(&verified)?)?,
    }
    let broken: Vec<String> = verified.iter().filter(|one| !one.flaws.is_empty()).map(|one| one.run.clone()).collect();
    if broken.is_empty() { Ok(()) } else { Err(Failure::ChainBroken { runs: broken }) }
}

/// The RolloutRuns as they are stored.
async fn documents(arguments: &ConnectionArguments, given: &VerifyArguments) -> Result<Vec<Value>, Failure> {
    if let Some(file) = &given.file {
        let manifest = Manifest::read(file)?;
        let meant = |run: &&Value| given.name.as_ref().is_none_or(|name| run["metadata"]["name"] == **name);
        let found: Vec<Value> = manifest.stored_runs().filter(meant).cloned().collect();
        return match found.is_empty() {
            true => {
                Err(Failure::File { file: manifest.name().to_owned(), message: "it holds no such RolloutRun".into() })
            }
            false => Ok(found),
        };
    }
    let connection = Connection::new(arguments).await?;
    let resource = ApiResource::erase::<RolloutRun>(&());
    let api: Api<DynamicObject> = match given.all_namespaces {
        true => Api::all_with(connection.client.clone(), &resource),
        false => Api::namespaced_with(connection.client.clone(), &connection.namespace, &resource),
    };
    let objects = match &given.name {
        Some(name) => {
            let read = api.get_opt(name).await;
            let found = read.map_err(|error| connection.failure(format!("read RolloutRun {name}"), &error))?;
            let place = format!("namespace {:?}", connection.namespace);
            vec![found.ok_or_else(|| Failure::RunNotFound { name: name.clone(), place, known: Vec::new() })?]
        }
        None => {
            let listed = api.list(&ListParams::default()).await;
            listed.map_err(|error| connection.failure("list RolloutRuns", &error))?.items
        }
    };
    let stored = |object: &DynamicObject| serde_json::to_value(object).map_err(|error| Failure::Write(error.into()));
    objects.iter().map(stored).collect()
}

fn verify(run: &Value) -> Verified {
    let text = |key: &str| run["metadata"][key].as_str().unwrap_or_default().to_owned();
    let (chain, flaws) = match chain::verify(&run["status"]) {
        Ok(chain) => (Some(chain), Vec::new()),
        Err(flaws) => (None, flaws),
    };
    Verified { run: text("name"), namespace: text("namespace"), chain, flaws }
}

fn lines(verified: &Verified) -> Vec<Line> {
    let Verified { run, namespace, chain, flaws } = verified;
    let name = if namespace.is_empty() { run.clone() } else { format!("{namespace}/{run}") };
    let head = Line::plain("RolloutRun ").and(Tone::Strong, name).and(Tone::Plain, "  ");
    let Some(chain) = chain else {
        let line = |flaw: &Flaw| {
            let place = flaw.seq.map_or("the log".into(), |seq| format!("decision {seq}"));
            Line::plain(format!("  {place}: {}", flaw.message))
        };
        return std::iter::once(head.and(Tone::Bad, "changed")).chain(flaws.iter().map(line)).collect();
    };
    if chain.head.is_empty() {
        return vec![head.and(Tone::Attention, "no decisions yet")];
    }
    let count = counted(chain.kept as u64, "decision");
    let dropped = if chain.dropped > 0 { format!(", {} before them dropped", chain.dropped) } else { String::new() };
    vec![head.and(Tone::Good, "whole").and(Tone::Plain, format!(", {count}{dropped}, head {}", chain.head))]
}
