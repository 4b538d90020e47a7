//! Triggers carry no payload: a bell wakes a key, and rings in between merge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// Wakes one loop. Ringing is free and may happen from anywhere.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Notify,
    /// Rounds of the loop that were begun.
    begun: AtomicU64,
    /// The last one that ended.
    ended: watch::Sender<u64>,
}

impl Bell {
    /// Wakes the loop now, or lets its next wait return at once.
    pub(crate) fn ring(&self) {
        self.rings.notify_one();
    }
    /// Returns after the next ring. Cancel safe.
    pub(crate) async fn rung(&self) {
        self.rings.notified().await;
    }
    /// The loop begins a round; it says so, and when that has ended.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }
    /// The round has ended.
    pub(crate) fn end(&self, round: u64) {
        self.ended.send_replace(round);
    }
    /// Rings, and returns when a round has ended that began after this call: it has seen whatever was so before.
    pub(crate) async fn full_round(&self) {
        let round = self.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.ended.subscribe();
        self.ring();
        // The sender lives as long as the bell.
        let _ = ended.wait_for(|ended| *ended >= round).await;
    }
}

/// Locks a mutex that is never held across an await; a panic elsewhere does not spread.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
