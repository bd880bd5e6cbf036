//! What containers, networks and volumes are made like, seen by `docker inspect`, by the file system
//! and by a connection.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use witwd::engine::answer::Reach;
use witwd::engine::request::{Exec, FileToPut, MountFrom, MountRequest};
use witwd::engine::{Engine, ErrorKind};
use witwd::model::container::{LogBounds, Protocol, PublishedPort};
use witwd::model::observed::ContainerState;

use crate::support::{SOON, TestEngine, eventually, inspect, kind, words};

#[tokio::test]
async fn a_container_is_made_with_what_was_asked_for() {
    let test = TestEngine::new("options").await;
    test.engine.create_network(&test.network()).await.unwrap();
    let mut request = test.container("web", &["serve", "--port", "80"]);
    request.network = Some(test.stack.network());
    request.aliases = vec!["web".to_owned()];
    request.env.insert("COLOUR".to_owned(), "blue=green".to_owned());
    request.ports =
        vec![PublishedPort { address: "127.0.0.1".parse().unwrap(), host: None, container: 80, protocol: Protocol::Tcp }];
    request.tmpfs = vec!["/scratch:size=1m".to_owned()];
    request.ulimits.insert("nofile".to_owned(), (100, 200));
    request.milli_cpus = Some(500);
    request.logs = Some(LogBounds { max_size: 1 << 20, max_files: 3 });
    request.stop_signal = Some("SIGINT".to_owned());
    request.stop_grace = Duration::from_millis(2500);
    request.hardening.cap_drop = vec!["ALL".to_owned()];
    request.hardening.cap_add = vec!["NET_BIND_SERVICE".to_owned()];
    request.hardening.read_only = true;
    request.hardening.pids = 77;
    request.hardening.no_new_privileges = false;
    request.user = Some("1000:1001".to_owned());
    request.workdir = Some("/work".to_owned());
    request.shm_size = Some(3 << 20);
    request.memory = Some(64 << 20);
    request.extra_hosts = vec!["printer:10.0.0.5".to_owned()];
    request.labels.insert("team".to_owned(), "blue".to_owned());
    request.entrypoint = Some(words(&["/tiny"]));
    let id = test.engine.create(&request).await.unwrap();

    let inspected = inspect(&id.0);
    let host = &inspected["HostConfig"];
    assert_eq!(host["PortBindings"]["80/tcp"][0]["HostIp"], "127.0.0.1");
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert_eq!(host["LogConfig"]["Type"], "local");
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "1048576");
    assert_eq!(host["LogConfig"]["Config"]["max-file"], "3");
    assert_eq!(host["Init"], true);
    assert!(host["SecurityOpt"].as_array().is_none_or(Vec::is_empty), "{}", host["SecurityOpt"]);
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["ShmSize"], 3 << 20);
    assert_eq!(host["Memory"], 64 << 20);
    assert_eq!(host["CapDrop"][0], "ALL");
    assert_eq!(host["CapAdd"][0], "NET_BIND_SERVICE");
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["PidsLimit"], 77);
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!(host["Tmpfs"]["/scratch"], "size=1m");
    assert_eq!(host["Ulimits"][0]["Hard"], 200);
    assert_eq!(host["ExtraHosts"], serde_json::json!(["printer:10.0.0.5", "host.docker.internal:host-gateway"]));
    assert_eq!(host["NetworkMode"], test.stack.as_str());
    assert_eq!(inspected["Config"]["StopSignal"], "SIGINT");
    assert_eq!(inspected["Config"]["StopTimeout"], 3);
    assert_eq!(inspected["Config"]["Env"][0], "COLOUR=blue=green");
    assert_eq!(inspected["Config"]["Hostname"], "web");
    assert_eq!(inspected["Config"]["User"], "1000:1001");
    assert_eq!(inspected["Config"]["WorkingDir"], "/work");
    assert_eq!(inspected["Config"]["Labels"]["team"], "blue");
    assert_eq!(inspected["Config"]["Entrypoint"], serde_json::json!(["/tiny"]));
    assert_eq!(inspected["Config"]["Cmd"], serde_json::json!(["serve", "--port", "80"]));
}

