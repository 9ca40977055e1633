//! The command line: `tidegate`, which is also `kubectl tidegate`.
//!
//! Commands read and write API objects; what an intent leads to is the controller's to decide.

mod arguments;
mod audit;
mod connection;
mod controller;
mod failure;
mod get;
mod history;
mod intent;
mod lint;
mod live;
mod manifest;
mod measured;
mod near;
mod plan;
mod policies;
mod reference;
mod replay;
mod simulate;
mod terminal;
mod uninstall;
mod verdict;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use arguments::{Arguments, Command};
use failure::Failure;
use terminal::Terminal;

pub use reference::reference;
pub use verdict::{Lines, read_window};

const PLUGIN: &str = "kubectl-tidegate";

/// Reads the arguments, runs the command, and says what went wrong: 0 done, 1 refused or failed, 2 wrong
/// arguments, 3 a record that was changed; `simulate` has codes of its own for how a release ended.
pub async fn main() -> ExitCode {
    let arguments = match Arguments::from_arg_matches(&command(&called_as()).get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match run(arguments).await {
        Ok(code) => code,
        // The reader has gone (`tidegate get rollout | head`): there is nobody to tell.
        Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            Terminal::stderr().complain(&failure);
            failure.exit_code()
        }
    }
}

/// Two commands have exit codes of their own; the others are done or not.
async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let connection = &arguments.connection;
    let done = match arguments.command {
        Command::Lint(given) => return lint::run(&given),
        Command::Simulate(given) => return simulate::run(&given, connection.namespace.as_deref()),
        Command::Get { what } => get::run(connection, what).await,
        Command::Plan(arguments) => plan::run(connection, &arguments).await,
        Command::Replay(arguments) => replay::run(connection, &arguments).await,
        Command::History(arguments) => history::run(connection, &arguments).await,
        Command::Audit { what } => audit::run(connection, &what).await,
        Command::Promote(promote) => intent::run(connection, promote.into()).await,
        Command::Approve(approve) => intent::run(connection, approve.into()).await,
        Command::Abort(intent) => intent::run(connection, intent.of(crate::api::ActionType::Abort)).await,
        Command::Retry(intent) => intent::run(connection, intent.of(crate::api::ActionType::Retry)).await,
        Command::Pause(intent) => intent::run(connection, intent.of(crate::api::ActionType::Pause)).await,
        Command::Resume(intent) => intent::run(connection, intent.of(crate::api::ActionType::Resume)).await,
        Command::Restart(intent) => intent::run(connection, intent.of(crate::api::ActionType::Restart)).await,
        Command::Override(intent) => intent::run(connection, intent.of(crate::api::ActionType::Override)).await,
        Command::Verdict(arguments) => verdict::run(&arguments),
        Command::Crds => Terminal::stdout().print(&crate::api::crds_yaml()),
        Command::Rbac => Terminal::stdout().print(&crate::controller::rules_yaml()),
        Command::UninstallCheck => uninstall::check(connection).await,
        Command::Controller(controller) => controller::run(connection, &controller).await,
        Command::Version => Terminal::stdout().print(&format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completion { shell } => Terminal::stdout().print(&completion(shell)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The command as its caller names it.
fn command(called_as: &str) -> clap::Command {
    let command = Arguments::command();
    if called_as == PLUGIN { command.bin_name("kubectl tidegate") } else { command }
}

fn called_as() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    path.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).unwrap_or_default()
}

fn completion(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command("tidegate"), "tidegate", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubectl_plugin_calls_itself_as_kubectl_does() {
        let usage = |called_as: &str| command(called_as).render_usage().to_string();
        assert!(usage("kubectl-tidegate").contains("kubectl tidegate"));
        assert!(usage("tidegate").contains("Usage: tidegate"));
    }

    #[test]
    fn every_completion_script_names_the_commands() {
        use clap_complete::Shell::{Bash, Fish, PowerShell, Zsh};
        for shell in [Bash, Fish, PowerShell, Zsh] {
            assert!(completion(shell).contains("approve"), "{shell}");
        }
    }
}
