//! What needs no engine: addresses and contexts, references, credentials, `.dockerignore`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::container::LogOutput;
use bollard::models::{EventActor, EventMessage, EventMessageTypeEnum};

use super::connect::{ConnectError, Surroundings, locate};
use super::context::hex;
use super::ignore::Ignore;
use super::logs::Lines;
use super::reference::Reference;
use super::{build, buildx, credentials, error, events, images, observe};
use crate::engine::{EngineError, ErrorKind, labels};

fn with_host(host: &str) -> Surroundings {
    Surroundings { docker_host: Some(host.to_owned()), ..Surroundings::default() }
}

/// A Docker configuration with one context.
fn with_context(directory: &Path, name: &str, host: &str) -> Surroundings {
    use sha2::Digest as _;
    let meta = directory.join("contexts/meta").join(hex(&sha2::Sha256::digest(name.as_bytes())));
    std::fs::create_dir_all(&meta).unwrap();
    let text =
        format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#);
    std::fs::write(meta.join("meta.json"), text).unwrap();
    Surroundings { docker_config: Some(directory.to_owned()), ..Surroundings::default() }
}

#[test]
fn a_unix_address_is_taken_and_a_remote_one_refused_with_the_way_out() {
    let address = locate(&with_host("unix:///run/other.sock")).unwrap();
    assert_eq!((address.path, address.chosen_by.as_str()), (PathBuf::from("/run/other.sock"), "DOCKER_HOST"));
    for remote in ["tcp://10.0.0.1:2375", "ssh://me:pw@far", "http://far:1", "https://far:1"] {
        let error = locate(&with_host(remote)).unwrap_err();
        assert!(matches!(error, ConnectError::Remote { .. }), "{error}");
        assert!(!error.to_string().contains("pw"), "{error}");
        assert!(error.hint().contains("unset DOCKER_HOST"), "{}", error.hint());
    }
    assert!(matches!(locate(&with_host("/run/docker.sock")).unwrap_err(), ConnectError::BadAddress { .. }));
}

#[test]
fn a_context_is_taken_from_the_environment_then_from_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let mut surroundings = with_context(directory.path(), "lab", "unix:///run/lab.sock");
    std::fs::write(directory.path().join("config.json"), r#"{"currentContext":"lab"}"#).unwrap();
    let address = locate(&surroundings).unwrap();
    assert_eq!((address.path, address.chosen_by.as_str()), (PathBuf::from("/run/lab.sock"), "the Docker context \"lab\""));

    surroundings.docker_context = Some("gone".to_owned());
    let error = locate(&surroundings).unwrap_err();
    assert_eq!(error.to_string(), "the Docker context \"gone\" can't be used: there is no context of this name");
    surroundings.docker_host = Some("unix:///run/first.sock".to_owned());
    assert_eq!(locate(&surroundings).unwrap().path, PathBuf::from("/run/first.sock"), "DOCKER_HOST comes first");

    let far = with_context(directory.path(), "far", "ssh://me@far");
    let far = Surroundings { docker_context: Some("far".to_owned()), ..far };
    assert!(matches!(locate(&far).unwrap_err(), ConnectError::Remote { .. }));
}

#[test]
fn a_reference_is_split_as_the_engine_splits_it() {
    let split = |text: &str| {
        let reference = Reference::parse(text);
        (reference.registry().to_owned(), reference.repository.clone(), reference.version)
    };
    let expect =
        |registry: &str, repository: &str, version: &str| (registry.to_owned(), repository.to_owned(), version.to_owned());
    assert_eq!(split("postgres"), expect("docker.io", "postgres", "latest"));
    assert_eq!(split("postgres:17"), expect("docker.io", "postgres", "17"));
    assert_eq!(split("me/app:1.2"), expect("docker.io", "me/app", "1.2"));
    assert_eq!(split("127.0.0.1:5000/app"), expect("127.0.0.1:5000", "127.0.0.1:5000/app", "latest"));
    assert_eq!(split("ghcr.io/me/app:1@sha256:ab"), expect("ghcr.io", "ghcr.io/me/app", "sha256:ab"));
    assert_eq!(split("localhost/app:2"), expect("localhost", "localhost/app", "2"));
}

