//! Whether the app could connect: a query over TCP as its user on its database.
//!
//! initdb's temporary server listens on no port, so it is never taken for the real one.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Config;

use super::connect::{Session, Trouble, config, trouble, within};
use super::passwords::Access;
use crate::host::Clock;
use crate::model::time::seconds;
use crate::model::workload::wanted_tls;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The app could work with it.
    Ready,
    /// It answered, but not as wanted (an SQLSTATE): alive, not ready.
    Refused(String),
    /// It did not answer.
    Silent(String),
}

/// Asks a server of ours at `address`, or the external one that `access` names, within `limit`.
/// Without a password for it nothing can be asked: that is an answer of ours, and `Err`.
pub async fn ask(access: &Access, address: Option<SocketAddr>, clock: &dyn Clock, limit: Duration) -> Result<Answer, String> {
    let config = target(access, address)?;
    let answer = within(clock, limit, query(&config, clock)).await;
    let answer = answer.unwrap_or_else(|| Answer::Silent(format!("no answer within {}", seconds(limit))));
    Ok(if access.url.is_some() { with_address(answer, &config) } else { answer })
}

/// A silence with the address that was tried: nobody sees it anywhere else.
fn with_address(answer: Answer, config: &Config) -> Answer {
    match (answer, config.get_hosts().first(), config.get_ports().first()) {
        (Answer::Silent(words), Some(tokio_postgres::config::Host::Tcp(host)), port) => {
            Answer::Silent(format!("{host}:{}: {words}", port.unwrap_or(&super::PORT)))
        }
        (answer, ..) => answer,
    }
}

fn target(access: &Access, address: Option<SocketAddr>) -> Result<Config, String> {
    match (&access.url, address) {
        (Some(url), _) => external(url, access),
        (None, Some(address)) => {
            let password = access.password.as_ref().ok_or_else(|| format!("no password of {} is known", access.user))?;
            Ok(config(address, access.database.as_str(), access.user.as_str(), password))
        }
        (None, None) => Err("its address is not known".to_owned()),
    }
}

fn external(url: &SecretString, access: &Access) -> Result<Config, String> {
    if let Some(mode) = wanted_tls(url.expose_secret()) {
        return Err(format!("its url says sslmode={mode}: TLS to an external server is not carried out by this version"));
    }
    // The parser's words may quote the address, and with it a password.
    let mut config: Config = url.expose_secret().parse().map_err(|_| "its url is not one of a Postgres server".to_owned())?;
    if config.get_dbname().is_none() {
        config.dbname(access.database.as_str());
    }
    if config.get_user().is_none() {
        config.user(access.user.as_str());
    }
    if let (None, Some(password)) = (config.get_password(), &access.password) {
        config.password(password.expose_secret());
    }
    config.application_name("witwd");
    Ok(config)
}

async fn query(config: &Config, clock: &dyn Clock) -> Answer {
    let session = match Session::open(config).await {
        Ok(session) => session,
        Err(error) => return answer(&error),
    };
    let asked = session.simple_query("SELECT 1").await;
    session.close(clock).await;
    asked.map_or_else(|error| answer(&error), |_| Answer::Ready)
}

fn answer(error: &tokio_postgres::Error) -> Answer {
    match trouble(error) {
        Trouble::Answered(words) => Answer::Refused(words),
        Trouble::Silent(words) => Answer::Silent(words),
    }
}
