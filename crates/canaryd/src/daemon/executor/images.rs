//! Image tags of ours keep what a revision needs from being pruned. What is done is written down for as long as this run
//! lasts: the planner asks for it until then, so that a kill loses nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use canaryd_planner::Shelf;
use canaryd_rollout::{RevisionId, Rollout};

use crate::daemon::bells::lock;
use crate::daemon::house::{Cell, House};
use crate::daemon::store::image_id;

/// What failed is not tried again sooner.
const PAUSE: Duration = Duration::from_secs(60);

/// What was done about the revisions of one rollout.
#[derive(Debug, Default)]
pub(crate) struct ShelfBook(Mutex<BTreeMap<RevisionId, State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Busy,
    Kept,
    Forgotten,
    Failed(Instant),
}

impl ShelfBook {
    /// What the planner is told.
    pub(crate) fn view(&self) -> Shelf {
        let states = lock(&self.0);
        let all = |wanted: State| states.iter().filter(move |(_, s)| **s == wanted).map(|(r, _)| r.clone()).collect();
        Shelf { kept: all(State::Kept), forgotten: all(State::Forgotten) }
    }

    /// Whether something may begin now: one thing at a time, and what failed after a while.
    fn begin(&self, revision: &RevisionId) -> bool {
        let mut states = lock(&self.0);
        let waits = match states.get(revision) {
            Some(State::Busy) => true,
            Some(State::Failed(at)) => at.elapsed() < PAUSE,
            Some(State::Kept | State::Forgotten) | None => false,
        };
        if !waits {
            states.insert(revision.clone(), State::Busy);
        }
        !waits
    }

    fn end(&self, revision: RevisionId, state: State) {
        lock(&self.0).insert(revision, state);
    }
}

pub(super) fn keep(house: &Arc<House>, cell: &Arc<Cell>, revision: RevisionId) {
    if !cell.shelf.begin(&revision) {
        return;
    }
    let Some(rollout) = house.store.revision(&cell.name, &revision) else {
        return cell.shelf.end(revision, State::Failed(Instant::now()));
    };
    let (house, cell) = (Arc::clone(house), Arc::clone(cell));
    house.tasks.clone().spawn(async move {
        for (id, repository, tag) in tags(&rollout, &revision) {
            if let Err(error) = house.engine.tag_image(&id, &repository, &tag).await {
                tracing::warn!(%error, image = id, "an image could not be tagged; a prune may remove it");
            }
        }
        cell.shelf.end(revision, State::Kept);
        cell.bell.ring();
    });
}

pub(super) fn forget(house: &Arc<House>, cell: &Arc<Cell>, revision: RevisionId) {
    if !cell.shelf.begin(&revision) {
        return;
    }
    let stored = house.store.revision(&cell.name, &revision);
    let (house, cell) = (Arc::clone(house), Arc::clone(cell));
    house.tasks.clone().spawn(async move {
        for (_, repository, tag) in stored.iter().flat_map(|r| tags(r, &revision)) {
            if let Err(error) = house.engine.untag_image(&repository, &tag).await {
                tracing::debug!(%error, "a tag was gone already");
            }
        }
        let state = match house.store.forget_revision(&cell.name, &revision) {
            Ok(()) => State::Forgotten,
            Err(error) => {
                tracing::warn!(%error, rollout = %cell.name, %revision, "the files of an old revision could not be removed");
                State::Failed(Instant::now())
            }
        };
        cell.shelf.end(revision, state);
        cell.bell.ring();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_told_as_done_only_when_it_is_and_what_failed_is_not_tried_at_once() {
        let book = ShelfBook::default();
        let revision: RevisionId = "0123456789".parse().unwrap();
        assert!(book.begin(&revision) && !book.begin(&revision), "one thing at a time");
        assert_eq!(book.view(), Shelf::default());
        book.end(revision.clone(), State::Kept);
        assert!(book.view().kept.contains(&revision));
        assert!(book.begin(&revision), "it may be forgotten now");
        book.end(revision.clone(), State::Failed(Instant::now()));
        assert!(!book.begin(&revision) && book.view() == Shelf::default());
    }
}
