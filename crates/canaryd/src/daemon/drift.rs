//! Tags that name other content now than when their manifest was taken over: shown, never acted on. A tag is resolved
//! once per change of its manifest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use canaryd_rollout::ImageState;

use super::bells::lock;
use super::house::{Cell, House};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(30);
/// As much of a content id as people compare by eye.
const SHORT: usize = "sha256:".len() + 12;

/// Looks at the tags of all rollouts until the daemon stops.
pub(crate) async fn run(house: Arc<House>) {
    loop {
        for cell in house.cells() {
            look(&house, &cell).await;
        }
        tokio::select! {
            () = house.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Looks at the tags of one rollout.
pub(crate) async fn look(house: &House, cell: &Cell) {
    let Some(rollout) = lock(&cell.wish).rollout.clone() else { return };
    let mut found = BTreeMap::new();
    for reference in rollout.images.keys() {
        match house.engine.image(reference).await {
            Ok(Some(image)) => _ = found.insert(reference.clone(), image.id),
            Ok(None) => {}
            // Nothing is known now; what was said stays.
            Err(_) => return,
        }
    }
    let notes = moved(&rollout.images, &found);
    let mut wish = lock(&cell.wish);
    if wish.moved_tags != notes {
        wish.moved_tags = notes;
        cell.bell.ring();
    }
}

/// What to say about tags that were moved.
fn moved(resolved: &BTreeMap<String, ImageState>, found: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |(reference, state): (&String, &ImageState)| match (state, found.get(reference)) {
        (ImageState::Present { id }, Some(now)) if id != now => Some(told(reference, id, now)),
        (ImageState::Present { .. } | ImageState::Pending | ImageState::Missing { .. }, _) => None,
    };
    resolved.iter().filter_map(differs).collect()
}

fn told(reference: &str, resolved: &str, now: &str) -> String {
    format!(
        "{reference} was moved: it is {} now, the manifest was taken over with {}, which stays; a new tag, or another change of the manifest, rolls it out",
        short(now),
        short(resolved)
    )
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(id: &str) -> BTreeMap<String, ImageState> {
        BTreeMap::from([("shop:v1".to_owned(), ImageState::Present { id: id.to_owned() })])
    }

    fn found(id: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("shop:v1".to_owned(), id.to_owned())])
    }

    #[test]
    fn a_moved_tag_is_told_with_both_contents() {
        let old = format!("sha256:{}", "a".repeat(64));
        let new = format!("sha256:{}", "b".repeat(64));
        let notes = moved(&resolved(&old), &found(&new));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].starts_with("shop:v1 was moved: it is sha256:bbbbbbbbbbbb now"), "{}", notes[0]);
        assert!(notes[0].contains("sha256:aaaaaaaaaaaa, which stays"), "{}", notes[0]);
    }

    #[test]
    fn a_tag_that_was_not_moved_or_that_is_not_there_any_more_is_not_told() {
        assert_eq!(moved(&resolved("sha256:a"), &found("sha256:a")), [""; 0]);
        assert_eq!(moved(&resolved("sha256:a"), &BTreeMap::new()), [""; 0]);
    }
}
