//! Tests of what `top` shows and what its keys ask for.

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::load::Load;
use super::screen::draw;
use super::view::{Key, View, Wanted};
use crate::cli::tests::{a_shop, at, item};
use crate::model::status::{EventRecord, ItemStatus, State};
use crate::model::workload::KindName;

fn event(seconds_ago: i64, kind: &str, target: &str, cause: &str) -> EventRecord {
    let detail = serde_json::Value::Null;
    EventRecord { at: at(seconds_ago), kind: kind.into(), target: target.into(), cause: cause.into(), detail }
}

fn view() -> View {
    let mut status = a_shop();
    for item in &mut status.items {
        item.container = Some(format!("id-of-{}", item.name));
    }
    let mut view = View::new(status, (at(0), TimeZone::UTC));
    view.loads.insert("id-of-db".into(), Load { cpu: Some(12.34), memory: 96 << 20 });
    view.loads.insert("id-of-web".into(), Load { cpu: None, memory: 3 << 30 });
    view.happened(event(9, "start", "worker.2", "it ended"));
    view.happened(event(3, "exit", "worker.2", "exited with code 1"));
    view
}

/// The screen as text, without what is empty at the ends of its lines.
fn shown(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw(view, frame.area(), frame.buffer_mut())).expect("it is drawn");
    let buffer = terminal.backend().buffer();
    let line = |row: u16| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..height).fold(String::new(), |text, row| text + line(row).trim_end() + "\n")
}

fn check(view: &View, (width, height): (u16, u16), expected: &Expect) {
    expected.assert_eq(&shown(view, width, height));
}

#[test]
fn eighty_columns_show_all_of_a_small_stack() {
    let mut view = view();
    view.press(Key::Down);
    view.press(Key::Down);
    check(
        &view,
        (80, 24),
        &expect![[r#"
            shop  2 of 3 ready  daemon 7 since 10m

            NAME      STATE    HEALTH   RESTARTS  CPU    MEMORY    SINCE  PORTS
            db        running  healthy            12.3%  96.0 MiB  3m     5432
            web       running  healthy  3                3.0 GiB   2h     8080->8000
            worker.2  backoff           12                         3s
                exited with code 1: it can't reach the queue that it was told to read from,
                and gave up; next try in 9s

            EVENTS
            20:39:51  worker.2  start  it ended
            20:39:57  worker.2  exit  exited with code 1











            up/down select   r restart   l logs   Esc back   q quit
        "#]],
    );
}

#[test]
fn a_wide_terminal_shows_the_open_log() {
    let mut view = view();
    assert_eq!(view.press(Key::Logs), Wanted::Logs);
    view.log_of("id-of-other", vec!["not this".into()]);
    let lines = (0..60).map(|number| format!("\u{1b}[31mline\u{1b}[0m\t{number}\u{7}"));
    view.log_of("id-of-db", lines.collect());
    check(
        &view,
        (200, 50),
        &expect![[r#"
            shop  2 of 3 ready  daemon 7 since 10m

            NAME      STATE    HEALTH   RESTARTS  CPU    MEMORY    SINCE  PORTS
            db        running  healthy            12.3%  96.0 MiB  3m     5432
            web       running  healthy  3                3.0 GiB   2h     8080->8000
            worker.2  backoff           12                         3s



            LOG OF db
            line    21
            line    22
            line    23
            line    24
            line    25
            line    26
            line    27
            line    28
            line    29
            line    30
            line    31
            line    32
            line    33
            line    34
            line    35
            line    36
            line    37
            line    38
            line    39
            line    40
            line    41
            line    42
            line    43
            line    44
            line    45
            line    46
            line    47
            line    48
            line    49
            line    50
            line    51
            line    52
            line    53
            line    54
            line    55
            line    56
            line    57
            line    58
            line    59
            up/down select   r restart   l logs   Esc back   q quit
        "#]],
    );
}

#[test]
fn a_long_table_keeps_the_selected_row_in_sight() {
    let mut view = view();
    let many = |number| ItemStatus { replica: number, ..item("job", KindName::Service, State::Running) };
    view.status.items = (1..40).map(many).collect();
    (0..30).for_each(|_| drop(view.press(Key::Down)));
    let text = shown(&view, 80, 24);
    assert!(text.contains("job.31 ") && !text.contains("job.32 ") && text.contains("EVENTS"), "{text}");
    // However small it is, nothing fails.
    for (width, height) in [(1, 1), (5, 3), (20, 8)] {
        shown(&view, width, height);
    }
}

#[test]
fn keys_select_and_ask() {
    let mut view = view();
    assert_eq!(view.press(Key::Up), Wanted::Nothing, "there is none above");
    assert_eq!(view.press(Key::Down), Wanted::Nothing);
    assert_eq!(view.press(Key::Restart), Wanted::Restart("web".into(), 1));
    // What is selected stays selected where its row is another.
    view.status.items.remove(0);
    assert_eq!(view.press(Key::Restart), Wanted::Restart("web".into(), 1));
    for _ in 0..5 {
        view.press(Key::Down);
    }
    assert_eq!(view.press(Key::Restart), Wanted::Restart("worker".into(), 2));
    assert_eq!(view.press(Key::Logs), Wanted::Logs);
    assert_eq!(view.press(Key::Up), Wanted::Logs, "an open log follows the selection");
    assert_eq!(view.log.as_ref().map(|log| log.container.as_str()), Some("id-of-web"));
    assert_eq!((view.press(Key::Back), view.log.is_none()), (Wanted::Nothing, true));
    view.status.items[0].container = None;
    assert_eq!((view.press(Key::Logs), view.log.is_none()), (Wanted::Nothing, true));
    assert!(view.message.contains("no container"), "{}", view.message);
    view.status.items.clear();
    assert_eq!((view.press(Key::Restart), view.press(Key::Logs)), (Wanted::Nothing, Wanted::Nothing));
    assert_eq!(view.press(Key::Quit), Wanted::End);
}
