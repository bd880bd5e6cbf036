//! Colours, where they are wanted.

/// A colour or weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As it is.
    Plain,
    /// All is well.
    Green,
    /// Under way.
    Yellow,
    /// Something is wrong.
    Red,
    /// Beside the point.
    Dim,
    /// One of the colours that tell names apart.
    Name(usize),
}

/// Colours that can be told apart on dark and light grounds, without red: it means trouble.
const NAMES: [&str; 6] = ["36", "35", "34", "32", "33", "96"];

/// How far a tab moves at most.
const TAB: usize = 8;

/// `text` in `ink`, where `color` says so.
pub fn paint(color: bool, ink: Ink, text: &str) -> String {
    let code = match ink {
        Ink::Plain => return text.to_owned(),
        Ink::Green => "32",
        Ink::Yellow => "33",
        Ink::Red => "31",
        Ink::Dim => "2",
        Ink::Name(number) => NAMES[number % NAMES.len()],
    };
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// What another program wrote, without what could take over the terminal it is shown on.
pub fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\t' || !letter.is_control()).collect()
}

/// The same, but colours and weights stay: for a terminal.
pub fn printable_colored(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        kept.push_str(&printable(&rest[..at]));
        let sequence = color_sequence(&rest[at..]);
        kept.push_str(sequence);
        rest = &rest[at + sequence.len().max(1)..];
    }
    kept + &printable(rest)
}

/// How many characters of a line are seen: colours take no room, a tab as much as it can.
pub fn visible(text: &str) -> usize {
    let widths = text.chars().map(|letter| if letter == '\t' { TAB } else { 1 });
    widths.sum::<usize>() - sequences(text).map(|sequence| sequence.chars().count()).sum::<usize>()
}

/// The colours that are on after `text`, where these were on before it.
pub fn ink_after(ink: String, text: &str) -> String {
    sequences(text).fold(ink, |ink, sequence| match &sequence[2..sequence.len() - 1] {
        "" | "0" => String::new(),
        codes if codes.starts_with("0;") => sequence.to_owned(),
        _ => ink + sequence,
    })
}

/// The sequences of a text that change colours.
fn sequences(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('\u{1b}').map(|(at, _)| color_sequence(&text[at..])).filter(|sequence| !sequence.is_empty())
}

/// The sequence at the beginning of `text`, where it only changes colours; else nothing.
fn color_sequence(text: &str) -> &str {
    let Some(body) = text.strip_prefix("\u{1b}[") else { return "" };
    let length = body.find(|letter: char| !(letter.is_ascii_digit() || letter == ';')).unwrap_or(body.len());
    if body[length..].starts_with('m') { &text[..length + 3] } else { "" }
}