#[tokio::test]
async fn a_container_is_kept_from_privileges_unless_it_is_given_all() {
    let test = TestEngine::new("privileges").await;
    let mut request = test.container("web", &["sleep"]);
    let id = test.engine.create(&request).await.unwrap();
    assert_eq!(inspect(&id.0)["HostConfig"]["SecurityOpt"], serde_json::json!(["no-new-privileges:true"]));
    test.engine.remove(&id).await.unwrap();
    request.hardening.privileged = true;
    // Made, not started: who runs the tests may lack what would be given.
    let id = test.engine.create(&request).await.unwrap();
    assert_eq!(inspect(&id.0)["HostConfig"]["Privileged"], true);
}

#[tokio::test]
async fn a_published_port_is_seen_and_the_container_is_reached() {
    let test = TestEngine::new("reach").await;
    test.engine.create_network(&test.network()).await.unwrap();
    let mut request = test.container("web", &["serve", "--port", "80"]);
    request.network = Some(test.stack.network());
    request.ports =
        vec![PublishedPort { address: "127.0.0.1".parse().unwrap(), host: None, container: 80, protocol: Protocol::Tcp }];
    let id = test.engine.create(&request).await.unwrap();
    assert_eq!(kind(test.engine.reach(&id, 80).await), ErrorKind::Conflict, "it does not run yet");
    test.engine.start(&id).await.unwrap();

    let seen = test.seen(&id).await.unwrap();
    assert_eq!(seen.networks.keys().collect::<Vec<_>>(), [&test.stack.network()]);
    let [port] = seen.published.as_slice() else { panic!("{:?}", seen.published) };
    assert_eq!((port.address.to_string().as_str(), port.container), ("127.0.0.1", 80));

    let address = match test.engine.reach(&id, 80).await.unwrap() {
        Reach::Direct(address) | Reach::Published(address) => address,
    };
    let published = std::net::SocketAddr::new(port.address, port.host);
    for address in [address, published] {
        let answer = eventually(SOON, "an answer", async || greet(address).await).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

async fn greet(address: std::net::SocketAddr) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[tokio::test]
async fn a_taken_port_is_told_apart() {
    let test = TestEngine::new("port").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request = test.container("web", &["sleep"]);
    request.network = Some("bridge".to_owned());
    request.aliases = Vec::new();
    request.ports = vec![PublishedPort {
        address: "127.0.0.1".parse().unwrap(),
        host: Some(taken.local_addr().unwrap().port()),
        container: 80,
        protocol: Protocol::Tcp,
    }];
    let id = test.engine.create(&request).await.unwrap();
    assert_eq!(kind(test.engine.start(&id).await), ErrorKind::PortInUse);
    assert_eq!(test.seen(&id).await.unwrap().state, ContainerState::Created);
}

#[tokio::test]
async fn a_network_is_made_once_and_removed_when_nobody_runs_on_it() {
    let test = TestEngine::new("network").await;
    let request = test.network();
    test.engine.create_network(&request).await.unwrap();
    assert_eq!(kind(test.engine.create_network(&request).await), ErrorKind::Conflict);
    let world = test.engine.observe(&test.scope()).await.unwrap();
    let [seen] = world.networks.as_slice() else { panic!("{:?}", world.networks) };
    assert_eq!(seen.owner, Some((test.stack.clone(), test.instance.clone())));
    assert_eq!(inspect(&seen.id)["Options"]["com.docker.network.bridge.host_binding_ipv4"], "127.0.0.1");

    let mut web = test.container("web", &["sleep"]);
    web.network = Some(test.stack.network());
    let web = test.engine.create(&web).await.unwrap();
    test.engine.start(&web).await.unwrap();
    assert_eq!(kind(test.engine.remove_network(&seen.id).await), ErrorKind::InUse);
    test.engine.stop(&web, Duration::from_secs(1)).await.unwrap();
    test.engine.remove_network(&seen.id).await.unwrap();
    test.engine.remove_network(&seen.id).await.expect("removing what is gone is fine");
}

#[tokio::test]
async fn a_volume_is_made_once_kept_and_removed_when_asked() {
    let test = TestEngine::new("volume").await;
    let request = test.volume("data");
    test.engine.create_volume(&request).await.unwrap();
    test.engine.create_volume(&request).await.expect("one of ours is fine");
    let mut foreign = request.clone();
    foreign.instance = witwd::model::name::InstanceId("other".to_owned());
    assert_eq!(kind(test.engine.create_volume(&foreign).await), ErrorKind::Conflict);

    let mut web = test.container("web", &["sleep"]);
    let source = MountFrom::Volume(request.name.clone());
    web.mounts = vec![MountRequest { source, target: "/data".to_owned(), read_only: false }];
    let id = test.engine.create(&web).await.unwrap();
    assert_eq!(kind(test.engine.remove_volume(&request.name).await), ErrorKind::InUse);
    test.engine.remove(&id).await.unwrap();

    let world = test.engine.observe(&test.scope()).await.unwrap();
    assert_eq!(world.volumes.len(), 1, "it outlives its container");
    test.engine.remove_volume(&request.name).await.unwrap();
    test.engine.remove_volume(&request.name).await.expect("removing what is gone is fine");
    assert_eq!(kind(test.engine.create(&web).await), ErrorKind::NotFound, "a missing volume is not made by the way");
}

#[tokio::test]
async fn a_volume_is_made_with_what_was_asked_for() {
    let test = TestEngine::new("volume-options").await;
    let mut request = test.volume("data");
    request.driver = Some("local".to_owned());
    request.options =
        [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    request.labels.insert("team".to_owned(), "blue".to_owned());
    test.engine.create_volume(&request).await.unwrap();
    let made = inspect(&request.name);
    assert_eq!(made["Options"], serde_json::json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m" }));
    assert_eq!((&made["Driver"], &made["Labels"]["team"]), (&"local".into(), &"blue".into()));
}

#[tokio::test]
async fn a_volume_that_the_image_declares_gets_a_name() {
    let test = TestEngine::new("declared").await;
    let image = test.image("VOLUME /var/data").await;
    let mut request = test.container("db", &["sleep"]);
    request.image = image;
    let first = test.engine.create(&request).await.unwrap();
    test.engine.remove(&first).await.unwrap();
    let second = test.engine.create(&request).await.unwrap();
    let mount = inspect(&second.0)["Mounts"][0].clone();
    let name = mount["Name"].as_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("{}_db_", test.stack)) && name.len() == format!("{}_db_", test.stack).len() + 8, "{name}");
    let world = test.engine.observe(&test.scope()).await.unwrap();
    assert_eq!(world.volumes.iter().map(|volume| volume.name.clone()).collect::<Vec<_>>(), [name]);
}

#[tokio::test]
async fn files_are_put_with_owner_and_mode_through_a_bind() {
    let test = TestEngine::new("files").await;
    let directory = test.directory.path().join("secrets");
    std::fs::create_dir(&directory).unwrap();
    let mut request = test.container("web", &["sleep"]);
    let source = MountFrom::Bind(directory.clone());
    request.mounts = vec![MountRequest { source, target: "/run/secrets".to_owned(), read_only: false }];
    let id = test.engine.create(&request).await.unwrap();
    let file = FileToPut { path: "token".to_owned(), content: b"s3cret".to_vec(), uid: 999, gid: 998, mode: 0o400 };
    test.engine.put_files(&id, "/run/secrets", &[file]).await.unwrap();
    let on_host = std::fs::metadata(directory.join("token")).unwrap();
    assert_eq!((on_host.uid(), on_host.gid(), on_host.mode() & 0o7777), (999, 998, 0o400));

    test.engine.start(&id).await.unwrap();
    let run = async |words_of: &[&str]| {
        let exec = Exec { command: words(words_of), ..Exec::default() };
        test.engine.exec(&id, &exec, SOON).await.unwrap()
    };
    assert_eq!(run(&["/tiny", "cat", "/run/secrets/token"]).await.stdout, "s3cret");
}
