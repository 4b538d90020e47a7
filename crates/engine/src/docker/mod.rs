//! The Docker engine behind [`Engine`](crate::Engine). Everything that knows bollard is below this module.

use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;

use crate::error::Result;

mod subnet;

pub use subnet::Subnet;

/// How to reach the engine, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// `--docker-host`: before the environment and contexts.
    pub host: Option<String>,
    /// Value of the label `io.canaryd.instance`: containers of others are never touched.
    pub instance: String,
    /// Where what must outlive the process is kept (`networks.json`: subnets and the next free address).
    pub state_dir: PathBuf,
    /// For one call, streams, pulls and stops excepted; 10 s is right.
    pub call_timeout: Duration,
    /// Ranges that a network's /24 is taken from, in order of preference.
    pub subnets: Vec<Subnet>,
}

impl DockerOptions {
    /// Defaults for this instance.
    #[must_use]
    pub fn new(instance: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            host: None,
            instance: instance.into(),
            state_dir: state_dir.into(),
            call_timeout: Duration::from_secs(10),
            subnets: Subnet::usual_pools(),
        }
    }
}

/// A local Docker engine.
pub struct DockerEngine {
    docker: Docker,
    options: DockerOptions,
}

impl DockerEngine {
    /// Connects to the engine that [`local_endpoint`](crate::local_endpoint) names and agrees on an API version.
    ///
    /// # Errors
    /// Says what to do: start Docker, join the group docker, choose a local endpoint.
    pub async fn connect(options: DockerOptions) -> Result<Self> {
        let _ = options;
        std::future::ready(()).await;
        unimplemented!("under construction")
    }
}
