//! Maintenance under constant traffic: every request is answered by the application or by the page, whatever is killed.

use std::time::Duration;

use canaryd_e2e::{Host, Traffic, http};

use crate::manifest;

const PAGE: &str = "<h1 class=\"big\">back at 5 $, o'clock \\o/</h1>\r\n<p>é</p>\n";

/// Whether every container of the rollout's app has ended.
fn all_ended(host: &Host, name: &str) -> bool {
    host.of_version(name, "app", "v1").iter().all(|container| !container.running)
}

async fn shows_the_page(port: u16) {
    for line in ["GET /x.jpg", "POST /echo"] {
        let answer = http::ask(port, line, &[("Accept", "text/html,*/*")], b"").await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (503, PAGE));
        assert_eq!((answer.header("Retry-After"), answer.header("Cache-Control")), ("1800", "no-store"));
        assert_eq!(answer.header("Content-Type"), "text/html; charset=utf-8");
    }
    let json = http::ask(port, "GET /", &[("Accept", "application/json")], b"").await.expect("an answer");
    assert_eq!((json.status, json.header("Content-Type")), (503, "application/json"), "{}", json.body);
}

#[tokio::test]
async fn between_stop_and_start_every_request_is_answered_by_the_app_or_by_the_page() {
    let (name, port) = ("maintained", 21_521);
    let mut host = Host::serving(&manifest(name, port).replicas(2)).await;
    let before = host.of_version(name, "app", "v1");
    let file = host.path("down.html");
    std::fs::write(&file, PAGE).expect("writable");
    let traffic = Traffic::start(port);
    traffic.until_sent(100).await;
    let slow = tokio::spawn(async move { http::get(port, "/work?ms=2000").await.status });
    tokio::time::sleep(Duration::from_millis(300)).await;

    let file = file.to_str().expect("text");
    let words = ["stop", name, "--page", file, "--retry-after", "30m", "--comment", "a migration"];
    host.run_cli(&words).await;
    let report = host.until(name, "it is stopped", |r| r.phase == "stopped").await;
    assert!(report.sentence.starts_with("stopped for maintenance") && report.sentence.contains("a migration"));
    assert_eq!(slow.await.expect("it ends"), 200, "what was under way is finished");
    assert!(all_ended(&host, name), "{:#?}", host.of_version(name, "app", "v1"));
    std::fs::remove_file(file).expect("it is there");
    shows_the_page(port).await;
    let (code, _, said) = host.cli(&["wait", name]).await;
    assert!(code == 3 && said.contains("canaryd start maintained"), "{code}: {said}");

    host.kill().await;
    let sent = traffic.so_far().sent;
    traffic.until_sent(sent + 100).await;
    host.run().await;
    host.until(name, "it is still stopped", |r| r.phase == "stopped").await;
    assert!(all_ended(&host, name));
    shows_the_page(port).await;

    host.run_cli(&["start", name]).await;
    host.kill().await;
    host.run().await;
    host.until_serving(name, "v1").await;
    let sent = traffic.so_far().sent;
    traffic.until_sent(sent + 200).await;
    let answers = traffic.stop().await;
    let pages = answers.by_class.get("status-503").copied().unwrap_or_default();
    assert!(answers.failed == pages && pages > 100, "a request was lost: {answers:#?}");
    assert!(answers.of_version("v1") > 200, "{answers:#?}");
    let after = host.of_version(name, "app", "v1");
    assert_eq!(before.iter().map(|c| &c.id).collect::<Vec<_>>(), after.iter().map(|c| &c.id).collect::<Vec<_>>());
    let told: Vec<String> = host.events(name).await.into_iter().map(|event| event.kind).collect();
    for kind in ["stop-asked", "stopped", "start-asked", "served-again"] {
        assert_eq!(told.iter().filter(|told| *told == kind).count(), 1, "{kind}: {told:?}");
    }
    assert!(!told.iter().any(|kind| kind == "container-lost" || kind == "unwell"), "{told:?}");
}
