//! Credentials of registries, as the Docker configuration keeps them: in the file, or with a
//! helper program. Never logged, never on a command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::connect::Surroundings;
use super::reference::server;

/// How long a helper may take.
const HELPER: Duration = Duration::from_secs(20);

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers", default)]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore", default)]
    store: String,
}

#[derive(Default, Clone, Deserialize)]
struct Auth {
    #[serde(rename = "auth", default)]
    encoded: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(rename = "identitytoken", default)]
    identity_token: String,
}

#[derive(Deserialize)]
struct Helped {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// The credentials of a registry; `None` where none are kept. The error says why they can't be
/// had, without them.
pub(super) async fn of_registry(surroundings: &Surroundings, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let Some(directory) = &surroundings.docker_config else { return Ok(None) };
    let config = read(&directory.join("config.json"))?;
    let server = server(registry);
    let helper = config.helpers.get(registry).or_else(|| config.helpers.get(server)).unwrap_or(&config.store);
    if !helper.is_empty()
        && let Some(helped) = ask(surroundings, helper, server).await?
    {
        return Ok(Some(of_helper(server, helped)));
    }
    let found = config.auths.iter().find(|(name, _)| host(name) == host(server));
    Ok(found.and_then(|(_, auth)| of_file(server, auth)))
}

fn read(path: &Path) -> Result<Config, String> {
    match std::fs::read_to_string(path) {
        // What serde says of a syntax error quotes no value.
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{} can't be read: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
    }
}

/// Keys of `auths` are written with and without a scheme and path.
fn host(name: &str) -> &str {
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    name.split('/').next().unwrap_or(name)
}

fn of_file(server: &str, auth: &Auth) -> Option<DockerCredentials> {
    let decoded = STANDARD.decode(auth.encoded.trim_end_matches('\0')).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let (username, password) = pair.unwrap_or((&auth.username, &auth.password));
    let password = password.trim_end_matches('\0');
    if username.is_empty() && auth.identity_token.is_empty() {
        return None;
    }
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Some(DockerCredentials {
        username: some(username),
        password: some(password),
        identitytoken: some(&auth.identity_token),
        serveraddress: Some(server.to_owned()),
        ..Default::default()
    })
}

fn of_helper(server: &str, helped: Helped) -> DockerCredentials {
    let serveraddress = Some(server.to_owned());
    if helped.username == "<token>" {
        return DockerCredentials { identitytoken: Some(helped.secret), serveraddress, ..Default::default() };
    }
    DockerCredentials { username: Some(helped.username), password: Some(helped.secret), serveraddress, ..Default::default() }
}

/// Asks a helper; `None` where it knows none.
async fn ask(surroundings: &Surroundings, helper: &str, server: &str) -> Result<Option<Helped>, String> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        return Err(format!("{program} is no name of a helper"));
    }
    let asked = tokio::time::timeout(HELPER, run(surroundings, &program, server)).await;
    let output = asked.map_err(|_| format!("{program} did not answer within {} s", HELPER.as_secs()))?;
    let output = output.map_err(|error| format!("{program} can't be run: {error}"))?;
    if output.status.success() {
        return serde_json::from_slice(&output.stdout).map(Some).map_err(|_| format!("{program} gave no credentials"));
    }
    let said = String::from_utf8_lossy(&output.stdout).to_lowercase();
    if said.contains("credentials not found") { Ok(None) } else { Err(format!("{program} failed ({})", output.status)) }
}

async fn run(surroundings: &Surroundings, program: &str, server: &str) -> std::io::Result<std::process::Output> {
    let mut command = Command::new(program);
    if let Some(path) = &surroundings.path {
        command.env("PATH", path);
    }
    let mut child =
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says so by its answer.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    child.wait_with_output().await
}
