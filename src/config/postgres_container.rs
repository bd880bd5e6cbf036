//! What the container of a `[postgres.NAME]` looks like beyond what the file says.

use crate::model::container::{ContainerSettings, Mount, MountSource};
use crate::model::postgres::Postgres;
use crate::model::template::Template;

/// From this version on the official image keeps its data below a directory of the version.
const VERSIONED_SINCE: u32 = 18;

/// `/dev/shm` where the file says nothing: parallel queries need more than the engine's 64M.
const SHM: u64 = 256 << 20;

/// Adds what witwd decides: the superuser, the data directory and its volume, the settings, the
/// signal of a fast shutdown.
pub(super) fn complete(container: &mut ContainerSettings, postgres: &Postgres) {
    let (data, mount) = data_directory(postgres.major);
    let own = [
        ("POSTGRES_USER", "postgres"),
        ("POSTGRES_DB", "postgres"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/postgres_password"),
        ("PGDATA", data.as_str()),
    ];
    for (name, value) in own {
        container.env.insert(name.to_owned(), Template::text(value));
    }
    let volume = MountSource::Volume(postgres.volume.clone());
    container.mounts.push(Mount { source: volume, target: mount, read_only: false });
    if !postgres.settings.is_empty() {
        let command = container.command.get_or_insert_with(|| vec!["postgres".to_owned()]);
        for (name, value) in &postgres.settings {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
    }
    container.shm_size.get_or_insert(SHM);
    container.stop_signal = Some("SIGINT".to_owned());
}

/// `PGDATA` and where the volume is mounted.
fn data_directory(major: Option<u32>) -> (String, String) {
    match major {
        Some(major) if major >= VERSIONED_SINCE => {
            (format!("/var/lib/postgresql/{major}/docker"), "/var/lib/postgresql".to_owned())
        }
        _ => ("/var/lib/postgresql/data".to_owned(), "/var/lib/postgresql/data".to_owned()),
    }
}
