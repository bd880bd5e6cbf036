//! `tiny get` and `tiny tcp`: probes and calls from inside a container.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::tools;

const PATIENCE: Duration = Duration::from_secs(5);

/// `tiny get URL`: the body on stdout, 0 for 2xx, 1 for anything else.
pub fn get(words: &[String]) -> Result<u8, String> {
    let url = words.first().ok_or("which URL?")?;
    let rest = url.strip_prefix("http://").ok_or("only http:// is spoken here")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    match fetch(&address, host, path) {
        Ok((status, body)) => {
            tools::print(body.trim_end())?;
            Ok(u8::from(!(200..300).contains(&status)))
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "tiny: {url}: {error}");
            Ok(1)
        }
    }
}

/// `tiny tcp HOST:PORT`: whether somebody listens.
pub fn tcp(words: &[String]) -> Result<u8, String> {
    let address = words.first().ok_or("which HOST:PORT?")?;
    Ok(u8::from(connect(address).is_err()))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("no such host");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn fetch(address: &str, host: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.ok_or_else(|| io::Error::other("no HTTP"))?, body.to_owned()))
}
