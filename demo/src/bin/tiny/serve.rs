//! `tiny serve`: an HTTP server whose health is in the hands of the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::{self, Options};
use crate::{signals, tools};

struct Server {
    options: Options,
    started: Instant,
    sick: AtomicBool,
    unready: AtomicBool,
    hanging: AtomicBool,
    hits: AtomicU64,
}

struct Answer {
    status: u16,
    body: String,
}

/// Listens until something ends the process.
pub fn serve(options: &Options) -> Result<u8, String> {
    let started = Instant::now();
    signals::start(options)?;
    thread::sleep(options.delay);
    let listener = TcpListener::bind(("0.0.0.0", options.port)).map_err(|error| format!("port {}: {error}", options.port))?;
    tools::print(&format!("listening on port {}", options.port))?;
    let server = Arc::new(Server {
        options: options.clone(),
        started,
        sick: AtomicBool::new(false),
        unready: AtomicBool::new(false),
        hanging: AtomicBool::new(false),
        hits: AtomicU64::new(0),
    });
    for stream in listener.incoming().flatten() {
        let server = Arc::clone(&server);
        thread::spawn(move || {
            let _ = server.converse(&stream);
        });
    }
    Ok(0)
}

impl Server {
    fn hangs(&self) -> bool {
        let by_time = self.options.hang_at.is_some_and(|at| self.started.elapsed() >= at);
        by_time || self.hanging.load(Ordering::SeqCst)
    }

    /// One request, one answer, closed.
    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while reader.read_line(&mut head)? > 2 {}
        let length = content_length(&head);
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        while self.hangs() {
            thread::sleep(Duration::from_secs(1));
        }
        thread::sleep(self.options.slow);
        let mut words = head.split_whitespace();
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or("/").split('?').next().unwrap_or("/");
        let answer = if method == "POST" { self.post(path) } else { self.get(path, &head) };
        let Answer { status, body } = answer;
        let mut out = stream;
        write!(
            out,
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            if status < 400 { "OK" } else { "No" },
            body.len(),
        )
    }

    fn get(&self, path: &str, head: &str) -> Answer {
        let (first, rest) = parts(path);
        match first {
            "" => {
                self.hits.fetch_add(1, Ordering::SeqCst);
                Answer { status: self.options.status, body: "tiny\n".into() }
            }
            // Each Nth time it is asked it is well.
            "flap" => {
                let count = self.hits.fetch_add(1, Ordering::SeqCst);
                verdict(count.is_multiple_of(options::number(rest).unwrap_or(1).max(1)), "healthy")
            }
            "healthz" => verdict(!self.sick.load(Ordering::SeqCst), "healthy"),
            "readyz" => verdict(self.is_ready(), "ready"),
            "env" => ok(tools::environment()),
            "id" => ok(tools::id()),
            "headers" => ok(head.trim_end().to_owned()),
            "hits" => ok(self.hits.load(Ordering::SeqCst).to_string()),
            "status" => Answer { status: options::number(rest).unwrap_or(400), body: format!("{rest}\n") },
            "delay" => {
                thread::sleep(options::duration(rest).unwrap_or_default());
                ok(rest.to_owned())
            }
            "file" => std::fs::read_to_string(format!("/{rest}"))
                .map_or_else(|error| Answer { status: 404, body: format!("{error}\n") }, ok),
            _ => Answer { status: 404, body: "not found\n".into() },
        }
    }

    fn is_ready(&self) -> bool {
        self.started.elapsed() >= self.options.ready_after && !self.unready.load(Ordering::SeqCst)
    }

    fn post(&self, path: &str) -> Answer {
        let (first, rest) = parts(path);
        match first {
            "fail" | "heal" => {
                let to = first == "fail";
                if rest != "readyz" {
                    self.sick.store(to, Ordering::SeqCst);
                }
                if rest != "healthz" {
                    self.unready.store(to, Ordering::SeqCst);
                }
            }
            "hang" => self.hanging.store(true, Ordering::SeqCst),
            "exit" => std::process::exit(options::number(rest).unwrap_or(1)),
            "print" => drop(tools::print(rest)),
            _ => {
                return Answer { status: 404, body: "not found\n".into() };
            }
        }
        ok("done".into())
    }
}

/// The first part of a path, and the rest: `/status/503` is `status` and `503`.
fn parts(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

fn content_length(head: &str) -> u64 {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn ok(mut body: String) -> Answer {
    body.push('\n');
    Answer { status: 200, body }
}

fn verdict(good: bool, word: &str) -> Answer {
    let (status, not) = if good { (200, "") } else { (503, "not ") };
    Answer { status, body: format!("{not}{word}\n") }
}
