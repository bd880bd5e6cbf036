//! systemd as this machine has it: its directories of units, and `systemctl`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::unit::{Unit, mark};
use crate::cli::background;
use crate::cli::context::Context;
use crate::cli::exit_code::{Exit, Failure};
use crate::cli::place::Place;
use crate::control::Client;

/// A service manager: of the system, or of the user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Systemd {
    is_of_user: bool,
    directory: PathBuf,
}

/// A unit of ours that lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Installed {
    /// Its manager.
    pub systemd: Systemd,
    /// Its name, with `.service`.
    pub name: String,
    /// Whether it is started at boot.
    pub is_enabled: bool,
}

/// Below what the directories of systemd lie. A build for tests can be told another place; a release can't.
fn root() -> PathBuf {
    #[cfg(debug_assertions)]
    if let Some(root) = std::env::var_os("WITWD_SYSTEMD_IN_TESTS") {
        return root.into();
    }
    PathBuf::from("/")
}

/// The unit of the stack in this directory, where there is one: of the system, else of this user.
pub(in crate::cli) fn unit_of(place: &Place) -> Option<Installed> {
    let managers = [Some(Systemd::of_system()), Systemd::of_user()];
    managers.into_iter().flatten().find_map(|systemd| systemd.unit_of(&place.directory))
}

impl Systemd {
    fn of_system() -> Self {
        Self { is_of_user: false, directory: root().join("etc/systemd/system") }
    }

    fn of_user() -> Option<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let configuration = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
        Some(Self { is_of_user: true, directory: configuration.join("systemd/user") })
    }

    /// The one that root or this user gives units to; an error where none runs.
    pub(in crate::cli) fn running() -> Result<Self, Failure> {
        if !root().join("run/systemd/system").is_dir() {
            let words = "systemd does not run this machine: there is nothing to give a unit to";
            return Err(Failure::new(Exit::Failed, words)
                .hint("`witwd enable --print` shows the unit; have what starts this machine run its command, or `witwd up -d`"));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(Self::of_system());
        }
        Self::of_user()
            .ok_or_else(|| Failure::new(Exit::Failed, "neither HOME nor XDG_CONFIG_HOME says where units of yours lie"))
    }

    fn unit_of(&self, directory: &Path) -> Option<Installed> {
        let mark = mark(directory);
        let entries = std::fs::read_dir(&self.directory).ok()?.filter_map(Result::ok);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ours: Vec<String> = names.filter(|name| name.starts_with("witwd-") && name.ends_with(".service")).collect();
        ours.sort();
        let name = ours.into_iter().find(|name| self.text(name).is_some_and(|text| text.lines().next() == Some(&mark)))?;
        let target = if self.is_of_user { "default.target.wants" } else { "multi-user.target.wants" };
        let is_enabled = std::fs::symlink_metadata(self.directory.join(target).join(&name)).is_ok();
        Some(Installed { systemd: self.clone(), name, is_enabled })
    }

    /// The text of a unit that lies there.
    pub(in crate::cli) fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.join(name)).ok()
    }

    /// Whether it is the manager of a user, who may have to be logged in.
    pub(in crate::cli) fn is_of_user(&self) -> bool {
        self.is_of_user
    }

    /// Puts the unit there, and has it started at boot.
    pub(in crate::cli) async fn install(&self, unit: &Unit) -> Result<(), Failure> {
        let path = self.directory.join(&unit.name);
        let failed = |error| Failure::of(Exit::Failed, &format!("failed to write {}", path.display()), &error);
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        let new = path.with_added_extension("new");
        std::fs::write(&new, &unit.text).map_err(failed)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        self.call(&["daemon-reload"]).await?;
        self.call(&["enable", &unit.name]).await.map(drop)
    }

    /// Ends the unit's daemon, and has it started no more.
    pub(in crate::cli) async fn uninstall(&self, name: &str) -> Result<(), Failure> {
        self.call(&["disable", "--now", name]).await?;
        let path = self.directory.join(name);
        std::fs::remove_file(&path)
            .map_err(|error| Failure::of(Exit::Failed, &format!("failed to remove {}", path.display()), &error))?;
        self.call(&["daemon-reload"]).await.map(drop)
    }

    /// Whether this process is the unit's daemon.
    pub(in crate::cli) async fn runs(&self, name: &str, pid: u32) -> bool {
        let main = self.call(&["show", "--property=MainPID", "--value", name]).await;
        main.is_ok_and(|main| main.trim() == pid.to_string())
    }

    /// Starts the unit's daemon (`verb` is `start` or `restart`); returns when it serves.
    pub(in crate::cli) async fn start(
        &self,
        context: &Context,
        place: &Place,
        verb: &str,
        name: &str,
    ) -> Result<Client, Failure> {
        match self.call(&[verb, name]).await {
            Ok(_) => background::join(context, place).await,
            Err(failure) => {
                // It would be tried again beside whoever is to keep the stack instead.
                let _ = self.call(&["stop", name]).await;
                Err(failure.hint(format!("`{} status {name}` shows why", self.command())))
            }
        }
    }

    /// How a person calls it.
    pub(in crate::cli) fn command(&self) -> &'static str {
        if self.is_of_user { "systemctl --user" } else { "systemctl" }
    }

    async fn call(&self, words: &[&str]) -> Result<String, Failure> {
        let trying = format!("`{} {}` failed", self.command(), words.join(" "));
        let of_user = self.is_of_user.then_some("--user");
        let output = Command::new("systemctl").args(of_user).arg("--no-ask-password").args(words).output().await;
        let output = output.map_err(|error| Failure::of(Exit::Failed, &trying, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()).filter(|said| !said.is_empty());
        let said = said.unwrap_or_else(|| output.status.to_string());
        let failure = Failure::new(Exit::Failed, format!("{trying}: {said}"));
        Err(if self.is_of_user {
            failure.hint("your own systemd is reached from a login as yourself, not from `su`; `sudo witwd enable` makes a unit of the system")
        } else {
            failure
        })
    }
}
