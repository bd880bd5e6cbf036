//! Which files of a context are left out: `.dockerignore` as Docker reads it.
//!
//! Lines are patterns from the context's root, in order; the last one that matches a path or a
//! directory above it decides; `!` takes back; `#` begins a comment.

use globset::{GlobBuilder, GlobMatcher};

/// What a `.dockerignore` says.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    glob: GlobMatcher,
    /// Whether it takes back what another one left out.
    exception: bool,
    /// What every path that it matches begins with.
    prefix: String,
}

impl Ignore {
    /// Reads the text of a `.dockerignore`; the error names the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let patterns: Result<Vec<Option<Pattern>>, String> = lines
            .map(|(number, line)| pattern(line).map_err(|error| format!("line {} of .dockerignore: {error}", number + 1)))
            .collect();
        Ok(Self { patterns: patterns?.into_iter().flatten().collect() })
    }

    /// Whether the path below the context, written with `/`, is left out.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        self.patterns.iter().fold(false, |out, pattern| {
            // Only what would change the verdict is worth a look.
            if out == pattern.exception && pattern.matches(path) { !pattern.exception } else { out }
        })
    }

    /// Whether something below a directory that is left out may be taken back.
    pub(super) fn may_take_back_below(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        let mut exceptions = self.patterns.iter().filter(|pattern| pattern.exception);
        exceptions.any(|pattern| pattern.prefix.starts_with(&below) || below.starts_with(&pattern.prefix))
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        self.glob.is_match(path) || parents.into_iter().any(|parent| self.glob.is_match(parent))
    }
}

fn pattern(line: &str) -> Result<Option<Pattern>, globset::Error> {
    if line.starts_with('#') {
        return Ok(None);
    }
    let line = line.trim();
    let (exception, text) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let text = clean(text);
    if text.is_empty() {
        return Ok(None);
    }
    // Docker knows no alternatives in braces.
    let escaped = text.replace('{', "[{]").replace('}', "[}]");
    let glob = GlobBuilder::new(&escaped).literal_separator(true).backslash_escape(true).build()?;
    let prefix = text.split(['*', '?', '[', '\\']).next().unwrap_or_default().to_owned();
    Ok(Some(Pattern { glob: glob.compile_matcher(), exception, prefix }))
}

/// A path without `.`, `..` and doubled or outer slashes.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
