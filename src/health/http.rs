//! A GET that is nobody else's business: no proxy, no redirect, no connection kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header, redirect};

use super::prober::Outcome;
use super::words::{first_words, plain};
use crate::model::time::seconds;

/// Most bytes that are read of an answer that fails.
const READ: usize = 512;

/// Asks over HTTP.
pub(super) struct HttpProbe {
    client: Client,
}

/// What is asked, and which answers pass.
pub(super) struct Get<'a> {
    pub path: &'a str,
    pub headers: &'a BTreeMap<String, String>,
    pub status: (u16, u16),
}

impl HttpProbe {
    pub fn new() -> Self {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .http1_only()
            .user_agent(concat!("witwd/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { client: client.expect("a client without TLS needs nothing of the machine") }
    }

    /// One GET, all of it within `timeout`.
    pub async fn ask(&self, address: SocketAddr, get: Get<'_>, timeout: Duration) -> Outcome {
        let Get { path, headers, status } = get;
        let mut request = self.client.get(format!("http://{address}{path}")).timeout(timeout);
        request = request.header(header::CONNECTION, "close");
        if !headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
            // An address as host is refused by frameworks that check it.
            request = request.header(header::HOST, "localhost");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if (status.0..=status.1).contains(&answer.status().as_u16()) => Outcome::Success,
            Ok(answer) => Outcome::Failure(format!("GET {path}: {}", refusal(answer).await)),
            Err(error) => Outcome::Failure(format!("GET {path}: {}", words(&error, timeout))),
        }
    }
}

/// The status and the beginning of the body.
async fn refusal(mut answer: Response) -> String {
    let status = answer.status();
    let mut body = Vec::new();
    while body.len() < READ {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend(chunk.iter().take(READ - body.len())),
            _ => break,
        }
    }
    let said = first_words(&String::from_utf8_lossy(&body)).unwrap_or_default();
    format!("{}{said}", named(status))
}

fn named(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_u16().to_string(), |reason| format!("{} {reason}", status.as_u16()))
}

fn words(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("timed out after {}", seconds(timeout));
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
        if let Some(io) = innermost.downcast_ref::<std::io::Error>().filter(|io| io.kind() != std::io::ErrorKind::Other) {
            return plain(io);
        }
    }
    innermost.to_string()
}
