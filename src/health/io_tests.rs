//! Probes over real sockets of this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Outcome;
use super::http::{Get, HttpProbe};
use super::tcp;
use crate::engine::answer::Reach;
use crate::host::SystemClock;

/// A server that answers every request with `answer` and keeps what it was asked; without an
/// answer it accepts and says nothing.
async fn server(answer: Option<&'static str>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        let mut silent: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(answer) = answer else {
                silent.push(stream);
                continue;
            };
            let mut head = vec![0; 4096];
            let length = if answer.is_empty() { 0 } else { stream.read(&mut head).await.unwrap_or(0) };
            kept.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn get(address: SocketAddr, headers: &[(&str, &str)], status: (u16, u16)) -> Outcome {
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let get = Get { path: "/healthz?deep=1", headers: &headers, status };
    HttpProbe::new().ask(address, get, Duration::from_millis(500)).await
}

fn failure(words: &str) -> Outcome {
    Outcome::Failure(words.to_owned())
}

#[tokio::test]
async fn a_get_passes_by_its_status_and_says_it_is_localhost() {
    let (address, asked) = server(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(get(address, &[], (200, 399)).await, Outcome::Success);
    assert_eq!(get(address, &[("HOST", "shop.example"), ("X-Probe", "1")], (204, 204)).await, Outcome::Success);
    let asked = asked.lock().unwrap().join("").to_lowercase();
    assert!(asked.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{asked}");
    for once in ["host: localhost\r\n", "host: shop.example\r\n", "x-probe: 1\r\n"] {
        assert_eq!(asked.matches(once).count(), 1, "{once} in {asked}");
    }
    assert_eq!(asked.matches("host:").count(), 2, "{asked}");
    assert_eq!(asked.matches("connection: close").count(), 2, "{asked}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (address, asked) = server(Some("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(get(address, &[], (200, 399)).await, Outcome::Success);
    assert_eq!(get(address, &[], (200, 299)).await, failure("GET /healthz?deep=1: 302 Found"));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_told_with_the_first_80_characters_of_its_first_line() {
    let (address, _) =
        server(Some("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n\r\ndatabase \u{1b}[31mgone\r\nmore")).await;
    let expected = "GET /healthz?deep=1: 503 Service Unavailable: database [31mgone";
    assert_eq!(get(address, &[], (200, 399)).await, failure(expected));
    let long: &'static str =
        Box::leak(format!("HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n{}", "ä".repeat(90_000)).into_boxed_str());
    let (address, _) = server(Some(long)).await;
    let expected = format!("GET /healthz?deep=1: 500 Internal Server Error: {}", "ä".repeat(80));
    assert_eq!(get(address, &[], (200, 399)).await, failure(&expected));
}

#[tokio::test]
async fn silence_and_dead_ports_are_told_apart() {
    assert_eq!(get(dead().await, &[], (200, 399)).await, failure("GET /healthz?deep=1: connection refused"));
    let (silent, _) = server(None).await;
    assert_eq!(get(silent, &[], (200, 399)).await, failure("GET /healthz?deep=1: timed out after 0.5s"));
    let (slow, _) = server(Some("HTTP/1.1 500 Slow\r\nContent-Length: 9\r\n\r\nhalf")).await;
    assert_eq!(
        get(slow, &[], (200, 399)).await,
        failure("GET /healthz?deep=1: 500 Internal Server Error: half"),
        "what was said before the time was over"
    );
}

#[tokio::test]
async fn a_proxy_that_accepts_for_a_dead_port_passes_nobody() {
    let clock = SystemClock::new();
    let ask = async |reach| tcp::ask(&clock, reach, Duration::from_secs(1)).await;
    let (alive, _) = server(None).await;
    let (closes, _) = server(Some("")).await;
    let (talks, _) = server(Some("220 mail.example\r\n")).await;
    assert_eq!(ask(Reach::Direct(alive)).await, Outcome::Success);
    assert_eq!(ask(Reach::Published(alive)).await, Outcome::Success);
    assert_eq!(ask(Reach::Published(closes)).await, failure("tcp: the connection was closed at once"));
    assert_eq!(ask(Reach::Published(talks)).await, Outcome::Success);
    for dead in [Reach::Direct(dead().await), Reach::Published(dead().await)] {
        assert_eq!(ask(dead).await, failure("tcp: connection refused"));
    }
}
