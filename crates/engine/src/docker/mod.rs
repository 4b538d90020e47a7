//! The Docker engine behind [`Engine`]. Everything that knows bollard is below this module.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use canaryd_rollout::{RolloutName, SetId};
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::endpoint::{Endpoint, EndpointAddress, local_endpoint};
use crate::engine::{Engine, EngineInfo, Removed};
use crate::error::{EngineError, Result};
use crate::gateway::{GatewayContainer, GatewayPlan, Signal};
use crate::image::Image;
use crate::observation::{EngineEvent, Observation};
use crate::output::{ExecResult, LogLine, LogOptions};
use crate::plan::{OneOff, OneOffPlan, SetPlan};

mod auth;
mod call;
mod checkup;
mod create;
mod events;
mod exits;
#[cfg(test)]
mod fake;
mod gateways;
mod host;
mod images;
mod labels;
mod look;
mod networks;
mod observe;
mod one_off;
mod output;
mod sets;
mod subnet;
#[cfg(test)]
mod tests;

pub use host::memory as host_memory;
pub use subnet::Subnet;

/// Creating, starting and removing may take this many times as long as a question.
const SLOW: u32 = 6;
/// bollard's own timeout would cut long stops; ours are round each call.
const BOLLARD_TIMEOUT_SECONDS: u64 = 24 * 3600;

/// How to reach the engine, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// `--docker-host`: before the environment and contexts.
    pub host: Option<String>,
    /// Value of the label `io.canaryd.instance`: containers of others are never touched.
    pub instance: String,
    /// Where what must outlive the process is kept (`networks.json`: subnets and the next free address).
    pub state_dir: PathBuf,
    /// For one question; creating, starting and removing get six times as long, stops the grace besides.
    pub call_timeout: Duration,
    /// Ranges that a network's /24 is taken from, in order of preference.
    pub subnets: Vec<Subnet>,
}

impl DockerOptions {
    /// Defaults for this instance: 10 s for a call, [`Subnet::usual_pools`].
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

/// A local Docker engine. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct DockerEngine {
    inner: Arc<Inner>,
}

struct Inner {
    docker: Docker,
    endpoint: String,
    /// The socket, where there is one: the engine's process id file lies beside it.
    socket: Option<PathBuf>,
    options: DockerOptions,
    book: Mutex<exits::ExitBook>,
    /// Held while an address is chosen and until its container exists.
    atlas: tokio::sync::Mutex<networks::Atlas>,
    /// What was last known of each container.
    cache: Mutex<HashMap<String, look::Known>>,
    /// Process ids of gateways, so that they can be signalled while the engine does not answer.
    masters: Mutex<HashMap<String, i64>>,
}

impl DockerEngine {
    /// Connects to the engine that [`local_endpoint`] names and agrees on an API version.
    ///
    /// # Errors
    /// Says what to do: start Docker, join the group docker, choose a local endpoint.
    pub async fn connect(options: DockerOptions) -> Result<Self> {
        let endpoint = local_endpoint(options.host.as_deref())?;
        let docker =
            open(&endpoint).map_err(|e| call::explain(&endpoint.address.to_string(), "connecting to Docker", &e))?;
        let socket = match &endpoint.address {
            EndpointAddress::Unix(path) => Some(path.clone()),
            EndpointAddress::Tcp(_) => None,
        };
        Self::over(docker, endpoint.address.to_string(), socket, options).await
    }

    async fn over(docker: Docker, endpoint: String, socket: Option<PathBuf>, options: DockerOptions) -> Result<Self> {
        let docker =
            docker.with_timeout(Duration::from_secs(BOLLARD_TIMEOUT_SECONDS)).with_request_modifier(readable_auth);
        let agreeing = docker.negotiate_version();
        let docker = call::call(&endpoint, options.call_timeout, "agreeing on Docker's API version", agreeing).await?;
        let atlas = networks::Atlas::open(options.state_dir.join("networks.json"));
        let inner = Inner {
            docker,
            endpoint,
            socket,
            options,
            book: Mutex::default(),
            atlas: tokio::sync::Mutex::new(atlas),
            cache: Mutex::default(),
            masters: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

fn open(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    match &endpoint.address {
        EndpointAddress::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), BOLLARD_TIMEOUT_SECONDS, API_DEFAULT_VERSION)
        }
        EndpointAddress::Tcp(address) => {
            Docker::connect_with_http(&format!("http://{address}"), BOLLARD_TIMEOUT_SECONDS, API_DEFAULT_VERSION)
        }
    }
}

fn readable_auth(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth")
        && let Some(safe) = value.to_str().ok().and_then(|text| auth::url_safe(text).parse().ok())
    {
        *value = safe;
    }
    request
}

impl Inner {
    /// A question, with the usual timeout.
    async fn call<T>(&self, doing: &str, asked: impl Future<Output = Result<T, bollard::errors::Error>>) -> Result<T> {
        call::call(&self.endpoint, self.options.call_timeout, doing, asked).await
    }

