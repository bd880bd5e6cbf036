//! An engine that hides the addresses of its containers, as rootless ones and those in a virtual
//! machine do: the engine of this machine, which a proxy makes say that it is one.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};

use crate::stack::{TestStack, text};
use crate::support::inspect;

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
health.http = "/"
[services.dead]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
port = 8080
health = { tcp = true, start_period = "2s" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn probes_go_through_ports_of_this_machine_and_a_dead_one_is_found() {
    // First, so that it outlives the stack.
    let scratch = tempfile::tempdir().expect("a directory");
    let host = rootless(scratch.path());
    let mut stack = TestStack::new("hidden", STACK).await;
    stack.docker_host = Some(host);
    stack.done(&["up", "-d", "web"]);
    let web = stack.item("web");
    assert_eq!((&web["ready"], &web["ports"]), (&true.into(), &json!([])), "what is published for probes is nobody's business");
    let bindings = &inspect(web["container"].as_str().expect("an id"))["HostConfig"]["PortBindings"];
    assert_eq!(bindings["8080/tcp"][0]["HostIp"], "127.0.0.1", "{bindings}");
    // The engine accepts for whoever does not listen, and hangs up.
    let output = stack.run(&["up", "-d", "--timeout", "20s", "dead"]);
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.contains("dead"), "{complaint}");
    assert_eq!(stack.item("dead")["ready"], false);
}
