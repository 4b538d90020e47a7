//! `set`, and commands that wait for an end: by what code they leave, and when.

use std::fs;
use std::time::{Duration, Instant};

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, demo_image, load};

use super::{no, yes};

const NAME: &str = "gate-set";

#[tokio::test(flavor = "multi_thread")]
async fn set_edits_one_line_and_wait_leaves_with_the_outcome_as_soon_as_it_is_known() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[]);
    demo_image(NAME, "bad", &[("FAULT", "errors"), ("HEALTH_LIES", "well")]);
    let host = Host::start().await;
    let manifest = Manifest::new(NAME, &app, "v1", 22_530).stages(&[(50.0, 2), (100.0, 2)]);
    let text = manifest.yaml().replace("  version: v1\n", "  version: 'v1'   # the one line to change\n");
    host.write("set.yaml", &format!("# kept, too\n{text}"));
    host.until_serving(NAME, "v1").await;
    until_steady(22_530).await;
    let load = load(22_530, 100.0, true);
    let path = host.manifests().join("set.yaml");
    edits_one_line(&host, &text).await;
    host.until(NAME, "it has begun", |r| r.canary.is_some()).await;
    let (code, out, err) = host.cli(&["follow", NAME, "--timeout", "60s"]).await;
    assert_eq!(code, 0, "promoted: {out}{err}");
    assert!(out.contains("v2 is in production"), "{out}");
    yes(&host, &["wait", NAME, "--version", "v2"]).await;
    let said = yes(&host, &["wait", NAME, "--version", "v2", "-o", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said).expect("the whole output is JSON");
    assert_eq!(report["production"]["version"], "v2");

    let (code, out, err) = host.cli(&["set", NAME, "bad", "--wait", "--timeout", "90s"]).await;
    assert_eq!(code, 1, "taken off: {out}{err}");
    yes(&host, &["set", NAME, "v2", "--wait", "--timeout", "60s"]).await;
    let began = Instant::now();
    let (code, out, err) = host.cli(&["set", NAME, "bad", "--wait", "--timeout", "60s"]).await;
    assert_eq!(code, 1, "it was taken off before, and says so at once: {out}{err}");
    assert!(err.contains("canaryd retry gate-set"), "{out}{err}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    fs::write(&path, fs::read_to_string(&path).unwrap().replace("replicas: 1", "replicas: some")).unwrap();
    let began = Instant::now();
    let (code, out, err) = host.cli(&["set", NAME, "v1", "--wait", "--timeout", "60s"]).await;
    assert_eq!(code, 2, "the manifest is wrong elsewhere, and it says so at once: {out}{err}");
    assert!(err.contains("set.yaml:10:") && err.contains("some"), "{err}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let (code, _, err) = host.cli(&["wait", NAME, "--version", "v1", "--timeout", "1s"]).await;
    assert!(code == 3 && err.contains("not decided after 1s; it goes on"), "{code} {err}");
    drop(load);
}

async fn edits_one_line(host: &Host, text: &str) {
    let path = host.manifests().join("set.yaml");
    let said = yes(host, &["set", NAME, "v2"]).await;
    assert!(said.contains("set.yaml says v2 now"), "{said}");
    let expected = format!("# kept, too\n{}", text.replace("'v1'", "'v2'"));
    assert_eq!(fs::read_to_string(&path).unwrap(), expected, "comments and quotes stay");
    assert!(yes(host, &["set", NAME, "v2"]).await.contains("says v2 already"));
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let left: Vec<_> = fs::read_dir(host.manifests()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["set.yaml"], "nothing is left beside it");
    let unknown = no(host, 2, &["set", "gate-sett", "v2"]).await;
    assert!(
        unknown.contains("there is no rollout gate-sett in") && unknown.contains("rollouts there: gate-set;"),
        "{unknown}"
    );
    let said = yes(host, &["set", NAME, "v2", "-o", "json"]).await;
    let said: serde_json::Value = serde_json::from_str(&said).expect("the whole output is JSON");
    assert_eq!((&said["version"], &said["changed"]), (&"v2".into(), &false.into()));
    assert!(no(host, 2, &["set", NAME, "v 2"]).await.contains("not allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_and_wait_leave_with_1_when_it_is_taken_off_and_3_when_time_is_over() {
    let app = demo_image("gate-wait", "v1", &[]);
    demo_image("gate-wait", "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new("gate-wait", &app, "v1", 22_540).stages(&[(1.0, 300), (100.0, 300)]);
    host.write("wait.yaml", &manifest.yaml());
    host.until("gate-wait", "it is known", |_| true).await;
    yes(&host, &["wait", "gate-wait", "--version", "v1", "--timeout", "60s"]).await;
    host.write("wait.yaml", &manifest.clone().version("v2").yaml());
    host.until("gate-wait", "1 %", |r| r.live_weight > canaryd_rollout::Weight::ZERO).await;
    for verb in ["wait", "follow"] {
        let (code, _, err) = host.cli(&[verb, "gate-wait", "--timeout", "1s"]).await;
        assert!(code == 3 && err.contains("it goes on"), "{verb}: {code} {err}");
    }
    let followed = host.cli(&["follow", "gate-wait", "--timeout", "60s"]);
    let waited = host.cli(&["wait", "gate-wait", "--timeout", "60s"]);
    let aborted = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        yes(&host, &["abort", "gate-wait"]).await
    };
    let (followed, waited, _) = tokio::join!(followed, waited, aborted);
    assert_eq!((followed.0, waited.0), (1, 1), "{followed:?} {waited:?}");
    assert!(followed.1.contains("was taken off") && followed.1.contains("canaryd retry"), "{}", followed.1);
    assert!(!followed.1.contains('\u{1b}'), "{}", followed.1);
}
