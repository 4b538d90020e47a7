//! What is fixed when a gateway's container is made: a change of it is told, never done behind a user's back.

use std::net::TcpListener;

use canaryd_e2e::http::get;
use canaryd_e2e::{Host, Manifest, demo_image, docker};
use canaryd_planner::Report;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

fn is_told(report: &Report) -> bool {
    report.notes.iter().any(|note| note.contains("docker rm -f fixed-gateway"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_port_of_a_gateway_is_told_and_counts_when_its_container_is_made_anew() {
    let repository = demo_image("fixed", "v1", &[]);
    let (old, new) = (free_port(), free_port());
    let host = Host::start().await;
    host.write("app.yaml", &Manifest::new("fixed", &repository, "v1", old).yaml());
    let serving = host.until_serving("fixed", "v1").await;
    assert!(!is_told(&serving), "{:?}", serving.notes);
    host.write("app.yaml", &Manifest::new("fixed", &repository, "v1", new).yaml());
    host.until("fixed", "the change is told", is_told).await;
    assert_eq!(get(old, "/").await.status, 200, "until then the old port answers");
    docker(&["rm", "-f", "fixed-gateway"]);
    host.until("fixed", "the new port is in force", |report| !is_told(report)).await;
    assert_eq!(get(new, "/").await.status, 200);
}
