//! `--watch`: the page again whenever its objects change. In place on a terminal, else only the lines that changed.
//!
//! Without a terminal nothing that merely ages is shown: a log gets a line when something happens.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};

use super::{
    Failure, Terminal,
    connection::Connection,
    live::{Live, find, pods, run_name},
};
use crate::{
    api::{ROLLOUT_LABEL, Rollout, RolloutRun},
    view::{self, Columns, Line},
};

/// On a terminal the times count down.
const TICK: Duration = Duration::from_secs(1);

/// Something changed; what, the stores know. An error is passed on: the watch goes on by itself.
type Change = Result<(), watcher::Error>;

/// One Rollout's page until the reader stops it, or the Rollout is gone.
pub async fn one(connection: &Connection, name: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    find(connection, name).await?;
    let (client, namespace) = (&connection.client, &connection.namespace);
    let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let labelled = watcher::Config::default().labels(&format!("{ROLLOUT_LABEL}={name}"));
    let (rollouts, of_rollouts) = follow::<Rollout>(Api::namespaced(client.clone(), namespace), named);
    let (runs, of_runs) = follow::<RolloutRun>(Api::namespaced(client.clone(), namespace), watcher::Config::default());
    let (deployments, of_deployments) = follow::<Deployment>(Api::namespaced(client.clone(), namespace), labelled);
    let changes = stream::select_all([of_rollouts.boxed(), of_runs.boxed(), of_deployments.boxed()]);
    let page = |now: Option<Timestamp>| {
        if !(is_ready(&rollouts) && is_ready(&runs) && is_ready(&deployments)) {
            return Page::NotYet;
        }
        let Some(rollout) = rollouts.state().into_iter().next() else { return Page::Gone };
        let rollout = Arc::unwrap_or_clone(rollout);
        let run = run_name(&rollout).and_then(|wanted| {
            let found = runs.state().into_iter().find(|run| run.metadata.name.as_deref() == Some(wanted));
            found.map(Arc::unwrap_or_clone)
        });
        let deployments = deployments.state();
        let live = Live { rollout, run, pods: pods(deployments.iter().map(AsRef::as_ref)) };
        Page::Lines(view::tree(&live.scene(now)))
    };
    show(changes, page, terminal).await
}

/// The table of all Rollouts until the reader stops it.
pub async fn all(api: Api<Rollout>, columns: Columns, terminal: &mut Terminal) -> Result<(), Failure> {
    let (rollouts, changes) = follow::<Rollout>(api, watcher::Config::default());
    let page = |now: Option<Timestamp>| {
        if !is_ready(&rollouts) {
            return Page::NotYet;
        }
        let state = rollouts.state();
        let shown: Vec<&Rollout> = state.iter().map(AsRef::as_ref).collect();
        Page::Lines(view::table(&shown, now, columns))
    };
    show(changes.boxed(), page, terminal).await
}

fn follow<K>(api: Api<K>, config: watcher::Config) -> (Store<K>, impl Stream<Item = Change> + Send)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changes = watcher(api, config).default_backoff().reflect(writer).touched_objects();
    (store, changes.map(|change| change.map(|_| ())))
}

/// The first list of all objects is here.
fn is_ready<K: kube::Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    store.wait_until_ready().now_or_never().is_some()
}

enum Page {
    /// Half a page would be a wrong one.
    NotYet,
    Lines(Vec<Line>),
    Gone,
}

async fn show(
    mut changes: impl Stream<Item = Change> + Unpin,
    page: impl Fn(Option<Timestamp>) -> Page,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let (mut shown, mut begun) = (BTreeSet::new(), false);
    loop {
        match tokio::time::timeout(TICK, changes.next()).await {
            Ok(Some(Err(error))) => Terminal::stderr().print(&format!("watch: {error}; trying again\n"))?,
            Ok(None) => return Ok(()),
            Ok(Some(Ok(()))) => {}
            Err(_) if begun && !terminal.interactive => continue,
            Err(_) => {}
        }
        let lines = match page(terminal.interactive.then(Timestamp::now)) {
            Page::NotYet => continue,
            Page::Gone => return terminal.print("The Rollout is gone\n"),
            Page::Lines(lines) => lines,
        };
        begun = true;
        if terminal.interactive {
            terminal.redraw(&lines)?;
        } else {
            let clock = Timestamp::now().strftime("%T").to_string();
            terminal.print(&changed(&mut shown, &lines, &clock))?;
        }
    }
}

/// Lines that were not shown last time, each behind the time.
fn changed(shown: &mut BTreeSet<String>, lines: &[Line], clock: &str) -> String {
    let texts: Vec<String> =
        lines.iter().map(|line| line.to_string().trim_start_matches([' ', '│', '├', '└', '─']).to_owned()).collect();
    let new = texts.iter().filter(|text| !shown.contains(*text)).map(|text| format!("{clock}  {text}\n")).collect();
    *shown = texts.into_iter().collect();
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_only_changed_lines_are_printed() {
        let mut shown = BTreeSet::new();
        let page = |weight: &str| vec![Line::plain("Rollout shop/checkout"), Line::plain(format!("├─ {weight}"))];
        let first = changed(&mut shown, &page("weight 1"), "10:00:00");
        assert_eq!(first, "10:00:00  Rollout shop/checkout\n10:00:00  weight 1\n");
        assert_eq!(changed(&mut shown, &page("weight 1"), "10:00:01"), "");
        assert_eq!(changed(&mut shown, &page("weight 10"), "10:00:02"), "10:00:02  weight 10\n");
    }
}
