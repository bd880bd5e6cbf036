//! `tiny`: one small static program that plays any container in the tests of witwd.
//!
//! What it does is said by its arguments (`tiny help` lists them), so that one image of a few hundred
//! kilobytes is a web app, a job, a crash, a hang or a memory hog. It must never need a file of a
//! distribution: it runs `FROM scratch`. Start reading at [`run`].

#![expect(clippy::disallowed_methods, reason = "the clock of the daemon is not the clock of this program")]

mod client;
mod options;
mod serve;
mod signals;
mod terminal;
mod tools;

use std::io::{self, Write};
use std::process::ExitCode;

const HELP: &str = "tiny COMMAND, for tests:
  serve [--port 8080]     an HTTP server; see below
  sleep [DURATION]        sleeps, for ever without one
  exit N | true | false   ends with that code
  echo WORDS              on stdout; `err WORDS` on stderr
  cat FILE... | ls DIR    reads
  write FILE WORDS        writes a line; `append` adds one; `rm FILE`, `mkdir DIR`
  env [NAME]              the environment; with NAME: its value, exit 1 where it is not set
  id                      uid=N gid=N groups=N...
  stdin                   echoes stdin to stdout
  tty [N]                 the size of its terminal, again when it changes; a line ends it with N (0)
  lines N [WORDS]         N numbered lines on stdout
  run WORDS               runs `tiny WORDS` as a child; `leave WORDS` does not wait for it
  get URL                 fetches http://HOST:PORT/PATH; exit 1 unless 2xx
  tcp HOST:PORT           exit 0 when it connects
  hog SIZE                takes that much memory, then sleeps; SIZE as 64M
  burn [DURATION]         keeps one core busy
options of every command that waits:
  --print TEXT            a line on stdout at the start (--print-err: on stderr)
  --every DURATION        repeats it
  --exit-after DURATION   ends then, with --code N (0)
  --ignore-term           SIGTERM is written down and ignored
  --term-code N           the exit code at SIGTERM (143)
  --term-delay DURATION   takes that long to end at SIGTERM
options of serve:
  --delay DURATION        listens only after it
  --ready-after DURATION  /readyz is 503 until then
  --slow DURATION         each answer takes that long
  --hang-at DURATION      from then on accepts and never answers
  --status N              of / (200)
paths of serve: / /healthz /readyz /env /id /headers /hits /flap/N /status/N /delay/DURATION /file/PATH
  POST /fail[/healthz|/readyz] and /heal turn those to 503 and back; POST /hang, /exit/N, /print/TEXT
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            let _ = writeln!(io::stderr(), "tiny: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command and returns its exit code; an error is wrong usage or failed input and output.
fn run(args: &[String]) -> Result<u8, String> {
    let (command, rest) = args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    match command {
        "serve" => serve::serve(&options::Options::parse(rest)?),
        "sleep" => tools::sleep(&options::Options::parse(rest)?),
        "hog" => tools::hog(&options::Options::parse(rest)?),
        "burn" => tools::burn(&options::Options::parse(rest)?),
        "get" => client::get(rest),
        "tcp" => client::tcp(rest),
        "tty" => terminal::watch(rest),
        "help" | "--help" => tools::print(HELP.trim_end()),
        _ => tools::run(command, rest),
    }
}
