//! The one program of the test image: small behaviours of containers, chosen by word.
//! Compiled by `rustc` alone into a static binary when the tests begin.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::exit;
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", "--port", port] => serve(port),
        ["sleep"] => forever(),
        ["exit", code] => exit(code.parse().expect("a number")),
        ["echo", rest @ ..] => println!("{}", rest.join(" ")),
        ["complain", rest @ ..] => eprintln!("{}", rest.join(" ")),
        ["lines", count] => lines(count.parse().expect("a number")),
        ["long", length] => println!("{}", "x".repeat(length.parse().expect("a number"))),
        ["env", name] => println!("{}", std::env::var(name).unwrap_or_default()),
        ["cat", path] => copy(&mut std::fs::File::open(path).unwrap_or_else(|error| fail(path, &error))),
        ["stat", path] => stat(path),
        ["stdin"] => copy(&mut std::io::stdin()),
        ["alloc", megabytes] => allocate(megabytes.parse().expect("a number")),
        _ => {
            eprintln!("unknown words: {words:?}");
            exit(64);
        }
    }
}

fn serve(port: &str) {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("a free port");
    println!("serving");
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let mut head = [0; 4096];
        let _ = stream.read(&mut head);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    }
}

fn forever() {
    println!("sleeping");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn lines(count: u32) {
    for number in 1..=count {
        println!("out {number}");
        eprintln!("err {number}");
    }
}

fn copy(from: &mut dyn Read) {
    std::io::copy(from, &mut std::io::stdout()).expect("copied");
}

fn stat(path: &str) {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).unwrap_or_else(|error| fail(path, &error));
    println!("{}:{} {:o}", metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
}

fn allocate(megabytes: usize) {
    let mut kept = Vec::new();
    for _ in 0..megabytes {
        kept.push(vec![1_u8; 1 << 20]);
    }
    println!("{}", kept.len());
    forever();
}

fn fail(path: &str, error: &std::io::Error) -> ! {
    eprintln!("{path}: {error}");
    exit(66);
}
