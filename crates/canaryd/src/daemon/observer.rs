//! One observation of the engine, shared by all rollouts: after every event, on request, and every 30 s.

use std::sync::Arc;
use std::time::Duration;

use canaryd_engine::{Engine, EventKind, Observation};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// After an exit, what killed it may become known only within 2 s.
const SECOND_LOOK: Duration = Duration::from_millis(2100);
/// Docker keeps 256 events, so a missed one is found at the latest then.
const RELIST: Duration = Duration::from_secs(30);

/// The last observation, or why there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The last that succeeded.
    pub(crate) observation: Option<Arc<Observation>>,
    /// Why the engine cannot be asked now.
    pub(crate) unreachable: Option<String>,
    /// Counts attempts.
    pub(crate) n: u64,
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
        let mut events = engine.events();
        let mut second_look: Option<tokio::time::Instant> = None;
        loop {
            let due = second_look.unwrap_or_else(|| tokio::time::Instant::now() + self.next_look());
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) if is_end(&event.kind) => second_look = Some(tokio::time::Instant::now() + SECOND_LOOK),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::warn!(%error, "the stream of engine events broke; looking at everything again");
                        return;
                    }
                    None => return,
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

fn is_end(kind: &EventKind) -> bool {
    match kind {
        EventKind::Died { .. } | EventKind::OutOfMemory | EventKind::Removed => true,
        EventKind::Created | EventKind::Started | EventKind::Health { .. } | EventKind::Changed => false,
    }
}
