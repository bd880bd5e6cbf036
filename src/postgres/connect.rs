//! Connections: opened for one purpose, closed when it is over. An open one would block the
//! renaming of its database and its use as a template.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};

use crate::host::Clock;

/// What servers are told about us.
const APPLICATION: &str = "witwd";
/// How long a server may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(1);

/// An open connection.
pub(super) struct Session {
    client: Client,
    connection: Connection,
}

/// The task behind a client; it ends with us.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::ops::Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Session {
    /// Connects and authenticates.
    pub async fn open(config: &Config) -> Result<Self, tokio_postgres::Error> {
        Self::open_over(config, NoTls).await
    }

    /// Connects and authenticates over what `tls` makes of the connection.
    pub async fn open_over<T>(config: &Config, tls: T) -> Result<Self, tokio_postgres::Error>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static>,
    {
        let (client, connection) = config.connect(tls).await?;
        // How it ended is seen by whoever asks the client.
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        Ok(Self { client, connection })
    }

    /// Says good-bye and waits until the server has heard it.
    pub async fn close(self, clock: &dyn Clock) {
        let Self { client, mut connection } = self;
        drop(client);
        within(clock, FAREWELL, &mut connection.0).await;
    }
}

/// How a role gets into a database of the server at `address`.
pub(super) fn config(address: SocketAddr, database: &str, role: &str, password: &SecretString) -> Config {
    let mut config = Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .dbname(database)
        .user(role)
        .password(password.expose_secret())
        .application_name(APPLICATION)
        .ssl_mode(SslMode::Disable);
    config
}

/// What `future` brings, or `None` when it takes longer than `limit`.
pub(super) async fn within<T>(clock: &dyn Clock, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}

/// What a failed attempt says about the server.
pub(super) enum Trouble {
    /// It answered, with an SQLSTATE or with something that is not the protocol.
    Answered(String),
    /// It did not answer.
    Silent(String),
}

/// What an error of a connection or query says about the server, in words without any of ours.
pub(super) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    if let Some(said) = error.as_db_error() {
        return Trouble::Answered(format!("SQLSTATE {}: {}", said.code().code(), said.message()));
    }
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    match io {
        Some(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => Trouble::Silent("connection refused".to_owned()),
        Some(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Trouble::Silent("connection closed without an answer".to_owned())
        }
        Some(io) => Trouble::Silent(io.to_string()),
        None if error.is_closed() => Trouble::Silent("connection closed without an answer".to_owned()),
        None => Trouble::Answered(error.to_string()),
    }
}
