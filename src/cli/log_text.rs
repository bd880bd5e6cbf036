//! Lines of logs as a person reads them. Pure.

use super::fit::shorten;
use super::paint::{Ink, ink_after, paint, printable, printable_colored, visible};

/// The least width of a label that is cut.
const NARROWEST_LABEL: usize = 12;
/// The least room for a line: a narrower terminal breaks lines itself.
const NARROWEST: usize = 20;

/// How wide the labels of lines are on a terminal: at most a quarter of it.
pub(super) fn label_width(longest: usize, columns: Option<usize>) -> usize {
    columns.map_or(longest, |columns| longest.min((columns / 4).max(NARROWEST_LABEL)))
}

/// A line behind its label. Of a label that is too long the middle is cut out. On a terminal a line that
/// is too long goes on below itself; its words stay whole, to be found and copied.
pub(super) fn line_text((label, width): (&str, usize), ink: Ink, line: &str, columns: Option<usize>, color: bool) -> String {
    // Colours of the app are kept on a terminal; anything else that could move its cursor is not.
    let line = if color { printable_colored(line) } else { printable(line) };
    let lines = match columns {
        Some(columns) => folded(&line, columns.saturating_sub(width + 3).max(NARROWEST)),
        None => vec![line],
    };
    let label = shorten(label, width);
    let labels = std::iter::once(label.as_str()).chain(std::iter::repeat(""));
    let labelled =
        lines.iter().zip(labels).map(|(line, label)| format!("{} {line}", paint(color, ink, &format!("{label:width$} |"))));
    labelled.collect::<Vec<_>>().join("\n")
}

/// A line in lines of at most `width`, broken between words only; its colours go on.
fn folded(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut open, mut used, mut ink) = (String::new(), 0, String::new());
    for word in line.split_inclusive(' ') {
        if used > 0 && used + visible(word.trim_end_matches(' ')) > width {
            let end = if ink.is_empty() { "" } else { "\u{1b}[0m" };
            lines.push(open.trim_end_matches(' ').to_owned() + end);
            (open, used) = (ink.clone(), 0);
        }
        open.push_str(word);
        used += visible(word);
        ink = ink_after(ink, word);
    }
    lines.push(open);
    lines
}
