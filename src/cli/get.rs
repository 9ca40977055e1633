//! `tidegate get rollout`: one as a tree, all as a table, or the objects themselves.
//!
//! What a page says is in `view`.

use jiff::Timestamp;
use kube::{Api, api::ListParams};
use serde::Serialize;

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, Get, GetRollout, Output},
    connection::Connection,
    live::{Live, find},
    watch,
};
use crate::{
    api::Rollout,
    view::{self, Columns},
};

pub async fn run(connection: &ConnectionArguments, what: Get) -> Result<(), Failure> {
    let Get::Rollout(arguments) = what;
    match &arguments.name {
        Some(name) => one(connection, name, &arguments).await,
        None => all(connection, &arguments).await,
    }
}

async fn one(arguments: &ConnectionArguments, name: &str, get: &GetRollout) -> Result<(), Failure> {
    let output = get.output.unwrap_or(Output::Tree);
    if get.watch && output != Output::Tree {
        return Err(only("--watch", "one Rollout as a tree", "Leave --output away"));
    }
    let connection = Connection::new(arguments).await?;
    let mut terminal = Terminal::stdout();
    match output {
        Output::Tree if get.watch => watch::one(&connection, name, &mut terminal).await,
        Output::Tree => {
            let live = Live::read(&connection, name).await?;
            terminal.lines(&view::tree(&live.scene(Some(Timestamp::now()))))
        }
        Output::Table | Output::Wide => {
            let rollout = find(&connection, name).await?;
            let columns = Columns { namespace: false, wide: output == Output::Wide };
            terminal.lines(&view::table(&[&rollout], Some(Timestamp::now()), columns))
        }
        Output::Json => terminal.print(&json(&bare(find(&connection, name).await?))?),
        Output::Yaml => terminal.print(&yaml(&bare(find(&connection, name).await?))?),
    }
}

async fn all(arguments: &ConnectionArguments, get: &GetRollout) -> Result<(), Failure> {
    let output = get.output.unwrap_or(Output::Table);
    let columns = Columns { namespace: get.all_namespaces, wide: output == Output::Wide };
    if output == Output::Tree {
        return Err(only("--output tree", "one Rollout", "Name it: tidegate get rollout NAME"));
    }
    if get.watch && !matches!(output, Output::Table | Output::Wide) {
        return Err(only("--watch", "a tree or a table", "Leave --output away"));
    }
    let connection = Connection::new(arguments).await?;
    let api: Api<Rollout> = match get.all_namespaces {
        true => Api::all(connection.client.clone()),
        false => Api::namespaced(connection.client.clone(), &connection.namespace),
    };
    let mut terminal = Terminal::stdout();
    let mut rollouts =
        api.list(&ListParams::default()).await.map_err(|error| connection.failure("list Rollouts", &error))?;
    if get.watch {
        return watch::all(api, columns, &mut terminal).await;
    }
    rollouts.items = rollouts.items.into_iter().map(bare).collect();
    match output {
        Output::Json => terminal.print(&json(&rollouts)?),
        Output::Yaml => terminal.print(&yaml(&rollouts)?),
        Output::Tree | Output::Table | Output::Wide if rollouts.items.is_empty() => {
            let place = if get.all_namespaces { "".into() } else { format!(" in namespace {}", connection.namespace) };
            Terminal::stderr().print(&format!("There are no Rollouts{place}\n"))
        }
        Output::Tree | Output::Table | Output::Wide => {
            let shown: Vec<&Rollout> = rollouts.iter().collect();
            terminal.lines(&view::table(&shown, Some(Timestamp::now()), columns))
        }
    }
}

/// Who wrote which field is noise to a reader; kubectl leaves it out too.
fn bare(mut rollout: Rollout) -> Rollout {
    rollout.metadata.managed_fields = None;
    rollout
}

const fn only(output: &'static str, shows: &'static str, instead: &'static str) -> Failure {
    Failure::Output { output, shows, instead }
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Write(error.into()))?;
    Ok(text + "\n")
}

pub(super) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(|error| Failure::Write(std::io::Error::other(error)))
}
