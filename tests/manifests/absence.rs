//! Manifests that are gone: when that means nothing, when it waits for a person, and when it is a deletion.

use std::fs;
use std::time::{Duration, Instant};

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, load};
use canaryd_planner::{Report, Waiting};
use canaryd_rollout::Weight;

use super::{running, until_told};

/// Absence counts as a deletion after 30 s.
const ABSENCE: Duration = Duration::from_secs(30);
const SLOW: [(f64, u64); 2] = [(50.0, 300), (100.0, 300)];

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_vanished_directory_deletes_nothing() {
    let app = demo_image("gate-void", "v1", &[]);
    let second = tempfile::tempdir().unwrap();
    let host = Host::start_with(&["--watch", second.path().to_str().unwrap()]).await;
    host.write("a.yaml", &Manifest::new("gate-void-a", &app, "v1", 22_440).yaml());
    let b = Manifest::new("gate-void-b", &app, "v1", 22_441).yaml();
    fs::write(second.path().join("b.yaml"), &b).unwrap();
    host.until_serving("gate-void-a", "v1").await;
    host.until_serving("gate-void-b", "v1").await;
    let containers = running(&host);
    fs::rename(host.manifests(), host.path("away")).unwrap();
    fs::remove_file(second.path().join("b.yaml")).unwrap();
    let both = |t: &str| t.contains("does not exist") && t.contains("holds no *.yaml");
    until_told(&host, "both directories", both).await;
    let began = Instant::now();
    while began.elapsed() < ABSENCE + Duration::from_secs(4) {
        for name in ["gate-void-a", "gate-void-b"] {
            let report = host.report(name).await.unwrap();
            assert!(report.phase == "idle" && report.waiting.is_empty(), "{report:#?}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    fs::rename(host.path("away"), host.manifests()).unwrap();
    fs::write(second.path().join("b.yaml"), b).unwrap();
    until_told(&host, "all is well again", str::is_empty).await;
    assert_eq!(running(&host), containers, "nothing was started or stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_manifest_takes_the_canary_off_and_production_serves_on() {
    let app = demo_image("gate-gone", "v1", &[]);
    demo_image("gate-gone", "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new("gate-gone", &app, "v1", 22_450).stages(&SLOW);
    host.write("gone.yaml", &manifest.yaml());
    host.write("stay.yaml", &Manifest::new("gate-stay", &app, "v1", 22_451).yaml());
    host.until_serving("gate-gone", "v1").await;
    host.until_serving("gate-stay", "v1").await;
    host.write("gone.yaml", &manifest.clone().version("v2").yaml());
    until_steady(22_450).await;
    let load = load(22_450, 50.0, true);
    host.until("gate-gone", "50 %", |r| r.live_weight > Weight::ZERO).await;

    fs::remove_file(host.manifests().join("gone.yaml")).unwrap();
    let began = Instant::now();
    let waits = |r: &Report| r.waiting.iter().any(|w| matches!(w, Waiting::Deletion { seconds, .. } if *seconds > 0));
    host.until("gate-gone", "it says when it counts as deleted", waits).await;
    let orphaned = |r: &Report| r.notes.iter().any(|n| n.starts_with("orphaned"));
    host.until("gate-gone", "the canary is off", |r| orphaned(r) && r.live_weight == Weight::ZERO).await;
    assert!(began.elapsed() >= ABSENCE, "{:?}", began.elapsed());
    host.until("gate-gone", "its containers are gone", |r| r.canary.is_none()).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.containers("gate-gone", "app").len() > 1 {
        assert!(Instant::now() < deadline, "{:?}", host.containers("gate-gone", "app"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (_, out, _) = host.cli(&["status", "gate-gone"]).await;
    assert!(out.contains("gone") && out.contains("canaryd delete gate-gone"), "what can be done: {out}");
    assert_eq!(get(22_450, "/").await.header("X-Canary-Version"), "v1", "production serves on");
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);

    let (code, out, _) = host.cli(&["delete", "gate-gone", "--yes"]).await;
    assert_eq!(code, 0, "{out}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.report("gate-gone").await.is_some() || !host.containers("gate-gone", "app").is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", host.report("gate-gone").await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let names = canaryd_e2e::docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", "name=gate-gone"]);
    assert_eq!(names, "", "its gateway is gone as well");
    let gateways = host.state().join("gateways");
    assert!(!gateways.join("gate-gone").exists(), "with its configurations, logs and tokens");
    assert_eq!(fs::read_dir(gateways).unwrap().count(), 1, "nothing is left aside, and that of the other stays");
    assert_eq!(get(22_451, "/").await.status, 200, "the others stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_several_go_at_once_a_person_is_asked() {
    let app = demo_image("gate-both", "v1", &[]);
    let host = Host::start().await;
    for (name, port) in [("gate-both-a", 22_460), ("gate-both-b", 22_461), ("gate-both-c", 22_462)] {
        host.write(&format!("{name}.yaml"), &Manifest::new(name, &app, "v1", port).yaml());
        host.until_serving(name, "v1").await;
    }
    let b = fs::read_to_string(host.manifests().join("gate-both-b.yaml")).unwrap();
    fs::remove_file(host.manifests().join("gate-both-a.yaml")).unwrap();
    fs::remove_file(host.manifests().join("gate-both-b.yaml")).unwrap();
    let asks = |r: &Report| r.waiting.iter().any(|w| matches!(w, Waiting::Deletion { seconds: 0, .. }));
    for name in ["gate-both-a", "gate-both-b"] {
        host.until(name, "a person is asked", asks).await;
    }
    let (_, out, _) = host.cli(&["status"]).await;
    assert!(out.contains("2 wait for a person"), "{out}");
    tokio::time::sleep(ABSENCE + Duration::from_secs(4)).await;
    for (name, port) in [("gate-both-a", 22_460), ("gate-both-b", 22_461)] {
        host.until(name, "still asked", |r| asks(r) && r.phase == "idle").await;
        assert_eq!(get(port, "/").await.status, 200);
    }
    host.write("gate-both-b.yaml", &b);
    host.until("gate-both-b", "all is as before", |r| r.phase == "idle" && r.waiting.is_empty()).await;
    let (code, ..) = host.cli(&["delete", "gate-both-a", "--yes"]).await;
    assert_eq!(code, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.report("gate-both-a").await.is_some() {
        assert!(Instant::now() < deadline, "{:#?}", host.report("gate-both-a").await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(get(22_461, "/").await.status, 200);
}
