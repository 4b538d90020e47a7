//! What is news to a gateway that could not be made as asked: only that ends the pause before the next attempt.

use canaryd_engine::{ObservedGateway, RunState};
use canaryd_gateway::GenerationId;
use canaryd_rollout::RolloutName;
use jiff::Timestamp;
use tokio::sync::watch;

use super::container::Running;
use crate::daemon::observer::{self, Seen, Share};

/// What of an observation may make the next attempt end otherwise than the last: the gateways' containers (another one may
/// have had the port), and whether the engine answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    answers: bool,
    gateways: Vec<(String, RunState, Option<Timestamp>, bool)>,
}

impl Facts {
    pub(super) fn of(seen: &Seen) -> Self {
        let fact = |g: &ObservedGateway| (g.id.clone(), g.state, g.started_at, g.unseen.is_some());
        let mut gateways: Vec<_> = seen.observation.iter().flat_map(|o| &o.gateways).map(fact).collect();
        gateways.sort_by(|a, b| a.0.cmp(&b.0));
        Self { answers: seen.unreachable.is_none(), gateways }
    }
}

/// What the last turn knew.
pub(super) enum Known {
    /// It did what was asked.
    Done(Share),
    /// It failed.
    Failed(Facts),
}

/// Ends with a look that shows something else of this rollout; after a failure with one that shows other facts of any:
/// containers of all kinds come and go, and the next attempt would end as the last did.
pub(super) async fn news(seen: &mut watch::Receiver<Seen>, rollout: &RolloutName, known: &Known) {
    let facts = match known {
        Known::Done(share) => return observer::news(seen, rollout, share).await,
        Known::Failed(facts) => facts,
    };
    while seen.changed().await.is_ok() {
        if *facts != Facts::of(&seen.borrow_and_update()) {
            return;
        }
    }
    // Nobody will look any more.
    std::future::pending::<()>().await;
}

/// Ends when looks from now on show that the container that a turn works on does not run any more: nothing answers there,
/// and waiting for it would only keep its successor from starting.
pub(super) async fn ended(mut seen: watch::Receiver<Seen>, rollout: &RolloutName, running: &Running) {
    let runs =
        |g: &ObservedGateway| g.state == RunState::Running && g.id == running.id && g.started_at == running.started_at;
    while seen.changed().await.is_ok() {
        let seen = seen.borrow_and_update();
        let Some(observation) = seen.observation.as_ref().filter(|_| seen.unreachable.is_none()) else { continue };
        if !observation.of(rollout).1.iter().any(runs) {
            return;
        }
    }
    // Nobody will look any more.
    std::future::pending::<()>().await;
}

/// Whether two problems differ only in the number of the generation: each attempt has a new one, and that is no news.
pub(super) fn same_problem(a: Option<&str>, b: Option<&str>) -> bool {
    a.map(without_numbers) == b.map(without_numbers)
}

fn without_numbers(problem: &str) -> Vec<&str> {
    let words = problem.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.map(|word| if word.parse::<GenerationId>().is_ok() { "" } else { word }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_of_the_next_generation_is_no_news_and_another_line_is() {
        let refused = |generation: &str, line: u32| {
            format!(
                "NGINX refuses generation {generation}: unknown directive \"x\" in /conf/generations/{generation}/nginx.conf:{line}"
            )
        };
        let (first, next, twin) = (refused("3.7", 88), refused("3.8", 88), refused("3.9t", 88));
        assert!(same_problem(Some(&first), Some(&next)) && same_problem(Some(&first), Some(&twin)));
        assert!(!same_problem(Some(&first), Some(&refused("3.8", 89))));
        assert!(!same_problem(Some(&first), None) && same_problem(None, None));
    }
}
