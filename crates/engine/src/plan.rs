//! What one set should look like.

use std::path::PathBuf;
use std::time::Duration;

use canaryd_rollout::{Component, RevisionId, RolloutName, SetId};

/// Containers of one set as they should be. Containers of the set whose ordinal is in none of the lists are left alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SetPlan {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// What runs: name, create body, health, stop. Its `replicas` are not looked at.
    pub component: Component,
    /// Of which revision.
    pub revision: RevisionId,
    /// The version as the manifest writes it, for the label.
    pub version: String,
    /// Content id of the image, `sha256:…`.
    pub image_id: String,
    /// Which set.
    pub set: SetId,
    /// These exist and run, with restart policy `unless-stopped`.
    pub running: Vec<u32>,
    /// These are stopped if they exist, with restart policy `no` and with `grace` if they run.
    pub stopped: Vec<u32>,
    /// These do not exist; stopped with `grace` first if they run.
    pub removed: Vec<u32>,
    /// From stop signal to SIGKILL.
    pub grace: Duration,
    /// The first to go when memory is short (`oom_score_adj` of the running process, where permitted).
    pub expendable: bool,
    /// Host directory with the copies of configs and secrets, each named by its digest.
    pub files_dir: PathBuf,
}

/// A container of a version's component for one command.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOffPlan {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// What it is made of: image, environment, mounts, networks, limits. Not its command, nor its labels, by which others might
    /// send it requests, nor its health check.
    pub component: Component,
    /// Of which revision.
    pub revision: RevisionId,
    /// The version as the manifest writes it, for the label.
    pub version: String,
    /// Content id of the image, `sha256:…`.
    pub image_id: String,
    /// Host directory with the copies of configs and secrets, each named by its digest.
    pub files_dir: PathBuf,
    /// In the place of the component's command; an entrypoint stays before it.
    pub command: Vec<String>,
    /// It gets a terminal.
    pub terminal: bool,
}

/// A one-off container that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    /// Container id.
    pub id: String,
    /// Container name.
    pub name: String,
}