#[tokio::test]
async fn credentials_come_from_a_helper_then_from_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-test");
    let script = "#!/bin/sh\nread server\ncase $server in\nhelped:1) echo '{\"Username\":\"ann\",\"Secret\":\"pw\"}';;\n\
                  token:1) echo '{\"Username\":\"<token>\",\"Secret\":\"tok\"}';;\n\
                  *) echo 'credentials not found in native keychain'; exit 1;; esac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // "bob:secret" and "hub:key"
    let config = r#"{"auths":{"https://filed:1/v1/":{"auth":"Ym9iOnNlY3JldA=="},"https://index.docker.io/v1/":{"auth":"aHViOmtleQ=="}},
        "credsStore":"test","credHelpers":{"broken:1":"missing"}}"#;
    std::fs::write(directory.path().join("config.json"), config).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let surroundings =
        Surroundings { docker_config: Some(directory.path().to_owned()), path: Some(path), ..Surroundings::default() };
    let ask = async |registry: &str| credentials::of_registry(&surroundings, registry).await;

    let helped = ask("helped:1").await.unwrap().unwrap();
    assert_eq!((helped.username.as_deref(), helped.password.as_deref()), (Some("ann"), Some("pw")));
    assert_eq!(ask("token:1").await.unwrap().unwrap().identitytoken.as_deref(), Some("tok"));
    let filed = ask("filed:1").await.unwrap().unwrap();
    assert_eq!((filed.username.as_deref(), filed.password.as_deref()), (Some("bob"), Some("secret")));
    assert_eq!(ask("docker.io").await.unwrap().unwrap().username.as_deref(), Some("hub"));
    assert_eq!(ask("unknown:1").await.unwrap(), None);
    assert!(ask("broken:1").await.unwrap_err().contains("docker-credential-missing"));
}

#[test]
fn an_ignore_file_is_read_as_docker_reads_it() {
    let ignore = Ignore::parse(
        "# a comment\n\n  node_modules  \n/target/\n*.log\n!keep.log\n**/*.tmp\ndocs\n!docs/public\n!docs/public/**\nbrace{1}\n",
    )
    .unwrap();
    for out in ["node_modules", "node_modules/a/b", "target/x", "a.log", "x.tmp", "a/b/x.tmp", "docs/private", "brace{1}"] {
        assert!(ignore.leaves_out(out), "{out}");
    }
    for sent in ["keep.log", "sub/a.log", "src/node_modules", "docs/public/a", "brace1", "src/main.rs"] {
        assert!(!ignore.leaves_out(sent), "{sent}");
    }
    assert!(ignore.may_take_back_below("docs"));
    assert!(!ignore.may_take_back_below("node_modules"));
    let only = Ignore::parse("*\n!src\n!Cargo.*").unwrap();
    assert!(!only.leaves_out("src/main.rs") && !only.leaves_out("Cargo.toml") && only.leaves_out("secret"));
    assert!(Ignore::parse("[").unwrap_err().starts_with("line 1 of .dockerignore"));
}

#[test]
fn what_a_registry_says_is_told_apart() {
    let unreachable = [
        "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
        "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host",
        "net/http: TLS handshake timeout",
        "dial tcp 1.2.3.4:443: i/o timeout",
        "Get \"https://registry-1.docker.io/v2/\": context deadline exceeded",
        "Get \"https://registry-1.docker.io/v2/\": EOF",
        "Get \"https://registry-1.docker.io/v2/\": read tcp 10.0.0.2:1->1.2.3.4:443: read: connection reset by peer",
    ];
    let denied = [
        "pull access denied for nope, repository does not exist or may require 'docker login'",
        "manifest for postgres:99 not found: manifest unknown: manifest unknown",
        "Get \"http://127.0.0.1:1/v2/app/manifests/1\": no basic auth credentials",
        "unauthorized: authentication required",
    ];
    assert!(unreachable.iter().all(|text| images::of_pull_text(text) == ErrorKind::RegistryUnreachable));
    assert!(denied.iter().all(|text| images::of_pull_text(text) == ErrorKind::ImageDenied));
    assert_eq!(images::of_pull_text("unexpected EOF"), ErrorKind::Other);
}

