//! A journal made anew: what is left of each rollout on disk and in Docker is gathered here; what it means is the
//! planner's to say (`canaryd_planner::rebuild`).

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use canaryd_engine::{Observation, ObservedContainer};
use canaryd_journal::{NewEvent, Remade};
use canaryd_planner::{Rebuilt, Traces};
use canaryd_rollout::{RolloutName, SetId};
use jiff::Timestamp;

use super::gateways::{all_intents, last_epoch, live_intent};
use super::rollouts::severity_name;
use super::store::{Store, gateways_in};
use super::world::sets_by_labels;

/// What a new journal would hold.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// The instance whose containers these are.
    pub(crate) instance: String,
    /// The highest epoch on disk.
    pub(crate) epoch: u64,
    /// Each rollout with what is remembered of it.
    pub(crate) rollouts: Vec<(RolloutName, Rebuilt)>,
    /// What belongs to no rollout, for a person.
    pub(crate) strays: Vec<String>,
}

/// Gathers what is left and says what it means. Changes nothing.
pub(crate) fn propose(state: &Path, instance: &str, seen: &Observation, now: Timestamp) -> Proposal {
    let store = Store::look(state);
    let desired = store.desired();
    let mut names: BTreeSet<RolloutName> = desired.iter().map(|kept| kept.rollout.name.clone()).collect();
    names.extend(seen.containers.iter().map(|container| container.rollout.clone()));
    let rollouts = names.iter().map(|name| {
        let desired = desired.iter().find(|kept| &kept.rollout.name == name).map(|kept| kept.rollout.clone());
        let traces = Traces { desired, ..traces_of(&store, name, seen) };
        (name.clone(), canaryd_planner::rebuild(&traces, now))
    });
    let rollouts = rollouts.collect();
    let strays = seen.gateways.iter().filter(|gateway| !names.contains(&gateway.rollout));
    let strays =
        strays.map(|g| format!("{} is the gateway of no rollout that is known: docker rm -f {}", g.name, g.name));
    let epochs = gateways_in(state).into_iter().map(|name| last_epoch(&store.gateway_dir(&name)));
    Proposal { instance: instance.to_owned(), epoch: epochs.max().unwrap_or(0), rollouts, strays: strays.collect() }
}

fn traces_of(store: &Store, name: &RolloutName, seen: &Observation) -> Traces {
    let dir = store.gateway_dir(name);
    let containers: Vec<&ObservedContainer> = seen.containers.iter().filter(|c| &c.rollout == name).collect();
    let intents = all_intents(&dir);
    let served = intents.iter().flat_map(|intent| intent.lanes.values().flatten()).map(|endpoint| endpoint.set.clone());
    let last_set = served.chain(store.failures.sets_of(name)).map(|set| number(&set)).max().unwrap_or(0);
    Traces {
        desired: None,
        revisions: store.revisions_of(name),
        versions: containers.iter().map(|c| (c.revision.clone(), c.version.clone())).collect(),
        sets: sets_by_labels(&containers),
        live: live_intent(&dir),
        seq: intents.iter().map(|intent| intent.seq).max().unwrap_or(0),
        last_set,
    }
}

fn number(set: &SetId) -> u64 {
    set.as_str().trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

impl Proposal {
    /// As the journal takes it.
    ///
    /// # Errors
    /// A memory cannot be written as JSON.
    pub(crate) fn remade(&self, now: Timestamp) -> Result<Remade> {
        let one = |(name, rebuilt): &(RolloutName, Rebuilt)| -> Result<_> {
            let json = serde_json::to_string(&rebuilt.memory).with_context(|| format!("the memory of {name}"))?;
            let event = |event: &canaryd_planner::Event| NewEvent {
                severity: severity_name(event.severity).to_owned(),
                kind: event.kind.clone(),
                message: event.message.clone(),
            };
            Ok((name.to_string(), json, rebuilt.events.iter().map(event).collect()))
        };
        Ok(Remade {
            instance: self.instance.clone(),
            epoch: self.epoch,
            // More than any history has: nobody tells an event a second since 1970.
            last_event: u64::try_from(now.as_second()).unwrap_or(0),
            at: now,
            memories: self.rollouts.iter().map(one).collect::<Result<_>>()?,
        })
    }
}
