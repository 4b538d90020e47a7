//! What commands that go inside a rollout's containers, or take them out of canaryd, are answered with.

use canaryd_gateway::Lane;
use canaryd_rollout::{ComponentName, EjectStep, RevisionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The containers of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainersPage {
    /// Where their engine listens: `unix:///var/run/docker.sock`.
    pub engine: String,
    /// Each of them, by component, lane and number.
    pub containers: Vec<ContainerView>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Of which component.
    pub component: ComponentName,
    /// In which lane; nothing: kept for the way back or for a look, or on its way out.
    pub lane: Option<Lane>,
    /// The version as written in the manifest.
    pub version: String,
    /// Of which revision.
    pub revision: RevisionId,
    /// Its number within rollout and component, never used twice.
    pub ordinal: u32,
    /// It runs, and is not paused.
    pub running: bool,
}

/// A command that is to run for once, in a container of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneOffRequest {
    /// Of which lane's version the container is made.
    pub lane: Lane,
    /// Of which of its components.
    pub component: ComponentName,
    /// In the place of the component's command, one word each. It is written nowhere: it may hold a secret.
    pub command: Vec<String>,
    /// The container gets a terminal.
    #[serde(default)]
    pub terminal: bool,
}

/// The container that was made for one command. It does not run yet: whoever asked for it starts it within a minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneOffPage {
    /// Where its engine listens.
    pub engine: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The version that it is made of.
    pub version: String,
    /// Seconds from the stop signal to SIGKILL.
    pub grace: f64,
}

/// What is in production, as a Compose file. No value of a variable and no content of a secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EjectPage {
    /// The version.
    pub version: String,
    /// The file.
    pub compose: String,
    /// How to move there, in this order; `beside FILE` and `-f FILE` stand for the file's name.
    pub steps: Vec<EjectStep>,
    /// What stands in the way.
    pub notes: Vec<String>,
}
