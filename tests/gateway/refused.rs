//! A gateway whose newest settings NGINX refuses goes on with those before: addresses, ways back and the end still reach it.

use std::time::{Duration, Instant};

use canaryd_e2e::{Scene, docker};
use canaryd_planner::{Outcome, Report};

const BROKEN: &str = "snippets: { location: \"proxy_buffring off;\" }";
const MENDED: &str = "snippets: { location: \"add_header X-Mine yes;\" }";
const PATIENCE: Duration = Duration::from_secs(30);

fn is_refused(report: &Report) -> bool {
    format!("{report:?}").contains("NGINX refuses")
}

async fn answers(scene: &Scene, path: &str) -> Option<String> {
    let url = format!("http://127.0.0.1:{}{path}", scene.port());
    let output = tokio::process::Command::new("curl").args(["-sfi", "--max-time", "2", &url]).output().await.unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_settings_are_refused_a_container_that_is_replaced_gets_its_requests_and_a_mended_snippet_is_live_at_once()
 {
    let mut scene = Scene::begin("gate-refused", |m| m.stages(&[(25.0, 2), (100.0, 1)])).await;
    let good = scene.manifest.clone();
    scene.apply(good.clone().gateway(BROKEN));
    let report = scene.until("it is refused", is_refused).await;
    let told = format!("{report:?}");
    assert!(told.contains("proxy_buffring") && told.contains("goes on with the settings before"), "{told}");
    let before = scene.host.containers(&scene.name, "app");
    docker(&["rm", "-f", &before[0]]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ok = scene.users().ok;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let replaced = scene.host.containers(&scene.name, "app").iter().any(|id| !before.contains(id));
        if replaced && scene.users().ok > ok + 10 {
            break;
        }
        assert!(Instant::now() < deadline, "users are not served again: {}", scene.host.log());
    }
    let events = async |host: &canaryd_e2e::Host| {
        host.events("gate-refused").await.iter().filter(|e| e.kind == "gateway").count()
    };
    scene.until_told("gateway", 1).await;
    let told = events(&scene.host).await;
    scene.host.terminate().await;
    scene.host.run().await;
    scene.until("it is known after a restart", is_refused).await;
    scene.stays(Duration::from_secs(3), "refused, and told once", is_refused).await;
    assert_eq!(events(&scene.host).await, told, "{:#?}", scene.host.events("gate-refused").await);
    scene.apply(good.gateway(MENDED));
    scene.until("it is as asked", |r| !is_refused(r)).await;
    let deadline = Instant::now() + PATIENCE;
    while !answers(&scene, "/").await.is_some_and(|answer| answer.to_lowercase().contains("x-mine: yes")) {
        assert!(Instant::now() < deadline, "the mended snippet is not live: {}", scene.host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_settings_are_refused_nothing_is_raised_by_itself_an_undo_ends_and_so_does_a_deletion() {
    let mut scene = Scene::begin("gate-refused-undo", |m| m.stages(&[(25.0, 1), (100.0, 1)])).await;
    scene.release("v2", &[]);
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Promoted).await;
    scene.release("v3", &[]);
    scene.until("a quarter", |r| r.live_weight.basis_points() == 2500).await;
    scene.apply(scene.manifest.clone().gateway(BROKEN));
    scene.until("it is refused", is_refused).await;
    scene.stays(Duration::from_secs(6), "at a quarter", |r| r.live_weight.basis_points() == 2500).await;
    assert!(
        scene.host.report(&scene.name).await.unwrap().outcome.is_none_or(|o| o.version == "v2"),
        "nobody is blamed"
    );
    scene.host.run_cli(&["abort", &scene.name]).await;
    scene.host.expect_outcome(&scene.name, "v3", Outcome::Aborted).await;
    scene.host.run_cli(&["undo", &scene.name]).await;
    scene.host.until_serving(&scene.name, "v1").await;
    let users = scene.users();
    assert_eq!(users.failed, 0, "{:?}", users.by_class);
    let began = Instant::now();
    scene.host.run_cli(&["delete", &scene.name, "--yes"]).await;
    scene.until("everything is gone", |r| r.notes.iter().any(|n| n.contains("deleted"))).await;
    assert!(began.elapsed() < PATIENCE && scene.host.containers(&scene.name, "app").is_empty());
}
