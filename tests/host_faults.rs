//! What the host lacks is the host's fault: no version is blamed for it, production serves on, and whoever looks is told
//! what to mend.

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, docker, free_port};
use canaryd_planner::{Report, Waiting};

fn is_in_trouble(report: &Report, words: &str) -> bool {
    report.waiting.iter().any(|w| matches!(w, Waiting::Trouble { why } if why.contains(words)))
}

/// Removes what a test makes in Docker, also when it fails, and what an earlier run may have left.
struct Made(&'static [&'static str]);

impl Made {
    fn anew(remove: &'static [&'static str]) -> Self {
        drop(Self(remove));
        Self(remove)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_network_blocks_no_version_which_goes_on_when_it_is_there() {
    let repository = demo_image("lacking", "v1", &[]);
    demo_image("lacking", "v2", &[]);
    let port = free_port();
    let manifest = Manifest::new("lacking", &repository, "v1", port).stages(&[(25.0, 60), (100.0, 2)]);
    let _network = Made::anew(&["network", "rm", "canaryd-test-lacking"]);
    let host = Host::serving(&manifest).await;
    host.set(&manifest.app("networks: [canaryd-test-lacking]").version("v2"));
    let told = |r: &Report| is_in_trouble(r, "network canaryd-test-lacking");
    let report = host.until("lacking", "it says what is missing", told).await;
    assert!(report.unmet.is_none() && report.outcome.is_none_or(|o| o.version == "v1"), "nobody is blamed");
    assert!(report.sentence.contains("docker network create canaryd-test-lacking"), "{}", report.sentence);
    assert_eq!(get(port, "/").await.status, 200);
    docker(&["network", "create", "canaryd-test-lacking"]);
    host.until_weight("lacking", "25").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_production_that_cannot_be_made_is_told_while_the_others_serve() {
    let repository = demo_image("scant", "v1", &[]);
    let port = free_port();
    let manifest = Manifest::new("scant", &repository, "v1", port);
    let host = Host::serving(&manifest).await;
    let revision = host.report("scant").await.and_then(|r| r.production).expect("it serves").revision;
    let taken = format!("scant-app-{revision}-2");
    docker(&["create", "--name", &taken, &format!("{repository}:v1")]);
    host.set(&manifest.replicas(2));
    let report = host.until("scant", "it says what is in the way", |r| is_in_trouble(r, &taken)).await;
    assert!(report.sentence.contains("app of production is not as it should be"), "{}", report.sentence);
    assert_eq!(report.phase, "idle", "nothing moves");
    assert_eq!(get(port, "/").await.status, 200);
    let (code, shown, _) = host.cli(&["status", "scant"]).await;
    assert!(code == 0 && shown.contains(&taken), "{shown}");
    docker(&["rm", &taken]);
    host.until("scant", "both run", |r| {
        r.replicas.values().flat_map(|lanes| lanes.values()).any(|n| n.healthy == 2 && n.wanted == 2)
    })
    .await;
    let report = host.until("scant", "it is over", |r| !is_in_trouble(r, &taken)).await;
    assert!(!report.sentence.contains("not as it should be"), "{}", report.sentence);
    let events = host.events("scant").await;
    let kinds = |kind: &str| events.iter().filter(|e| e.kind == kind).count();
    assert_eq!((kinds("trouble"), kinds("trouble-over")), (1, 1), "told once: {events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_configuration_somebody_broke_comes_back_with_the_right_one() {
    let repository = demo_image("meddled", "v1", &[]);
    let port = free_port();
    let host = Host::serving(&Manifest::new("meddled", &repository, "v1", port)).await;
    let current = host.state().join("gateways/meddled/conf/current/nginx.conf");
    let right = std::fs::read_to_string(&current).expect("its files");
    std::fs::write(&current, format!("{right}\ngarbage;\n")).expect("its files");
    docker(&["kill", "--signal", "KILL", "meddled-gateway"]);
    until_steady(port).await;
    assert_eq!(get(port, "/").await.header("X-App-Version"), "v1");
    let events = host.events("meddled").await;
    assert!(events.iter().any(|e| e.kind == "gateway-edited" && e.message.contains("puts them back")), "{events:?}");
    let edited = std::fs::read_to_string(host.state().join("gateways/meddled/edited.conf")).expect("its files");
    assert!(edited.ends_with("garbage;\n"), "what a person wrote is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_taken_off_although_the_directory_of_its_gateway_was_removed() {
    let repository = demo_image("uprooted", "v1", &[]);
    demo_image("uprooted", "v2", &[]);
    let port = free_port();
    let manifest = Manifest::new("uprooted", &repository, "v1", port).stages(&[(25.0, 300), (100.0, 2)]);
    let host = Host::serving(&manifest).await;
    host.set(&manifest.version("v2"));
    host.until_weight("uprooted", "25").await;
    std::fs::remove_dir_all(host.state().join("gateways/uprooted")).expect("its files");
    host.run_cli(&["abort", "uprooted"]).await;
    host.until_gone("uprooted", "app", "v2").await;
    until_steady(port).await;
    for _ in 0..40 {
        assert_eq!(get(port, "/").await.header("X-App-Version"), "v1");
    }
    let events = host.events("uprooted").await;
    assert!(events.iter().any(|e| e.kind == "gateway-cut-off"), "{events:?}");
}
