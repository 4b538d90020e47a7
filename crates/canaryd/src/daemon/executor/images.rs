//! Image tags of ours keep what a revision needs from being pruned.

use std::sync::Arc;

use canaryd_rollout::{RevisionId, Rollout};

use crate::daemon::house::{Cell, House};
use crate::daemon::store::image_id;

pub(super) fn keep(house: &Arc<House>, cell: &Arc<Cell>, revision: RevisionId) {
    let Some(rollout) = house.store.revision(&cell.name, &revision) else { return };
    let house = Arc::clone(house);
    house.tasks.clone().spawn(async move {
        for (id, repository, tag) in tags(&rollout, &revision) {
            if let Err(error) = house.engine.tag_image(&id, &repository, &tag).await {
                tracing::warn!(%error, image = id, "an image could not be tagged; a prune may remove it");
            }
        }
    });
}

pub(super) fn forget(house: &Arc<House>, cell: &Arc<Cell>, revision: RevisionId) {
    let stored = house.store.revision(&cell.name, &revision);
    let (house, name) = (Arc::clone(house), cell.name.clone());
    house.tasks.clone().spawn(async move {
        for (_, repository, tag) in stored.iter().flat_map(|r| tags(r, &revision)) {
            if let Err(error) = house.engine.untag_image(&repository, &tag).await {
                tracing::debug!(%error, "a tag was gone already");
            }
        }
        if let Err(error) = house.store.forget_revision(&name, &revision) {
            tracing::warn!(%error, rollout = %name, %revision, "the files of an old revision could not be removed");
        }
    });
}

/// One tag for each component: (image id, repository, tag).
fn tags(rollout: &Rollout, revision: &RevisionId) -> Vec<(String, String, String)> {
    rollout
        .components()
        .filter_map(|c| {
            let id = image_id(rollout, &c.image)?;
            Some((id.to_owned(), format!("canaryd/{}-{}", rollout.name, c.name), revision.to_string()))
        })
        .collect()
}
