//! What fits: `ps`, `up`, `logs` and `plan` at 80 and at 200 columns, and where nobody counts columns.

use std::collections::BTreeMap;

use expect_test::expect;

use super::{a_preview, at, item, port, status};
use crate::cli::exit_code::{Exit, Failure};
use crate::cli::fit::{cut, fold, shorten, wrap};
use crate::cli::paint::Ink;
use crate::cli::{log_text, ls, plan_text, progress, ps, up};
use crate::model::container::Protocol;
use crate::model::status::{Health, ItemStatus, State, Status};
use crate::model::workload::KindName;

/// A stack with long names, several ports and long causes.
fn a_market() -> Status {
    let mut statistics = port("127.0.0.1", 8125, 8125);
    statistics.protocol = Protocol::Udp;
    let gateway = ItemStatus {
        health: Health::Healthy,
        restarts: 3,
        since: Some(at(7300)),
        ports: vec![port("127.0.0.1", 8080, 8000), port("0.0.0.0", 8443, 8443), statistics],
        ..item("payments-webhook-gateway", KindName::Service, State::Running)
    };
    let search = ItemStatus {
        cause: "failed to pull registry.example.com/market/search/indexer@sha256:\
                9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the registry says that it is not there; \
                check the name and the tag"
            .into(),
        next: Some(at(-9)),
        ..item("search-indexer-of-products-and-of-sellers", KindName::Service, State::Failed)
    };
    let db = ItemStatus {
        health: Health::Healthy,
        since: Some(at(200)),
        ports: vec![port("127.0.0.1", 5432, 5432)],
        ..item("db", KindName::Postgres, State::Running)
    };
    Status { stack: "market".into(), ..status(vec![db, gateway, ItemStatus { replica: 2, ..search }]) }
}

fn fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "{} of {width}: {line}", line.chars().count());
    }
}

