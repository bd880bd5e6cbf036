//! What a container of a Postgres would find if it were started: read from its files, for a server
//! that is started on the wrong data has touched them already.

use crate::engine::answer::FileContent;
use crate::engine::{Engine, EngineError};
use crate::model::container::MountSource;
use crate::model::family::{DataFound, Examined, Family, Glibc, Library};
use crate::model::name::ContainerId;
use crate::model::workload::Workload;

/// Where the C library lies in the images of Debian and of others.
const LIBRARIES: [&str; 5] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
];
/// More than any C library has bytes.
const LIBRARY_SIZE: usize = 16 << 20;
/// What glibc says of itself stands before its version.
const BEFORE_VERSION: &[u8] = b" stable release version ";
/// Majors whose official image keeps its data below a directory of the version.
const VERSIONED: std::ops::RangeInclusive<u32> = 18..=30;
/// The servers' users of the official images of Debian and of Alpine.
const USERS: [(u64, Library); 2] = [(999, Library::Glibc), (70, Library::Musl)];

/// Looks into a container of `workload`, which need not run.
pub async fn examine(engine: &dyn Engine, workload: &Workload, container: &ContainerId) -> Result<Examined, EngineError> {
    Ok(Examined { glibc: glibc(engine, container).await?, data: data(engine, workload, container).await? })
}

async fn data(engine: &dyn Engine, workload: &Workload, container: &ContainerId) -> Result<DataFound, EngineError> {
    let volume = workload.postgres().map(|postgres| &postgres.volume);
    let mount = workload.container.mounts.iter().find(|mount| match &mount.source {
        MountSource::Volume(mounted) => Some(mounted) == volume,
        MountSource::Bind(_) => false,
    });
    let Some(root) = mount.map(|mount| mount.target.as_str()) else { return Ok(DataFound::Empty) };
    match engine.read_file(container, root, 0).await?.map(|seen| seen.content) {
        None | Some(FileContent::Directory { empty: true }) => return Ok(DataFound::Empty),
        Some(_) => {}
    }
    let own = workload.container.env.get("PGDATA").and_then(|value| value.as_text()).map(str::to_owned);
    let versioned = VERSIONED.map(|major| format!("{root}/{major}/docker"));
    for directory in own.into_iter().chain([root.to_owned()]).chain(versioned) {
        let version = engine.read_file(container, &format!("{directory}/PG_VERSION"), 16).await?;
        let Some(seen) = version else { continue };
        let FileContent::File(text) = seen.content else { continue };
        if let Ok(major) = String::from_utf8_lossy(&text).trim().parse() {
            let library = USERS.iter().find(|(uid, _)| *uid == seen.uid).map(|(_, library)| *library);
            return Ok(DataFound::Made(Family { major: Some(major), library, glibc: None }));
        }
    }
    Ok(DataFound::Other)
}

async fn glibc(engine: &dyn Engine, container: &ContainerId) -> Result<Option<Glibc>, EngineError> {
    for path in LIBRARIES {
        let content = engine.read_file(container, path, LIBRARY_SIZE).await?.map(|seen| seen.content);
        let content = match content {
            // Up to 2.33 it is a link to a file beside it.
            Some(FileContent::Link(name)) if !name.contains('/') => {
                let beside = format!("{}/{name}", path.rsplit_once('/').unwrap_or_default().0);
                engine.read_file(container, &beside, LIBRARY_SIZE).await?.map(|seen| seen.content)
            }
            content => content,
        };
        if let Some(FileContent::File(library)) = content
            && let Some(version) = version_in(&library)
        {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The version that glibc says it is of.
pub(super) fn version_in(library: &[u8]) -> Option<Glibc> {
    let at = library.windows(BEFORE_VERSION.len()).position(|window| window == BEFORE_VERSION)?;
    let rest = library.get(at + BEFORE_VERSION.len()..)?;
    Glibc::parse(&String::from_utf8_lossy(rest.get(..rest.len().min(16))?))
}

/// The oldest version of glibc that texts in databases are sorted by; NULL where none are: the
/// server itself tells no version of locales that are the same everywhere. Major versions before 15
/// do not note it, so what the server runs with counts.
pub(super) const SORTED_BY: &str = "SELECT min(coalesce(to_jsonb(d) ->> 'datcollversion', running.version)) \
     FROM pg_catalog.pg_database d, \
     (SELECT max(pg_catalog.pg_collation_actual_version(oid)) AS version FROM pg_catalog.pg_collation WHERE collprovider = 'c') running \
     WHERE NOT d.datistemplate AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' \
     AND d.datcollate NOT IN ('C', 'POSIX') AND d.datcollate NOT LIKE 'C.%'";
