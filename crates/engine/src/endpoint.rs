//! Which Docker engine is meant: `--docker-host`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context, the default
//! socket, in this order, as Docker's own command line does. Only engines of this machine are accepted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{EngineError, Result};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// A Docker engine of this machine, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: EndpointAddress,
    /// Where that was configured: `--docker-host`, `DOCKER_HOST`, `context desktop-linux` …
    pub from: String,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain TCP on the loopback interface.
    Tcp(SocketAddr),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// The engine that this process's environment names, `host` (`--docker-host`) before everything else.
///
/// # Errors
/// [`EngineError::NotLocal`] names an endpoint on another machine and where it was configured;
/// [`EngineError::BadEndpoint`] says why one cannot be used.
pub fn local_endpoint(host: Option<&str>) -> Result<Endpoint> {
    Surroundings::of_this_process().endpoint(host)
}

/// What decides about the endpoint besides the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) docker_host: Option<String>,
    pub(crate) docker_context: Option<String>,
    pub(crate) docker_tls_verify: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub(crate) config_dir: Option<PathBuf>,
}

impl Surroundings {
    pub(crate) fn of_this_process() -> Self {
        let var = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
        let home = || var("HOME").map(|h| Path::new(&h).join(".docker"));
        Self {
            docker_host: var("DOCKER_HOST"),
            docker_context: var("DOCKER_CONTEXT"),
            docker_tls_verify: var("DOCKER_TLS_VERIFY"),
            config_dir: var("DOCKER_CONFIG").map(PathBuf::from).or_else(home),
        }
    }

    pub(crate) fn endpoint(&self, host: Option<&str>) -> Result<Endpoint> {
        let (url, from) = match (host, &self.docker_host) {
            (Some(host), _) => (host.to_owned(), "--docker-host".to_owned()),
            (None, Some(host)) => (host.clone(), "DOCKER_HOST".to_owned()),
            (None, None) => match self.context()? {
                Some(name) => (self.host_of_context(&name)?, format!("context {name}")),
                None => (format!("unix://{DEFAULT_SOCKET}"), "the default".to_owned()),
            },
        };
        let address = parse(&url, &from)?;
        if matches!(address, EndpointAddress::Tcp(_)) && self.docker_tls_verify.is_some() {
            return Err(bad(
                &from,
                format!(
                    "{url} is to be used with TLS (DOCKER_TLS_VERIFY): use the Unix socket of this machine instead"
                ),
            ));
        }
        Ok(Endpoint { address, from })
    }

    /// The context in use; `None` for Docker's built-in `default`.
    fn context(&self) -> Result<Option<String>> {
        let named = match (&self.docker_context, &self.config_dir) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(dir)) => current_context(&dir.join("config.json"))?,
            (None, None) => None,
        };
        Ok(named.filter(|name| name != "default"))
    }

    /// Contexts live in `contexts/meta/<sha256 of the name>/meta.json`; the file names its context, so we look for that.
    fn host_of_context(&self, name: &str) -> Result<String> {
        let from = format!("context {name}");
        let missing = || bad(&from, "there is no such context (`docker context ls` lists them)".to_owned());
        let meta = self.config_dir.as_ref().ok_or_else(missing)?.join("contexts/meta");
        let folders = std::fs::read_dir(meta).map_err(|_| missing())?;
        folders
            .flatten()
            .filter_map(|folder| std::fs::read(folder.path().join("meta.json")).ok())
            .filter_map(|text| serde_json::from_slice::<ContextMeta>(&text).ok())
            .find(|meta| meta.name == name)
            .and_then(|meta| meta.endpoints.docker.host)
            .ok_or_else(missing)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    name: String,
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextHost,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextHost {
    host: Option<String>,
}

fn current_context(config: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        current_context: Option<String>,
    }
    let text = match std::fs::read(config) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(&config.display().to_string(), error.to_string())),
    };
    let config: Config =
        serde_json::from_slice(&text).map_err(|e| bad(&config.display().to_string(), e.to_string()))?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

fn parse(url: &str, from: &str) -> Result<EndpointAddress> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.starts_with('/') {
            Ok(EndpointAddress::Unix(url.into()))
        } else {
            Err(bad(from, format!("{url:?} is neither unix:///path nor tcp://127.0.0.1:port")))
        };
    };
    match scheme {
        "unix" if rest.starts_with('/') => Ok(EndpointAddress::Unix(rest.into())),
        "tcp" | "http" => parse_tcp(url, rest.trim_end_matches('/'), from),
        "ssh" | "https" => Err(EngineError::NotLocal { endpoint: url.to_owned(), from: from.to_owned() }),
        _ => Err(bad(from, format!("{url:?} is neither unix:///path nor tcp://127.0.0.1:port"))),
    }
}

