//! Text in the room that there is: broken, indented or cut. Pure. Room without end is `usize::MAX`.

/// Between columns.
const GAP: usize = 2;
/// The least room for words that are indented: a narrower terminal breaks lines itself.
const NARROWEST: usize = 20;

/// `text` in lines of at most `width` characters, broken between words; a word that is longer than a
/// line is broken too.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace().flat_map(|word| fold(word, width)) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// `text` in lines of at most `width` characters, its own gaps kept: broken after a space or a comma,
/// else after a mark within a word, else anywhere.
pub fn fold(text: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let (mut rest, width) = (letters.as_slice(), width.max(1));
    let mut lines = Vec::new();
    while rest.len() > width {
        let (line, more) = rest.split_at(break_of(rest, width));
        lines.push(line.iter().collect::<String>().trim_end().to_owned());
        let skipped = more.iter().take_while(|letter| **letter == ' ').count();
        rest = &more[skipped..];
    }
    lines.push(rest.iter().collect());
    lines
}

/// Where the first line ends of what is longer than one.
fn break_of(letters: &[char], width: usize) -> usize {
    if letters[width] == ' ' {
        return width;
    }
    let after = |marks: &str| letters[..width].iter().rposition(|letter| marks.contains(*letter)).map(|at| at + 1);
    after(" ,").or_else(|| after("-_./:@")).unwrap_or(width)
}

/// The same as one text, later lines indented; what fits stays as it is.
pub fn hang(text: &str, width: usize, indent: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    fold(text, width.saturating_sub(indent).max(NARROWEST)).join(&format!("\n{:indent$}", ""))
}

/// `text` in at most `width` characters, its end cut off where it must be.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

/// The same, but its middle is cut out: names that belong together often begin alike.
pub fn shorten(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end = width.saturating_sub(1) / 2;
    let begin = width.saturating_sub(1) - end;
    text.chars().take(begin).chain(['…']).chain(text.chars().skip(length - end)).collect()
}

/// The longest part of a text that is only broken within a word.
pub fn longest_part(text: &str) -> usize {
    text.split_inclusive([' ', ',']).map(|part| part.trim_end().chars().count()).max().unwrap_or(0)
}

/// The widths of columns so that they fit into `room` together, as far as they can. The widest is made
/// narrower first: as far as its words allow (`parts`), and only then to the `least` of it.
pub fn columns(mut widths: Vec<usize>, parts: &[usize], least: &[usize], room: usize) -> Vec<usize> {
    for floor in [parts, least] {
        while let Some(column) = too_wide(&widths, floor, room) {
            widths[column] -= 1;
        }
    }
    widths
}

fn too_wide(widths: &[usize], floor: &[usize], room: usize) -> Option<usize> {
    let all: usize = widths.iter().filter(|width| **width > 0).map(|width| width + GAP).sum();
    let yields = (0..widths.len()).filter(|column| widths[*column] > floor[*column]);
    (all.saturating_sub(GAP) > room).then(|| yields.max_by_key(|column| widths[*column])).flatten()
}
