//! What can go wrong for a command, each with a sentence and, where a person can do something, a hint.
//!
//! The exit code belongs to the sentence.

use std::{error::Error, path::PathBuf, process::ExitCode};

use super::{near, terminal::escaped};
use crate::{api::ACTIONS_POLICY, stats::Margin};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("failed to find a cluster: no kubeconfig and no service account of a pod")]
    NoCluster,
    #[error("failed to read the kubeconfig{}: {message}", path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Kubeconfig { path: Option<PathBuf>, message: String },
    #[error("failed to find context {name:?} in the kubeconfig")]
    NoContext { name: String, known: Vec<String> },
    #[error("failed to choose a context: the kubeconfig has no current one")]
    NoCurrentContext { known: Vec<String> },
    #[error("failed to {attempt}: the API server at {server} does not answer: {message}")]
    Unreachable { attempt: String, server: String, message: String },
    #[error("failed to {attempt}: {message}")]
    Forbidden { attempt: String, message: String },
    #[error("refused by the API server: {message}")]
    Denied { message: String },
    #[error("failed to {attempt}: {message}")]
    Unauthorized { attempt: String, message: String },
    #[error("failed to {attempt}: the API server does not know the kinds of tidegate.io")]
    KindsMissing { attempt: String },
    #[error("Rollout {name:?} not found in namespace {namespace:?}")]
    RolloutNotFound { name: String, namespace: String, known: Vec<String> },
    #[error("RolloutRun {name:?} not found in {place}")]
    RunNotFound { name: String, place: String, known: Vec<String> },
    #[error("failed to {attempt}: {message}")]
    Api { attempt: String, message: String },
    #[error("refused: {message}")]
    Refused { message: String },
    #[error("RolloutAction {action} was created, but the controller has not answered within {timeout}")]
    Unanswered { action: String, namespace: String, timeout: crate::api::Span },
    #[error("failed to read {file}: {message}")]
    File { file: String, message: String },
    #[error("failed to find a Rollout of tidegate.io in {file}: {}", found(.kinds))]
    NoRollout { file: String, kinds: Vec<String> },
    #[error("{}", problems_of(.file, .problems))]
    Invalid { file: String, problems: Vec<(String, String)> },
    #[error("failed to plan Rollout {rollout}: {} not known", unknown(*.rate, *.errors))]
    NoFigures { rollout: String, rate: bool, errors: bool },
    #[error("failed to simulate Rollout {rollout}: {message}")]
    Simulate { rollout: String, message: String },
    #[error("failed to measure the traffic of Rollout {rollout}: {message}")]
    Measure { rollout: String, message: String },
    #[error("failed to choose a MetricsProvider for Rollout {rollout}: {}", no_provider(.provider.as_deref(), .namespace))]
    NoProvider { rollout: String, provider: Option<String>, namespace: String },
    #[error("failed to plan {} of {of} Rollouts: {}", .failures.len(), all(.failures))]
    Unplanned { failures: Vec<Failure>, of: usize },
    #[error("no run of Rollout {} would start: RolloutPolicies are against it", .rollouts.join(", "))]
    Violations { rollouts: Vec<String> },
    #[error("failed to replay RolloutRun {run}: {message}")]
    Replay { run: String, message: String },
    #[error("failed to read RolloutRun {run} again: {message}")]
    Reread { run: String, message: String },
    #[error("the record does not replay: {}", differing.join(", "))]
    Differs { differing: Vec<String> },
    #[error("the record was changed: RolloutRun {}", runs.join(", "))]
    ChainBroken { runs: Vec<String> },
    #[error("not all of the record could be compared: {}", missing.join(", "))]
    NotCompared { missing: Vec<String> },
    #[error("failed to use {output} here: it shows {shows}")]
    Output { output: &'static str, shows: &'static str, instead: &'static str },
    #[error("failed to read windows from {name}: {message}")]
    Windows { name: String, message: String },
    #[error("failed to use --pass-margin {},{}: it lies below --fail-margin {},{}", pass.ratio, pass.absolute, fail.ratio, fail.absolute)]
    Margins { fail: Margin, pass: Margin },
    #[error("{}", with_cause(.0))]
    Controller(crate::controller::RunError),
    #[error("refused: {}", remaining(*.count, .some))]
    RolloutsRemain { count: usize, some: Vec<String> },
    #[error("failed to write the answer: {0}")]
    Write(std::io::Error),
    #[error("failed to write the answer: nobody reads it")]
    ReaderGone,
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            // A script must be able to tell a record that was changed from an answer that did not come.
            Self::ChainBroken { .. } => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCluster => Some("Name one with --kubeconfig FILE or set KUBECONFIG".into()),
            Self::Kubeconfig { .. } => Some("Name another one with --kubeconfig FILE or KUBECONFIG".into()),
            Self::NoContext { name, known } => near::hint(name, known, "It has no contexts"),
            Self::NoCurrentContext { known } => Some(format!("Choose one with --context: {}", near::listed(known))),
            Self::Unreachable { .. } => Some("Check --context and --kubeconfig, and whether the cluster is up".into()),
            Self::Unauthorized { .. } => Some("Log in again: the credentials of this context are not valid".into()),
            Self::Forbidden { .. } => {
                Some("Ask for a Role that allows it; kubectl auth can-i --list shows what you may do".into())
            }
            Self::Denied { .. } => Some(
                "Ask for one of the roles tidegate-operator, tidegate-approver or tidegate-admin in this namespace; docs/access.md says what each may do"
                    .into(),
            ),
            Self::KindsMissing { .. } => Some("Install them: tidegate crds | kubectl apply --server-side -f -".into()),
            Self::RolloutNotFound { name, known, .. } => {
                near::hint(name, known, "There is no Rollout in this namespace; choose another one with -n")
            }
            Self::RunNotFound { name, known, .. } => near::hint(name, known, "There is no RolloutRun"),
            Self::Reread { .. } => Some("Name a server that answers from here with --prometheus URL".into()),
            Self::Differs { .. } => {
                Some("Something else than tidegate has written the record, or another version of it".into())
            }
            Self::ChainBroken { .. } => Some(
                "Compare the decisions with what left the cluster: notifications and logs; docs/audit.md says how".into(),
            ),
            Self::NotCompared { .. } => Some("Without --from-prometheus the windows in the record are folded".into()),
            Self::Unanswered { action, namespace, .. } => Some(format!(
                "Look whether the controller runs; the answer will be in: kubectl -n {namespace} get rolloutactions.tidegate.io {action} -o yaml"
            )),
            Self::Windows { .. } => Some("Name a file with one window a line, or - for standard input".into()),
            Self::Margins { .. } => {
                Some("Give a --pass-margin of which neither number is below --fail-margin's".into())
            }
            Self::Output { instead, .. } => Some((*instead).into()),
            Self::NoRollout { .. } => Some("Name the file that holds the Rollout, or - for standard input".into()),
            Self::NoFigures { .. } => {
                Some("Give them with --rps 40 --error-ratio 0.001, or have them measured with --from-prometheus".into())
            }
            Self::Unplanned { failures, .. } => failures.first().and_then(Self::hint),
            Self::Measure { .. } | Self::NoProvider { .. } => Some(
                "Name a server that answers from here with --prometheus URL, or give --rps and --error-ratio".into(),
            ),
            Self::Controller(crate::controller::RunError::Listen { .. }) => {
                Some("Another program listens there: choose another address with --listen".into())
            }
            Self::RolloutsRemain { .. } => Some(
                "Delete them while the controller runs (kubectl delete rollouts.tidegate.io --all -n NAMESPACE) and uninstall \
                 again; to leave them as they are: helm uninstall --no-hooks"
                    .into(),
            ),
            Self::File { .. } | Self::Invalid { .. } | Self::Replay { .. } | Self::Simulate { .. } => None,
            Self::Violations { .. } => None,
            Self::Api { .. } | Self::Refused { .. } | Self::Controller(_) | Self::Write(_) | Self::ReaderGone => None,
        }
    }

    /// What an error of the client means for this attempt ("read Rollout x").
    pub fn of_client(attempt: impl Into<String>, server: &str, error: &kube::Error) -> Self {
        let attempt = attempt.into();
        match error {
            kube::Error::Api(status) => Self::of_status(attempt, status),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self::Unreachable { attempt, server: server.to_owned(), message: innermost(error) }
            }
            kube::Error::Auth(_) => Self::Unauthorized { attempt, message: innermost(error) },
            // The client's enum may grow, and what is left here is rare: its own words say best what it was.
            _ => Self::Api { attempt, message: innermost(error) },
        }
    }

    fn of_status(attempt: String, status: &kube::core::Status) -> Self {
        let message = status.message.trim_end_matches('.').to_owned();
        let names_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
        // "... is forbidden: ValidatingAdmissionPolicy 'x' with binding 'x' denied request: the policy's own sentence"
        let denied = message.split_once(ACTIONS_POLICY).and_then(|(_, rest)| rest.split_once("denied request: "));
        if let Some((_, sentence)) = denied {
            return Self::Denied { message: sentence.to_owned() };
        }
        match status.code {
            401 => Self::Unauthorized { attempt, message },
            403 => Self::Forbidden { attempt, message },
            404 if !names_object => Self::KindsMissing { attempt },
            _ => Self::Api { attempt, message },
        }
    }
}

