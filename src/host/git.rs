//! Keeps our files from git: `git add -A` must not take them, and `git clean -fdx` must not remove
//! them. A line in `.git/info/exclude` does the first; an empty repository inside the directory
//! does the second, for git does not descend into another repository. No git is run.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Protects `kept`, directories at or below `directory`, where that lies in a git work tree. Does
/// nothing elsewhere, and nothing twice.
pub fn keep_from_git(directory: &Path, kept: &[PathBuf]) -> io::Result<()> {
    let Some((work_tree, repository)) = work_tree(directory) else { return Ok(()) };
    for path in kept {
        let Ok(relative) = path.strip_prefix(&work_tree) else { continue };
        if relative.as_os_str().is_empty() {
            continue;
        }
        exclude(&repository, &format!("/{}/", relative.display()))?;
        nest(path)?;
    }
    Ok(())
}

/// The work tree that `directory` lies in, and the directory that holds its `info/exclude`.
fn work_tree(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    directory.ancestors().find_map(|candidate| {
        let mark = candidate.join(".git");
        if mark.join("HEAD").is_file() {
            return Some((candidate.to_owned(), mark));
        }
        Some((candidate.to_owned(), linked_repository(candidate, &mark)?))
    })
}

/// Where a `.git` that is a file points: a linked work tree or a submodule.
fn linked_repository(work_tree: &Path, mark: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(mark).ok()?;
    let own = work_tree.join(text.strip_prefix("gitdir:")?.trim());
    // Linked work trees share the exclude file of the repository they belong to.
    match std::fs::read_to_string(own.join("commondir")) {
        Ok(common) => Some(own.join(common.trim())),
        Err(_) => Some(own),
    }
}

fn exclude(repository: &Path, line: &str) -> io::Result<()> {
    let file = repository.join("info/exclude");
    let before = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    if before.lines().any(|known| known.trim_end() == line) {
        return Ok(());
    }
    std::fs::create_dir_all(repository.join("info"))?;
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&file)?;
    file.write_all(format!("{gap}{line}\n").as_bytes())
}

/// Makes an empty repository in `directory`: the least that git takes for one.
fn nest(directory: &Path) -> io::Result<()> {
    let repository = directory.join(".git");
    if repository.join("HEAD").exists() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(repository.join("objects"))?;
    builder.create(repository.join("refs"))?;
    std::fs::write(repository.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")?;
    std::fs::write(repository.join("HEAD"), "ref: refs/heads/main\n")
}
