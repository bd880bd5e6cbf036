//! The page of `docs/commands.md`, made from the command line itself.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::args::Cli;

/// The page: the help of the program and of each verb.
pub fn commands_page() -> String {
    let mut command = Cli::command().term_width(100);
    let mut page = String::from(
        "# Commands\n\nGenerated from the command line itself: `UPDATE_DOCS=1 cargo test -p witwd --test it commands_page`.\n",
    );
    section(&mut page, 2, "witwd", &mut command);
    page
}

fn section(page: &mut String, depth: usize, path: &str, command: &mut clap::Command) {
    let help = command.clone().bin_name(path).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n{} `{path}`\n\n```text\n{}\n```\n", "#".repeat(depth), help.join("\n").trim_end());
    let verbs: Vec<String> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        .map(|verb| verb.get_name().to_owned())
        .collect();
    for verb in verbs {
        if let Some(command) = command.find_subcommand_mut(&verb) {
            section(page, depth + 1, &format!("{path} {verb}"), command);
        }
    }
}