fn found(kinds: &[String]) -> String {
    if kinds.is_empty() { "it is empty".into() } else { format!("it has {}", near::listed(kinds)) }
}

/// One problem on the line, several on a line each.
fn problems_of(file: &str, problems: &[(String, String)]) -> String {
    match problems {
        [(object, problem)] => format!("{object} in {file}: {}", escaped(problem)),
        several => {
            let lines = several.iter().map(|(object, problem)| format!("\n  {object}: {}", escaped(problem)));
            format!("{file} has {} problems{}", several.len(), lines.collect::<String>())
        }
    }
}

const fn unknown(rate: bool, errors: bool) -> &'static str {
    match (rate, errors) {
        (false, false) => "its requests per second and its error ratio are",
        (false, true) => "its requests per second are",
        (true, false | true) => "its error ratio is",
    }
}

fn all(failures: &[Failure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn no_provider(name: Option<&str>, namespace: &str) -> String {
    match name {
        Some(name) => format!("{name} does not exist, or namespace {namespace} may not use it"),
        None => format!("none is the default for namespace {namespace}"),
    }
}

fn remaining(count: usize, some: &[String]) -> String {
    let (are, more) =
        (if count == 1 { "1 Rollout exists" } else { "Rollouts exist" }, count.saturating_sub(some.len()));
    let number = if count == 1 { String::new() } else { format!("{count} ") };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{number}{are} ({}{more}): without the controller a run stays at its weight, nothing takes a bad revision back, \
         and a deleted Rollout waits for its finalizer for ever",
        some.join(", ")
    )
}

fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(_) => format!("{error}: {}", innermost(error)),
        None => error.to_string(),
    }
}

