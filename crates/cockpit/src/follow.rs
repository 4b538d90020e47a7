//! The stream that a follower is sent: the state whenever it changed, and every event in its order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use canaryd_planner::Report;
use canaryd_rollout::RolloutName;
use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::Control;
use crate::page::Followed;

/// Counters move without an event; so often they are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Events of one look.
const BATCH: usize = 500;

struct Follower {
    control: Arc<dyn Control>,
    name: RolloutName,
    host: String,
    changes: watch::Receiver<u64>,
    shutdown: CancellationToken,
    after: u64,
    last: Option<Report>,
    pending: VecDeque<Followed>,
    ended: bool,
}

/// Follows one rollout from event number `after` on (`None`: from now on) until it is gone or the daemon stops.
pub(crate) async fn follow(
    control: Arc<dyn Control>,
    name: RolloutName,
    after: Option<u64>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Followed> + Send + 'static {
    let changes = control.changes();
    let host = control.status().await.host;
    let after = match after {
        Some(seq) => seq,
        None => newest(&*control, &name).await,
    };
    let mut follower =
        Follower { control, name, host, changes, shutdown, after, last: None, pending: VecDeque::new(), ended: false };
    follower.look().await;
    futures::stream::unfold(follower, |mut follower| async move {
        let next = follower.next().await?;
        Some((next, follower))
    })
}

async fn newest(control: &dyn Control, name: &RolloutName) -> u64 {
    let lines = control.events(Some(name), 0, 1).await.unwrap_or_default();
    lines.last().map_or(0, |line| line.seq)
}

impl Follower {
    async fn next(&mut self) -> Option<Followed> {
        loop {
            if let Some(next) = self.pending.pop_front() {
                return Some(next);
            }
            if self.ended {
                return None;
            }
            self.wait().await;
            self.look().await;
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.shutdown.cancelled() => self.end("the daemon stops; everything keeps serving as it is", true),
            changed = self.changes.changed() => if changed.is_err() { self.end("the daemon stops", true) },
            () = tokio::time::sleep(LOOK) => {}
        }
    }

    async fn look(&mut self) {
        if self.ended {
            return;
        }
        // Events first: whoever sees the new state has been told how it came about.
        if let Ok(lines) = self.control.events(Some(&self.name), self.after, BATCH).await {
            let seen = self.after;
            for event in lines.into_iter().filter(|line| line.seq > seen) {
                self.after = event.seq;
                self.pending.push_back(Followed::Event { event });
            }
        }
        match self.control.report(&self.name).await {
            None => self.end("the rollout is gone", false),
            Some(report) if self.last.as_ref() != Some(&report) => {
                self.pending.push_back(Followed::Report { host: self.host.clone(), report: Box::new(report.clone()) });
                self.last = Some(report);
            }
            Some(_) => {}
        }
    }

    fn end(&mut self, why: &str, stops: bool) {
        if !self.ended {
            self.ended = true;
            self.pending.push_back(Followed::End { why: why.to_owned(), stops });
        }
    }
}
