//! Properties: nothing panics, and one problem never hides another.

use proptest::prelude::*;

use super::Stack;
use crate::config::dotenv;
use crate::config::{diagnostics::Diagnostics, interpolate};

/// Mistakes that stand on lines of their own, with what is said of each.
const MISTAKES: [(&str, &str); 8] = [
    ("[services.a]\nimage = \"a:1\"\nenvironment = {}\n", "`environment` is not a key"),
    ("[services.b]\nimage = \"b:1\"\nport = 0\n", "`services.b.port` is 0"),
    ("[services.c]\nimage = \"c:${env.NOT_THERE}\"\n", "NOT_THERE is not set"),
    ("[services.d]\nimage = \"d:1\"\ndepends_on = [\"nobody\"]\n", "there is no service, postgres or job `nobody`"),
    ("[services.e]\nimage = \"e:1\"\nvolumes = [\"nowhere:/x\"]\n", "there is no volume `nowhere`"),
    ("[services.f]\nimage = \"f:1\"\nstop_grace = \"soon\"\n", "\"soon\" is not a duration"),
    ("[jobs.g]\nimage = \"g:1\"\nschedule = \"x\"\n", "has 1 fields"),
    ("[postgres.h]\nimage = \"postgres:latest\"\n", "the major version of Postgres can't be read"),
];

#[test]
fn deep_nesting_does_not_end_the_process() {
    for text in [
        format!("{} = 1\n", vec!["a"; 100_000].join(".")),
        format!("[{}]\n", vec!["a"; 100_000].join(".")),
        format!("a = {}\n", "[".repeat(100_000)),
        format!("a = {}\n", "{ a = ".repeat(100_000)),
        format!("name = \"{}\"\n", "${env.A:-".repeat(50_000)),
        format!("name = \"{}{}\"\n", "${env.A:-".repeat(20_000), "}".repeat(20_000)),
    ] {
        assert!(Stack::of(&text).load().is_err());
    }
}

#[test]
fn long_chains_and_many_services_do_not_end_the_process() {
    use std::fmt::Write as _;
    let mut chain = "name = \"app\"\n".to_owned();
    for number in 0..5000 {
        let _ = write!(chain, "[services.s{number}]\nextends = \"s{}\"\n", number + 1);
    }
    assert!(Stack::of(&chain).load().is_err());
    let mut many = "name = \"app\"\n".to_owned();
    for number in 0..2000 {
        let _ = write!(many, "[services.s{number}]\nimage = \"i:1\"\nports = [\"{}:80\"]\n", number + 1);
        if number > 0 {
            let _ = writeln!(many, "depends_on = [\"s{}\"]", number - 1);
        }
    }
    assert_eq!(Stack::of(&many).loaded().stack.in_order().count(), 2000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = Stack::of(&text).said();
    }

    #[test]
    fn any_text_in_a_value_is_answered(value in "[\\PC]{0,60}", key in "(image|command|port|ports|volumes|env|depends_on|health|build|url|extends|restart)") {
        let quoted = toml::Value::String(value);
        let text = format!("name = \"app\"\n[services.web]\n{key} = {quoted}\nlabels.x = {quoted}\n[postgres.db]\nurl = {quoted}\n");
        let _ = Stack::of(&text).said();
        let text = format!("name = \"app\"\n[services.web]\n{key} = [{quoted}]\n[postgres.db]\n{key} = [{quoted}]\n");
        let _ = Stack::of(&text).said();
    }

    #[test]
    fn references_and_environment_files_never_panic(text in "[$\\{\\}a-z.:?'\"=\\\\\n #é-]{0,60}") {
        let _ = interpolate::parse(&text);
        let diagnostics = Diagnostics::default();
        dotenv::parse(&text, 0, &diagnostics);
    }

    #[test]
    fn two_problems_are_both_reported(one in 0_usize..8, other in 0_usize..8) {
        prop_assume!(one != other);
        let said = Stack::of(&format!("name = \"app\"\n{}{}", MISTAKES[one].0, MISTAKES[other].0)).said();
        prop_assert!(said.contains(MISTAKES[one].1) && said.contains(MISTAKES[other].1), "{}", said);
    }
}
