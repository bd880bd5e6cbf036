//! Words that are no verbs of this version: those of other tools, those of later versions, slips.

use super::exit_code::{Exit, Failure};

/// Words of other tools and what is said here instead.
const OTHERS: [(&str, &str); 12] = [
    ("status", "`witwd ps` shows what runs, and why what does not"),
    ("deploy", "`witwd up` applies stack.toml"),
    ("rollback", "put the old stack.toml back (`git checkout`) and `witwd up` applies it"),
    ("reload", "`witwd up` applies stack.toml; only what changed is touched"),
    ("validate", "`witwd check` validates stack.toml"),
    ("shell", "`witwd exec NAME` opens a shell in a running container"),
    ("ssh", "`witwd exec NAME` opens a shell in a running container"),
    ("console", "`witwd exec NAME` opens a shell in a running container, `witwd psql` one in the database"),
    ("env", "`witwd config` shows the resolved stack, `witwd config --origin` where its values came from"),
    ("rm", "`witwd down` removes the containers of the stack"),
    ("kill", "`witwd stop NAME` stops one, `witwd down` the stack"),
    ("cp", "`witwd exec NAME cat FILE > HERE` copies a file out of a container"),
];

/// Verbs of the contract that this version does not have.
const LATER: [&str; 8] = ["job", "secret", "import", "history", "export", "bundle", "promote", "watch"];

/// Verbs of `db` of the contract that this version does not have.
const LATER_OF_DB: [&str; 1] = ["upgrade"];

/// Flags of the contract that this version does not have.
const LATER_FLAGS: [&str; 1] = ["--host"];

/// Flags that stand before the verb only.
const BEFORE_THE_VERB: [&str; 6] = ["-f", "--file", "--name", "--profile", "--env-file", "--color"];

/// Why `word` is no verb, and what to do instead.
pub fn unknown_verb(word: &str, verbs: &[String]) -> Failure {
    if let Some((_, instead)) = OTHERS.iter().find(|(other, _)| *other == word) {
        return Failure::new(Exit::Usage, format!("there is no `witwd {word}`")).hint(*instead);
    }
    if LATER.contains(&word) {
        return Failure::new(Exit::Usage, format!("`witwd {word}` is not in this version"))
            .hint(format!("`witwd help` lists what is; this is witwd {}", env!("CARGO_PKG_VERSION")));
    }
    let word = shown(word);
    let failure = Failure::new(Exit::Usage, format!("there is no `witwd {word}`"));
    match nearest(word, verbs.iter().map(String::as_str)) {
        Some(verb) => failure.hint(format!("did you mean `witwd {verb}`?")),
        None => failure.hint("`witwd help` lists the verbs"),
    }
}

/// Why `word` is no verb of `db`.
pub fn unknown_verb_of_db(word: &str) -> Failure {
    let word = shown(word);
    let message = if LATER_OF_DB.contains(&word) {
        format!("`witwd db {word}` is not in this version")
    } else {
        format!("`witwd db {word}` is not a command")
    };
    Failure::new(Exit::Usage, message).hint("`witwd db psql`, `witwd db url` and `witwd db reset` are what there is")
}

/// What is known of a flag that was refused where it stood.
pub fn unknown_flag(flag: &str) -> Option<Failure> {
    let name = flag.split('=').next().unwrap_or(flag);
    if BEFORE_THE_VERB.contains(&name) {
        let failure = Failure::new(Exit::Usage, format!("{name} stands before the verb"));
        return Some(failure.hint(format!("`witwd {name} … VERB`; only --json and -q stand in either place")));
    }
    LATER_FLAGS.contains(&name).then(|| {
        Failure::new(Exit::Usage, format!("{name} is not in this version"))
            .hint(format!("`witwd help VERB` lists what is; this is witwd {}", env!("CARGO_PKG_VERSION")))
    })
}

/// A word as it is shown: one that is empty could not be seen.
pub(super) fn shown(word: &str) -> &str {
    if word.is_empty() { "\"\"" } else { word }
}

/// The candidate that `word` is most likely a slip for.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Two letters of a short word that changed places are one slip.
    let is_one_slip = |candidate: &str| word.len() > 2 && strsim::osa_distance(word, candidate) == 1;
    let score = |candidate: &str| if is_one_slip(candidate) { 0.95 } else { strsim::jaro_winkler(word, candidate) };
    let scored = candidates.map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 > 0.75).then_some(best.1)
}
