//! One observation of the engine, shared by all rollouts: after every event, on request, and every 30 s.

use std::sync::Arc;
use std::time::Duration;

use canaryd_engine::{Engine, EngineEvent, EventKind, Observation, ObservedContainer, ObservedGateway};
use canaryd_rollout::RolloutName;
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// After an exit, what killed it may become known only within 2 s.
const SECOND_LOOK: Duration = Duration::from_millis(2100);
/// Docker keeps 256 events, so a missed one is found at the latest then.
const RELIST: Duration = Duration::from_secs(30);
/// Events that one look answers.
const AT_ONCE: usize = 256;

/// The last observation, or why there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The last that succeeded.
    pub(crate) observation: Option<Arc<Observation>>,
    /// Why the engine cannot be asked now.
    pub(crate) unreachable: Option<String>,
    /// Looks that are under way: what has happened since the last one is not known yet.
    pub(crate) asking: u32,
    /// Counts attempts.
    pub(crate) n: u64,
}

impl Seen {
    /// What concerns one rollout.
    pub(crate) fn share_of(&self, rollout: &RolloutName) -> Share {
        let mine = self.observation.as_ref().map(|observation| observation.of(rollout));
        Share {
            mine: mine.map(|(containers, gateways)| (containers.to_vec(), gateways.to_vec())),
            unreachable: self.unreachable.clone(),
        }
    }
}

/// What one look showed of one rollout: a look that shows the same again is no news to it. A copy, so that nobody keeps
/// what was seen of all others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Share {
    mine: Option<(Vec<ObservedContainer>, Vec<ObservedGateway>)>,
    unreachable: Option<String>,
}

impl Share {
    fn is_still_of(&self, seen: &Seen, rollout: &RolloutName) -> bool {
        let same =
            |(containers, gateways): &(Vec<_>, Vec<_>), now: (&[_], &[_])| containers == now.0 && gateways == now.1;
        let shown = match (&self.mine, &seen.observation) {
            (Some(mine), Some(observation)) => same(mine, observation.of(rollout)),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        shown && self.unreachable == seen.unreachable
    }
}

/// Returns with a look that shows something else of a rollout than is known. Cancel safe.
pub(crate) async fn news(seen: &mut watch::Receiver<Seen>, rollout: &RolloutName, known: &Share) {
    while seen.changed().await.is_ok() {
        if !known.is_still_of(&seen.borrow_and_update(), rollout) {
            return;
        }
    }
    // Nobody will look any more.
    std::future::pending::<()>().await;
}

/// Observes; everybody else reads.
pub(crate) struct Observer {
    seen: watch::Sender<Seen>,
}

impl Observer {
    pub(crate) fn new() -> Self {
        Self { seen: watch::Sender::new(Seen::default()) }
    }
    pub(crate) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
    /// Looks now. Every reconcile may call it before a decision that needs fresh facts.
    pub(crate) async fn look(&self, engine: &dyn Engine) {
        let _asking = Asking::begin(&self.seen);
        let result = engine.observe().await;
        self.seen.send_modify(|seen| {
            seen.n += 1;
            match result {
                Ok(observation) => {
                    seen.observation = Some(Arc::new(observation));
                    seen.unreachable = None;
                }
                Err(error) => seen.unreachable = Some(error.to_string()),
            }
        });
    }

    /// Runs until cancelled.
    pub(crate) async fn run(&self, engine: Arc<dyn Engine>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.look(engine.as_ref()).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.follow(engine.as_ref()) => {}
            }
            // The stream ended: a gap. Look at once; if the engine is away, do not spin.
            if self.seen.borrow().unreachable.is_some() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Whoever could not be inspected is looked at again soon.
    fn next_look(&self) -> Duration {
        let seen = self.seen.borrow();
        let unseen = |o: &Arc<Observation>| o.containers.iter().any(|c| c.unseen.is_some());
        if seen.observation.as_ref().is_some_and(unseen) { SECOND_LOOK } else { RELIST }
    }

    async fn follow(&self, engine: &dyn Engine) {
        // What happened during one look is seen by one more.
        let mut events = engine.events().ready_chunks(AT_ONCE);
        let mut second_look: Option<tokio::time::Instant> = None;
        loop {
            let due = second_look.unwrap_or_else(|| tokio::time::Instant::now() + self.next_look());
            tokio::select! {
                heard = events.next() => match ends(heard) {
                    Ok(true) => second_look = Some(tokio::time::Instant::now() + SECOND_LOOK),
                    Ok(false) => {}
                    Err(why) => {
                        tracing::warn!(why, "the stream of engine events broke; looking at everything again");
                        return;
                    }
                },
                () = tokio::time::sleep_until(due) => second_look = None,
            }
            self.look(engine).await;
            if self.seen.borrow().unreachable.is_some() {
                return;
            }
        }
    }
}

/// A look that is under way. It is no news to anybody.
struct Asking<'a>(&'a watch::Sender<Seen>);

impl<'a> Asking<'a> {
    fn begin(seen: &'a watch::Sender<Seen>) -> Self {
        seen.send_if_modified(|seen| {
            seen.asking += 1;
            false
        });
        Self(seen)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|seen| {
            seen.asking -= 1;
            false
        });
    }
}

/// Whether a container ended; or why nothing more will be heard.
fn ends(heard: Option<Vec<canaryd_engine::Result<EngineEvent>>>) -> Result<bool, String> {
    let mut any = false;
    for event in heard.ok_or("it ended")? {
        any |= is_end(&event.map_err(|error| error.to_string())?.kind);
    }
    Ok(any)
}

fn is_end(kind: &EventKind) -> bool {
    match kind {
        EventKind::Died { .. } | EventKind::OutOfMemory | EventKind::Removed => true,
        EventKind::Created | EventKind::Started | EventKind::Health { .. } | EventKind::Changed => false,
    }
}
