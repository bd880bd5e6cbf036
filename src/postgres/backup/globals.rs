//! The roles of a set, as statements that can be run. Pure.

/// What a dump of globals says before it comes to tablespaces, which are directories of one machine.
const TABLESPACES: &str = "-- Tablespaces";

/// The statements that make the roles of a set in a server that has only the role it was made with. That one is
/// there: the statement that would make it is left out by its name.
pub fn for_trial(globals: &str, bootstrap_role: &str) -> String {
    let own =
        [format!("CREATE ROLE {bootstrap_role};"), format!("CREATE ROLE {};", super::super::sql::identifier(bootstrap_role))];
    let roles = globals.lines().take_while(|line| *line != TABLESPACES);
    // psql 15.14 and later begin and end a script with a key; the end of it is cut off here with the rest.
    let wanted = roles.filter(|line| !own.iter().any(|own| own == line) && !is_restriction(line));
    wanted.flat_map(|line| [line, "\n"]).collect()
}

fn is_restriction(line: &str) -> bool {
    line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_gets_all_roles_but_the_one_it_has_and_no_tablespace() {
        let globals = "\\restrict abc\n--\n-- Roles\n--\n\nCREATE ROLE app;\nCREATE ROLE postgres;\n\
             ALTER ROLE postgres WITH SUPERUSER;\nCREATE ROLE \"odd \"\"name\";\n\n--\n-- Tablespaces\n--\n\n\
             CREATE TABLESPACE fast OWNER app LOCATION '/mnt/fast';\n\\unrestrict abc\n";
        let made = for_trial(globals, "postgres");
        let statements: Vec<&str> = made.lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect();
        assert_eq!(statements, ["CREATE ROLE app;", "ALTER ROLE postgres WITH SUPERUSER;", "CREATE ROLE \"odd \"\"name\";"]);
        assert!(for_trial("CREATE ROLE \"The Boss\";\n", "The Boss").is_empty());
    }
}
