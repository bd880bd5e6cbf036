//! Aligned tables and durations for people. Pure.

use jiff::Timestamp;

use super::paint::{Ink, paint};

/// A cell: its text and its ink.
pub type Cell = (String, Ink);

/// A table with a heading; cells that are empty in every row take no column.
pub fn table(head: &[&str], rows: &[Vec<Cell>], color: bool) -> Vec<String> {
    let widths = widths(head, rows);
    let heading: Vec<Cell> = head.iter().map(|text| ((*text).to_owned(), Ink::Dim)).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(row, &widths, color)).collect()
}

/// The width of each column, without the gap behind it; 0 where it is empty in every row.
pub fn widths(head: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    (0..head.len()).map(|column| width(head, rows, column)).collect()
}

fn width(head: &[&str], rows: &[Vec<Cell>], column: usize) -> usize {
    let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count()).max().unwrap_or(0);
    if longest == 0 { 0 } else { longest.max(head[column].len()) }
}

fn line(row: &[Cell], widths: &[usize], color: bool) -> String {
    let mut text = String::new();
    let mut gap = 0;
    for ((cell, ink), width) in row.iter().zip(widths).filter(|(_, width)| **width > 0) {
        if !cell.is_empty() {
            text.push_str(&" ".repeat(gap));
            text.push_str(&paint(color, *ink, cell));
            gap = 0;
        }
        gap += width + 2 - cell.chars().count();
    }
    text
}

/// `text` in lines of at most `width` characters, broken between words.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// How long ago `since` was; a clock that was set back makes it now.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
