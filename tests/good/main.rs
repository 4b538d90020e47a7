//! A good version gets through by itself, on a real engine behind a real NGINX, under constant traffic, with no request
//! lost; so do the ways back, changes of the manifest, what people press, workers, and restarts of the daemon.

mod changes;
mod commands;
mod maintenance;
mod restarts;
mod stages;
mod workers;

use std::time::{Duration, Instant};

use canaryd_e2e::{Container, Generation, Host, Manifest, PATIENCE, good_images};
use canaryd_gateway::Lane;
use canaryd_planner::Report;
use canaryd_rollout::Weight;

/// A rollout at v1 for which v1, v2 and v3 are good images.
fn manifest(name: &str, port: u16) -> Manifest {
    Manifest::new(name, &good_images(name, &["v1", "v2", "v3"]), "v1", port)
}

fn percent(text: &str) -> Weight {
    text.parse().expect("a weight")
}

fn ids(containers: &[Container]) -> Vec<&str> {
    containers.iter().map(|c| c.id.as_str()).collect()
}

/// Whether a configuration has the replicas that its weight needs, of so many in production.
fn has_capacity(step: &Generation, production: u32) -> bool {
    let needed = (step.weight().share() * f64::from(production)).ceil();
    f64::from(u32::try_from(step.replicas(Lane::Canary)).expect("a few")) >= needed
}

/// Waits until the containers of one version of a component are as described.
async fn until_containers(
    host: &Host,
    (name, component, version): (&str, &str, &str),
    done: impl Fn(&[Container]) -> bool,
) -> Vec<Container> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = host.of_version(name, component, version);
        if done(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "{component} of {version} stayed {now:#?}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Fails when this stops being so within that time.
async fn stays(host: &Host, name: &str, what: &str, time: Duration, so: impl Fn(&Report) -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let report = host.report(name).await.expect("it is known");
        assert!(so(&report), "not any more: {what}\n{report:#?}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many lines of the history are of this kind.
async fn told(host: &Host, name: &str, kind: &str) -> usize {
    host.events(name).await.iter().filter(|e| e.kind == kind).count()
}
