//! The command line as clap reads it: the flags of the program, and one variant for each verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::output::ColorChoice;
use super::{
    backup, check, clean, completions, config, daemon, db, disable, doctor, down, enable, events, exec, guardian, images, init,
    logs, ls, open, plan, port, ps, restart, run, scale, schema, snapshot, start, stop, top, up,
};

/// Keeps an app and its Postgres running on one machine, from one stack.toml.
#[derive(Debug, Parser)]
#[command(
    name = "witwd",
    bin_name = "witwd",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    after_help = "Flags before the verb are the program's, after it the verb's; --json and -q stand in either place.\n\n\
                  Example:\n  witwd up -d        run the stack of the nearest stack.toml in the background\n  \
                  witwd ps           what runs, and why what does not"
)]
pub struct Cli {
    /// The flags of the program.
    #[command(flatten)]
    pub globals: Globals,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The flags of the program.
#[derive(Debug, Clone, Default, Args)]
pub struct Globals {
    /// The stack's file; without it the nearest stack.toml here or above
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Another name for the stack: a second worktree, a CI run
    #[arg(long, env = "WITWD_NAME", hide_env_values = true, value_name = "NAME")]
    pub name: Option<String>,
    /// Merge stack.NAME.toml and turn on what lists NAME; `none` leaves the remembered ones
    #[arg(long = "profile", env = "WITWD_PROFILE", hide_env_values = true, value_delimiter = ',', value_name = "NAME")]
    pub profiles: Vec<String>,
    /// More values for ${env.NAME}
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Speak to programs: one document, or one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make the stack run as its file says, and show its logs; -d leaves it in the background
    Up(up::UpArgs),
    /// Stop and remove the stack's containers and network; volumes stay
    Down(down::DownArgs),
    /// What runs, and why what does not
    Ps(ps::PsArgs),
    /// All stacks of this machine
    Ls(ls::LsArgs),
    /// Logs of services, postgres and witwd itself
    Logs(logs::LogsArgs),
    /// What happened and why
    Events(events::EventsArgs),
    /// States, health, CPU and memory as they are, in the terminal
    Top(top::TopArgs),
    /// Restart services or postgres servers, or all of the stack
    Restart(restart::RestartArgs),
    /// Stop services or postgres servers, and keep them stopped
    Stop(stop::StopArgs),
    /// Start what was stopped or scaled by hand, or what ended
    Start(start::StartArgs),
    /// Run another number of replicas than stack.toml says
    Scale(scale::ScaleArgs),
    /// What `up` would do, field by field, with what is lost and how long it takes; changes nothing
    Plan(plan::PlanArgs),
    /// A first stack.toml from what is in this directory
    Init(init::InitArgs),
    /// Build images, and nothing else
    Build(images::BuildArgs),
    /// Pull images, and nothing else
    Pull(images::PullArgs),
    /// Validate stack.toml; needs no engine
    Check(check::CheckArgs),
    /// The resolved stack, secrets masked
    Config(config::ConfigArgs),
    /// The JSON schema of stack.toml, for editors
    Schema(schema::SchemaArgs),
    /// What is wrong with this machine for this stack, and what to do
    Doctor(doctor::DoctorArgs),
    /// Where ports are published on this machine
    Port(port::PortArgs),
    /// Open a service in the browser
    Open(open::OpenArgs),
    /// Remove what is ours and unused: old builds, containers that are left; never data
    Clean(clean::CleanArgs),
    /// Run a command in a running container; without one, a shell
    Exec(exec::ExecArgs),
    /// Run a one-off container of a service or job, and what it needs before it
    Run(run::RunArgs),
    /// Backup sets: take, list, verify, keep, remove
    Backup(backup::BackupArgs),
    /// Databases as they were in a backup set, and back again
    Restore(backup::restore::RestoreArgs),
    /// Copies of databases that stay in the server: saved and brought back in seconds
    Snapshot(snapshot::SnapshotArgs),
    /// The databases of the stack
    Db(db::DbArgs),
    /// The same as `db psql`
    Psql(db::PsqlArgs),
    /// A script that completes witwd's words in a shell
    Completions(completions::CompletionsArgs),
    /// Start this stack at boot, and have systemd keep it
    Enable(enable::EnableArgs),
    /// Start this stack at boot no more; what runs stays
    Disable(disable::DisableArgs),
    /// The daemon in the foreground, for a service manager
    Daemon(daemon::DaemonArgs),
    /// Keeps the daemon of `up -d` alive
    #[command(name = "__guardian", hide = true)]
    Guardian(guardian::GuardianArgs),
    /// Anything else: answered with what is meant
    #[command(external_subcommand)]
    Other(Vec<String>),
}
