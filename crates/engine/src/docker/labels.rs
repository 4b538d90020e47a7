//! Names and labels: how a container says whose it is. They are written once, at creation, and never changed.

use std::collections::HashMap;

use canaryd_rollout::{ComponentName, RevisionId, RolloutName, SetId};

use crate::plan::OneOffPlan;

pub(super) const INSTANCE: &str = "io.canaryd.instance";
pub(super) const SPEC_HASH: &str = "io.canaryd.spec-hash";
const ROLLOUT: &str = "io.canaryd.rollout";
const COMPONENT: &str = "io.canaryd.component";
const SET: &str = "io.canaryd.set";
const REVISION: &str = "io.canaryd.revision";
const ORDINAL: &str = "io.canaryd.ordinal";
const FORMAT: &str = "io.canaryd.format";
const VERSION: &str = "io.canaryd.version";

/// Of which component a container is that was made for one command. It has no component label, and is none of its replicas.
const ONE_OFF: &str = "io.canaryd.one-off";

/// Version of this set of labels.
const FORMAT_NOW: &str = "1";
/// Value of the component label of a gateway, which has no set.
const GATEWAY: &str = "gateway";

/// What the labels of one of our containers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Replica(ReplicaId),
    Gateway { rollout: RolloutName, spec_hash: String },
}

/// Identity of a container of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplicaId {
    pub(super) rollout: RolloutName,
    pub(super) component: ComponentName,
    pub(super) set: SetId,
    pub(super) revision: RevisionId,
    pub(super) ordinal: u32,
    pub(super) version: String,
}

impl Identity {
    /// `None` for containers that are not ours, or whose labels make no sense.
    pub(super) fn read(labels: &HashMap<String, String>, instance: &str) -> Option<Self> {
        let text = |key: &str| labels.get(key).map(String::as_str);
        if text(INSTANCE) != Some(instance) {
            return None;
        }
        let rollout = text(ROLLOUT)?.parse().ok()?;
        let component = text(COMPONENT)?;
        let Some(set) = text(SET) else {
            let spec_hash = text(SPEC_HASH).unwrap_or_default().to_owned();
            return (component == GATEWAY).then_some(Self::Gateway { rollout, spec_hash });
        };
        Some(Self::Replica(ReplicaId {
            rollout,
            component: component.parse().ok()?,
            set: set.parse().ok()?,
            revision: text(REVISION)?.parse().ok()?,
            ordinal: text(ORDINAL)?.parse().ok()?,
            version: text(VERSION).unwrap_or_default().to_owned(),
        }))
    }

    pub(super) fn rollout(&self) -> &RolloutName {
        match self {
            Self::Replica(id) => &id.rollout,
            Self::Gateway { rollout, .. } => rollout,
        }
    }

    pub(super) fn container_name(&self) -> String {
        match self {
            Self::Replica(id) => format!("{}-{}-{}-{}", id.rollout, id.component, id.revision, id.ordinal),
            Self::Gateway { rollout, .. } => format!("{rollout}-{GATEWAY}"),
        }
    }

    pub(super) fn labels(&self, instance: &str) -> HashMap<String, String> {
        let mut labels = HashMap::from([
            (INSTANCE.to_owned(), instance.to_owned()),
            (FORMAT.to_owned(), FORMAT_NOW.to_owned()),
            (ROLLOUT.to_owned(), self.rollout().to_string()),
        ]);
        match self {
            Self::Replica(id) => labels.extend([
                (COMPONENT.to_owned(), id.component.to_string()),
                (SET.to_owned(), id.set.to_string()),
                (REVISION.to_owned(), id.revision.to_string()),
                (ORDINAL.to_owned(), id.ordinal.to_string()),
                (VERSION.to_owned(), id.version.clone()),
            ]),
            Self::Gateway { spec_hash, .. } => {
                labels.extend([(COMPONENT.to_owned(), GATEWAY.to_owned()), (SPEC_HASH.to_owned(), spec_hash.clone())]);
            }
        }
        labels
    }
}

/// Labels of a rollout's own network.
pub(super) fn of_network(rollout: &RolloutName, instance: &str) -> HashMap<String, String> {
    HashMap::from([
        (INSTANCE.to_owned(), instance.to_owned()),
        (FORMAT.to_owned(), FORMAT_NOW.to_owned()),
        (ROLLOUT.to_owned(), rollout.to_string()),
    ])
}

/// Labels of a container for one command.
pub(super) fn of_one_off(plan: &OneOffPlan, instance: &str) -> HashMap<String, String> {
    let mut labels = of_network(&plan.rollout, instance);
    labels.extend([
        (ONE_OFF.to_owned(), plan.component.name.to_string()),
        (REVISION.to_owned(), plan.revision.to_string()),
        (VERSION.to_owned(), plan.version.clone()),
    ]);
    labels
}

/// Whether a container was made for one command, by whatever instance.
pub(super) fn is_one_off(labels: &HashMap<String, String>) -> bool {
    labels.contains_key(INSTANCE) && labels.contains_key(ONE_OFF)
}

/// Docker's filter for containers for one command, of one rollout or of all of this instance.
pub(super) fn filter_one_offs(instance: &str, rollout: Option<&RolloutName>) -> HashMap<String, Vec<String>> {
    let mut filters = rollout.map_or_else(|| filter(instance), |rollout| filter_rollout(instance, rollout));
    filters.entry("label".to_owned()).or_default().push(ONE_OFF.to_owned());
    filters
}

/// Name of a rollout's own network.
pub(super) fn network_name(rollout: &RolloutName) -> String {
    format!("canaryd-{rollout}")
}

/// Docker's filter for everything of this instance.
pub(super) fn filter(instance: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{INSTANCE}={instance}")])])
}

/// Docker's filter for one rollout of this instance.
pub(super) fn filter_rollout(instance: &str, rollout: &RolloutName) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{INSTANCE}={instance}"), format!("{ROLLOUT}={rollout}")])])
}

/// Whose a container or network is that is not ours, as far as its labels tell, and how to go on.
pub(super) fn owner(labels: Option<&HashMap<String, String>>, what: &str, name: &str) -> String {
    let text = |key: &str| labels.and_then(|l| l.get(key));
    let free = format!("rename or remove it (`docker {what} rm {name}`)");
    match (text(INSTANCE), text("com.docker.compose.project")) {
        (Some(instance), _) => format!(
            "it belongs to the canaryd instance {instance}, which may serve users by it: give this rollout another name, or delete that one there"
        ),
        (None, Some(project)) => format!("it belongs to the Compose project {project}: {free}"),
        (None, None) => format!("it has no label of ours: {free}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica() -> Identity {
        Identity::Replica(ReplicaId {
            rollout: "shop".parse().unwrap(),
            component: ComponentName::app(),
            set: SetId::nth(3),
            revision: "0123456789".parse().unwrap(),
            ordinal: 7,
            version: "v1.2".into(),
        })
    }

    #[test]
    fn labels_are_read_as_they_were_written_and_only_by_their_instance() {
        for identity in [replica(), Identity::Gateway { rollout: "shop".parse().unwrap(), spec_hash: "ab".into() }] {
            let labels = identity.labels("one");
            assert_eq!(Identity::read(&labels, "one"), Some(identity));
            assert_eq!(Identity::read(&labels, "two"), None);
        }
    }

    #[test]
    fn a_container_is_named_after_rollout_component_revision_and_number() {
        assert_eq!(replica().container_name(), "shop-app-0123456789-7");
        assert_eq!(replica().labels("one").keys().filter(|k| k.starts_with("io.canaryd.")).count(), 8);
    }
}
