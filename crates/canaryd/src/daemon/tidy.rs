//! What an earlier run was killed over: finished at the start, before any manifest is read. Nothing is removed that the
//! journal knows, that the engine still runs, or that another installation made.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use canaryd_engine::Observation;
use canaryd_rollout::RolloutName;

use super::executor::save_failure;
use super::failures::{self, Bundle};
use super::gateways;
use super::house::House;

/// So long the engine may take to say what runs; without its word nothing is removed.
const PATIENCE: Duration = Duration::from_secs(5);

/// To be called when the journal was read and every rollout that it knows has its cell.
pub(crate) async fn at_start(house: &Arc<House>) {
    if house.config.dry_run {
        return;
    }
    let looked = tokio::time::timeout(PATIENCE, house.observer.look(house.engine.as_ref())).await;
    let seen = house.observer.seen();
    let Some(observation) = seen.observation.filter(|_| looked.is_ok() && seen.unreachable.is_none()) else {
        tracing::info!("the engine does not say what runs: what earlier runs left is tidied up with the next start");
        return;
    };
    finish_failures(house);
    let house = Arc::clone(house);
    if tokio::task::spawn_blocking(move || discard_gateways(&house, &observation)).await.is_err() {
        tracing::warn!("the directories of gateways could not be looked through");
    }
}

/// A bundle that was being written is finished, with what its containers still tell if they are there.
fn finish_failures(house: &Arc<House>) {
    for bundle in house.store.failures.unfinished() {
        let reason = failures::reason_of(&bundle.path)
            .unwrap_or_else(|| "canaryd ended before it could save why it was taken off".to_owned());
        if let Some(cell) = house.cell(&bundle.name).filter(|_| !bundle.is_of_deleted()) {
            save_failure(house, &cell, bundle.set, bundle.revision, reason);
        } else if let Err(error) = finish_alone(&bundle, &reason) {
            tracing::warn!(error = format!("{error:#}"), dir = %bundle.path.display(), "a failure bundle is not finished");
        }
    }
    house.store.failures.sweep();
}

/// Its rollout is no more: there is nothing to be added.
fn finish_alone(bundle: &Bundle, reason: &str) -> anyhow::Result<()> {
    if !bundle.tells_anything() {
        return Ok(fs::remove_dir_all(&bundle.path)?);
    }
    let text = format!(
        "# {}: taken off\n\n{reason}\n\ncanaryd ended while this was being saved: what is here is all there is\n",
        bundle.name
    );
    failures::finish(&bundle.path, &text)
}

fn discard_gateways(house: &House, observation: &Observation) {
    if let Err(error) = house.store.discard_what_was_put_aside() {
        tracing::warn!(%error, "what is left of a removed gateway could not be removed");
    }
    let strays = house.store.gateways().into_iter().filter(|name| is_stray(house, observation, name));
    for name in strays {
        if let Err(error) = house.store.discard_gateway(&name) {
            tracing::warn!(%error, rollout = %name, "what is left of its gateway could not be removed");
            continue;
        }
        tracing::info!(rollout = %name, "removed what was left of the gateway of a rollout that is no more");
    }
}

/// Whether nobody needs this gateway's directory: no rollout has the name, no container does, and it is ours.
fn is_stray(house: &House, observation: &Observation, name: &RolloutName) -> bool {
    let runs = observation.gateways.iter().any(|gateway| &gateway.rollout == name)
        || observation.containers.iter().any(|container| &container.rollout == name);
    house.cell(name).is_none() && !runs && gateways::is_of(&house.store.gateway_dir(name), &house.config.instance)
}
