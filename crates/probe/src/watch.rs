//! The task that looks at one replica again and again.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::health::{Health, HealthSettings, HealthState, Look};
use crate::reach::{Answer, Reach, ReachError};

/// Longest health answer that is read.
const MAX_BODY: usize = 64 * 1024;

/// The endpoint that says whether a replica is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The container's address.
    pub addr: IpAddr,
    /// Port inside.
    pub port: u16,
    /// Path with a leading slash; 200 to 399 means well.
    pub path: String,
}

/// Looks at one replica, at once and then at its interval, until `cancel` or until nobody listens any more.
/// `age` is how long the container had been running when this was called.
///
/// # Guarantees
/// The first value is `Starting`. Only changes are published. A look never takes longer than `settings.timeout`, and
/// never overlaps with the next one.
#[must_use]
pub fn watch_http(
    reach: Reach,
    target: Target,
    settings: HealthSettings,
    age: Duration,
    cancel: CancellationToken,
) -> watch::Receiver<Health> {
    let state = HealthState::new(settings);
    let (publish, receiver) = watch::channel(state.health().clone());
    tokio::spawn(async move {
        let looking = keep_looking(&reach, &target, settings, age, state, &publish);
        tokio::select! {
            () = cancel.cancelled() => {}
            () = publish.closed() => {}
            () = looking => {}
        }
    });
    receiver
}

async fn keep_looking(
    reach: &Reach,
    target: &Target,
    settings: HealthSettings,
    age: Duration,
    mut state: HealthState,
    publish: &watch::Sender<Health>,
) {
    let began = Instant::now();
    loop {
        let look = look(reach, target, settings.timeout).await;
        let health = state.feed(look, age + began.elapsed()).clone();
        publish.send_if_modified(|last| {
            let changed = *last != health;
            if changed {
                *last = health;
            }
            changed
        });
        tokio::time::sleep(state.next_look()).await;
    }
}

async fn look(reach: &Reach, target: &Target, timeout: Duration) -> Look {
    judge(reach.get(target.addr, target.port, &target.path, timeout, MAX_BODY).await)
}

fn judge(answer: Result<Answer, ReachError>) -> Look {
    match answer {
        Ok(answer) if (200..400).contains(&answer.status) => Look::Well,
        Ok(answer) => Look::Unwell(format!("status {}", answer.status)),
        Err(error) if error.blames_container() => Look::Unwell(error.to_string()),
        Err(error) => Look::Unseen(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Stage, nobody};
    use std::net::SocketAddr;

    const SETTINGS: HealthSettings = HealthSettings {
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(200),
        failures: 3,
        startup: Duration::from_millis(200),
    };

    fn watch(reach: Reach, to: SocketAddr, path: &str, cancel: &CancellationToken) -> watch::Receiver<Health> {
        let target = Target { addr: to.ip(), port: to.port(), path: path.to_owned() };
        watch_http(reach, target, SETTINGS, Duration::ZERO, cancel.clone())
    }

    async fn wait_for(health: &mut watch::Receiver<Health>, want: impl FnMut(&Health) -> bool) {
        tokio::time::timeout(Duration::from_secs(5), health.wait_for(want)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_replica_that_answers_is_healthy() {
        let (stage, cancel) = (Stage::open().await, CancellationToken::new());
        let mut health = watch(Reach::Direct, stage.addr, "/health", &cancel);
        wait_for(&mut health, |h| *h == Health::Healthy).await;
    }

    #[tokio::test]
    async fn a_replica_that_answers_503_is_unhealthy_after_its_startup_time() {
        let (stage, cancel) = (Stage::open().await, CancellationToken::new());
        let mut health = watch(Reach::Direct, stage.addr, "/status/503", &cancel);
        wait_for(&mut health, |h| matches!(h, Health::Unhealthy { why } if why.ends_with("status 503"))).await;
    }

    #[tokio::test]
    async fn behind_a_broken_relay_a_replica_is_never_unhealthy() {
        let (stage, cancel) = (Stage::open().await, CancellationToken::new());
        let reach = Reach::Relay { ops: nobody().await, token: String::new() };
        let mut health = watch(reach, stage.addr, "/health", &cancel);
        wait_for(&mut health, |h| matches!(h, Health::Starting { last: Some(why) } if why.contains("relay"))).await;
        let unhealthy = health.wait_for(|h| matches!(h, Health::Unhealthy { .. }));
        assert!(tokio::time::timeout(SETTINGS.startup * 3, unhealthy).await.is_err(), "the relay was to blame");
    }

    #[tokio::test]
    async fn a_cancelled_watch_ends() {
        let (stage, cancel) = (Stage::open().await, CancellationToken::new());
        let mut health = watch(Reach::Direct, stage.addr, "/health", &cancel);
        cancel.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), health.wait_for(|_| false)).await.unwrap();
        assert!(ended.is_err(), "the sender is gone");
    }
}
