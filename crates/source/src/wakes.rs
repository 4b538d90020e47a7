//! Between the kernel's events and the wake-ups: what the watcher's thread, the looks and the waker share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::Event;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::identity::Identity;
use crate::news::{News, news_of};
use crate::quiet::{AT_MOST, Quiet};
use crate::scope::Scope;

/// How often is asked whether a watched directory is still the one that was read (one `stat` for each). A mount over
/// it and a renamed directory above it give no event.
const BEAT: Duration = Duration::from_secs(1);
/// A wake-up comes at least this often.
const AT_LAST: Duration = Duration::from_secs(30);
/// Shortest wait for a burst that is as good as over.
const MOMENT: Duration = Duration::from_millis(1);

/// What is shared.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    scope: Mutex<Arc<Scope>>,
    quiet: Mutex<Quiet>,
    /// For looks that wait.
    heard: Condvar,
    /// For the waker.
    stirred: Notify,
    lost: AtomicBool,
    deaf: Mutex<Option<String>>,
    tops: Mutex<Vec<Option<Identity>>>,
}

impl Wakes {
    /// An event, on the watcher's thread.
    pub(crate) fn heed(&self, event: &notify::Result<Event>) {
        let scope = Arc::clone(&lock(&self.scope));
        for news in news_of(event, &scope) {
            if matches!(news, News::Lost | News::Anything) {
                self.lost.store(true, Ordering::SeqCst);
            }
            self.take(news);
        }
    }

    /// Asks for a wake-up.
    pub(crate) fn stir(&self) {
        self.take(News::Anything);
    }

    fn take(&self, news: News) {
        lock(&self.quiet).heed(news, Instant::now());
        self.heard.notify_all();
        self.stirred.notify_one();
    }

    /// Judges events by this scope from now on; whether it is another one than before.
    pub(crate) fn take_scope(&self, scope: Scope) -> bool {
        let mut current = lock(&self.scope);
        let is_other = **current != scope;
        if is_other {
            *current = Arc::new(scope);
        }
        is_other
    }

    /// Whether a watch was lost since this was asked last.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::SeqCst)
    }

    /// What the last look saw the watched directories lead to.
    pub(crate) fn set_tops(&self, tops: Vec<Option<Identity>>) {
        *lock(&self.tops) = tops;
    }

    /// Why some change may go untold, if so. Said once, and once when it is over.
    pub(crate) fn set_deaf(&self, why: Option<String>) {
        let mut deaf = lock(&self.deaf);
        if *deaf == why {
            return;
        }
        if let Some(why) = &why {
            tracing::warn!("manifests are looked at once a second, because {why}");
        } else {
            tracing::info!("every change of a manifest is told by the kernel again");
        }
        *deaf = why;
    }

    /// Why some change may go untold.
    #[cfg(test)]
    pub(crate) fn deaf(&self) -> Option<String> {
        lock(&self.deaf).clone()
    }

    /// Blocks while a file is being written, at most half a second: a look taken for another reason reads no halves.
    pub(crate) fn wait_for_quiet(&self) {
        let bound = Instant::now() + AT_MOST;
        let mut quiet = lock(&self.quiet);
        while let Some(rest) = quiet.due().and_then(|due| due.min(bound).checked_duration_since(Instant::now())) {
            let heard = self.heard.wait_timeout(quiet, rest.max(MOMENT));
            quiet = heard.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn due(&self) -> Option<Instant> {
        lock(&self.quiet).due()
    }

    fn is_over(&self) -> bool {
        lock(&self.quiet).end(Instant::now())
    }
}

/// Turns news into wake-ups until nobody listens any more or the source is dropped. A full channel is a wake-up
/// already.
pub(crate) async fn run(
    wakes: Arc<Wakes>,
    dirs: Vec<PathBuf>,
    wake: mpsc::Sender<()>,
    mut dropped: oneshot::Receiver<()>,
) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        let due = wakes.due();
        let is_time = tokio::select! {
            _ = &mut dropped => return,
            () = wake.closed() => return,
            () = wakes.stirred.notified() => false,
            () = until(due) => wakes.is_over(),
            _ = beat.tick() => last.is_none_or(|last: Instant| last.elapsed() >= AT_LAST) || unheard(&wakes, &dirs).await,
        };
        if is_time {
            last = Some(Instant::now());
            let _ = wake.try_send(());
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether something may have changed of which the kernel does not tell.
async fn unheard(wakes: &Arc<Wakes>, dirs: &[PathBuf]) -> bool {
    if lock(&wakes.deaf).is_some() {
        return true;
    }
    let dirs = dirs.to_owned();
    let now = tokio::task::spawn_blocking(move || dirs.iter().map(|dir| Identity::of(dir)).collect::<Vec<_>>()).await;
    now.is_ok_and(|now| now != *lock(&wakes.tops))
}

/// Locks a mutex that is held for moments only; a panic elsewhere does not spread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_for_another_reason_waits_until_a_file_is_written() {
        let wakes = Arc::new(Wakes::default());
        wakes.wait_for_quiet();
        let start = Instant::now();
        wakes.take(News::Writing("a".into()));
        let writer = {
            let wakes = Arc::clone(&wakes);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                wakes.take(News::Changed("a".into()));
            })
        };
        wakes.wait_for_quiet();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(150) && took < AT_MOST, "it waited for {took:?}");
        writer.join().expect("it wrote");
    }

    #[test]
    fn a_look_for_another_reason_waits_for_half_a_second_at_most() {
        let wakes = Arc::new(Wakes::default());
        let start = Instant::now();
        let storm = {
            let wakes = Arc::clone(&wakes);
            std::thread::spawn(move || {
                while start.elapsed() < AT_MOST * 4 {
                    // As the waker does: what is over is forgotten, and the next burst begins at once.
                    wakes.is_over();
                    wakes.take(News::Writing("a".into()));
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        wakes.take(News::Writing("a".into()));
        wakes.wait_for_quiet();
        assert!(start.elapsed() < AT_MOST * 3, "it waited for {:?}", start.elapsed());
        storm.join().expect("it stormed");
    }
}
