//! `--dry-run`: the loop with real observation, and nothing is written to Docker, NGINX or the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use canaryd_e2e::http::get;
use canaryd_e2e::{Host, Manifest, demo_image, docker};

use super::{no, yes};

const NAME: &str = "gate-dry-none";

/// Everything below a directory that a dry run must leave alone, with its content.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_log = path.extension().is_some_and(|e| e == "log");
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if !is_log {
                let link = std::fs::read_link(&path).map(|to| to.display().to_string().into_bytes());
                let content = link.or_else(|_| std::fs::read(&path)).unwrap_or_default();
                found.insert(path.display().to_string(), content);
            }
        }
    }
    found
}

fn ours(host: &Host) -> (String, String) {
    let label = format!("label=io.canaryd.instance={}", host.instance());
    let containers = docker(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Status}}", "--filter", &label]);
    let ids: Vec<&str> = containers.lines().map(|l| l.split("minutes").next().unwrap_or(l)).collect();
    let ids: Vec<&str> = ids.iter().map(|l| l.split(" Up").next().unwrap_or(l)).collect();
    (ids.join("\n"), docker(&["network", "ls", "-q", "--filter", &label]))
}

async fn until_logged(host: &Host, word: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !host.log().contains(word) {
        assert!(Instant::now() < deadline, "{word:?} is not in {}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_empty_host_it_tells_what_it_would_do_and_does_nothing() {
    let app = demo_image(NAME, "v1", &[]);
    let host = Host::start_with(&["--dry-run"]).await;
    host.write("dry.yaml", &Manifest::new(NAME, &app, "v1", 22_550).yaml());
    until_logged(&host, "would ensure app of").await;
    let named =
        |what: &[&str]| docker(&[what, &["--filter", "name=gate-dry-", "--filter", "name=canaryd-gate-dry"]].concat());
    assert_eq!((named(&["ps", "-aq"]), named(&["network", "ls", "-q"])), (String::new(), String::new()));
    assert!(yes(&host, &["status"]).await.starts_with("dry run: nothing is written to Docker, NGINX or the journal"));
    for args in [["abort", NAME].as_slice(), &["delete", NAME, "--yes"], &["retry", NAME]] {
        assert!(no(&host, 1, args).await.contains("--dry-run: it takes no commands"), "{args:?}");
    }
    host.write("bad.yaml", "kind: Rollout\nmetadata: { name: bad }\n");
    until_logged(&host, "bad.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_host_that_serves_it_watches_and_changes_nothing() {
    let app = demo_image("gate-dried", "v1", &[]);
    demo_image("gate-dried", "v2", &[]);
    let mut host = Host::start().await;
    let manifest = Manifest::new("gate-dried", &app, "v1", 22_551);
    host.write("dry.yaml", &manifest.yaml());
    host.until_serving("gate-dried", "v1").await;
    assert_eq!(host.terminate().await, Some(0));
    let (before, state) = (ours(&host), files(&host.state().join("gateways")));
    let desired = files(&host.state().join("desired"));
    host.args(&["--dry-run"]);
    host.run().await;
    host.until_serving("gate-dried", "v1").await;
    host.write("dry.yaml", &manifest.clone().version("v2").yaml());
    until_logged(&host, "would ensure app of").await;
    until_logged(&host, "would ask the gateway for 1 %").await;
    until_logged(&host, "v2 is in production (simulated)").await;
    assert!(yes(&host, &["status"]).await.contains("dry run"));
    assert_eq!(get(22_551, "/").await.header("X-Canary-Version"), "v1");
    assert_eq!(ours(&host), before);
    assert_eq!(files(&host.state().join("gateways")), state, "no generation is written");
    assert_eq!(files(&host.state().join("desired")), desired);
    host.kill().await;

    // The manifest says v1 again, and a daemon that acts finds nothing to do.
    host.write("dry.yaml", &manifest.yaml());
    host.args(&[]);
    host.run().await;
    host.until_serving("gate-dried", "v1").await;
    let kinds: Vec<String> = host.events("gate-dried").await.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds.iter().filter(|k| *k == "preflight").count(), 1, "the history knows nothing of v2: {kinds:?}");
    assert_eq!(ours(&host), before);
}
