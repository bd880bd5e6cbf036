//! The mistakes that users make most, each with the exact message.

use std::fmt::Write as _;

use super::{Stack, test_data};

#[test]
fn the_mistakes_that_users_make_most_are_answered() {
    let file = std::fs::read_to_string(test_data().join("mistakes.toml")).expect("the mistakes");
    let blocks: Vec<&str> = file.split("#--- ").skip(1).collect();
    assert!(blocks.len() >= 40, "{} blocks", blocks.len());
    let mut said = String::new();
    for block in blocks {
        let (title, text) = block.split_once('\n').expect("a title and a text");
        let _ = writeln!(said, "==== {title}\n{}", Stack::of(text).said());
    }
    expect_test::expect_file![test_data().join("mistakes.txt")].assert_eq(&said);
}
