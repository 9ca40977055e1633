//! The arguments: commands and flags as clap reads them. Their doc comments are the help and the reference.
//!
//! No behaviour.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::{
    audit::Audit, controller::ControllerArguments, history::HistoryArguments, lint::LintArguments,
    replay::ReplayArguments, simulate::SimulateArguments, verdict::VerdictArguments,
};
use crate::api::{ActionType, Span};

/// Progressive delivery for Kubernetes: look at Rollouts, and tell them what to do
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub connection: ConnectionArguments,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ConnectionArguments {
    /// Namespace of the Rollout; default: the context's
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; default: its current one
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Path of the kubeconfig; default: KUBECONFIG, else ~/.kube/config, else the pod's service account
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show Rollouts: what runs where, how far it is, why, and what comes next
    Get {
        #[command(subcommand)]
        what: Get,
    },
    /// Say before the start what each step of a Rollout can find, what it can cost, and how long it takes
    Plan(Plan),
    /// Say what is wrong in manifests before they are applied, and what their authors had better know
    Lint(LintArguments),
    /// Release a Rollout's manifest in a simulated cluster, in a moment: what happens when, what it costs, how it ends
    Simulate(SimulateArguments),
    /// Fold the recorded evidence of a RolloutRun again, and compare it bit for bit
    Replay(ReplayArguments),
    /// Show the runs of a Rollout with their decisions: when, where to, by whom, and why
    History(HistoryArguments),
    /// Check the records of runs
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
    /// End the present step now: its bake and gates count as done
    Promote(Promote),
    /// Give one approval to a gate of the present step
    Approve(Approve),
    /// Take all traffic back to the stable revision
    Abort(Intent),
    /// Try the reverted or aborted revision again
    Retry(Intent),
    /// Stay at the present weight
    Pause(Intent),
    /// Go on after a pause
    Resume(Intent),
    /// Replace the pods of the stable revision
    Restart(Intent),
    /// Let a run start, or go on, in the freeze windows that are open now: --reason says why it cannot wait
    Override(Intent),
    /// Judge recorded windows of one metric as a run would: was the canary worse, and on what evidence
    Verdict(VerdictArguments),
    /// Print the CustomResourceDefinitions: tidegate crds | kubectl apply --server-side -f -
    Crds,
    /// Print the rules of the controller's Roles, as the chart has them
    Rbac,
    /// Exit with 1 while Rollouts exist: what the chart's uninstallation asks first; --namespace limits it to one
    #[command(hide = true)]
    UninstallCheck,
    /// Run the operator; --namespace limits it to one, else it looks after all
    Controller(ControllerArguments),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completion { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub enum Get {
    /// Show one Rollout as a tree, or all of a namespace as a table
    #[command(visible_alias = "rollouts", aliases = ["rollouts.tidegate.io", "tgr"])]
    Rollout(GetRollout),
}

#[derive(Debug, Args)]
pub struct GetRollout {
    /// Name of the Rollout; without it all are shown as a table
    #[arg(value_parser = bare_name)]
    pub name: Option<String>,
    /// Show it again whenever it changes
    #[arg(short, long)]
    pub watch: bool,
    /// Rollouts of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Form of the answer; default: tree for one, table for all
    #[arg(short, long, value_enum)]
    pub output: Option<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A tree (one Rollout)
    Tree,
    /// A table
    Table,
    /// A table with revisions, releases and whole messages
    Wide,
    /// The objects as JSON
    Json,
    /// The objects as YAML
    Yaml,
}

#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// File with the Rollout, as YAML or JSON; every Rollout in it is planned; - is standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: PathBuf,
    /// Requests per second of the service, all revisions together; default: what errorBudget.expectedRequests means
    #[arg(long, value_parser = rate)]
    pub rps: Option<f64>,
    /// Part of the stable revision's requests that are bad, from 0 to below 1, such as 0.001
    #[arg(long, value_name = "RATIO", value_parser = part)]
    pub error_ratio: Option<f64>,
    /// Read both over the last hour from the MetricsProvider that the cluster has for the Rollout
    #[arg(long)]
    pub from_prometheus: bool,
    /// Read both from this address; without --from-prometheus no cluster is asked
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// How often the metrics are scraped; default: the MetricsProvider's, else 15s
    #[arg(long, value_parser = scrape_interval)]
    pub scrape_interval: Option<Span>,
    /// How many errors come together, 1 or more: retries and bad nodes make bursts
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = burst)]
    pub overdispersion: f64,
    /// Form of the answer; default: a page of text
    #[arg(short, long, value_enum)]
    pub output: Option<PlanOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    /// A list with one entry for each Rollout, as JSON
    Json,
    /// The same as YAML
    Yaml,
}

