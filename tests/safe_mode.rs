//! The journal is lost under load, with a canary at 25 %: users are given production alone within a second, nothing else
//! happens until a person rebuilds the journal, and then everything goes on without a lost request.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use canaryd_e2e::{Host, Scene, docker};
use canaryd_planner::Outcome;
use serde_json::Value;

/// All pages but the first, and the log with what is not in them yet.
fn scribble_over(journal: &Path) {
    let file = fs::OpenOptions::new().write(true).open(journal).unwrap();
    let size = file.metadata().unwrap().len();
    let noise = vec![0x55; usize::try_from(size).unwrap() - 4096];
    file.write_all_at(&noise, 4096).unwrap();
    let _ = fs::remove_file(journal.with_extension("db-wal"));
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Every container of the rollout with the moment of its start.
fn lives(host: &Host, name: &str) -> Vec<(String, String)> {
    let life = |id: String| {
        let state = docker(&["inspect", "-f", "{{.State.Status}} {{.State.StartedAt}}", &id]);
        (id, state)
    };
    host.containers(name, "app").into_iter().map(life).collect()
}

async fn until_all_at_zero(host: &Host) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, page, _) = host.cli(&["status", "--output", "json"]).await;
        if page.contains("was taken to 0 %\"") {
            return;
        }
        assert!(Instant::now() < deadline, "{page}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_takes_the_canary_off_and_a_rebuilt_one_goes_on_without_a_lost_request() {
    let mut scene = Scene::begin("safe-mode", |m| m.stages(&[(25.0, 40), (100.0, 2)])).await;
    scene.release("v2", &[]);
    scene.until("a quarter", |r| r.live_weight.basis_points() == 2500).await;
    let before = lives(&scene.host, &scene.name);
    scene.host.kill().await;
    scribble_over(&scene.host.state().join("journal.db"));
    let asked = now();
    scene.host.run().await;
    until_all_at_zero(&scene.host).await;
    it_says_so_everywhere(&scene).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.expect_off_within_a_second(asked, f64::MAX);
    assert_eq!(lives(&scene.host, &scene.name), before, "something was started or stopped");
    it_is_rebuilt(&mut scene).await;
    assert_eq!(lives(&scene.host, &scene.name), before, "something was started or stopped");

    scene.host.run().await;
    let ended = scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    assert!(ended.reason.contains("journal was rebuilt"), "{}", ended.reason);
    scene.expect_production_untouched();
    scene
        .stays(Duration::from_secs(3), "v2 stays off", |r| r.live_weight.basis_points() == 0 && r.phase == "idle")
        .await;
    let (code, said, _) = scene.host.cli(&["journal", "check", "--state", scene.host.state().to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");

    scene.manifest = scene.manifest.clone().stages(&[(25.0, 1), (100.0, 1)]);
    scene.release("v3", &[]);
    scene.host.until_serving(&scene.name, "v3").await;
    let users = scene.users();
    assert_eq!(users.failed, 0, "{:?}", users.failures);
    assert!(users.sent > 500, "{}", users.sent);
}

async fn it_says_so_everywhere(scene: &Scene) {
    let (host, state) = (&scene.host, scene.host.state().display().to_string());
    let (code, page, _) = host.cli(&["status"]).await;
    let first = page.lines().next().unwrap_or_default();
    assert!(code == 0 && first.contains("safe mode") && first.contains("production serves"), "{page}");
    assert!(page.contains("canaryd journal rebuild"), "{page}");
    for verb in [&["retry", "safe-mode"][..], &["events"], &["pause", "safe-mode"], &["status", "safe-mode"]] {
        let (code, _, said) = host.cli(verb).await;
        assert!(code == 1 && said.contains("safe mode") && said.contains("journal rebuild"), "{verb:?} {code} {said}");
    }
    for verb in ["abort", "rollback"] {
        let (code, said, why) = host.cli(&[verb, "safe-mode"]).await;
        assert!(code == 0 && said.contains("taken to 0 %"), "{code} {said}{why}");
    }
    let (code, found, _) = host.cli(&["doctor", "--state", &state, "--output", "json"]).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    let wrong: Vec<&Value> = found["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "wrong").collect();
    let says =
        |item: &str| wrong.iter().any(|f| f["item"] == item && f["mend"].as_str().unwrap().contains("journal rebuild"));
    assert!(code == 1 && says("daemon") && says("journal"), "{found:#}");
    let (code, said, _) = host.cli(&["journal", "check", "--state", &state]).await;
    assert!(code == 1 && said.contains("damaged"), "{code} {said}");
    assert_eq!(host.log().matches("safe mode: the journal cannot be used").count(), 1, "{}", host.log());
}

async fn it_is_rebuilt(scene: &mut Scene) {
    let state = scene.host.state().display().to_string();
    let (code, _, why) = scene.host.cli(&["journal", "rebuild", "--yes", "--state", &state]).await;
    assert!(code == 1 && why.contains("stop the daemon"), "{code} {why}");
    let (code, plan, why) = scene.host.cli(&["journal", "rebuild", "--dry-run", "--state", &state]).await;
    assert_eq!(code, 0, "{plan}{why}");
    for words in ["v1 is in production: 1 container of set s1", "v2 counts as aborted"] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    assert_eq!(scene.host.terminate().await, Some(0), "{}", scene.host.log());
    let (code, _, why) = scene.host.cli(&["journal", "rebuild", "--state", &state]).await;
    assert!(code == 2 && why.contains("--yes"), "{code} {why}");
    let (code, said, why) = scene.host.cli(&["journal", "rebuild", "--yes", "--state", &state]).await;
    assert!(code == 0 && said.contains("the old one is kept"), "{code} {said}{why}");
    let kept = fs::read_dir(scene.host.state()).unwrap().filter_map(Result::ok);
    assert!(kept.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("journal.db.before-rebuild-")));
    let (code, _, why) = scene.host.cli(&["journal", "rebuild", "--yes", "--state", &state]).await;
    assert!(code == 1 && why.contains("the journal is good"), "{code} {why}");
}

/// Workers of NGINX, by their processes: a reload makes new ones.
fn workers(name: &str) -> Vec<String> {
    let top = docker(&["top", &format!("{name}-gateway"), "-eo", "pid,args"]);
    let mut pids: Vec<String> = top
        .lines()
        .filter(|line| line.trim_end().ends_with("worker process"))
        .filter_map(|line| line.split(' ').find(|w| !w.is_empty()))
        .map(str::to_owned)
        .collect();
    pids.sort();
    pids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_removed_while_nothing_moves_costs_not_even_a_reload() {
    let mut scene = Scene::begin("safe-idle", |m| m.stages(&[(25.0, 1), (100.0, 1)])).await;
    scene.release("v2", &[]);
    scene.host.until_serving(&scene.name, "v2").await;
    scene.until("old workers are gone", |r| r.waiting.is_empty()).await;
    let state = scene.host.state();
    let current = || fs::read_link(state.join("gateways/safe-idle/conf/current")).unwrap();
    scene.host.kill().await;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(state.join(format!("journal.db{end}")));
    }
    let before = (lives(&scene.host, &scene.name), current());
    scene.host.run().await;
    let (_, page, _) = scene.host.cli(&["status"]).await;
    assert!(page.contains("is missing") && page.contains("no canary had a share"), "{page}");
    let nginx = workers(&scene.name);
    assert!(!nginx.is_empty());
    assert_eq!(scene.host.terminate().await, Some(0));
    let (code, said, why) = scene.host.cli(&["journal", "rebuild", "--yes", "--state", state.to_str().unwrap()]).await;
    assert!(code == 0 && said.contains("v2 is in production"), "{code} {said}{why}");
    assert!(said.contains("v1 is the version before"), "{said}");
    scene.host.run().await;
    scene.host.until_serving(&scene.name, "v2").await;
    scene.stays(Duration::from_secs(4), "v2 serves", |r| r.phase == "idle" && r.canary.is_none()).await;
    assert_eq!((lives(&scene.host, &scene.name), current()), before, "{}", scene.host.log());
    assert_eq!(workers(&scene.name), nginx, "it was reloaded: {}", scene.host.log());

    let (code, said, why) = scene.host.cli(&["undo", &scene.name]).await;
    assert_eq!(code, 0, "{said}{why}");
    scene.host.until_serving(&scene.name, "v1").await;
    scene.expect_production_untouched();
    let users = scene.users();
    assert_eq!(users.failed, 0, "{:?}", users.failures);
}
