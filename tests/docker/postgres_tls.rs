//! TLS to a real Postgres that is not ours, with certificates made here.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use witwd::engine::Engine;
use witwd::engine::answer::Reach;
use witwd::engine::request::FileToPut;
use witwd::host::SystemClock;
use witwd::model::name::ContainerId;
use witwd::postgres::Access;
use witwd::postgres::readiness::{Answer, ask};

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::{SOON, TestEngine, docker, eventually};

/// The name that the server's certificate is for.
const NAME: &str = "db.test";
/// Where its certificate and key lie.
const PLACE: &str = "/tls";
/// Only who speaks TLS is let in over TCP.
const ONLY_TLS: &str = "local all all trust\nhostssl all all all scram-sha-256\n";

/// Who signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that somebody else runs, as far as witwd knows.
struct Elsewhere {
    test: TestEngine,
    container: ContainerId,
    address: std::net::SocketAddr,
}

impl Elsewhere {
    /// One without TLS; `certificate` with its key lies there for later.
    async fn start(name: &str, certificate: &str, key: &KeyPair) -> Self {
        image().await;
        let test = TestEngine::new(name).await;
        test.engine.create_network(&test.network()).await.unwrap();
        let mut request = test.container("server", &["postgres", "-c", "fsync=off"]);
        IMAGE.clone_into(&mut request.image);
        request.network = Some(test.stack.network());
        request.env.insert("POSTGRES_PASSWORD".to_owned(), "geheim".to_owned());
        let container = test.engine.create(&request).await.unwrap();
        let server = Self { address: ([127, 0, 0, 1], 1).into(), test, container };
        server.put(certificate, &key.serialize_pem()).await;
        server.test.engine.start(&server.container).await.unwrap();
        let (Reach::Direct(address) | Reach::Published(address)) =
            server.test.engine.reach(&server.container, 5432).await.unwrap();
        let server = Self { address, ..server };
        eventually(SOON * 3, "the server answers", async || {
            matches!(server.ask(NAME, "sslmode=disable").await, Answer::Ready).then_some(())
        })
        .await;
        server
    }

    async fn put(&self, certificate: &str, key: &str) {
        let file = |path: &str, content: &str| FileToPut {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
            uid: 999,
            gid: 999,
            mode: 0o600,
        };
        let place = PLACE.trim_start_matches('/');
        let files = [
            file(&format!("{place}/server.crt"), certificate),
            file(&format!("{place}/server.key"), key),
            file(&format!("{place}/pg_hba.conf"), ONLY_TLS),
        ];
        self.test.engine.put_files(&self.container, "/", &files).await.unwrap();
    }

