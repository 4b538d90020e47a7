//! Two manifests that want the same: one name, one port.

use std::fs;
use std::time::{Duration, Instant};

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, load};

use super::{problems, until_told};

#[tokio::test(flavor = "multi_thread")]
async fn equal_manifests_of_one_name_are_a_move_and_different_ones_a_conflict() {
    let app = demo_image("gate-name", "v1", &[]);
    demo_image("gate-name", "v2", &[]);
    let host = Host::start().await;
    let one = Manifest::new("gate-name", &app, "v1", 22_420).stages(&[(50.0, 1), (100.0, 1)]);
    host.write("m.yaml", &one.yaml());
    host.until_serving("gate-name", "v1").await;
    let containers = host.containers("gate-name", "app");

    fs::create_dir(host.manifests().join("team")).unwrap();
    host.write("team/moved.yaml", &format!("# moved here\n{}", one.yaml()));
    fs::remove_file(host.manifests().join("m.yaml")).unwrap();
    // A second look would be enough to take the move for a deletion; five seconds of looks are not.
    host.write("flag.yaml", "kind: Nonsense\n");
    until_told(&host, "it has looked", |t| t.contains("flag.yaml")).await;
    fs::remove_file(host.manifests().join("flag.yaml")).unwrap();
    until_told(&host, "nothing is wrong with a move", str::is_empty).await;
    let report = host.report("gate-name").await.unwrap();
    assert!(report.phase == "idle" && report.waiting.is_empty(), "{report:#?}");

    // Earlier in the alphabet, and newer: it takes over nothing.
    host.write("a.yaml", &one.clone().version("v2").yaml());
    until_told(&host, "a conflict", |t| t.contains("several manifests are named gate-name")).await;
    let told = problems(&host).await;
    assert!(told.contains("a.yaml:") && told.contains("team/moved.yaml:") && told.contains("hint"), "{told}");
    assert!(told.contains("moved.yaml said before stays in force"), "{told}");
    let note = |r: &canaryd_planner::Report| r.notes.iter().any(|n| n.contains("ignored"));
    host.until("gate-name", "the rollout itself says so", note).await;
    assert_eq!(host.containers("gate-name", "app"), containers);
    assert_eq!(get(22_420, "/").await.header("X-Canary-Version"), "v1");

    let _load = load(22_420, 100.0, true);
    // The one in force goes: the other one counts now.
    fs::remove_file(host.manifests().join("team/moved.yaml")).unwrap();
    host.until_serving("gate-name", "v2").await;
    assert_eq!(problems(&host).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_a_port_that_is_taken_is_told_and_waits() {
    let app = demo_image("gate-port", "v1", &[]);
    let host = Host::start().await;
    host.write("a.yaml", &Manifest::new("gate-port-a", &app, "v1", 22_430).yaml());
    host.until_serving("gate-port-a", "v1").await;
    until_steady(22_430).await;
    let second = Manifest::new("gate-port-b", &app, "v1", 22_430);
    host.write("b.yaml", &second.yaml());
    let both = |t: &str| t.contains("gate-port-b wants 127.0.0.1:22430") && t.contains("port of gate-port-a");
    until_told(&host, "both names and the port", both).await;
    let exposed = Manifest::new("gate-port-c", &app, "v1", 22_431).gateway("expose: { canary: 22430 }");
    host.write("c.yaml", &exposed.yaml());
    until_told(&host, "an exposed port counts as well", |t| t.contains("gate-port-c wants 127.0.0.1:22430")).await;
    assert!(host.log().contains("gate-port-b wants"), "the log tells, too");
    assert!(host.containers("gate-port-b", "app").is_empty(), "nothing is started for it");
    assert_eq!(get(22_430, "/").await.status, 200, "who has it keeps it");

    host.write("b.yaml", &second.yaml().replace("22430", "22432"));
    host.until_serving("gate-port-b", "v1").await;
    fs::remove_file(host.manifests().join("c.yaml")).unwrap();
    until_told(&host, "nothing is wrong any more", str::is_empty).await;
    until_steady(22_432).await;

    // A port that a stranger holds is nobody's mistake in a manifest: it is waited for, and told.
    let stranger = std::net::TcpListener::bind("127.0.0.1:22433").unwrap();
    host.write("d.yaml", &Manifest::new("gate-port-d", &app, "v1", 22_433).yaml());
    let held = |r: &canaryd_planner::Report| serde_json::to_string(r).unwrap().contains("22433");
    host.until("gate-port-d", "which port is taken", held).await;
    drop(stranger);
    host.until_serving("gate-port-d", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_a_deleted_rollout_goes_to_the_one_that_waits_for_it_without_another_word() {
    let app = demo_image("gate-heir", "v1", &[]);
    let host = Host::start().await;
    host.write("a.yaml", &Manifest::new("gate-heir-a", &app, "v1", 22_436).yaml());
    host.until_serving("gate-heir-a", "v1").await;
    host.write("b.yaml", &Manifest::new("gate-heir-b", &app, "v1", 22_436).yaml());
    until_told(&host, "it is taken", |t| t.contains("gate-heir-b wants 127.0.0.1:22436")).await;
    fs::remove_file(host.manifests().join("a.yaml")).unwrap();
    let way_on = "after canaryd delete gate-heir-a this one begins by itself";
    until_told(&host, "what frees it", |t| t.contains(way_on)).await;
    let began = Instant::now();
    assert_eq!(host.cli(&["delete", "gate-heir-a", "--yes"]).await.0, 0);
    host.until_serving("gate-heir-b", "v1").await;
    assert!(began.elapsed() < Duration::from_secs(25), "it waited for the absence: {:?}", began.elapsed());
    let log = host.log();
    assert!(log.contains("gate-heir-a is being deleted: this one begins by itself"), "{log}");
    assert_eq!(problems(&host).await, "");
}
