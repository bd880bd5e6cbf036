//! What the environment says: `DATABASE_URL` and `PORT`.

use tokio_postgres::Config;

/// The settings of one run.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen, on every address; 8000 unless `PORT` says otherwise.
    pub port: u16,
    /// From `DATABASE_URL`, which must be there.
    pub database: Config,
}

impl Settings {
    /// Reads them through `get`; the error is for people and names the variable, never its value.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let port = match get("PORT") {
            Some(text) => text.parse().map_err(|_| format!("PORT must be a port number, not '{text}'"))?,
            None => 8000,
        };
        let url = get("DATABASE_URL").ok_or("DATABASE_URL is not set")?;
        let database = url.parse().map_err(|_| "DATABASE_URL must look like postgresql://user:password@host/database")?;
        Ok(Self { port, database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_env(|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name)?;
            Some(pair.1.to_owned())
        })
    }

    #[test]
    fn the_port_has_a_default() {
        let settings = read(&[("DATABASE_URL", "postgresql://me:pw@db/world")]).expect("valid");
        assert_eq!(settings.port, 8000);
        assert_eq!(settings.database.get_dbname(), Some("world"));
    }

    #[test]
    fn errors_name_the_variable_and_keep_the_password() {
        assert_eq!(read(&[]).expect_err("no url"), "DATABASE_URL is not set");
        let error = read(&[("DATABASE_URL", "mysql://me:geheim@db")]).expect_err("no postgres");
        assert!(error.contains("DATABASE_URL") && !error.contains("geheim"), "{error}");
        let error = read(&[("PORT", "web")]).expect_err("no number");
        assert!(error.contains("PORT"), "{error}");
    }
}