/// What each intent has: the Rollout, why, for which state it is meant, and how long to wait.
#[derive(Clone, Debug, Args)]
pub struct Intent {
    /// Name of the Rollout
    #[arg(value_parser = bare_name)]
    pub name: String,
    /// Why; shown in the run's decisions
    #[arg(short, long)]
    pub reason: Option<String>,
    /// The RolloutRun that is meant: with another one the intent is refused; default: the present one
    #[arg(long)]
    pub run: Option<String>,
    /// The step that is meant, counted from 0: at another one the intent is refused; default of promote and approve: the present one
    #[arg(long)]
    pub step: Option<u32>,
    /// Time to wait for the controller's answer
    #[arg(long, default_value = "10s", conflicts_with = "no_wait")]
    pub timeout: Span,
    /// Do not wait for the controller's answer
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct Promote {
    #[command(flatten)]
    pub intent: Intent,
    /// Skip all bakes, gates and evidence up to 100 %; never capacity
    #[arg(long)]
    pub full: bool,
}

#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    pub intent: Intent,
    /// The gate to approve
    #[arg(short, long)]
    pub gate: String,
}

/// One intent, whichever command it came from.
#[derive(Debug)]
pub struct Wish {
    pub kind: ActionType,
    pub gate: Option<String>,
    pub intent: Intent,
}

impl Intent {
    pub const fn of(self, kind: ActionType) -> Wish {
        Wish { kind, gate: None, intent: self }
    }
}

impl From<Promote> for Wish {
    fn from(promote: Promote) -> Self {
        promote.intent.of(if promote.full { ActionType::PromoteFull } else { ActionType::Promote })
    }
}

impl From<Approve> for Wish {
    fn from(approve: Approve) -> Self {
        Self { kind: ActionType::Approve, gate: Some(approve.gate), intent: approve.intent }
    }
}

fn number(text: &str, is_right: impl Fn(f64) -> bool, right: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && is_right(*number));
    number.ok_or_else(|| format!("write a number {right}"))
}

pub fn rate(text: &str) -> Result<f64, String> {
    number(text, |rate| (1e-6..=1e9).contains(&rate), "from 0.000001 to 1000000000, such as 40")
}

pub fn part(text: &str) -> Result<f64, String> {
    number(text, |part| (0.0..1.0).contains(&part), "from 0 to below 1, such as 0.001 for 0.1 %")
}

fn burst(text: &str) -> Result<f64, String> {
    number(text, |burst| burst >= 1.0, "of 1 or more")
}

pub fn longer_than_nothing(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::api::SpanError| error.to_string())?;
    if span > Span::ZERO { Ok(span) } else { Err("write a time above 0s, such as 15s".into()) }
}

/// Of longer ones no step lasts enough: something else was meant.
fn scrape_interval(text: &str) -> Result<Span, String> {
    let span = longer_than_nothing(text)?;
    if span <= Span::minutes(60) { Ok(span) } else { Err("write a time of 1h at most, such as 15s".into()) }
}

/// `rollouts.tidegate.io/checkout`, as kubectl prints it, is `checkout` too.
pub fn bare_name(text: &str) -> Result<String, String> {
    const KINDS: [&str; 5] = ["rollout", "rollouts", "tgr", "rollout.tidegate.io", "rollouts.tidegate.io"];
    name_of("Rollout", &KINDS, text)
}