    /// Something that may take longer.
    async fn slow<T>(&self, doing: &str, asked: impl Future<Output = Result<T, bollard::errors::Error>>) -> Result<T> {
        call::call(&self.endpoint, self.options.call_timeout * SLOW, doing, asked).await
    }

    /// The same, with bollard's own error, for callers that know what it means.
    async fn slow_raw<T>(
        &self,
        doing: &str,
        asked: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<Result<T, bollard::errors::Error>> {
        let limit = self.options.call_timeout * SLOW;
        let late = |_| EngineError::Timeout { doing: doing.to_owned(), after: limit };
        tokio::time::timeout(limit, asked).await.map_err(late)
    }

    fn book(&self) -> MutexGuard<'_, exits::ExitBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<String, look::Known>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn masters(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.masters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine_start(&self) -> Option<host::EngineStart> {
        host::engine_start(self.socket.as_deref()?)
    }

    async fn info(&self) -> Result<EngineInfo> {
        let version = self.call("asking for Docker's version", self.docker.version()).await?;
        let info = self.call("asking Docker what it runs on", self.docker.info()).await?;
        let memory_total = info.mem_total.and_then(|m| u64::try_from(m).ok()).unwrap_or_default();
        let api = self.docker.client_version();
        let security = info.security_options.unwrap_or_default();
        Ok(EngineInfo {
            name: info.name.unwrap_or_default(),
            version: version.version.unwrap_or_default(),
            api: format!("{}.{}", api.major_version, api.minor_version),
            endpoint: self.endpoint.clone(),
            memory_total,
            cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
            os: info.operating_system.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            cgroup: info.cgroup_version.map(|c| c.to_string()).unwrap_or_default(),
            rootless: security.iter().any(|s| s.contains("rootless")),
            virtual_machine: !is_this_host(memory_total),
            live_restore: info.live_restore_enabled == Some(true),
        })
    }
}

/// An engine in a virtual machine of its own has other memory than this host; the kernel keeps a little for itself.
fn is_this_host(engine_memory: u64) -> bool {
    host::memory().is_some_and(|(total, _)| total.abs_diff(engine_memory) < total / 20)
}

#[async_trait]
impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo> {
        self.inner.info().await
    }
    async fn image(&self, reference: &str) -> Result<Option<Image>> {
        self.inner.image(reference).await
    }
    async fn pull(&self, reference: &str, platform: Option<&str>, progress: watch::Sender<String>) -> Result<Image> {
        self.inner.pull(reference, platform, &progress).await
    }
    async fn tag_image(&self, id: &str, repo: &str, tag: &str) -> Result<()> {
        self.inner.tag_image(id, repo, tag).await
    }
    async fn untag_image(&self, repo: &str, tag: &str) -> Result<()> {
        self.inner.untag_image(repo, tag).await
    }
    async fn observe(&self) -> Result<Observation> {
        self.inner.observe().await
    }
    async fn ensure_set(&self, goal: &SetPlan) -> Result<()> {
        Box::pin(self.inner.ensure_set(goal)).await
    }
    async fn remove_set(&self, rollout: &RolloutName, set: &SetId, grace: Duration) -> Result<()> {
        self.inner.remove_set(rollout, set, grace).await
    }
    async fn exec(&self, container_id: &str, command: &[String], timeout: Duration) -> Result<ExecResult> {
        self.inner.exec(container_id, command, timeout).await
    }
    async fn create_one_off(&self, plan: &OneOffPlan) -> Result<OneOff> {
        Box::pin(self.inner.create_one_off(plan)).await
    }
    fn logs(&self, container_id: &str, options: LogOptions) -> BoxStream<'static, Result<LogLine>> {
        self.inner.logs(container_id, options)
    }
    fn events(&self) -> BoxStream<'static, Result<EngineEvent>> {
        events::events(Arc::clone(&self.inner))
    }
    async fn ensure_gateway(&self, plan: &GatewayPlan) -> Result<GatewayContainer> {
        self.inner.ensure_gateway(plan).await
    }
    async fn remove_gateway(&self, rollout: &RolloutName, remove_network: bool) -> Result<()> {
        self.inner.remove_gateway(rollout, remove_network).await
    }
    async fn signal(&self, container_id: &str, pid: Option<i64>, signal: Signal) -> Result<()> {
        self.inner.signal(container_id, pid, signal).await
    }
    async fn old_workers(&self, container_id: &str) -> Result<u32> {
        self.inner.old_workers(container_id).await
    }
    async fn gateway_logs(&self, container_id: &str, since: Option<Timestamp>) -> Result<String> {
        self.inner.gateway_logs(container_id, since).await
    }
    async fn remove_everything(&self) -> Result<Removed> {
        self.inner.remove_everything().await
    }
    async fn free_memory(&self) -> Option<u64> {
        let info = self.inner.call("asking Docker what it runs on", self.inner.docker.info()).await.ok()?;
        let total = info.mem_total.and_then(|m| u64::try_from(m).ok())?;
        host::memory().filter(|_| is_this_host(total)).map(|(_, free)| free)
    }
}
