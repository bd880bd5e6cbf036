//! Whether the app could connect: a query over TCP as its user on its database.
//!
//! initdb's temporary server listens on no port, so it is never taken for the real one.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::{Session, Trouble, config, trouble, within};
use super::passwords::Access;
use super::tls;
use crate::host::Clock;
use crate::model::time::seconds;
use crate::model::tls::{TlsMode, TlsWish};

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The app could work with it.
    Ready,
    /// It answered, but not as wanted (an SQLSTATE): alive, not ready.
    Refused(String),
    /// It is not what its address says, or the address can't be carried out: only a person can mend that.
    Unfit(String),
    /// It did not answer.
    Silent(String),
}

/// Asks a server of ours at `address`, or the external one that `access` names, within `limit`.
/// Without a password for it nothing can be asked: that is an answer of ours, and `Err`.
pub async fn ask(access: &Access, address: Option<SocketAddr>, clock: &dyn Clock, limit: Duration) -> Result<Answer, String> {
    let asked = match (&access.url, address) {
        (Some(url), _) => match external(url, access) {
            Ok(asked) => asked,
            Err(words) => return Ok(Answer::Unfit(words)),
        },
        (None, Some(address)) => Target::ours(access, address)?,
        (None, None) => return Err("its address is not known".to_owned()),
    };
    let answer = within(clock, limit, asked.query(clock)).await;
    let answer = answer.unwrap_or_else(|| Answer::Silent(format!("no answer within {}", seconds(limit))));
    Ok(if access.url.is_some() { with_address(answer, &asked.config) } else { answer })
}

/// The address that was tried goes with what stands in the way: nobody sees it anywhere else.
fn with_address(answer: Answer, config: &Config) -> Answer {
    let (Some(Host::Tcp(host)), port) = (config.get_hosts().first(), config.get_ports().first()) else { return answer };
    let at = |words| format!("{host}:{}: {words}", port.unwrap_or(&super::PORT));
    match answer {
        Answer::Silent(words) => Answer::Silent(at(words)),
        Answer::Unfit(words) => Answer::Unfit(at(words)),
        answer => answer,
    }
}

/// Whom to ask, and how.
struct Target {
    config: Config,
    wish: TlsWish,
    /// `None`: nothing speaks TLS.
    tls: Option<MakeRustlsConnect>,
}

impl Target {
    fn ours(access: &Access, address: SocketAddr) -> Result<Self, String> {
        let password = access.password.as_ref().ok_or_else(|| format!("no password of {} is known", access.user))?;
        let config = config(address, access.database.as_str(), access.user.as_str(), password);
        Ok(Self { config, wish: TlsWish::default(), tls: None })
    }

    async fn query(&self, clock: &dyn Clock) -> Answer {
        let session = match self.open().await {
            Ok(session) => session,
            Err(error) => return tls::misfit(&error, &self.wish).map_or_else(|| answer(&error), Answer::Unfit),
        };
        let asked = session.simple_query("SELECT 1").await;
        session.close(clock).await;
        asked.map_or_else(|error| answer(&error), |_| Answer::Ready)
    }

    async fn open(&self) -> Result<Session, tokio_postgres::Error> {
        let Some(tls) = &self.tls else {
            return Session::open(&self.config).await;
        };
        match Session::open_over(&self.config, tls.clone()).await {
            // Who prefers TLS takes a server whose TLS does not work without it.
            Err(error) if self.wish.mode == TlsMode::Prefer && tls::misfit(&error, &self.wish).is_some() => {
                Session::open(self.config.clone().ssl_mode(SslMode::Disable)).await
            }
            opened => opened,
        }
    }
}

fn external(url: &SecretString, access: &Access) -> Result<Target, String> {
    let (wish, url) = TlsWish::split(url.expose_secret()).map_err(|error| error.to_string())?;
    // The parser's words may quote the address, and with it a password.
    let mut config: Config = url.parse().map_err(|_| "its url is not one of a Postgres server".to_owned())?;
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
    let tls = tls::connector(&mut config, &wish, &access.directory)?;
    Ok(Target { config, wish, tls })
}

fn answer(error: &tokio_postgres::Error) -> Answer {
    match trouble(error) {
        Trouble::Answered(words) => Answer::Refused(words),
        Trouble::Silent(words) => Answer::Silent(words),
    }
}
