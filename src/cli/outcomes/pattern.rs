//! Patterns: literal text with named holes. `{path}` stands for any text that is not empty.

/// The literal parts of a pattern, in order: what is before the first hole, between holes, after the last one.
pub fn literals(pattern: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut left = pattern;
    while let Some((before, rest)) = left.split_once('{') {
        parts.push(before);
        left = rest.split_once('}').map_or("", |(_, after)| after);
    }
    parts.push(left);
    parts
}

/// Whether a text can come of a pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let parts = literals(pattern);
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let Some((last, between)) = rest.split_last() else { return left.is_empty() };
    for literal in between {
        match after_hole(left, literal) {
            Some(after) => left = after,
            None => return false,
        }
    }
    left.len() > last.len() && left.ends_with(last)
}

/// What is left of a text behind a hole and the literal after it: the nearest one leaves most.
fn after_hole<'t>(text: &'t str, literal: &str) -> Option<&'t str> {
    let least = text.chars().next()?.len_utf8();
    let behind = &text[least..];
    behind.find(literal).map(|at| &behind[at + literal.len()..])
}
