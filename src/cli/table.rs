//! Aligned tables and durations for people. Pure.

use jiff::Timestamp;

use super::fit::{columns, fold, longest_part};
use super::paint::{Ink, paint};

/// A cell: its text and its ink.
pub type Cell = (String, Ink);

/// The least width that a column is narrowed to.
const NARROWEST: usize = 8;

/// A table with a heading, a text for each row. Cells that are empty in every row take no column. Where
/// the columns do not fit into `width`, a cell goes on below itself.
pub fn table(head: &[&str], rows: &[Vec<Cell>], width: usize, color: bool) -> Vec<String> {
    let widths = fitted(head, rows, width);
    let heading: Vec<Cell> = head.iter().map(|text| ((*text).to_owned(), Ink::Dim)).collect();
    std::iter::once(&heading).chain(rows).map(|row| lines(row, &widths, color)).collect()
}

/// The width of each column where all of them are to fit into `room`.
fn fitted(head: &[&str], rows: &[Vec<Cell>], room: usize) -> Vec<usize> {
    let widths = widths(head, rows);
    let longest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| longest_part(&cell.0)).max();
    let parts: Vec<usize> = (0..head.len()).map(|column| longest(column).unwrap_or(0).max(head[column].len())).collect();
    let least: Vec<usize> = (0..head.len()).map(|column| widths[column].min(NARROWEST).max(head[column].len())).collect();
    columns(widths, &parts, &least, room)
}

/// The width of each column, without the gap behind it; 0 where it is empty in every row.
pub fn widths(head: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    (0..head.len()).map(|column| width(head, rows, column)).collect()
}

fn width(head: &[&str], rows: &[Vec<Cell>], column: usize) -> usize {
    let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count()).max().unwrap_or(0);
    if longest == 0 { 0 } else { longest.max(head[column].len()) }
}

/// The lines of a row.
fn lines(row: &[Cell], widths: &[usize], color: bool) -> String {
    // The heading of a column that is left out is left out too.
    let lines_of = |text: &str, width: usize| if width == 0 { Vec::new() } else { fold(text, width) };
    let folded: Vec<Vec<String>> = row.iter().zip(widths).map(|((text, _), width)| lines_of(text, *width)).collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(0);
    let part = |at: usize| -> Vec<Cell> {
        let texts = folded.iter().map(|lines| lines.get(at).cloned().unwrap_or_default());
        texts.zip(row).map(|(text, (_, ink))| (text, *ink)).collect()
    };
    (0..height).map(|at| line(&part(at), widths, color)).collect::<Vec<_>>().join("\n")
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
