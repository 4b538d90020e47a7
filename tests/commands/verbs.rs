//! Commands that do something: refused with a reason where they make no sense, and idempotent.

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, demo_image, load};
use canaryd_planner::Outcome;
use canaryd_rollout::Weight;

use super::{json, no, yes};

const SLOW: [(f64, u64); 3] = [(1.0, 300), (50.0, 300), (100.0, 300)];
const NAME: &str = "gate-verbs";

fn weight(percent: f64) -> Weight {
    Weight::try_from(percent).unwrap()
}

async fn until_live(host: &Host, percent: f64) {
    host.until(NAME, &format!("{percent} % is live"), |r| r.live_weight == weight(percent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_does_what_it_says_once_and_is_refused_where_it_makes_no_sense() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new(NAME, &app, "v1", 22_510).stages(&SLOW);
    host.write("verbs.yaml", &manifest.yaml());
    host.until_serving(NAME, "v1").await;
    until_steady(22_510).await;
    let load = load(22_510, 50.0, true);
    while_nothing_moves(&host).await;
    host.write("verbs.yaml", &manifest.clone().version("v2").yaml());
    let said = yes(&host, &["pause", NAME]).await;
    assert!(said.contains("v2 is paused"), "said right after saving, it means what was saved: {said}");
    yes(&host, &["resume", NAME]).await;
    until_live(&host, 1.0).await;
    while_one_moves(&host).await;
    abort_and_retry(&host).await;
    promote_and_undo(&host).await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    restart_and_delete(&host).await;
}

async fn while_nothing_moves(host: &Host) {
    for args in [
        ["advance", NAME].as_slice(),
        &["promote", NAME, "--reason", "a test"],
        &["pause", NAME],
        &["traffic", NAME, "5"],
        &["undo", NAME],
        &["rollback", NAME],
    ] {
        let refused = no(host, 1, args).await;
        assert!(refused.starts_with(&format!("refused: {NAME}: ")), "{args:?}: {refused}");
    }
    assert!(no(host, 1, &["advance", NAME]).await.contains("change the manifest's version"));
    assert!(yes(host, &["abort", NAME]).await.contains("nothing is on trial; v1 serves all"));
    assert!(yes(host, &["resume", NAME]).await.contains("it was not paused"));
    assert!(yes(host, &["retry", NAME]).await.contains("v1 is not blocked"));
    let refused = json(host, &["pause", NAME]).await;
    assert_eq!(refused["accepted"], false);
}

async fn while_one_moves(host: &Host) {
    for _ in 0..2 {
        let said = yes(host, &["pause", NAME, "--comment", "until the call is over"]).await;
        assert!(said.contains("v2 is paused") && said.contains("resume"), "{said}");
    }
    let told = yes(host, &["status", NAME]).await;
    assert!(told.contains("until the call is over") && told.contains("canaryd resume gate-verbs"), "{told}");
    assert!(yes(host, &["resume", NAME]).await.contains("goes on"));
    assert!(yes(host, &["resume", NAME]).await.contains("it was not paused"));
    for _ in 0..2 {
        let said = yes(host, &["traffic", NAME, "12.5"]).await;
        assert!(said.contains("12.5 %") && said.contains("resume gives control back"), "{said}");
    }
    until_live(host, 12.5).await;
    let told = yes(host, &["status", NAME]).await;
    assert!(told.contains("by hand") && told.contains("canaryd resume gate-verbs"), "{told}");
    assert!(yes(host, &["status"]).await.contains("1 waits for a person"));
    assert_eq!(json(host, &["traffic", NAME, "0"]).await["accepted"], true);
    until_live(host, 0.0).await;
    yes(host, &["traffic", NAME, "3.33"]).await;
    until_live(host, 3.33).await;
    yes(host, &["resume", NAME]).await;
    let refused = no(host, 1, &["undo", NAME]).await;
    assert!(refused.contains("v2 is on trial: use abort"), "{refused}");
    assert!(no(host, 1, &["restart", NAME]).await.contains("abort it first"));
    assert!(yes(host, &["advance", NAME]).await.contains("v2 goes to 50 %"));
    until_live(host, 50.0).await;
    let report = host.report(NAME).await.unwrap();
    assert_eq!((report.stage, report.wanted_weight), (Some(1), weight(50.0)), "{report:#?}");
}

async fn abort_and_retry(host: &Host) {
    let said = yes(host, &["abort", NAME, "--comment", "seen enough"]).await;
    assert!(said.contains("v2 goes to 0 % now") && said.contains("v1 serves all"), "{said}");
    let end = host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    assert!(end.reason.contains("seen enough") && end.actor.is_some(), "{end:?}");
    until_live(host, 0.0).await;
    assert!(yes(host, &["abort", NAME]).await.contains("nothing is on trial"));
    let (code, out, _) = host.cli(&["wait", NAME, "--version", "v2"]).await;
    assert_eq!(code, 1, "asked for, and not in production: {out}");
    assert!(yes(host, &["status", NAME]).await.contains("canaryd retry gate-verbs"));
    assert!(yes(host, &["retry", NAME]).await.contains("v2 is tried again from its first stage"));
    until_live(host, 1.0).await;
    let said = yes(host, &["rollback", NAME]).await;
    assert!(said.contains("v2 goes to 0 % now"), "before the promotion it aborts: {said}");
    host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    yes(host, &["retry", NAME]).await;
    until_live(host, 1.0).await;
}

async fn promote_and_undo(host: &Host) {
    let said = yes(host, &["promote", NAME, "--reason", "a fix that cannot wait"]).await;
    assert!(said.contains("v2 goes to 100 % and to production"), "{said}");
    let (code, out, err) = host.cli(&["wait", NAME, "--timeout", "60s"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let end = host.expect_outcome(NAME, "v2", Outcome::Promoted).await;
    assert!(end.reason.contains("a fix that cannot wait"), "{end:?}");
    let refused = no(host, 1, &["abort", NAME]).await;
    assert!(refused.contains("use undo (canaryd undo gate-verbs)"), "{refused}");
    let said = yes(host, &["undo", NAME]).await;
    assert!(said.contains("v1 gets all traffic"), "{said}");
    host.until_serving(NAME, "v1").await;
    assert!(yes(host, &["undo", NAME]).await.contains("v2 was undone already; v1 serves"));
    yes(host, &["retry", NAME]).await;
    until_live(host, 1.0).await;
    yes(host, &["promote", NAME, "--reason", "again"]).await;
    host.until_serving(NAME, "v2").await;
    let said = yes(host, &["rollback", NAME]).await;
    assert!(said.contains("v1 gets all traffic"), "after the promotion it undoes: {said}");
    host.until_serving(NAME, "v1").await;
}

async fn restart_and_delete(host: &Host) {
    let running = |host: &Host| {
        let label = format!("label=io.canaryd.instance={}", host.instance());
        canaryd_e2e::docker(&["ps", "-q", "--filter", &label, "--filter", "label=io.canaryd.component=app"])
    };
    let before = running(host);
    let said = yes(host, &["restart", NAME]).await;
    assert!(said.contains("a second set of v1 starts"), "{said}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(40);
    while running(host).lines().any(|id| before.contains(id)) {
        assert!(std::time::Instant::now() < deadline, "{before} still runs: {}", host.log());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    host.until_serving(NAME, "v1").await;
    assert!(no(host, 2, &["delete", NAME]).await.contains("--yes"), "nobody is there to ask");
    let said = yes(host, &["delete", NAME, "--yes"]).await;
    assert!(said.contains("everything of this rollout is being stopped"), "{said}");
    let gone = "deleted; the manifest is still there";
    host.until(NAME, gone, |r| r.notes.iter().any(|n| n.contains(gone))).await;
    assert!(host.containers(NAME, "app").is_empty());
    let gateway = host.state().join("gateways").join(NAME);
    assert!(!gateway.exists(), "its gateway goes with everything that was kept for it");
    yes(host, &["delete", NAME, "--yes"]).await;
    assert!(yes(host, &["retry", NAME]).await.contains("it starts again"));
    host.until_serving(NAME, "v2").await;
}