#[test]
fn ps_goes_on_below_where_eighty_columns_are_not_enough() {
    let text = ps::text(&a_market(), at(0), 80, false);
    fits(&text, 80);
    expect![[r#"
        NAME                    STATE    HEALTH   RESTARTS  PORTS                  SINCE
        db                      running  healthy            127.0.0.1:5432         3m
        payments-webhook-       running  healthy  3         127.0.0.1:8080->8000,  2h
        gateway                                             0.0.0.0:8443,
                                                            127.0.0.1:8125/udp
        search-indexer-of-      failed
        products-and-of-
        sellers.2
            failed to pull registry.example.com/market/search/indexer@sha256:
            9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the
            registry says that it is not there; check the name and the tag; next try in
            9s
    "#]]
    .assert_eq(&text);
    for width in [56, 60, 100, 120] {
        fits(&ps::text(&a_market(), at(0), width, false), width);
    }
}

#[test]
fn ps_has_a_line_for_each_at_two_hundred_columns() {
    let text = ps::text(&a_market(), at(0), 200, false);
    fits(&text, 200);
    expect![[r#"
        NAME                                         STATE    HEALTH   RESTARTS  PORTS                                                 SINCE
        db                                           running  healthy            127.0.0.1:5432                                        3m
        payments-webhook-gateway                     running  healthy  3         127.0.0.1:8080->8000,0.0.0.0:8443,127.0.0.1:8125/udp  2h
        search-indexer-of-products-and-of-sellers.2  failed
            failed to pull registry.example.com/market/search/indexer@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the registry says that it is not there; check the name and the
            tag; next try in 9s
    "#]].assert_eq(&text);
}

#[test]
fn ps_that_is_piped_has_whole_lines() {
    let text = ps::text(&a_market(), at(0), usize::MAX, false);
    assert_eq!(text.lines().count(), 5, "a heading, three rows and a cause: {text}");
    assert!(text.contains("127.0.0.1:8080->8000,0.0.0.0:8443,127.0.0.1:8125/udp"), "{text}");
    assert!(text.contains("check the name and the tag; next try in 9s"), "{text}");
}

#[test]
fn a_cell_that_goes_on_keeps_its_colour() {
    let text = ps::text(&a_market(), at(0), 60, true);
    let plain = ps::text(&a_market(), at(0), 60, false);
    let codes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[2m", "\u{1b}[0m"];
    assert_eq!(codes.iter().fold(text, |text, code| text.replace(code, "")), plain);
}

/// What `up -d` shows of a stack on its way: lines that move, and the last words.
fn up_at(width: usize) -> String {
    let all = a_market();
    let longest = all.items.iter().map(|item| ps::item_name(item).len()).max().unwrap_or(0);
    let moving = all.items.iter().map(|item| format!("⠋ {}", progress::moving_text(item, longest, width - 2, false)));
    let ready = up::ready_text(&all, Some(&up::Lasting::UntilReboot), width);
    let failed = Failure::new(Exit::Failed, up::not_ready_text(&all, &crate::control::unready(&all)))
        .hint("the rest keeps running; `witwd ps` shows it, `witwd down` stops it");
    let moving: Vec<String> = moving.collect();
    format!("{}\n\n{ready}\n\n{}", moving.join("\n"), failed.text_within(width))
}

#[test]
fn up_fits_eighty_columns() {
    let text = up_at(80);
    fits(&text, 80);
    expect![[r#"
        ⠋ db                                           ready
        ⠋ payments-webhook-gateway                     ready
        ⠋ search-indexer-of-products-and-of-sellers.2  failed  failed to pull registry.…

        stack market is ready
          payments-webhook-gateway  http://127.0.0.1:8080
                                    http://localhost:8443  127.0.0.1:8125/udp
          db                        127.0.0.1:5432/tcp
        open http://127.0.0.1:8080
        a reboot stops the stack: `witwd enable` has it started at boot

        error: stack market is not ready:
               search-indexer-of-products-and-of-sellers failed: failed to pull
               registry.example.com/market/search/indexer@sha256:
               9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the
               registry says that it is not there; check the name and the tag
         hint: the rest keeps running; `witwd ps` shows it, `witwd down` stops it
    "#]]
    .assert_eq(&text);
}

#[test]
fn up_fits_two_hundred_columns() {
    let text = up_at(200);
    fits(&text, 200);
    expect![[r#"
        ⠋ db                                           ready
        ⠋ payments-webhook-gateway                     ready
        ⠋ search-indexer-of-products-and-of-sellers.2  failed  failed to pull registry.example.com/market/search/indexer@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the registry …

        stack market is ready
          payments-webhook-gateway  http://127.0.0.1:8080  http://localhost:8443  127.0.0.1:8125/udp
          db                        127.0.0.1:5432/tcp
        open http://127.0.0.1:8080
        a reboot stops the stack: `witwd enable` has it started at boot

        error: stack market is not ready: search-indexer-of-products-and-of-sellers failed: failed to pull
               registry.example.com/market/search/indexer@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08: the registry says that it is not there; check the name and the tag
         hint: the rest keeps running; `witwd ps` shows it, `witwd down` stops it
    "#]].assert_eq(&text);
}

#[test]
fn up_that_is_piped_has_a_line_for_each_change_and_one_for_the_error() {
    let lines = progress::changes(&mut BTreeMap::new(), &a_market());
    assert!(lines.len() == 3 && lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
    assert!(lines[2].ends_with("check the name and the tag"), "{lines:?}");
    let failure = Failure::new(Exit::Failed, up::not_ready_text(&a_market(), &crate::control::unready(&a_market())));
    assert_eq!(failure.text().lines().count(), 1);
}

/// Lines of three as `logs` shows them.
fn logs_at(columns: Option<usize>) -> String {
    let lines = [
        (
            "db",
            "2026-01-01 20:40:00.123 UTC [37] LOG:  checkpoint complete: wrote 3 buffers (0.0%); 0 WAL file(s) added, 0 removed, \
             0 recycled; write=0.008 s, sync=0.008 s, total=0.029 s; sync files=2, longest=0.004 s, average=0.004 s",
        ),
        ("payments-webhook-gateway", "listening on 0.0.0.0:8000"),
        ("search-indexer-of-products-and-of-sellers.2", "    at Index.open (/app/node_modules/search/index.js:12)"),
    ];
    let longest = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let width = log_text::label_width(longest, columns);
    lines.map(|(label, line)| log_text::line_text((label, width), Ink::Plain, line, columns, false)).join("\n")
}

#[test]
fn logs_keep_three_quarters_of_eighty_columns_for_what_was_written() {
    let text = logs_at(Some(80));
    fits(&text, 80);
    expect![[r#"
        db                   | 2026-01-01 20:40:00.123 UTC [37] LOG:  checkpoint
                             | complete: wrote 3 buffers (0.0%); 0 WAL file(s) added, 0
                             | removed, 0 recycled; write=0.008 s, sync=0.008 s,
                             | total=0.029 s; sync files=2, longest=0.004 s,
                             | average=0.004 s
        payments-w…k-gateway | listening on 0.0.0.0:8000
        search-ind…sellers.2 |     at Index.open (/app/node_modules/search/index.js:12)"#]]
    .assert_eq(&text);
}

#[test]
fn words_of_a_log_stay_whole_and_its_colours_go_on() {
    let token = "t".repeat(90);
    let line = |text: &str, color| log_text::line_text(("web", 3), Ink::Plain, text, Some(30), color);
    assert_eq!(line(&format!("open it at {token} now"), false), format!("web | open it at\n    | {token}\n    | now"));
    let (red, end) = ("\u{1b}[31m", "\u{1b}[0m");
    let colored = line(&format!("{red}what is red here stays{end} red below, no more"), true);
    assert_eq!(colored, format!("web | {red}what is red here stays{end}\n    | red below, no more"));
    let colored = line(&format!("{red}what is red here stays that way{end}"), true);
    assert_eq!(colored, format!("web | {red}what is red here stays{end}\n    | {red}that way{end}"));
}

#[test]
fn logs_have_whole_names_at_two_hundred_columns_and_where_they_are_piped() {
    expect![[r#"
        db                                          | 2026-01-01 20:40:00.123 UTC [37] LOG:  checkpoint complete: wrote 3 buffers (0.0%); 0 WAL file(s) added, 0 removed, 0 recycled; write=0.008 s, sync=0.008
                                                    | s, total=0.029 s; sync files=2, longest=0.004 s, average=0.004 s
        payments-webhook-gateway                    | listening on 0.0.0.0:8000
        search-indexer-of-products-and-of-sellers.2 |     at Index.open (/app/node_modules/search/index.js:12)"#]].assert_eq(&logs_at(Some(200)));
    let piped = logs_at(None);
    assert_eq!(piped.lines().count(), 3, "{piped}");
    assert!(piped.contains("average=0.004 s\n") && piped.contains("search-indexer-of-products-and-of-sellers.2 | "), "{piped}");
}

#[test]
fn plan_gives_a_long_name_a_line_of_its_own_and_says_what_is_held() {
    let mut preview = a_preview();
    preview.blocked[0].target = "search-indexer-of-products-and-of-sellers".into();
    preview.actions.clear();
    preview.held = vec!["it recreates postgres db".into(), "it drops service cache".into()];
    let text = plan_text::text(&preview, false, 80, false);
    fits(&text, 80);
    expect![[r#"
        blocked  search-indexer-of-products-and-of-sellers
                                             waiting for db: connection refused

        held: a save of this waits for `witwd up`: it recreates postgres db; it drops
        service cache
        note: gaps are estimates
        nothing to do: stack shop is as far as it can be; 1 thing stays blocked
    "#]]
    .assert_eq(&text);
    let wide = plan_text::text(&preview, false, 200, false);
    assert!(
        wide.contains("held: a save of this waits for `witwd up`: it recreates postgres db; it drops service cache\n"),
        "{wide}"
    );
    let free = plan_text::text(&a_preview(), false, 200, false);
    assert!(!free.contains("held"), "{free}");
}

#[test]
fn ls_folds_a_long_directory() {
    let listed = ls::Listed {
        name: "market".into(),
        directory: "/srv/customers/of-the-market/environments/development/stack".into(),
        daemon: ls::Daemon::Up,
        pid: None,
        running: 3,
        total: 3,
    };
    let text = ls::text(&[listed], 60, false);
    fits(&text, 60);
    expect![[r#"
        NAME    RUNNING  DAEMON  DIRECTORY
        market  3/3      up      /srv/customers/of-the-market/
                                 environments/development/stack
    "#]]
    .assert_eq(&text);
}

#[test]
fn text_is_broken_where_it_reads_best() {
    assert_eq!(fold("one,two,three", 9), ["one,two,", "three"]);
    assert_eq!(fold("running by hand", 10), ["running by", "hand"]);
    assert_eq!(fold("payments-webhook", 12), ["payments-", "webhook"]);
    assert_eq!(fold("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(fold("", 5), [""]);
    assert_eq!(wrap("go to abcdefgh", 5), ["go to", "abcde", "fgh"]);
    assert_eq!([cut("abcdef", 6), cut("abcdef", 4), cut("abc", 0)], ["abcdef", "abc…", ""]);
    assert_eq!([shorten("web.2", 5), shorten("payments-web.2", 9)], ["web.2", "paym…eb.2"]);
}