/// The cause at the bottom of a chain: the layers above it repeat it or say nothing.
pub fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn status(code: u16, message: &str, name: &str) -> kube::Error {
        let details = serde_json::json!({ "name": name });
        let details = serde_json::from_value(details).unwrap();
        kube::Error::Api(Box::new(Status {
            code,
            message: message.into(),
            details: Some(details),
            ..Status::default()
        }))
    }

    #[test]
    fn errors_of_the_api_server_become_sentences_with_hints() {
        for (error, sentence, hint) in [
            (
                status(403, "rollouts.tidegate.io \"x\" is forbidden.", "x"),
                "failed to read Rollout x: rollouts.tidegate.io \"x\" is forbidden",
                "Ask for a Role",
            ),
            (
                status(404, "404 page not found", ""),
                "failed to read Rollout x: the API server does not know the kinds of tidegate.io",
                "tidegate crds",
            ),
            (
                status(
                    403,
                    "rolloutactions.tidegate.io \"x-approve-1\" is forbidden: ValidatingAdmissionPolicy 'tidegate-actions' with binding 'tidegate-actions' denied request: ana may not ask for Approve of Rollout x: that needs the right to update rollouts/approve in namespace shop",
                    "x-approve-1",
                ),
                "refused by the API server: ana may not ask for Approve of Rollout x: that needs the right to update rollouts/approve in namespace shop",
                "tidegate-approver",
            ),
            (status(401, "Unauthorized", ""), "failed to read Rollout x: Unauthorized", "Log in again"),
        ] {
            let failure = Failure::of_client("read Rollout x", "https://k8s", &error);
            assert_eq!(failure.to_string(), sentence);
            assert!(failure.hint().unwrap().contains(hint), "{sentence}");
        }
    }

    #[test]
    fn an_unknown_rollout_is_answered_with_near_names() {
        let known = vec!["checkout".to_owned(), "cart".to_owned()];
        let failure = Failure::RolloutNotFound { name: "chekout".into(), namespace: "shop".into(), known };
        assert_eq!(failure.to_string(), "Rollout \"chekout\" not found in namespace \"shop\"");
        assert_eq!(failure.hint().unwrap(), "Did you mean checkout?");
    }
}
