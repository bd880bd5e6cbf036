//! What `top` shows: view -> cells of the terminal. Pure.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::view::View;
use crate::cli::events::{event_ink, event_text};
use crate::cli::fit::wrap;
use crate::cli::paint::{Ink, printable};
use crate::cli::ports::port_text;
use crate::cli::ps::{cause_text, health_ink, health_text, item_name, remarks, state_ink, state_text};
use crate::cli::table::{Cell, age, widths};
use crate::model::status::{ItemStatus, Status};

const HEAD: [&str; 8] = ["NAME", "STATE", "HEALTH", "RESTARTS", "CPU", "MEMORY", "SINCE", "PORTS"];
const KEYS: &str = "up/down select   r restart   l logs   Esc back   q quit";
/// Lines for the cause of the selected one.
const CAUSE: u16 = 2;
/// Lines that what happens keeps, however long the table is.
const LEAST: u16 = 6;

/// Draws all of it.
pub(super) fn draw(view: &View, area: Rect, buffer: &mut Buffer) {
    let rows = u16::try_from(view.status.items.len()).unwrap_or(u16::MAX).saturating_add(1);
    let room = area.height.saturating_sub(5 + CAUSE + LEAST).max(2);
    let [head, _, table, cause, _, below, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(rows.min(room)),
        Constraint::Length(CAUSE),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    put(buffer, head, [heading(&view.status, view.now.0)]);
    put(buffer, table, table_lines(view, usize::from(table.height)));
    put(buffer, cause, cause_lines(view, usize::from(cause.width)));
    put(buffer, below, lower(view, usize::from(below.height)));
    let last = if view.message.is_empty() { KEYS.to_owned() } else { view.message.clone() };
    put(buffer, foot, [Line::styled(last, style(Ink::Dim))]);
}

fn put<'l>(buffer: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'l>>) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        line.render(row, buffer);
    }
}

fn heading(status: &Status, now: Timestamp) -> Line<'static> {
    let ready = status.items.iter().filter(|item| item.ready).count();
    let ready = format!("  {ready} of {} ready", status.items.len());
    let daemon = status.daemon.as_ref().map(|daemon| format!("  daemon {} since {}", daemon.pid, age(daemon.since, now)));
    let mut parts = vec![Span::styled(status.stack.clone(), Modifier::BOLD), Span::raw(ready)];
    parts.extend(daemon.map(|words| Span::styled(words, style(Ink::Dim))));
    let word = remarks(status).into_iter().next().filter(|_| !status.file.ok || status.file.pending || !is_up(status));
    parts.extend(word.map(|word| Span::styled(format!("  {word}"), style(Ink::Yellow))));
    Line::from(parts)
}

fn is_up(status: &Status) -> bool {
    status.engine == crate::model::status::EngineStatus::Up
}

/// The heading and the rows that fit, the selected one among them.
fn table_lines(view: &View, height: usize) -> Vec<Line<'static>> {
    let cells: Vec<Vec<Cell>> = view.status.items.iter().map(|item| row(view, item)).collect();
    let widths = widths(&HEAD, &cells);
    let head: Vec<Cell> = HEAD.iter().map(|text| ((*text).to_owned(), Ink::Dim)).collect();
    let room = height.saturating_sub(1);
    let selected = view.selected();
    let from = (selected + 1).saturating_sub(room);
    let rows = cells.iter().enumerate().skip(from).take(room).map(|(index, row)| {
        let line = line(row, &widths);
        if index == selected { line.style(Modifier::REVERSED) } else { line }
    });
    std::iter::once(line(&head, &widths)).chain(rows).collect()
}

fn row(view: &View, item: &ItemStatus) -> Vec<Cell> {
    let load = item.container.as_ref().and_then(|container| view.loads.get(container));
    // As in the file: without an address it is that of this machine alone.
    let ports = item.ports.iter().map(|port| port_text(port).trim_start_matches("127.0.0.1:").to_owned());
    let ports: Vec<String> = ports.collect();
    let restarts = if item.restarts == 0 { String::new() } else { item.restarts.to_string() };
    vec![
        (item_name(item), Ink::Plain),
        (state_text(item), state_ink(item)),
        (health_text(item.health).to_owned(), health_ink(item.health)),
        (restarts, Ink::Plain),
        (load.map(|load| load.cpu_text()).unwrap_or_default(), Ink::Plain),
        (load.map(|load| load.memory_text()).unwrap_or_default(), Ink::Plain),
        (item.since.map(|since| age(since, view.now.0)).unwrap_or_default(), Ink::Dim),
        (ports.join(","), Ink::Plain),
    ]
}

fn line(row: &[Cell], widths: &[usize]) -> Line<'static> {
    let filled = row.iter().zip(widths).filter(|(_, width)| **width > 0);
    let spans = filled.map(|((text, ink), width)| Span::styled(format!("{text:width$}  "), style(*ink)));
    Line::from(spans.collect::<Vec<_>>())
}

/// Why the selected one is as it is.
fn cause_lines(view: &View, width: usize) -> Vec<Line<'static>> {
    let words = view.item().map(|item| cause_text(item, view.now.0)).unwrap_or_default();
    let lines = wrap(&words, width.saturating_sub(4).max(20));
    lines.into_iter().map(|line| Line::styled(format!("    {line}"), style(Ink::Yellow))).collect()
}

/// The open log, or the last events: as much of the end as fits below a title.
fn lower(view: &View, height: usize) -> Vec<Line<'static>> {
    let (title, lines): (String, Vec<Line<'static>>) = match &view.log {
        Some(log) => {
            let name = view.item().map(item_name).unwrap_or_default();
            (format!("LOG OF {name}"), log.lines.iter().map(|line| Line::raw(plain(line))).collect())
        }
        None => ("EVENTS".to_owned(), view.events.iter().map(|record| event_line(view, record)).collect()),
    };
    let skipped = lines.len().saturating_sub(height.saturating_sub(1));
    std::iter::once(Line::styled(title, style(Ink::Dim))).chain(lines.into_iter().skip(skipped)).collect()
}

fn event_line(view: &View, record: &crate::model::status::EventRecord) -> Line<'static> {
    Line::styled(event_text(record, &view.now, false), style(event_ink(&record.kind)))
}

/// A line of an app: without colours, a tab as a few spaces.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        text.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|letter: char| letter.is_ascii_alphabetic()).map_or(sequence.len(), |end| end + 1);
        rest = &sequence[end..];
    }
    printable(&(text + rest)).replace('\t', "    ")
}

fn style(ink: Ink) -> Style {
    match ink {
        Ink::Plain | Ink::Name(_) => Style::new(),
        Ink::Green => Style::new().fg(Color::Green),
        Ink::Yellow => Style::new().fg(Color::Yellow),
        Ink::Red => Style::new().fg(Color::Red),
        Ink::Dim => Style::new().add_modifier(Modifier::DIM),
    }
}
