//! `${…}` in strings: taken apart here, given values by [`super::scope`].

/// How deep defaults may hold references with defaults.
const DEEPEST: usize = 8;

/// A piece of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Text as it stands.
    Text(String),
    /// A reference.
    Reference(Reference),
}

/// `${path}`, `${path:-default}`, `${path:?message}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// All of it, as written.
    pub text: String,
    /// What is between the braces, without default or message.
    pub path: String,
    /// What to do where it is unset or empty.
    pub otherwise: Option<Otherwise>,
}

/// What to do where a reference is unset or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Use this; it may hold references itself.
    Default(Vec<Segment>),
    /// Fail with this message.
    Message(String),
}

/// A reference that is not written right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The part of the string that is wrong.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// Takes a string apart. All mistakes in it are returned.
pub(super) fn parse(raw: &str) -> Result<Vec<Segment>, Vec<SyntaxError>> {
    let mut errors = Vec::new();
    let segments = segments(raw, 0, &mut errors);
    if errors.is_empty() { Ok(segments) } else { Err(errors) }
}

fn segments(raw: &str, depth: usize, errors: &mut Vec<SyntaxError>) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            segments.push(Segment::Text(format!("{}${{", &rest[..at - 1])));
            rest = &rest[at + 2..];
            continue;
        }
        segments.push(Segment::Text(rest[..at].to_owned()));
        let Some(end) = closing(&rest[at + 2..]) else {
            errors.push(SyntaxError {
                text: rest[at..].to_owned(),
                message: "this `${` has no `}`".to_owned(),
                hint: "close it, or write `$${` for a literal `${`".to_owned(),
            });
            return segments;
        };
        let whole = &rest[at..at + 3 + end];
        segments.extend(reference(whole, depth, errors).map(Segment::Reference));
        rest = &rest[at + 3 + end..];
    }
    segments.push(Segment::Text(rest.to_owned()));
    segments
}

/// Where the `}` is that closes a reference whose `${` came before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reference(whole: &str, depth: usize, errors: &mut Vec<SyntaxError>) -> Option<Reference> {
    let inner = &whole[2..whole.len() - 1];
    let mut fail = |message: String, hint: String| {
        errors.push(SyntaxError { text: whole.to_owned(), message, hint });
        None
    };
    let end = inner.find(':').unwrap_or(inner.len());
    let (path, rest) = inner.split_at(end);
    if path.trim().is_empty() {
        return fail("this reference is empty".to_owned(), "write `${env.NAME}`, or `$${` for a literal `${`".to_owned());
    }
    if depth >= DEEPEST {
        let message = format!("references with defaults are nested deeper than {DEEPEST}");
        return fail(message, "put the inner ones into a variable of their own, in .env".to_owned());
    }
    let otherwise = match rest.get(..2) {
        None if rest.is_empty() => None,
        Some(":-") => Some(Otherwise::Default(segments(&rest[2..], depth + 1, errors))),
        Some(":?") => Some(Otherwise::Message(rest[2..].to_owned())),
        _ => {
            return fail(
                format!("`{whole}` is not a reference"),
                "after the name comes `}`, `:-default` or `:?message`".to_owned(),
            );
        }
    };
    Some(Reference { text: whole.to_owned(), path: path.to_owned(), otherwise })
}

/// Names of `${env.…}` in a string, those in defaults too.
pub(super) fn env_names(raw: &str) -> Vec<String> {
    fn collect(segments: &[Segment], names: &mut Vec<String>) {
        for segment in segments {
            let Segment::Reference(reference) = segment else { continue };
            names.extend(reference.path.strip_prefix("env.").map(str::to_owned));
            if let Some(Otherwise::Default(inner)) = &reference.otherwise {
                collect(inner, names);
            }
        }
    }
    let mut names = Vec::new();
    collect(&parse(raw).unwrap_or_default(), &mut names);
    names
}
