//! Bad versions on a real engine under constant load: whatever is wrong with one, it is taken off by itself, production
//! is not touched, what it said is kept, and it does not come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures of a test are for whoever runs it")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use canaryd_e2e::{Manifest, PATIENCE, Registry, Scene, promised};
use canaryd_planner::{Outcome, Report, Verb};

/// A quarter of the requests at once, so that there is much to see in little time.
fn quarter(manifest: Manifest) -> Manifest {
    manifest.stages(&[(25.0, 30), (100.0, 4)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_answers_500_while_its_health_check_says_well_is_reverted_by_its_errors() {
    let mut scene = Scene::begin("bad-errors", quarter).await;
    scene.release("v2", &[("FAULT", "errors"), ("HEALTH_LIES", "well")]);
    let ended = scene.expect_reverted("v2", "errors: ").await;
    assert_eq!(ended.check.as_deref(), Some("errors"));
    expect_only_the_canary_failed(&scene);
    let log = std::fs::read_to_string(log_of(&scene)).unwrap();
    assert!(log.contains("failed, as it was told to"), "what the version said is kept:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_version_is_reverted_by_its_latency_check() {
    let slow = |m: Manifest| quarter(m).check("{ name: latency, latency: { quantile: 0.95, max: 800ms } }");
    let mut scene = Scene::begin("bad-slow", slow).await;
    scene.release("v2", &[("FAULT", "slow"), ("FAULT_SLOW_MS", "1200")]);
    let ended = scene.expect_reverted("v2", "latency: ").await;
    assert_eq!(ended.check.as_deref(), Some("latency"));
    assert_eq!(scene.users().failed, 0, "slow answers are answers: {:?}", scene.users().by_class);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_answers_is_reverted_by_its_errors() {
    let hangs = |m: Manifest| quarter(m).gateway("limits: { readTimeout: 1s }");
    let mut scene = Scene::begin("bad-hang", hangs).await;
    scene.release("v2", &[("FAULT", "hang"), ("HEALTH_LIES", "well")]);
    scene.expect_reverted("v2", "errors: ").await;
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cuts_its_connections_is_reverted_by_its_errors_and_costs_no_get() {
    let mut scene = Scene::begin("bad-abort", quarter).await;
    scene.release("v2", &[("FAULT", "abort"), ("HEALTH_LIES", "well")]);
    scene.expect_reverted("v2", "errors: ").await;
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_healthy_and_is_not_any_more_is_reverted_for_its_health() {
    let mut scene = Scene::begin("bad-unwell", quarter).await;
    scene.release("v2", &[("FAULT", "unhealthy"), ("FAULT_FROM", "request:30")]);
    scene.expect_reverted("v2", "app became unhealthy: ").await;
    assert_eq!(scene.users().failed, 0, "{:?}", scene.users().by_class);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_exits_at_25_percent_gets_nothing_within_a_second_and_costs_no_get() {
    let stages = |m: Manifest| m.stages(&[(5.0, 2), (25.0, 30), (100.0, 4)]);
    let mut scene = Scene::begin("bad-exit", stages).await;
    scene.release("v2", &[("FAULT", "exit"), ("FAULT_FROM", "rate:16")]);
    let at_25 = scene.until("25 % are live", gets_a_quarter).await;
    let canary = scene.canaries().remove(0);
    let died = scene.deaths.of(&canary).await;
    assert_eq!(at_25.stage, Some(1));
    scene.expect_reverted("v2", "app 2 ended with exit code 1").await;
    scene.expect_off_within_a_second(died, f64::MAX);
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_outgrows_its_memory_is_reverted_at_once_and_named_so() {
    let small = |m: Manifest| quarter(m).app("resources: { memory: 32Mi }");
    let mut scene = Scene::begin("bad-oom", small).await;
    scene.release("v2", &[("FAULT", "oom"), ("FAULT_FROM", "request:30"), ("FAULT_OOM_MB", "256")]);
    scene.until("it gets a quarter", gets_a_quarter).await;
    let died = scene.deaths.of(&scene.canaries()[0]).await;
    // Docker does not say it everywhere: "killed for memory", or "probably for memory".
    scene.expect_reverted("v2", "for memory").await;
    scene.expect_off_within_a_second(died, f64::MAX);
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_one_percent_harms_at_most_its_share_of_the_requests_until_it_is_off() {
    let one = |m: Manifest| m.stages(&[(1.0, 60), (100.0, 4)]);
    let mut scene = Scene::begin("bad-share", one).await;
    scene.release("v2", &[("FAULT", "errors"), ("HEALTH_LIES", "well")]);
    let ended = scene.expect_reverted("v2", "errors: ").await;
    expect_only_the_canary_failed(&scene);
    let drawn = scene.drawn_for_canary();
    let (first, last) = (drawn.first().expect("some"), drawn.last().expect("some"));
    let during = scene.access().iter().filter(|l| l.time >= first.time && l.time <= last.time).count();
    let share = f64::from(u32::try_from(during).unwrap()) * 0.01;
    let failed = scene.users().failed;
    println!("{failed} requests failed, of {during} in {:.1} s at 1 %", last.time - first.time);
    let bound = share + 3.0 * share.sqrt() + 3.0;
    let within = f64::from(u32::try_from(failed).unwrap()) <= bound;
    assert!(within, "{failed} failed; 1 % of {during} requests are {share:.0}");
    assert!(ended.failed >= 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_registry_has_is_reverted_before_anything_starts() {
    let registry = Registry::that_has_nothing();
    let mut scene = Scene::begin("bad-image", quarter).await;
    let manifest = scene.manifest.clone().repository(&registry.repository()).version("v2");
    scene.apply(manifest);
    expect_nothing_started(&mut scene, "is missing").await;
    scene.expect_it_stays_off().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_hangs_is_given_up_at_its_deadline_and_not_tried_again() {
    let registry = Registry::that_never_answers();
    let mut scene = Scene::begin("bad-pull", |m| quarter(m).deadlines("{ pull: 2s, start: 5s }")).await;
    let manifest = scene.manifest.clone().repository(&registry.repository()).version("v2");
    scene.apply(manifest);
    expect_nothing_started(&mut scene, "was not there within 2 s").await;
    registry.expect_nobody_asks_again().await;
    scene.expect_it_stays_off().await;
    registry.expect_nobody_asks_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_opens_its_port_is_reverted_when_its_time_to_start_is_over() {
    let mut scene = Scene::begin("bad-port", |m| quarter(m).startup(2).deadlines("{ pull: 5s, start: 1s }")).await;
    scene.release("v2", &[("NEVER_LISTEN", "1")]);
    scene.expect_reverted("v2", "app 2 was not healthy within 3 s").await;
    assert!(scene.drawn_for_canary().is_empty() && scene.users().failed == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_crashes_at_every_start_is_reverted_after_the_second() {
    let mut scene = Scene::begin("bad-start", quarter).await;
    scene.release("v2", &[("CRASH_AT_START", "1")]);
    scene.expect_reverted("v2", "app 2 ended with exit code 1").await;
    assert!(scene.drawn_for_canary().is_empty() && scene.users().failed == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reverted_version_comes_back_by_retry_or_with_new_content_only() {
    let mut scene = Scene::begin("bad-retry", quarter).await;
    scene.release("v2", &[("FAULT", "errors"), ("HEALTH_LIES", "well")]);
    scene.expect_reverted("v2", "errors: ").await;
    let answer = scene.host.command(&scene.name, Verb::Retry).await;
    assert!(answer.accepted, "{}", answer.message);
    scene.until("it is tried again", gets_a_quarter).await;
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Reverted).await;
    scene.expect_it_stays_off().await;
    let mended = scene.manifest.clone().app("env: { FAULT: none }");
    scene.apply(mended);
    scene.until("other content is tried", gets_a_quarter).await;
    scene.expect_production_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_turns_bad_in_production_is_undone_within_two_seconds_and_stays_undone() {
    let mut scene = Scene::begin("bad-late", |m| m.stages(&[(50.0, 1), (100.0, 1)])).await;
    scene.release("v2", &[("FAULT", "errors"), ("FAULT_AFTER_S", "20"), ("HEALTH_LIES", "well")]);
    scene.host.until_serving(&scene.name, "v2").await;
    until_users_are_harmed(&scene).await;
    let began = Instant::now();
    let (code, said, why) = scene.host.cli(&["rollback", &scene.name]).await;
    assert_eq!(code, 0, "{said}{why}");
    scene.until("v1 serves", |r| r.production.as_ref().is_some_and(|p| p.version == "v1")).await;
    let took = began.elapsed();
    println!("undone {} ms after it was asked for", took.as_millis());
    assert!(took.as_secs_f64() < promised(2.0), "{took:?}");
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Undone).await;
    scene.expect_production_untouched();
    scene.expect_it_stays_off().await;
}

fn gets_a_quarter(report: &Report) -> bool {
    report.live_weight.basis_points() == 2500
}

/// Every request that failed was answered by the version on trial.
fn expect_only_the_canary_failed(scene: &Scene) {
    let users = scene.users();
    let others: Vec<_> = users.failures.iter().filter(|f| f.version.as_deref() != Some("v2")).collect();
    assert!(users.failed > 0 && others.is_empty(), "{others:?}");
}

/// Production is the canary's backup for everything that may be asked twice.
fn expect_no_get_failed(scene: &Scene) {
    let users = scene.users();
    let gets: Vec<_> = users.failures.iter().filter(|f| f.request.starts_with("GET")).collect();
    assert!(gets.is_empty(), "{gets:?}");
}

async fn expect_nothing_started(scene: &mut Scene, words: &str) {
    let ended = scene.host.expect_outcome(&scene.name, "v2", Outcome::Reverted).await;
    assert!(ended.reason.contains(words), "{:?} does not say {words:?}", ended.reason);
    scene.expect_production_untouched();
    assert!(scene.canaries().is_empty() && scene.drawn_for_canary().is_empty(), "nothing was started");
    assert_eq!(scene.users().failed, 0, "{:?}", scene.users().by_class);
    let told = scene.kinds().await.iter().filter(|k| *k == "reverted").count();
    assert_eq!(told, 1, "the history tells it once");
}

async fn until_users_are_harmed(scene: &Scene) {
    let deadline = Instant::now() + PATIENCE;
    while scene.users().failed == 0 {
        assert!(Instant::now() < deadline, "v2 did not turn bad");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The log in the only failure bundle.
fn log_of(scene: &Scene) -> PathBuf {
    let files = std::fs::read_dir(&scene.bundles()[0]).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|e| e == "log")).expect("a log")
}

#[tokio::test(flavor = "multi_thread")]
async fn snippets_that_nginx_refuses_hold_up_no_abort_and_are_tried_ever_more_rarely_after_it() {
    let mut scene = Scene::begin("bad-snippet", quarter).await;
    scene.release("v2", &[]);
    scene.until("it gets a quarter", gets_a_quarter).await;
    let good = scene.manifest.clone();
    scene.apply(good.clone().gateway("snippets: { location: \"proxy_buffring off;\" }"));
    scene.until("it is refused", |r| format!("{r:?}").contains("proxy_buffring")).await;
    scene.host.run_cli(&["abort", &scene.name]).await;
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    let newest = || scene.host.generations(&scene.name).last().map_or(0, |g| g.id.n());
    let before = newest();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let made = newest() - before;
    assert!(made <= 8, "{made} configurations in 10 s\n{}", scene.host.log());
    assert!(scene.host.generations(&scene.name).len() <= 21);
    // Mended, it is taken over at once, whatever the pause was.
    scene.apply(good.gateway("snippets: { location: \"add_header X-Mine yes;\" }"));
    scene.until("it is as asked", |r| !format!("{r:?}").contains("proxy_buffring")).await;
    expect_no_get_failed(&scene);
}