/// Names are not resolved, except `localhost`: what a name means may change.
fn parse_tcp(url: &str, rest: &str, from: &str) -> Result<EndpointAddress> {
    let not_local = || EngineError::NotLocal { endpoint: url.to_owned(), from: from.to_owned() };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| bad(from, format!("{port:?} in {url} is no port")))?)
        }
        Some(_) | None => (rest, 2375),
    };
    let ip = match host.trim_matches(['[', ']']) {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        text => text.parse().map_err(|_| not_local())?,
    };
    if ip.is_loopback() { Ok(EndpointAddress::Tcp(SocketAddr::new(ip, port))) } else { Err(not_local()) }
}

fn bad(from: &str, why: String) -> EngineError {
    EngineError::BadEndpoint { from: from.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(current: Option<&str>, contexts: &[(&str, &str)]) -> (tempfile::TempDir, Surroundings) {
        let dir = tempfile::tempdir().unwrap();
        if let Some(name) = current {
            std::fs::write(dir.path().join("config.json"), format!("{{\"currentContext\":{name:?},\"auths\":{{}}}}"))
                .unwrap();
        }
        for (name, host) in contexts {
            let folder = dir.path().join("contexts/meta").join(format!("hash-of-{name}"));
            std::fs::create_dir_all(&folder).unwrap();
            let meta = format!(
                "{{\"Name\":{name:?},\"Metadata\":{{}},\"Endpoints\":{{\"docker\":{{\"Host\":{host:?},\"SkipTLSVerify\":false}}}}}}"
            );
            std::fs::write(folder.join("meta.json"), meta).unwrap();
        }
        let surroundings = Surroundings { config_dir: Some(dir.path().to_owned()), ..Surroundings::default() };
        (dir, surroundings)
    }

    #[test]
    fn without_any_configuration_it_is_the_default_socket() {
        let endpoint = Surroundings::default().endpoint(None).unwrap();
        assert_eq!(endpoint.address.to_string(), "unix:///var/run/docker.sock");
    }

    #[test]
    fn the_command_line_wins_over_docker_host_and_that_over_contexts() {
        let (_dir, mut around) = config(Some("desktop"), &[("desktop", "unix:///home/me/.docker/desktop/docker.sock")]);
        let from = |s: &Surroundings, host: Option<&str>| s.endpoint(host).unwrap().address.to_string();
        assert_eq!(from(&around, None), "unix:///home/me/.docker/desktop/docker.sock");
        around.docker_context = Some("default".into());
        assert_eq!(from(&around, None), "unix:///var/run/docker.sock");
        around.docker_host = Some("tcp://localhost:2375".into());
        assert_eq!(from(&around, None), "tcp://127.0.0.1:2375");
        assert_eq!(from(&around, Some("/run/user/1000/docker.sock")), "unix:///run/user/1000/docker.sock");
    }

    #[test]
    fn an_engine_of_another_machine_is_refused_by_name() {
        let (_dir, around) = config(Some("prod"), &[("prod", "ssh://ops@prod.example")]);
        let error = around.endpoint(None).unwrap_err();
        assert_eq!(
            error,
            EngineError::NotLocal { endpoint: "ssh://ops@prod.example".into(), from: "context prod".into() }
        );
        assert!(error.is_final());
        for remote in ["tcp://10.0.0.7:2375", "tcp://prod:2375", "https://127.0.0.1:2376", "tcp://[2001:db8::1]:2375"] {
            assert!(matches!(around.endpoint(Some(remote)), Err(EngineError::NotLocal { .. })), "{remote}");
        }
        assert!(around.endpoint(Some("tcp://[::1]:2375")).is_ok());
    }

    #[test]
    fn a_context_that_does_not_exist_and_a_broken_file_say_so() {
        let (dir, around) = config(Some("lost"), &[]);
        assert!(around.endpoint(None).unwrap_err().to_string().contains("docker context ls"));
        std::fs::write(dir.path().join("config.json"), "{").unwrap();
        assert!(matches!(around.endpoint(None), Err(EngineError::BadEndpoint { .. })));
        for strange in ["npipe:////./pipe/docker", "docker", "unix://relative", "tcp://127.0.0.1:x"] {
            assert!(matches!(around.endpoint(Some(strange)), Err(EngineError::BadEndpoint { .. })), "{strange}");
        }
    }
}
