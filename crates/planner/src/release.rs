//! One version as the planner remembers it: without create bodies, hence without anything that may be secret.

use canaryd_rollout::{Component, ComponentName, Container, Health, Probe, Resources, RevisionId, Rollout, Snippets};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::report::Outcome;

/// One revision with what the planner needs of it: components without create bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) provisional: RevisionId,
    pub(crate) components: Vec<Component>,
}

impl Release {
    pub(crate) fn of(rollout: &Rollout) -> Self {
        Self {
            version: rollout.version.clone(),
            revision: rollout.revision.clone(),
            provisional: rollout.provisional.clone(),
            components: rollout.components().map(bare_component).collect(),
        }
    }
    /// The app of it.
    pub(crate) fn app(&self) -> Option<&Component> {
        self.component(&ComponentName::app())
    }
    pub(crate) fn component(&self, name: &ComponentName) -> Option<&Component> {
        self.components.iter().find(|c| &c.name == name)
    }
    /// Whether the manifest asks for this content. With images pending only the provisional hash is known.
    pub(crate) fn is_asked_by(&self, rollout: &Rollout) -> bool {
        rollout.revision == self.revision || (unresolved(rollout) && rollout.provisional == self.provisional)
    }
}

/// Whether some image of the manifest is not resolved.
pub(crate) fn unresolved(rollout: &Rollout) -> bool {
    rollout.images.values().any(|i| match i {
        canaryd_rollout::ImageState::Present { .. } => false,
        canaryd_rollout::ImageState::Pending | canaryd_rollout::ImageState::Missing { .. } => true,
    })
}

/// A command or path that proves health may carry a token, and nothing here asks for it.
fn bare_component(component: &Component) -> Component {
    let health = Health { probe: Probe::None, ..component.health.clone() };
    // The limit explains an end, and is nobody's secret.
    let resources = Resources { memory: component.container.resources.memory, ..Resources::default() };
    Component { container: Container { resources, ..Container::default() }, health, ..component.clone() }
}

/// The manifest without anything that may be secret.
pub(crate) fn bare(rollout: &Rollout) -> Rollout {
    let mut bare = rollout.clone();
    bare.app = bare_component(&rollout.app);
    bare.workers = rollout.workers.iter().map(bare_component).collect();
    bare.gateway.snippets = Snippets::default();
    bare
}

/// A revision that is not tried again until `retry` or new content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blocked {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) provisional: RevisionId,
    pub(crate) outcome: Outcome,
    /// Short: the check, or what happened.
    pub(crate) why: String,
    pub(crate) at: Timestamp,
}

impl Blocked {
    pub(crate) fn is_asked_by(&self, rollout: &Rollout) -> bool {
        let never_resolved = self.revision == self.provisional;
        rollout.revision == self.revision
            || ((never_resolved || unresolved(rollout)) && rollout.provisional == self.provisional)
    }
}

/// A production of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) left: Timestamp,
}
