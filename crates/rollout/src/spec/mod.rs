//! A resolved rollout: defaults filled in, files read, images looked up. Types here cannot hold a wrong manifest.

mod container;
mod gateway;
mod judging;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use container::*;
pub use gateway::*;
pub use judging::*;

use crate::ids::{ComponentName, RevisionId, RolloutName};

/// Everything that one manifest says, ready to be acted upon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `metadata.name`.
    pub name: RolloutName,
    /// File and line that the document came from, for messages: `shop.yaml:1`.
    pub origin: String,
    /// `spec.version`, as written.
    pub version: String,
    /// Hash over the content with image digests; equals `provisional` while an image is not resolved.
    pub revision: RevisionId,
    /// Hash over the content with image references instead of digests: known before any image is there.
    pub provisional: RevisionId,
    /// Every image that a component names, by reference.
    pub images: BTreeMap<String, ImageState>,
    /// The HTTP component behind the gateway.
    pub app: Component,
    /// Components without HTTP.
    pub workers: Vec<Component>,
    /// The gateway in front of `app`.
    pub gateway: Gateway,
    /// At least one; weights rise; the last is 100 %.
    pub stages: Vec<Stage>,
    /// How checks are judged.
    pub analysis: Analysis,
    /// At least one; names are unique.
    pub checks: Vec<Check>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// What happens at and after the end.
    pub promotion: Promotion,
    /// What the disappearance of the manifest means.
    pub on_delete: OnDelete,
}

impl Rollout {
    /// `app` first, then the workers in the order of the manifest.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        std::iter::once(&self.app).chain(&self.workers)
    }
    /// The component of that name.
    #[must_use]
    pub fn component(&self, name: &ComponentName) -> Option<&Component> {
        self.components().find(|c| &c.name == name)
    }
}

/// What is known of an image that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ImageState {
    /// In the engine, under this content id (`sha256:…`).
    Present {
        /// Content id.
        id: String,
    },
    /// Not looked up yet, or being pulled.
    Pending,
    /// It cannot be had; the reason says why and what to do.
    Missing {
        /// One sentence.
        reason: String,
    },
}

/// One component: the app, or one kind of worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// `app` or the worker's name.
    pub name: ComponentName,
    /// Image reference as written, after interpolation.
    pub image: String,
    /// When to pull.
    pub pull: PullPolicy,
    /// Containers in production; at least 1 for the app (live: not part of a revision).
    pub replicas: u32,
    /// Containers of a canary before it is promoted (live).
    pub canary_replicas: CanaryReplicas,
    /// Port that the app listens on inside; `None` for workers.
    pub port: Option<u16>,
    /// Create body of a container (part of the revision).
    pub container: Container,
    /// How a replica proves that it is well (policy).
    pub health: Health,
    /// How a replica ends (policy).
    pub stop: Stop,
    /// Workers: whether the new one starts before the old one stops. The app always starts first.
    pub order: Order,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PullPolicy {
    /// When it is not in the engine.
    Missing,
    /// Once for each change of the manifest.
    Always,
    /// Never: it must be there.
    Never,
}

/// How many containers of the new version run before its promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryReplicas {
    /// The app: as many as the weight needs, `ceil(weight × replicas)`, all of them before 100 %.
    Auto,
    /// All at once.
    Full,
    /// Workers: this many replace as many production ones.
    Fixed(u32),
}

/// Whether the successor starts before its predecessor stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// New, then old.
    StartFirst,
    /// Old, then new (`singleton: true` means this too).
    StopFirst,
}

/// What the disappearance of a manifest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    /// Production and gateway keep serving as orphans.
    Keep,
    /// Everything is stopped.
    Remove,
}
