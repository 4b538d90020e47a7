//! No front door: the gateway takes the port of the container itself.

use std::time::Instant;

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, remove_leftovers};

use super::Old;

const NAME: &str = "door-place";
const PORT: u16 = 22_650;

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_takes_the_port_of_a_container_as_soon_as_that_is_stopped() {
    remove_leftovers(NAME);
    let app = demo_image(NAME, "v1", &[]);
    let old = Old::run(NAME, &format!("{app}:v1"), &format!("127.0.0.1:{PORT}:8000"));
    until_steady(PORT).await;
    let host = Host::start().await;
    host.set(&Manifest::new(NAME, &app, "v1", PORT));
    let told = |text: &str| text.contains("door-place-old") && text.contains(&PORT.to_string());
    let report = host.until(NAME, "the port is taken", |r| told(&serde_json::to_string(r).unwrap())).await;
    let status = host.run_cli(&["status", NAME]).await;
    assert!(told(&status), "{status} {report:#?}");
    assert_eq!(get(PORT, "/").await.header("X-Served-By"), "", "the old one serves on");
    let stopped = Instant::now();
    old.stop();
    host.until_serving(NAME, "v1").await;
    until_steady(PORT).await;
    assert_eq!(get(PORT, "/").await.header("X-Served-By"), "production");
    println!("the gateway answers {:.1} s after docker stop was said", stopped.elapsed().as_secs_f64());
}