#[test]
fn what_the_engine_says_is_told_apart() {
    let kind = |status_code: u16, message: &str| {
        let error = bollard::errors::Error::DockerResponseServerError { status_code, message: message.to_owned() };
        error::classify("try", "it", &error).kind
    };
    assert_eq!(kind(409, "removal of container abc is already in progress"), ErrorKind::RemovalInProgress);
    assert_eq!(kind(409, "remove x: volume is in use - [abc]"), ErrorKind::InUse);
    assert_eq!(kind(409, "Conflict. The container name \"/x\" is already in use by container abc"), ErrorKind::Conflict);
    assert_eq!(kind(403, "error while removing network: network x id y has active endpoints"), ErrorKind::InUse);
    assert_eq!(kind(500, "Bind for 127.0.0.1:80 failed: port is already allocated"), ErrorKind::PortInUse);
    assert_eq!(kind(500, "listen tcp4 127.0.0.1:80: bind: address already in use"), ErrorKind::PortInUse);
    let gone = "container abc does not exist in database: no such container";
    assert_eq!(kind(500, gone), ErrorKind::NotFound, "as Podman says it");
    assert_eq!((kind(404, ""), kind(400, ""), kind(500, "")), (ErrorKind::NotFound, ErrorKind::Invalid, ErrorKind::Other));
    assert_eq!(error::classify("try", "it", &bollard::errors::Error::RequestTimeoutError).kind, ErrorKind::Timeout);
    let pools = bollard::errors::Error::DockerResponseServerError {
        status_code: 500,
        message: "could not find an available, non-overlapping IPv4 address pool among the defaults".to_owned(),
    };
    let error = error::classify("create network", "x", &pools);
    assert!(error.kind == ErrorKind::Other && error.message.contains("default-address-pools"), "{error}");
}

#[test]
fn commands_wake_nobody_and_their_words_go_no_further() {
    let stack = "shop".parse().expect("a name");
    let event = |action: &str| {
        let attributes = HashMap::from([(labels::STACK.to_owned(), "shop".to_owned())]);
        let actor = EventActor { id: Some("abc".to_owned()), attributes: Some(attributes) };
        let (typ, action) = (Some(EventMessageTypeEnum::CONTAINER), Some(action.to_owned()));
        events::translate(&stack, &EventMessage { typ, action, actor: Some(actor), ..Default::default() })
    };
    // The first as Docker tells it, the others as Podman.
    for action in ["exec_start: psql secret", "exec", "exec_died"] {
        assert_eq!(event(action), None, "{action}");
    }
    assert!(event("die").is_some_and(|event| event.ours));
}

