//! The demo, as `make demo` runs it: what it shows, the figures that it leaves, and that it leaves nothing else.

use std::process::Command;

use canaryd_e2e::{canaryd, docker};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn the_demo_promotes_the_good_version_and_takes_both_bad_ones_off() {
    let dir = TempDir::new().expect("a directory");
    let report = dir.path().join("reports/demo.json");
    let shown = Command::new(canaryd()).arg("demo").arg("--report").arg(&report).output().expect("canaryd runs");
    let (text, errors) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.status.success(), "{text}\n{errors}");
    assert!(!text.contains('\u{1b}'), "no terminal, no colours");

    let figures: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    let runs = figures["runs"].as_array().expect("a list");
    let run = |version: &str| runs.iter().find(|run| run["version"] == version).expect("a run of this version");
    assert_eq!((&run("v2")["outcome"], &run("v2")["failed"]), (&"promoted".into(), &0.into()), "{figures:#}");
    for version in ["v3", "v4"] {
        let run = run(version);
        assert_eq!(run["outcome"], "reverted", "{figures:#}");
        let requests = run["requests"].as_u64().expect("a number");
        // The canary never had more than a quarter of the traffic, nor for long.
        assert!(run["harmed"].as_u64().expect("a number") * 10 < requests, "{figures:#}");
        assert!(run["fault_to_zero_ms"].as_u64().expect("it is known") < 10_000, "{figures:#}");
    }
    assert_eq!(
        docker(&["ps", "-aq", "--filter", "label=io.canaryd.rollout=shop"]).trim(),
        "",
        "it leaves no container"
    );
}

#[test]
fn the_demo_refuses_an_engine_that_is_not_on_this_host_and_names_it() {
    let mut demo = Command::new(canaryd());
    let refused = demo.arg("demo").env("DOCKER_HOST", "tcp://192.0.2.7:2375").output().expect("canaryd runs");
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("192.0.2.7"), "{errors}");
}
