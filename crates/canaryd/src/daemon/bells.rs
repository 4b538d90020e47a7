//! Triggers carry no payload: a bell wakes a key, and rings in between merge.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Wakes one loop. Ringing is free and may happen from anywhere.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    /// Wakes the loop now, or lets its next wait return at once.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }
    /// Returns after the next ring. Cancel safe.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Locks a mutex that is never held across an await; a panic elsewhere does not spread.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
