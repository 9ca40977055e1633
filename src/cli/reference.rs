//! The reference of the command line as Markdown, from the same definitions as the help. `docs/reference/cli.md` holds it.

use std::fmt::Write;

use clap::Command;

use super::command;

/// The reference: each command with its usage, arguments and flags.
pub fn reference() -> String {
    let mut root = command("tidegate").disable_help_subcommand(true);
    root.build();
    let mut text = String::from(
        "# Command line\n\nGenerated from the program by `UPDATE_GOLDEN=1 cargo test --test cli`. `kubectl tidegate` is the same program:\n\
         put it on the `PATH` as `kubectl-tidegate`.\n\nExit codes: 0 done or accepted, 1 refused or failed, 2 wrong arguments, 3 a record that was changed.\n\
         `NO_COLOR` switches colours off.\n",
    );
    section(&mut text, &root, 2);
    text
}

fn section(text: &mut String, command: &Command, depth: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let level = "#".repeat(depth.min(4));
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{level} `{name}`\n\n```text\n{}\n```\n", help(command));
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        section(text, child, depth + 1);
    }
}

fn help(command: &Command) -> String {
    let help = command.clone().render_long_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
