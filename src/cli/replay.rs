//! `tidegate replay`: the evidence of a RolloutRun folded again, from its record or from the metrics server.
//!
//! What is folded and compared is in `measure`; here runs and servers are found, and the result is said.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, longer_than_nothing, run_name},
    connection::Connection,
    get::json,
    manifest::Manifest,
    measured::{at, choose, open},
};
use crate::{
    api::{EvidenceRecord, MetricsProvider, MetricsProviderSpec, RolloutRun, Span},
    measure::{Decided, Order, Replay, Twice, decided, misstated, replay, reread},
    stats::figure,
    view::{Line, Tone},
};

#[derive(Clone, Debug, Args)]
pub struct ReplayArguments {
    /// Name of the RolloutRun, as NAME or rolloutrun/NAME; may be left out with --filename
    #[arg(value_parser = run_name, required_unless_present = "file")]
    pub name: Option<String>,
    /// File with RolloutRuns, as kubectl get -o yaml or json writes them; - is standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Read the whole run again from its MetricsProvider and fold it anew, while the data are kept
    #[arg(long)]
    pub from_prometheus: bool,
    /// The same from this address; with --filename no cluster is asked
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// How often the metrics were scraped; default: the MetricsProvider's, else what the record's windows mean
    #[arg(long, value_parser = longer_than_nothing)]
    pub scrape_interval: Option<Span>,
    /// Form of the answer; default: a page of text
    #[arg(short, long, value_enum)]
    pub output: Option<ReplayOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayOutput {
    /// A list with one entry for each RolloutRun, as JSON
    Json,
}

/// One run's replay.
#[derive(Serialize)]
struct Replayed {
    run: String,
    namespace: String,
    /// What was folded: "its record", or whom the samples are from.
    from: String,
    metrics: Vec<Replay>,
    decisions: Decided,
    /// What the record says of its verdict, its time or its spending and its folds do not; None: nothing.
    misstated: Option<String>,
}

pub async fn run(arguments: &ConnectionArguments, given: &ReplayArguments) -> Result<(), Failure> {
    let asks_cluster = given.file.is_none() || (given.from_prometheus && given.prometheus.is_none());
    let connection = if asks_cluster { Some(Connection::new(arguments).await?) } else { None };
    let mut replayed = Vec::new();
    for run in runs(connection.as_ref(), given).await? {
        let namespace = run.namespace().or(arguments.namespace.clone());
        let of_context = || connection.as_ref().map(|connection| connection.namespace.clone());
        let namespace = namespace.or_else(of_context).unwrap_or_else(|| "default".into());
        replayed.push(one(connection.as_ref(), given, &run, namespace).await?);
    }
    let mut terminal = Terminal::stdout();
    match given.output {
        None => terminal.lines(&page(&replayed))?,
        Some(ReplayOutput::Json) => terminal.print(&json(&replayed)?)?,
    }
    verdict(&replayed)
}

/// Those of the file, or the one of the cluster.
async fn runs(connection: Option<&Connection>, given: &ReplayArguments) -> Result<Vec<RolloutRun>, Failure> {
    match (&given.file, connection, &given.name) {
        (Some(file), _, name) => {
            let manifest = Manifest::read(file)?;
            let all = manifest.runs()?;
            let known: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
            let meant = |run: &RolloutRun| name.as_ref().is_none_or(|name| run.name_any() == *name);
            let found: Vec<RolloutRun> = all.into_iter().filter(meant).collect();
            match (found.is_empty(), name) {
                (true, Some(name)) => {
                    Err(Failure::RunNotFound { name: name.clone(), place: manifest.name().to_owned(), known })
                }
                _ => Ok(found),
            }
        }
        (None, Some(connection), Some(name)) => find(connection, name).await.map(|run| vec![run]),
        // The arguments ask for one of both.
        (None, _, _) => Ok(Vec::new()),
    }
}

async fn find(connection: &Connection, name: &str) -> Result<RolloutRun, Failure> {
    let api: Api<RolloutRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let failed = |error| connection.failure(format!("read RolloutRun {name}"), &error);
    if let Some(run) = api.get_opt(name).await.map_err(failed)? {
        return Ok(run);
    }
    // The list is only for the hint; but a server without our kinds answers the read with "not found" too.
    let known = match api.list(&ListParams::default()).await.map_err(failed) {
        Ok(runs) => runs.iter().map(ResourceExt::name_any).collect(),
        Err(failure @ Failure::KindsMissing { .. }) => return Err(failure),
        Err(_) => Vec::new(),
    };
    Err(Failure::RunNotFound { name: name.to_owned(), place: format!("namespace {:?}", connection.namespace), known })
}

async fn one(
    connection: Option<&Connection>,
    given: &ReplayArguments,
    run: &RolloutRun,
    namespace: String,
) -> Result<Replayed, Failure> {
    let name = run.name_any();
    let refused = |message: &str| Failure::Replay { run: name.clone(), message: message.into() };
    let status = run.status.as_ref();
    let evidence = status.and_then(|status| status.evidence.as_ref());
    let evidence = evidence.ok_or_else(|| refused("its status holds no evidence"))?;
    let order = Order::of(&namespace, &run.spec).ok_or_else(|| refused("its spec names no Service"))?;
    let misstated = misstated(&order, evidence);
    let (from, metrics) = if given.from_prometheus || given.prometheus.is_some() {
        again(connection, given, run, order, evidence).await?
    } else {
        ("its record".into(), replay(&order, evidence))
    };
    if metrics.is_empty() {
        return Err(refused("no metric in its record compares the revisions"));
    }
    let decisions = status.map(|status| decided(&status.decisions, evidence, &metrics)).unwrap_or_default();
    Ok(Replayed { run: name, namespace, from, metrics, decisions, misstated })
}

/// Read and folded anew, and whom it was read from.
async fn again(
    connection: Option<&Connection>,
    given: &ReplayArguments,
    run: &RolloutRun,
    order: Order,
    evidence: &EvidenceRecord,
) -> Result<(String, Vec<Replay>), Failure> {
    let failed = |message: String| Failure::Reread { run: run.name_any(), message };
    let (from, spec) = provider(connection, given, run, &order.namespace).await?;
    let created = run.metadata.creation_timestamp.as_ref();
    let order = Order {
        run_started_at: created
            .map(|time| time.0.as_second())
            .ok_or_else(|| failed("it has no creation time".into()))?,
        scrape_interval: given.scrape_interval.or(spec.scrape_interval).unwrap_or_default(),
        port: port(run).unwrap_or(order.port),
        ..order
    };
    let server = open(&from, &spec, &order.namespace).map_err(|error| failed(error.to_string()))?;
    Ok((from, reread(&order, evidence, &server).await))
}

/// The address that is given, else the MetricsProvider that the run used.
async fn provider(
    connection: Option<&Connection>,
    given: &ReplayArguments,
    run: &RolloutRun,
    namespace: &str,
) -> Result<(String, MetricsProviderSpec), Failure> {
    let address = given.prometheus.clone();
    if let Some(address) = &address
        && connection.is_none()
    {
        return Ok((address.clone(), at(address, None)));
    }
    let name = run.spec.analysis.provider.as_deref();
    let mut known = Vec::new();
    if let Some(connection) = connection {
        let api: Api<MetricsProvider> = Api::all(connection.client.clone());
        let listed = api.list(&ListParams::default()).await;
        let all = listed.map_err(|error| connection.failure("list MetricsProviders", &error))?;
        known.extend(all.into_iter().map(|provider| (provider.name_any(), provider.spec)));
    }
    match (address, choose(&known, name, namespace)) {
        (Some(address), chosen) => {
            let scrape_interval = chosen.and_then(|(_, spec)| spec.scrape_interval);
            Ok((address.clone(), at(&address, scrape_interval)))
        }
        (None, Some((name, spec))) => Ok((format!("MetricsProvider {name}"), spec.clone())),
        (None, None) => Err(Failure::Reread {
            run: run.name_any(),
            message: format!(
                "MetricsProvider {} does not exist, or namespace {namespace} may not use it",
                name.unwrap_or("(the default one)")
            ),
        }),
    }
}

/// The port by which the run's routes name the application's Service.
fn port(run: &RolloutRun) -> Option<u16> {
    let app = run.spec.services.first()?;
    let rules = run.spec.routes.iter().flat_map(|route| &route.rules);
    let backends = rules.flat_map(|rule| &rule.backend_refs).filter(|backend| backend["name"] == **app);
    backends.filter_map(|backend| u16::try_from(backend["port"].as_u64()?).ok()).min()
}

fn page(replayed: &[Replayed]) -> Vec<Line> {
    let mut lines = Vec::new();
    for Replayed { run, namespace, from, metrics, decisions, misstated } in replayed {
        lines.push(
            Line::plain("Replay of RolloutRun ")
                .and(Tone::Strong, format!("{namespace}/{run}"))
                .and(Tone::Plain, format!("  from {from}")),
        );
        metrics.iter().for_each(|metric| lines.extend(of_metric(metric)));
        lines.extend(of_decisions(decisions));
        let (tone, found) =
            if misstated.is_some() { (Tone::Bad, "differs") } else { (Tone::Good, "as the folds make it") };
        lines.push(Line::plain("  verdict, watermark and spending of the record: ").and(tone, found));
        lines.extend(misstated.iter().map(|why| Line::plain(format!("    {why}"))));
    }
    lines
}

fn of_decisions(Decided { resting, compared, differing }: &Decided) -> Vec<Line> {
    if *resting == 0 {
        return vec![Line::plain("  no decision in the record rests on judged windows")];
    }
    let head = format!("  {compared} of {resting} decisions compared with the evidence folded again: ");
    let (tone, found) = match (differing.is_empty(), compared) {
        (false, _) => (Tone::Bad, format!("{} differ", differing.len())),
        (true, 0) => (Tone::Attention, "their windows are not in the record".into()),
        (true, _) => (Tone::Good, "identical".into()),
    };
    let mut lines = vec![Line::plain(head).and(tone, found)];
    lines.extend(differing.iter().map(|why| Line::plain(format!("    {why}"))));
    lines
}

fn of_metric(replay: &Replay) -> Vec<Line> {
    let Replay { metric, windows, judged_windows, fail_evidence, pass_evidence, difference, incomplete, marks: _ } =
        replay;
    let (tone, found) = match (difference, incomplete) {
        (Some(_), _) => (Tone::Bad, "differs"),
        (None, Some(_)) => (Tone::Attention, "not compared"),
        (None, None) => (Tone::Good, "identical bit for bit"),
    };
    let head = format!("  {metric}  {windows} of {judged_windows} windows folded again: ");
    let mut lines = vec![Line::plain(head).and(tone, found)];
    for (test, evidence) in [("Fail", fail_evidence), ("Pass", pass_evidence)] {
        if let Some(Twice { recorded, again }) = evidence {
            let (recorded, again) = (figure(*recorded), figure(*again));
            lines.push(Line::plain(format!(
                "    evidence for a {test}: {recorded} in the record, {again} folded again"
            )));
        }
    }
    lines.extend(difference.iter().chain(incomplete).map(|why| Line::plain(format!("    {why}"))));
    lines
}

/// A record that does not replay is a failure, and so is one that could not be compared.
fn verdict(replayed: &[Replayed]) -> Result<(), Failure> {
    let named = |is_it: fn(&Replay) -> bool| -> Vec<String> {
        let of_run = |one: &Replayed| {
            let metrics = one.metrics.iter().filter(|metric| is_it(metric)).map(|metric| metric.metric.as_str());
            let decisions = (!one.decisions.differing.is_empty()).then_some("its decisions");
            let verdict = one.misstated.as_ref().map(|_| "its verdict");
            let parts: Vec<&str> = metrics.chain(decisions).chain(verdict).collect();
            (!parts.is_empty()).then(|| format!("RolloutRun {}, {}", one.run, parts.join(" and ")))
        };
        replayed.iter().filter_map(of_run).collect()
    };
    let differing = named(|replay| replay.difference.is_some());
    let missing = named(|replay| !replay.is_identical());
    match (differing.is_empty(), missing.is_empty()) {
        (false, _) => Err(Failure::Differs { differing }),
        (true, false) => Err(Failure::NotCompared { missing }),
        (true, true) => Ok(()),
    }
}
