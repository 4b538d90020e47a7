//! The two ways to a container: by its address, and through the gateway's ops port.

use std::net::TcpListener;

use canaryd_e2e::{Host, Manifest, demo_image, load};
use canaryd_planner::Outcome;

/// A rollout of a good version, and of one that is never healthy; the daemon's log.
async fn story(name: &str, args: &[&str]) -> String {
    let repository = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    demo_image(name, "v3", &[("HEALTH_LIES", "unwell")]);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let host = Host::start_with(args).await;
    let manifest = Manifest::new(name, &repository, "v1", port).stages(&[(50.0, 1), (100.0, 1)]);
    host.write("app.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    let load = load(port, 100.0, true);
    host.write("app.yaml", &manifest.clone().version("v2").yaml());
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    host.write("app.yaml", &manifest.version("v3").yaml());
    let ended = host.expect_outcome(name, "v3", Outcome::Reverted).await;
    assert!(ended.reason.contains("health"), "{}", ended.reason);
    let seen = load.stop().await;
    assert_eq!(seen.failed, 0, "no request is lost: {:?}\n{:#?}\n{}", seen.by_class, seen.failures.first(), host.log());
    host.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_gateway_a_good_version_is_promoted_and_an_ill_one_reverted() {
    story("relayed", &["--reach", "relay"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_route_containers_are_asked_directly() {
    let log = story("routed", &[]).await;
    assert!(log.contains("how containers are reached") && log.contains("direct"), "{log}");
}
