//! Whether SQL can be run all or nothing: it must not end its transaction, leave its connection or
//! leave psql. Pure; reads just enough of SQL to tell a statement from a text that looks like one.
//! What escapes it is found afterwards by the missing marker.

/// What a text of SQL is like as one piece of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The first place that would end the transaction: its line and the word.
    pub escape: Option<(usize, String)>,
    /// What must follow so that nothing after it is taken for a part of it. Not simply a semicolon
    /// always: psql stops without a word at one that stands alone after the data of a `COPY`.
    pub closing: &'static str,
}

/// Reads a text of SQL up to its end, or to the first place that would end the transaction.
pub(super) fn read(sql: &str) -> Reading {
    let mut reader = Reader::new(sql);
    while let Some(rest) = reader.rest() {
        if let Some(found) = reader.step(rest) {
            return Reading { escape: Some(found), closing: "\n" };
        }
    }
    let statement = reader.open;
    let escape = reader.end_statement();
    let closing = match (reader.in_data, statement) {
        (true, _) => "\n\\.\n",
        (false, true) => "\n;\n",
        (false, false) => "\n",
    };
    Reading { escape, closing }
}

/// Where we are in a text of SQL.
struct Reader<'a> {
    sql: &'a str,
    at: usize,
    /// The words of the statement so far, in capitals, and the line of the first.
    words: Vec<String>,
    line: usize,
    /// Up to where lines were counted, and how many there were.
    counted: (usize, usize),
    /// Whether a statement has begun and not ended.
    open: bool,
    /// Whether the data of a `COPY` has begun and not ended.
    in_data: bool,
    /// How deep we are in the body of a function that is written as SQL (`BEGIN ATOMIC`).
    body: usize,
}

impl<'a> Reader<'a> {
    fn new(sql: &'a str) -> Self {
        Self { sql, at: 0, words: Vec::new(), line: 1, counted: (0, 1), open: false, in_data: false, body: 0 }
    }

    fn rest(&self) -> Option<&'a str> {
        self.sql.get(self.at..).filter(|rest| !rest.is_empty())
    }

    /// Takes in the next piece; tells what ends the transaction.
    fn step(&mut self, rest: &'a str) -> Option<(usize, String)> {
        let first = rest.chars().next()?;
        if let Some(length) = skipped(rest, self.sql[..self.at].chars().next_back()) {
            self.open |= !rest.starts_with("--") && !rest.starts_with("/*");
            self.at += length;
            return None;
        }
        if first == '\\' {
            return self.command(rest);
        }
        self.open |= !first.is_whitespace();
        if first.is_alphabetic() || first == '_' {
            let length = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
            self.word(&rest[..length]);
            self.at += length;
            return None;
        }
        self.at += first.len_utf8();
        if first == ';' && self.body == 0 { self.end_statement() } else { None }
    }

    fn word(&mut self, word: &str) {
        if self.words.is_empty() {
            self.line = self.line_here();
        }
        let word = word.to_ascii_uppercase();
        let last = self.words.last().map(String::as_str);
        match (word.as_str(), self.body) {
            ("ATOMIC", 0) if last == Some("BEGIN") && self.words[0] == "CREATE" => self.body = 1,
            ("CASE", 1..) => self.body += 1,
            ("END", 1..) => self.body -= 1,
            _ => {}
        }
        self.words.push(word);
    }

    /// A command of psql, up to the end of its line.
    fn command(&mut self, rest: &str) -> Option<(usize, String)> {
        let length = rest.find('\n').unwrap_or(rest.len());
        let name = rest[1..].split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        let found = matches!(name, "c" | "connect" | "q" | "quit").then(|| (self.line_here(), format!("\\{name}")));
        self.at += length;
        // \g, \gset, \gexec, ... send what there is.
        if found.is_none() && name.starts_with('g') { self.end_statement() } else { found }
    }

    fn end_statement(&mut self) -> Option<(usize, String)> {
        let words = std::mem::take(&mut self.words);
        let word = |index: usize| words.get(index).map_or("", String::as_str);
        (self.body, self.open) = (0, false);
        if word(0) == "COPY" && words.windows(2).any(|pair| pair[0] == "FROM" && pair[1] == "STDIN") {
            self.skip_data();
        }
        let savepoint = words.iter().skip(1).take(2).any(|word| word == "TO");
        let ends = match (word(0), word(1)) {
            ("COMMIT" | "ABORT" | "END", _) | ("PREPARE", "TRANSACTION") => true,
            ("ROLLBACK", _) => !savepoint,
            _ => false,
        };
        ends.then(|| (self.line, word(0).to_owned()))
    }

    /// The lines of data after a `COPY ... FROM STDIN`.
    fn skip_data(&mut self) {
        let rest = self.rest().unwrap_or_default();
        let end = rest.find("\n\\.");
        self.in_data = end.is_none();
        self.at += end.map_or(rest.len(), |position| position + 3);
    }

    fn line_here(&mut self) -> usize {
        let (from, line) = self.counted;
        self.counted = (self.at, line + self.sql[from..self.at].matches('\n').count());
        self.counted.1
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// The length of a comment or quotation at the beginning of `rest`; `None` where there is none.
fn skipped(rest: &str, before: Option<char>) -> Option<usize> {
    let to = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |position| from + position + end.len());
    match rest.as_bytes() {
        [b'-', b'-', ..] => Some(to(2, "\n")),
        [b'/', b'*', ..] => Some(comment(rest)),
        [b'"', ..] => Some(to(1, "\"")),
        [b'\'', ..] => Some(quotation(rest, matches!(before, Some('e' | 'E')))),
        [b'$', ..] if !before.is_some_and(is_word) => {
            let tag = rest[1..].find(|letter: char| letter == '$' || !is_word(letter)).map(|end| &rest[..end + 2])?;
            let named = tag.ends_with('$') && !tag[1..].starts_with(|first: char| first.is_ascii_digit());
            named.then(|| to(tag.len(), tag))
        }
        _ => None,
    }
}

/// Comments of SQL lie within each other.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quotation(rest: &str, backslashes: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if backslashes => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}