#[test]
fn a_failed_build_is_told_by_its_failing_step_on_one_line() {
    // What buildx 0.13 with the BuildKit of engine 20.10 ends with.
    let said = "#6 [base 2/2] COPY . /context/\n#6 CACHED\n\n#7 [unwanted 1/1] RUN [\"/tiny\", \"exit\", \"9\"]\n\
                #7 ERROR: executor failed running [/tiny exit 9]: exit code: 9\n------\n > [unwanted 1/1] RUN [\"/tiny\", \
                \"exit\", \"9\"]:\nconnection refused\n------\nERROR: failed to solve: executor failed running [/tiny exit 9]: exit code: 9";
    let told = buildx::complaint(said.lines().map(str::to_owned));
    expect_test::expect![[r#"> [unwanted 1/1] RUN ["/tiny", "exit", "9"]: / connection refused / ERROR: failed to solve: executor failed running [/tiny exit 9]: exit code: 9"#]].assert_eq(&told);
    let error = build::failed(EngineError::new("build image", "x", ErrorKind::Other, told));
    assert_eq!(error.kind, ErrorKind::Other, "a command of the build was refused, not the registry");
    assert_eq!(buildx::complaint(["no such builder".to_owned(), String::new()]), "no such builder");
}

#[test]
fn stages_of_a_dockerfile_begin_from_images() {
    let text = "ARG V=1\nFROM --platform=linux/amd64 registry:5000/base:1 AS one\nfrom scratch\nFROM app:$V\nRUN FROM\n";
    assert_eq!(build::bases(text).collect::<Vec<_>>(), ["registry:5000/base:1"]);
}

#[test]
fn a_line_that_the_engine_cut_is_joined() {
    let frame = |text: &str| LogOutput::StdOut { message: text.to_owned().into() };
    let mut lines = Lines::new(None);
    assert_eq!(lines.take(frame("2024-01-01T00:00:00.5Z one")), None);
    let error = LogOutput::StdErr { message: "2024-01-01T00:00:00.6Z other\r\n".into() };
    assert_eq!(lines.take(error).map(|line| (line.stderr, line.line)), Some((true, "other".to_owned())));
    let joined = lines.take(frame("2024-01-01T00:00:00.7Z  two\n")).unwrap();
    assert_eq!((joined.line.as_str(), joined.at), ("one two", "2024-01-01T00:00:00.5Z".parse().ok()));
    assert_eq!(lines.take(frame("2024-01-01T00:00:00.5Z end")), None);
    assert_eq!(lines.rest().map(|line| line.line).collect::<Vec<_>>(), ["end"]);
}

#[test]
fn a_port_that_is_taken_is_named_first() {
    for (said, address) in [
        (
            "driver failed programming external connectivity on endpoint web (82ce96): Error starting userland proxy: \
             listen tcp4 127.0.0.1:18472: bind: address already in use",
            "127.0.0.1:18472",
        ),
        (
            "driver failed programming external connectivity on endpoint web (ee6d27): Bind for 0.0.0.0:80 failed: port is \
             already allocated",
            "0.0.0.0:80",
        ),
    ] {
        let error = bollard::errors::Error::DockerResponseServerError { status_code: 500, message: said.to_owned() };
        let told = error::classify("start container", "c1", &error);
        assert_eq!(told.kind, ErrorKind::PortInUse);
        assert!(told.to_string().ends_with(&format!(": {address} is taken")), "{told}");
        assert_eq!(error::taken_address(&told), address.parse().ok());
    }
}

#[test]
fn what_was_started_since_it_was_listed_has_its_ports() {
    use bollard::models::{ContainerInspectResponse, ContainerSummary};
    let listed = |state: &str, ports: &str| {
        let text = format!(r#"{{"Id": "c1", "State": "{state}", "Ports": [{ports}]}}"#);
        observe::of_summary(&serde_json::from_str::<ContainerSummary>(&text).expect("a container of a list"))
    };
    let looked_at = |state: &str, ports: &str| {
        let text = format!(r#"{{"State": {{"Status": "{state}"}}, "NetworkSettings": {{"Ports": {{{ports}}}}}}}"#);
        observe::detail(&serde_json::from_str::<ContainerInspectResponse>(&text).expect("an inspect"), "c1:1".to_owned())
    };
    let told = r#"{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}"#;
    let bound = r#""80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "5353"}], "99/tcp": null"#;
    let ports = |listed, detail| {
        observe::with_detail(listed, detail).published.iter().map(|seen| (seen.host, seen.container)).collect::<Vec<_>>()
    };
    assert_eq!(ports(listed("running", told), looked_at("running", "")), [(8080, 80)]);
    assert_eq!(ports(listed("created", ""), looked_at("running", bound)), [(5353, 53), (8080, 80)]);
    assert_eq!(ports(listed("running", told), looked_at("exited", bound)), []);
}
