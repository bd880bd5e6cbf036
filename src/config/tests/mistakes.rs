//! The mistakes that users make most, each with the exact message.

use std::fmt::Write as _;

use super::{Stack, test_data};

/// Each mistake: what it is, and a file that makes it.
fn mistakes() -> Vec<(String, String)> {
    let file = std::fs::read_to_string(test_data().join("mistakes.toml")).expect("the mistakes");
    let blocks = file.split("#--- ").skip(1).map(|block| block.split_once('\n').expect("a title and a text"));
    let mistakes: Vec<_> = blocks.map(|(title, text)| (title.to_owned(), text.to_owned())).collect();
    assert!(mistakes.len() >= 40, "{} blocks", mistakes.len());
    mistakes
}

#[test]
fn the_mistakes_that_users_make_most_are_answered() {
    let mut said = String::new();
    for (title, text) in mistakes() {
        let _ = writeln!(said, "==== {title}\n{}", Stack::of(&text).said());
    }
    expect_test::expect_file![test_data().join("mistakes.txt")].assert_eq(&said);
}

#[test]
fn no_mistake_is_told_without_a_way_out() {
    for (title, text) in mistakes() {
        let problems = Stack::of(&text).load().map_or_else(|error| error.problems, |loaded| loaded.warnings);
        for problem in problems {
            assert!(problem.hint.is_some(), "{title}: {problem:?}");
        }
    }
}