    fn set(&self, settings: &[&str]) {
        let mut words = vec!["exec", "-u", "postgres", &self.container.0, "psql", "-qv", "ON_ERROR_STOP=1"];
        let statements: Vec<String> = settings.iter().map(|setting| format!("ALTER SYSTEM SET {setting}")).collect();
        for statement in statements.iter().map(String::as_str).chain(["SELECT pg_reload_conf()"]) {
            words.extend(["-c", statement]);
        }
        let output = docker(&words);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Lets in only who speaks TLS, and waits until that is so.
    async fn demand_tls(&self) {
        let files = ["ssl_cert_file = '/tls/server.crt'", "ssl_key_file = '/tls/server.key'", "ssl = on"];
        self.set(&[files.as_slice(), &["hba_file = '/tls/pg_hba.conf'"]].concat());
        docker(&["restart", &self.container.0]);
        eventually(SOON, "the server demands TLS", async || {
            let answer = self.ask(NAME, "sslmode=disable").await;
            matches!(answer, Answer::Refused(words) if words.contains("no encryption")).then_some(())
        })
        .await;
    }

    fn url(&self, host: &str, options: &str) -> String {
        let port = self.address.port();
        format!("postgresql://postgres:geheim@{host}:{port}/postgres?hostaddr={}&{options}", self.address.ip())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.test.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    async fn ask(&self, host: &str, options: &str) -> Answer {
        let access = Access {
            url: Some(self.url(host, options).into()),
            database: "postgres".parse().unwrap(),
            user: "postgres".parse().unwrap(),
            password: None,
            directory: self.test.directory.path().to_owned(),
        };
        ask(&access, None, &SystemClock::new(), Duration::from_secs(5)).await.unwrap()
    }

    /// Asks and expects no entry for a reason that only a person can mend.
    async fn unfit(&self, host: &str, options: &str, words: &str) {
        let answer = self.ask(host, options).await;
        let expected = matches!(&answer, Answer::Unfit(said) if said.contains(words) && !said.contains("geheim"));
        assert!(expected, "{host} {options}: {answer:?}");
    }

    async fn ready(&self, host: &str, options: &str) {
        assert_eq!(self.ask(host, options).await, Answer::Ready, "{host} {options}");
    }
}

#[tokio::test]
async fn an_external_server_is_checked_as_its_address_says() {
    let (authority, other, key) = (authority(), authority(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let server = Elsewhere::start("pg-tls", &certificate.pem(), &key).await;
    server.file("ca.pem", &authority.pem());
    server.file("other.pem", &other.pem());
    server.file("empty.pem", "");

    server.ready(NAME, "sslmode=prefer").await;
    server.unfit(NAME, "sslmode=require", "the server does not speak TLS, and its url says sslmode=require").await;

    server.demand_tls().await;
    for (host, options) in [
        (NAME, "application_name=default"),
        (NAME, "sslmode=prefer"),
        (NAME, "sslmode=require"),
        (NAME, "sslmode=require&channel_binding=require"),
        ("else.test", "sslmode=require&sslrootcert=ca.pem"),
        ("else.test", "sslmode=verify-ca&sslrootcert=ca.pem"),
        (NAME, "sslmode=verify-full&sslrootcert=ca.pem"),
    ] {
        server.ready(host, options).await;
    }
    for (host, options, words) in [
        ("else.test", "sslmode=verify-full&sslrootcert=ca.pem", "its certificate is not for else.test but for"),
        (NAME, "sslmode=verify-full&sslrootcert=other.pem", "its certificate is not signed by one in sslrootcert other.pem"),
        (NAME, "sslmode=verify-ca&sslrootcert=other.pem", "its certificate is not signed by one in sslrootcert other.pem"),
        (NAME, "sslmode=require&sslrootcert=other.pem", "its certificate is not signed by one in sslrootcert other.pem"),
        (NAME, "sslmode=verify-full", "this machine trusts"),
        (NAME, "sslmode=require&sslrootcert=gone.pem", "gone.pem: No such file"),
        (NAME, "sslmode=require&sslrootcert=empty.pem", "empty.pem: no certificate is in it"),
    ] {
        server.unfit(host, options, words).await;
    }
    // Who only prefers TLS goes on without it, and is told what the server says to that.
    let plain = server.ask(NAME, "sslmode=prefer&sslrootcert=other.pem").await;
    assert!(matches!(&plain, Answer::Refused(words) if words.contains("no encryption")), "{plain:?}");
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_trusted_by_whoever_names_it() {
    let itself = CertifiedIssuer::self_signed(
        {
            let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        },
        KeyPair::generate().unwrap(),
    )
    .unwrap();
    let server = Elsewhere::start("pg-tls-self", &itself.pem(), itself.key()).await;
    server.file("itself.pem", &itself.pem());
    server.file("other.pem", &authority().pem());
    server.demand_tls().await;
    server.ready(NAME, "sslmode=verify-full&sslrootcert=itself.pem").await;
    server.unfit("else.test", "sslmode=verify-full&sslrootcert=itself.pem", "its certificate is not for else.test").await;
    server.unfit(NAME, "sslmode=verify-ca&sslrootcert=other.pem", "its url says sslmode=verify-ca").await;
    server.ready(NAME, "sslmode=require").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_does_not_wait_for_a_server_that_can_never_fit() {
    let (authority, key) = (authority(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let server = Elsewhere::start("pg-tls-up", &certificate.pem(), &key).await;
    let url = server.url(NAME, "sslmode=verify-full&sslrootcert=ca.pem");
    let file = format!(
        "name = \"NAME\"\n[postgres.db]\nurl = \"{url}\"\n[services.app]\nimage = \"TINY\"\npull = \"never\"\n\
         command = [\"sleep\"]\ndepends_on = [\"db\"]\n"
    );
    let stack = TestStack::new("tls-up", &file).await;
    std::fs::write(stack.path().join("ca.pem"), authority.pem()).unwrap();
    let output = stack.run(&["up", "-d", "--timeout", "90s"]);
    let complaint = text(&output.stderr);
    // Not 5: the time that -d may take was not used up.
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("the server does not speak TLS, and its url says sslmode=verify-full"), "{complaint}");
    assert_eq!(stack.item("db")["state"], "needs_operator");

    server.demand_tls().await;
    stack.done(&["up", "-d", "--timeout", "60s"]);
    assert_eq!(stack.item("db")["state"], "running");
}
