//! An engine that hides the addresses of its containers, as rootless ones and those in a virtual
//! machine do: the engine of this machine, which a proxy makes say that it is one.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, eventually, inspect};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A socket in `directory` through which the engine says that it is rootless.
fn rootless(directory: &Path) -> String {
    let socket = directory.join("engine.sock");
    let listener = UnixListener::bind(&socket).expect("a socket for the proxy");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(forward));
            tokio::spawn(serving);
        }
    });
    format!("unix://{}", socket.display())
}

async fn forward(request: Request<Incoming>) -> Result<Response<Either<Incoming, Full<Bytes>>>, Failed> {
    let is_info = request.uri().path().ends_with("/info");
    let stream = UnixStream::connect("/var/run/docker.sock").await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    if !is_info {
        return Ok(answer.map(Either::Left));
    }
    let mut info: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
    info["SecurityOptions"] = json!(["name=seccomp,profile=default", "name=rootless"]);
    Ok(Response::new(Either::Right(Full::from(info.to_string()))))
}

const STACK: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health = { http = "/", interval = "200ms" }
[services.open]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
[services.closed]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
port = 8080
readiness = { tcp = true, interval = "200ms", start_period = "0s" }
[services.mute]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
port = 8080
readiness = { http = "/", interval = "200ms", start_period = "0s" }
"#;

/// Where the engine says that port 8080 of a container is reached from this machine.
fn published(item: &Value) -> SocketAddr {
    let container = inspect(item["container"].as_str().expect("an id"));
    let bindings = &container["NetworkSettings"]["Ports"]["8080/tcp"][0];
    assert_eq!(bindings["HostIp"], "127.0.0.1", "{bindings}");
    format!("127.0.0.1:{}", bindings["HostPort"].as_str().expect("a port")).parse().expect("an address")
}

async fn stack_behind(proxy: &Path) -> TestStack {
    let host = rootless(proxy);
    let mut stack = TestStack::new("hidden", STACK).await;
    stack.docker_host = Some(host);
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_go_through_ports_of_this_machine_also_after_a_restart() {
    // First, so that it outlives the stack.
    let scratch = tempfile::tempdir().expect("a directory");
    let stack = stack_behind(scratch.path()).await;
    stack.done(&["up", "-d", "web", "open"]);
    let web = stack.item("web");
    assert_eq!((&web["ready"], &web["ports"]), (&true.into(), &json!([])), "what is published for probes is nobody's business");
    published(&web);
    // The engine chooses another port for the next run.
    assert!(docker(&["kill", web["container"].as_str().expect("an id")]).status.success());
    let is_back = async || Some(stack.item("web")).filter(|web| web["ready"] == true && web["restarts"] == 1);
    published(&eventually(SOON, "web is back", is_back).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_port_is_found_although_the_engine_accepts_for_it() {
    let scratch = tempfile::tempdir().expect("a directory");
    let stack = stack_behind(scratch.path()).await;
    let output = stack.run(&["up", "-d", "--timeout", "1s", "closed", "mute"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    let told = async |name: &str, words: &[&str]| {
        let unready = async || {
            let item = stack.item(name);
            let cause = item["cause"].as_str().unwrap_or_default();
            words.iter().any(|words| cause.contains(words)).then(|| item.clone())
        };
        eventually(SOON, &format!("{name} is known to be dead"), unready).await
    };
    for item in [
        told("closed", &["tcp: the connection was closed at once"]).await,
        // Which of the two depends on who comes first, the request or the end.
        told("mute", &["GET /: connection reset", "GET /: connection closed"]).await,
    ] {
        assert_eq!(item["ready"], false, "{item}");
        TcpStream::connect(published(&item)).await.expect("the engine's proxy accepts");
    }
}
