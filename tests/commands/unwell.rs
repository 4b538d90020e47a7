//! That users are not fine is the first thing that is said.

use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, Scene, demo_image, docker, inspect};
use canaryd_planner::{Outcome, Report};

use super::yes;

const NAME: &str = "gate-unwell";

/// One line of JSON for each event.
async fn until_told(host: &Host, kind: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let told = yes(host, &["events", NAME, "--output", "json"]).await;
        if told.matches(&format!("\"kind\":\"{kind}\"")).count() == times {
            return;
        }
        assert!(Instant::now() < deadline, "{kind} was to be told {times} times: {told}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_production_a_paused_gateway_and_a_lost_network_are_the_first_words_of_status() {
    let app = demo_image(NAME, "v1", &[]);
    let host = Host::start().await;
    host.write("unwell.yaml", &Manifest::new(NAME, &app, "v1", 22_590).yaml());
    host.until_serving(NAME, "v1").await;
    let well = |r: &Report| r.unwell.is_none() && r.sentence.starts_with("v1 serves all");

    let container = host.containers(NAME, "app").remove(0);
    docker(&["pause", &container]);
    let ill = |r: &Report| r.sentence.contains("its only container is not healthy") && r.sentence.contains("paused");
    host.until(NAME, "a paused production is said", ill).await;
    let table = yes(&host, &["status"]).await;
    assert!(table.contains("UNWELL") && !table.contains("serving"), "{table}");
    until_told(&host, "unwell", 1).await;
    docker(&["unpause", &container]);
    host.until(NAME, "all is well again", well).await;
    until_told(&host, "well", 1).await;

    let gateway = docker(&["ps", "--format", "{{.Names}}", "--filter", "publish=22590"]);
    let gateway = gateway.trim();
    docker(&["pause", gateway]);
    until_told(&host, "gateway-paused", 1).await;
    let silent = |r: &Report| r.sentence.starts_with("users get no answers: the gateway");
    host.until(NAME, "a paused gateway is said", silent).await;
    until_told(&host, "unwell", 2).await;
    docker(&["unpause", gateway]);
    until_told(&host, "gateway-unpaused", 1).await;
    host.until(NAME, "all is well again", well).await;

    docker(&["stop", "--time", "1", gateway]);
    until_told(&host, "gateway-lost", 1).await;
    until_told(&host, "gateway-back", 1).await;
    host.until(NAME, "all is well again", well).await;
    until_told(&host, "container-paused", 1).await;
    until_told(&host, "container-unpaused", 1).await;

    let network = inspect(&container, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}");
    docker(&["network", "disconnect", &network, &container]);
    let cut_off = |r: &Report| r.sentence.contains("is not on canaryd's network") && r.unwell.is_some();
    host.until(NAME, "a production that is cut off is said", cut_off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_on_trial_that_somebody_pauses_is_off_at_once_not_blamed_and_told_with_what_to_do() {
    let mut scene = Scene::begin("paused-canary", |m| m.stages(&[(25.0, 6), (100.0, 1)]).longest_stage(300)).await;
    scene.release("v2", &[]);
    scene.until("a quarter", |r| r.live_weight.basis_points() == 2500).await;
    let canary = scene.canaries().remove(0);
    docker(&["pause", &canary]);
    let says = |r: &Report| r.live_weight.basis_points() == 0 && r.sentence.contains("docker unpause");
    scene.until("it is off, and why", says).await;
    let off = |r: &Report| r.live_weight.basis_points() == 0 && r.phase == "observing";
    scene.stays(Duration::from_secs(8), "off, and not blamed", off).await;
    docker(&["unpause", &canary]);
    scene.until_told("recovered", 1).await;
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Promoted).await;
}
