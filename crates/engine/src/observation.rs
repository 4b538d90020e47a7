//! What the engine runs for this instance, at one moment.

use std::net::IpAddr;

use canaryd_rollout::{ComponentName, RevisionId, RolloutName, SetId};
use jiff::Timestamp;

/// Everything of this instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When it was asked for.
    pub at: Timestamp,
    /// Containers of sets, ordered by rollout, set and ordinal.
    pub containers: Vec<ObservedContainer>,
    /// Gateways, ordered by rollout.
    pub gateways: Vec<ObservedGateway>,
}

impl Observation {
    /// What there is of one rollout: containers of its sets, and its gateway.
    #[must_use]
    pub fn of(&self, rollout: &RolloutName) -> (&[ObservedContainer], &[ObservedGateway]) {
        (part(&self.containers, rollout, |c| &c.rollout), part(&self.gateways, rollout, |g| &g.rollout))
    }
}

/// The neighbours in an ordered list that are of one rollout.
fn part<'a, T>(all: &'a [T], rollout: &RolloutName, of: impl Fn(&T) -> &RolloutName) -> &'a [T] {
    let from = all.partition_point(|one| of(one) < rollout);
    let many = all[from..].partition_point(|one| of(one) == rollout);
    &all[from..from + many]
}

/// One container of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// Of which component.
    pub component: ComponentName,
    /// Of which set.
    pub set: SetId,
    /// Of which revision.
    pub revision: RevisionId,
    /// Number within rollout and component.
    pub ordinal: u32,
    /// The version as the manifest wrote it.
    pub version: String,
    /// Container id.
    pub id: String,
    /// Container name without slash.
    pub name: String,
    /// Content id of its image.
    pub image_id: String,
    /// Whether it runs.
    pub state: RunState,
    /// Docker's own health check; `None` when it has none.
    pub docker_health: Option<DockerHealth>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// Its latest exits, oldest first, at most five.
    pub exits: Vec<ObservedExit>,
    /// Its address on the rollout's own network, kept until it is removed.
    pub addr: Option<IpAddr>,
    /// Host process id while it runs.
    pub pid: Option<i64>,
    /// What Docker says about a start that failed.
    pub error: Option<String>,
    /// `Some`: it exists and could not be inspected.
    pub unseen: Option<Unseen>,
}

/// One gateway container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedGateway {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// Container id.
    pub id: String,
    /// Container name without slash.
    pub name: String,
    /// Content id of its image.
    pub image_id: String,
    /// Whether it runs.
    pub state: RunState,
    /// Host process id while it runs.
    pub pid: Option<i64>,
    /// Host port on 127.0.0.1 that leads to its ops port.
    pub ops_port: Option<u16>,
    /// Its address on the rollout's own network.
    pub addr: Option<IpAddr>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// The hash that its plan had when it was created.
    pub spec_hash: String,
    /// Its latest exits, oldest first, at most five.
    pub exits: Vec<ObservedExit>,
    /// What Docker says about a start that failed.
    pub error: Option<String>,
    /// `Some`: it exists and could not be inspected.
    pub unseen: Option<Unseen>,
}

/// Why a container could not be inspected. What the list of containers says of it (whether it runs, what its health check
/// says) is fresh; all else is what was last known, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Since when.
    pub since: Timestamp,
    /// What was answered, if anything.
    pub why: String,
    /// When it was last inspected.
    pub inspected: Option<Timestamp>,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Paused by somebody.
    Paused,
    /// Between an exit and the engine's restart.
    Restarting,
    /// Ended.
    Exited,
}

/// What Docker's own health check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerHealth {
    /// No success yet, and not too many failures.
    Starting,
    /// The latest run succeeded.
    Healthy,
    /// Too many failures in a row.
    Unhealthy {
        /// Output of the latest run, shortened.
        last: String,
    },
}

/// One end of a container's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedExit {
    /// When.
    pub at: Timestamp,
    /// Exit code (128 + signal for a signal).
    pub code: i64,
    /// Killed for memory.
    pub oom: bool,
    /// Who or what ended it, as far as known now; may still change from `Itself` within 2 s of `at`.
    pub cause: ExitCause,
}

/// Who or what ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// Nobody asked for it.
    Itself,
    /// canaryd stopped it.
    Us,
    /// Somebody else killed, stopped or removed it.
    Somebody,
    /// A container of something else died by itself within 2 s.
    Neighbour,
    /// The engine restarted or was gone.
    Engine,
}

/// Something happened to a container of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// When, by the engine's clock.
    pub at: Timestamp,
    /// Of which rollout.
    pub rollout: RolloutName,
    /// Of which component; `None` for the gateway.
    pub component: Option<ComponentName>,
    /// Of which set; `None` for the gateway.
    pub set: Option<SetId>,
    /// Number within rollout and component; `None` for the gateway.
    pub ordinal: Option<u32>,
    /// Container id.
    pub container_id: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Created,
    /// Its process started.
    Started,
    /// Its process ended with this code.
    Died {
        /// Exit code.
        code: i64,
    },
    /// A process of it was killed for memory.
    OutOfMemory,
    /// Its health check changed its mind.
    Health {
        /// Healthy now.
        healthy: bool,
    },
    /// It was removed.
    Removed,
    /// It was paused, resumed, renamed, reconfigured, signalled, or attached to or detached from a network.
    Changed,
}
