//! The seam between canaryd and whatever runs its containers.

use std::time::Duration;

use async_trait::async_trait;
use canaryd_rollout::{RolloutName, SetId};
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::error::Result;
use crate::gateway::{GatewayContainer, GatewayPlan, Signal};
use crate::image::Image;
use crate::observation::{EngineEvent, Observation};
use crate::output::{ExecResult, LogLine, LogOptions};
use crate::plan::{OneOff, OneOffPlan, SetPlan};

/// Runs sets of containers and one gateway container per rollout.
///
/// # Guarantees
/// Every `ensure_…` and `remove_…` is idempotent and may be cancelled at any await: a later call finishes what was
/// begun. Nothing outside this instance (the label `io.canaryd.instance`) is ever changed.
///
/// # Errors
/// Each method returns [`EngineError`](crate::EngineError), whose `fault` says whether a later try can help.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What kind of engine this is and what it runs on.
    async fn info(&self) -> Result<EngineInfo>;

    /// The image of that reference (or id) as far as it is in the engine; `None` when it is not.
    async fn image(&self, reference: &str) -> Result<Option<Image>>;

    /// Fetches the image from its registry with the credentials of the user's Docker configuration (read anew each
    /// time). `progress` gets one readable line whenever something moved. Ends with a timeout when nothing moves for a
    /// minute, else runs as long as it needs; dropping the future cancels the transfer.
    async fn pull(&self, reference: &str, platform: Option<&str>, progress: watch::Sender<String>) -> Result<Image>;

    /// Gives the image `id` the additional name `repo:tag`, so that nobody's prune removes it.
    async fn tag_image(&self, id: &str, repo: &str, tag: &str) -> Result<()>;

    /// Takes the name `repo:tag` away; the image goes with its last name. It is no error when there is none.
    async fn untag_image(&self, repo: &str, tag: &str) -> Result<()>;

    /// Everything of this instance, as it is now.
    async fn observe(&self) -> Result<Observation>;

    /// Brings one set to its goal: network, containers with fixed addresses, started, stopped, removed. Containers of the
    /// set that the plan does not name are left alone. Runs as long as it needs (a stop takes up to `grace`).
    async fn ensure_set(&self, goal: &SetPlan) -> Result<()>;

    /// Stops (with `grace`) and removes all containers of the set, by label. It is no error when there are none.
    async fn remove_set(&self, rollout: &RolloutName, set: &SetId, grace: Duration) -> Result<()>;

    /// Runs a command inside a running container. After `timeout` the answer is an error; the process inside may go on.
    async fn exec(&self, container_id: &str, command: &[String], timeout: Duration) -> Result<ExecResult>;

    /// Creates a container for one command, of no set and without requests, and does not start it. The engine removes it
    /// when it ends; one that is never started is removed when the next one is asked for, and all of them with their
    /// rollout's network.
    async fn create_one_off(&self, plan: &OneOffPlan) -> Result<OneOff>;

    /// Output of a container, oldest line first. With `follow` it ends when the container does.
    fn logs(&self, container_id: &str, options: LogOptions) -> BoxStream<'static, Result<LogLine>>;

    /// What happens to this instance's containers from now on. The stream must be polled: who caused an exit is learned
    /// from it. On every gap it yields one error and ends; the caller opens a new one and observes again.
    fn events(&self) -> BoxStream<'static, Result<EngineEvent>>;

    /// The gateway's container exists, is attached to its networks and runs. An existing container that differs from
    /// the plan in what is fixed at creation is kept and the differences reported in
    /// [`drift`](GatewayContainer::drift), unless the plan says `recreate`.
    async fn ensure_gateway(&self, plan: &GatewayPlan) -> Result<GatewayContainer>;

    /// Stops and removes the gateway's container and, on request, the rollout's network with its one-off containers.
    async fn remove_gateway(&self, rollout: &RolloutName, remove_network: bool) -> Result<()>;

    /// Signals the main process of a gateway: by its host process id where that is permitted and proven to be the
    /// container's (works without the engine's API and leaves restart policies alone), else through the API.
    async fn signal(&self, container_id: &str, pid: Option<i64>, signal: Signal) -> Result<()>;

    /// How many NGINX workers of the container are shutting down, that is still finish requests of older generations.
    async fn old_workers(&self, container_id: &str) -> Result<u32>;

    /// What the gateway wrote to stdout and stderr since then (at most the last 256 KiB).
    async fn gateway_logs(&self, container_id: &str, since: Option<Timestamp>) -> Result<String>;

    /// Stops and removes every container and network of this instance, whatever its rollout.
    async fn remove_everything(&self) -> Result<Removed>;

    /// Memory in bytes that new containers could use on the engine's host; `None` where that is not known.
    async fn free_memory(&self) -> Option<u64>;
}

/// What kind of engine this is and what it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Host name of the engine.
    pub name: String,
    /// Version of the engine: `29.1.0`.
    pub version: String,
    /// API version in use: `1.41`.
    pub api: String,
    /// Where it was reached, in words: `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// Memory of its host in bytes.
    pub memory_total: u64,
    /// Processors of its host.
    pub cpus: u32,
    /// Storage driver: `overlay2`.
    pub storage: String,
    /// Operating system of its host, in words.
    pub os: String,
    /// `x86_64`, `aarch64` …
    pub architecture: String,
    /// cgroup version: `1` or `2`.
    pub cgroup: String,
    /// Runs without root: container addresses cannot be reached from the host.
    pub rootless: bool,
    /// Runs in a virtual machine of its own (Docker Desktop and the like): not this kernel.
    pub virtual_machine: bool,
    /// Containers survive a restart of the engine.
    pub live_restore: bool,
}

/// What [`Engine::remove_everything`] removed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Networks that were kept, because somebody else's containers are attached to them.
    pub kept: Vec<String>,
}
