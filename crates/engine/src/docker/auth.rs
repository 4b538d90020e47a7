//! Credentials for a registry, from the user's Docker configuration, read anew for each pull: tokens of cloud registries live for hours.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

/// How Docker's configuration names Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// A helper that asks for a password on a terminal would wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Auth {
    #[serde(rename = "auth")]
    encoded: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FromHelper {
    username: String,
    secret: String,
}

/// What was found for a registry.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) credentials: Option<DockerCredentials>,
    /// Why there are none although some are configured.
    pub(super) trouble: Option<String>,
}

/// The registry that a reference names: `ghcr.io`, `localhost:5000`, `docker.io`.
pub(super) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        Some(_) | None => "docker.io",
    }
}

/// Credentials for the registry out of `config.json` in that directory. A helper that fails is no error: public images need no login.
pub(super) async fn find(config_dir: Option<&Path>, registry: &str) -> Found {
    let Some(Ok(text)) = config_dir.map(|dir| std::fs::read(dir.join("config.json"))) else { return Found::default() };
    let config: Config = match serde_json::from_slice(&text) {
        Ok(config) => config,
        Err(error) => {
            return Found { credentials: None, trouble: Some(format!("Docker's config.json cannot be read: {error}")) };
        }
    };
    let key = if registry == "docker.io" { HUB_KEY } else { registry };
    let helper =
        config.cred_helpers.get(key).or_else(|| config.cred_helpers.get(registry)).or(config.creds_store.as_ref());
    if let Some(helper) = helper {
        match ask_helper(helper, key).await {
            Ok(Some(credentials)) => return Found { credentials: Some(credentials), trouble: None },
            Ok(None) => {}
            Err(trouble) => return Found { credentials: stored(&config, key), trouble: Some(trouble) },
        }
    }
    Found { credentials: stored(&config, key), trouble: None }
}

fn stored(config: &Config, key: &str) -> Option<DockerCredentials> {
    let plain = |text: &str| {
        let text = text.trim_start_matches("https://").trim_start_matches("http://");
        text.split('/').next().unwrap_or(text).to_owned()
    };
    let exact = config.auths.get(key);
    let auth =
        exact.or_else(|| config.auths.iter().find(|(name, _)| plain(name) == plain(key)).map(|(_, auth)| auth))?;
    let (username, password) = auth
        .encoded
        .as_deref()
        .and_then(decode)
        .map_or((auth.username.clone(), auth.password.clone()), |(u, p)| (Some(u), Some(p)));
    let token = auth.identitytoken.clone().filter(|t| !t.is_empty());
    (username.is_some() || token.is_some()).then(|| DockerCredentials {
        username,
        password: if token.is_some() { None } else { password },
        identitytoken: token,
        serveraddress: Some(key.to_owned()),
        ..DockerCredentials::default()
    })
}

/// `user:password` in base64; some tools pad with zero bytes.
fn decode(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.is_empty()).then(|| (user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Runs `docker-credential-<helper> get` with the registry on stdin. `Ok(None)`: it has none.
async fn ask_helper(helper: &str, key: &str) -> Result<Option<DockerCredentials>, String> {
    let safe = !helper.is_empty() && helper.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !safe {
        return Err(format!("{helper:?} is no name of a credential helper"));
    }
    let program = format!("docker-credential-{helper}");
    let answer = tokio::time::timeout(PATIENCE, run(&program, key)).await;
    let (success, output) = answer
        .map_err(|_| format!("{program} did not answer within {PATIENCE:?}"))?
        .map_err(|e| format!("{program}: {e}"))?;
    if !success {
        let text = String::from_utf8_lossy(&output).trim().to_owned();
        return if text.contains("credentials not found") { Ok(None) } else { Err(format!("{program}: {text}")) };
    }
    let found: FromHelper =
        serde_json::from_slice(&output).map_err(|_| format!("{program} gave no readable answer"))?;
    Ok(Some(from_helper(found, key)))
}

async fn run(program: &str, key: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = tokio::process::Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(key.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    Ok((output.status.success(), output.stdout))
}

/// The user name `<token>` marks an identity token.
fn from_helper(found: FromHelper, key: &str) -> DockerCredentials {
    let token = found.username == "<token>";
    DockerCredentials {
        username: (!token).then_some(found.username),
        password: (!token).then(|| found.secret.clone()),
        identitytoken: token.then_some(found.secret),
        serveraddress: Some(key.to_owned()),
        ..DockerCredentials::default()
    }
}

/// Docker reads this header as URL-safe base64 and silently pulls without credentials where it cannot; bollard writes the
/// standard alphabet (fussybeaver/bollard#169, moby/moby#33434).
pub(super) fn url_safe(header: &str) -> String {
    header.replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        dir
    }

    #[test]
    fn a_reference_names_its_registry() {
        for (reference, host) in [
            ("shop", "docker.io"),
            ("me/shop:v1", "docker.io"),
            ("ghcr.io/me/shop:v1", "ghcr.io"),
            ("localhost/shop", "localhost"),
            ("10.0.0.1:5000/shop@sha256:ab", "10.0.0.1:5000"),
        ] {
            assert_eq!(registry(reference), host, "{reference}");
        }
    }

    #[tokio::test]
    async fn stored_credentials_are_found_under_every_spelling_of_the_registry() {
        let auth = STANDARD.encode("me:p?>~secret");
        let dir = config(&format!(
            r#"{{"auths":{{"{HUB_KEY}":{{"auth":"{auth}"}},"https://ghcr.io/v1/":{{"auth":"{auth}"}},"quay.io":{{"identitytoken":"T"}},"empty.io":{{}}}}}}"#
        ));
        for host in ["docker.io", "ghcr.io"] {
            let found = find(Some(dir.path()), host).await.credentials.unwrap();
            assert_eq!(
                (found.username.as_deref(), found.password.as_deref()),
                (Some("me"), Some("p?>~secret")),
                "{host}"
            );
        }
        assert_eq!(find(Some(dir.path()), "quay.io").await.credentials.unwrap().identitytoken.as_deref(), Some("T"));
        for host in ["empty.io", "other.io", "my-ghcr.io"] {
            assert_eq!(find(Some(dir.path()), host).await, Found::default(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_or_strange_is_said_and_not_fatal() {
        let dir = config(r#"{"credsStore":"canaryd-test-none","credHelpers":{"evil.io":"../../bin/sh"}}"#);
        let found = find(Some(dir.path()), "ghcr.io").await;
        assert!(found.credentials.is_none() && found.trouble.unwrap().contains("docker-credential-canaryd-test-none"));
        assert!(find(Some(dir.path()), "evil.io").await.trouble.unwrap().contains("no name"));
        assert_eq!(find(None, "ghcr.io").await, Found::default());
    }

    #[test]
    fn a_helpers_token_is_an_identity_token() {
        let found = from_helper(FromHelper { username: "<token>".into(), secret: "S".into() }, "r.io");
        assert_eq!((found.username, found.password, found.identitytoken.as_deref()), (None, None, Some("S")));
    }

    #[test]
    fn the_header_is_in_the_alphabet_that_docker_reads() {
        let header = STANDARD.encode(r#"{"password":"p?>~secret~~~"}"#);
        assert!(header.contains(['+', '/']), "the sample must show the difference");
        let decoded = base64::engine::general_purpose::URL_SAFE.decode(url_safe(&header)).unwrap();
        assert!(String::from_utf8(decoded).unwrap().contains("p?>~secret~~~"));
    }
}
