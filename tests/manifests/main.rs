//! Manifests while the daemon runs under load: created, changed, broken, mended, moved and deleted by whatever writes
//! files; and what becomes of the rollouts.
#![allow(clippy::print_stdout, reason = "measured times are printed")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod absence;
mod clashes;
mod faults;
mod ways;

use std::time::{Duration, Instant};

use canaryd_e2e::Host;

/// What is wrong with manifests now, as `status` says it.
async fn problems(host: &Host) -> String {
    host.client().await.status().await.unwrap().problems.join("\n")
}

/// Waits until `done` likes what is said of the manifests; how long it took.
async fn until_told(host: &Host, what: &str, done: impl Fn(&str) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let told = problems(host).await;
        if done(&told) {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}\n{told}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ids of everything that runs for these rollouts, gateways included.
fn running(host: &Host) -> Vec<String> {
    let label = format!("label=io.canaryd.instance={}", host.instance());
    let mut ids: Vec<String> =
        canaryd_e2e::docker(&["ps", "-q", "--filter", &label]).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}