pub fn run_name(text: &str) -> Result<String, String> {
    const KINDS: [&str; 5] =
        ["rolloutrun", "rolloutruns", "tgrun", "rolloutrun.tidegate.io", "rolloutruns.tidegate.io"];
    name_of("RolloutRun", &KINDS, text)
}

fn name_of(whose: &str, kinds: &[&str], text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some((kind, name)) if kinds.contains(&kind) => name,
        Some((kind, _)) => return Err(format!("{kind} is not a kind that is meant here: write the {whose}'s name")),
        None => text,
    };
    if name.is_empty() { Err("the name is empty".into()) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("tidegate").chain(line.split_whitespace()))
    }

    #[test]
    fn the_arguments_contradict_each_other_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn lines_that_people_write_are_read() {
        for line in [
            "get rollout checkout -n shop -w",
            "get rollouts -A -o wide",
            "get rollout rollouts.tidegate.io/checkout -o yaml",
            "-n shop --context prod promote checkout --full --reason hotfix",
            "approve checkout --gate qa --no-wait",
            "abort checkout --timeout 30s -r slow",
            "plan -f rollout.yaml --rps 40 --error-ratio 0.001",
            "plan --filename - --from-prometheus --scrape-interval 1h -o json",
            "plan -f a.json --prometheus http://127.0.0.1:9090 --overdispersion 2.5",
            "history rollout/checkout -o yaml",
            "audit verify rolloutrun/checkout-7",
            "audit verify -f runs.yaml -o json",
            "audit verify -A",
            "replay rolloutrun/checkout-7 -n shop --from-prometheus",
            "replay rolloutruns.tidegate.io/checkout-7 -o json",
            "replay -f run.yaml --prometheus http://127.0.0.1:9090 --scrape-interval 5s",
            "replay tgrun/checkout-7 -f runs.yaml",
            "controller --listen 127.0.0.1:9090 --log-format json --log-level debug -n shop",
            "verdict --metric errors windows.jsonl --fail-margin 1.2,0.001 --pass-margin 2,0.01 --summary",
            "verdict - -o json --alpha 0.005 --confirm 2 --slo 99",
            "completion powershell",
            "version",
        ] {
            assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
        }
    }

    #[test]
    fn lines_that_mean_nothing_are_refused() {
        for line in [
            "",
            "promote",
            "approve checkout",
            "abort checkout --timeout soon",
            "abort checkout --timeout 5s --no-wait",
            "get rollout checkout -A",
            "get rollout pods/x",
            "verdict",
            "verdict - --alpha 1",
            "verdict - --fail-margin 1.1",
            "verdict - --fail-margin 0.9,0.1",
            "verdict - --pass-margin 1.5,nan",
            "verdict - --confirm 1",
            "verdict - --phi 0.5",
            "verdict - -o yaml",
            "get rollout rollouts/",
            "plan",
            "plan -f a.yaml --rps 0",
            "plan -f a.yaml --rps inf",
            "plan -f a.yaml --rps 1e10",
            "plan -f a.yaml --rps 1e-7",
            "plan -f a.yaml --error-ratio 1",
            "plan -f a.yaml --overdispersion 0.5",
            "plan -f a.yaml --scrape-interval 0s",
            "plan -f a.yaml --scrape-interval 61m",
            "simulate -f a.yaml --abort-at 0s",
            "plan -f a.yaml -o table",
            "replay",
            "replay rollout/checkout",
            "audit verify",
            "audit verify checkout-7 --all",
            "completion tcsh",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn promote_full_is_another_intent_than_promote() {
        for (line, kind) in
            [("promote checkout", ActionType::Promote), ("promote checkout --full", ActionType::PromoteFull)]
        {
            let Command::Promote(promote) = read(line).unwrap().command else { panic!("{line}") };
            assert_eq!(Wish::from(promote).kind, kind);
        }
    }
}
