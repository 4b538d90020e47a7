//! Who is served by whom: the draw, the cookie, the secret header, the pinned ports, and what failover hides.

use std::time::Duration;

use canaryd_e2e::http::{Answer, ask, get};
use canaryd_e2e::{Bench, FORCE, FORCE_TOKEN, docker, load};
use canaryd_gateway::{AccessLine, Lane, Route, force_value};
use canaryd_link::Why;
use canaryd_probe::{Load, LoadPlan};
use canaryd_rollout::Sticky;

use crate::servers::Server;

/// `n` GETs on connections of their own, as fast as 600 a second: answers by version.
async fn draw(port: u16, n: u64) -> std::collections::BTreeMap<String, u64> {
    let target = ([127, 0, 0, 1], port).into();
    let plan = LoadPlan { count: Some(n), keep_alive: false, connections: 10, ..LoadPlan::new(target, 600.0) };
    let load = Load::start(plan).unwrap();
    load.finished().await;
    let report = load.snapshot();
    assert_eq!((report.ok, report.failed, report.unsent), (n, 0, 0), "{:?}", report.by_class);
    report.by_version.into_iter().map(|(version, count)| (version, count.ok)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_split_is_within_statistical_reach_and_says_who_answered() {
    let mut bench = Bench::start(1, |_| ()).await;
    let nobody = get(bench.port, "/").await;
    assert_eq!((nobody.status, nobody.header("Retry-After")), (503, "2"), "no version runs yet");
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    for percent in [1.0, 25.0] {
        bench.split(percent).await;
        bench.until("replicas answer", async || get(bench.port, "/").await.status == 200).await;
        let n = 1_500_f64;
        let answers = draw(bench.port, 1_500).await;
        let share = percent / 100.0;
        let reach = 4.5 * (n * share * (1.0 - share)).sqrt();
        let canary = f64::from(u32::try_from(answers.get("v2").copied().unwrap_or(0)).unwrap());
        assert!((canary - n * share).abs() <= reach, "{percent} %: {canary} of {n}, {} ± {reach}", n * share);
    }
    bench.split(100.0).await;
    let only = draw(bench.port, 200).await;
    assert_eq!(only.keys().collect::<Vec<_>>(), ["v2"], "at 100 %");
    let answer = get(bench.port, "/").await;
    assert_eq!((answer.header("X-Served-By"), answer.header("X-Canary-Version")), ("canary", "v2"));
    bench.link.lower(&bench.master(), Why::Decided).await.unwrap();
    bench
        .until("old workers are gone", async || get(bench.port, "/").await.header("X-Served-By") == "production")
        .await;
    let answer = get(bench.port, "/").await;
    assert_eq!((answer.header("X-Served-By"), answer.header("X-Canary-Version")), ("production", "v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_cookie_made_a_canary_user_at_one_percent_stays_one_until_the_end() {
    let mut bench = Bench::start(2, |settings| {
        let day = Duration::from_secs(86_400);
        settings.spec.sticky = Some(Sticky { cookie: "canary_id".to_owned(), max_age: day });
    })
    .await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    let mut users: Vec<(String, &'static str)> = Vec::new();
    let mut counts = Vec::new();
    for percent in [1.0, 5.0, 25.0, 100.0] {
        bench.split(percent).await;
        bench.until("replicas answer", async || get(bench.port, "/").await.status == 200).await;
        // New users of this stage, each with a cookie that nobody has.
        for _ in 0..(if users.is_empty() { 600 } else { 0 }) {
            let answer = get(bench.port, "/").await;
            users.push((cookie_of(&answer), ""));
        }
        let mut on_canary = 0;
        for (cookie, before) in &mut users {
            let answer = ask(bench.port, "GET /", &[("Cookie", cookie)], b"").await.unwrap();
            assert_eq!(answer.header("Set-Cookie"), "", "who has one keeps it");
            let lane = if answer.header("X-Served-By") == "canary" { "canary" } else { "production" };
            assert!(*before != "canary" || lane == "canary", "{percent} %: a canary user was sent back");
            *before = lane;
            on_canary += usize::from(lane == "canary");
        }
        counts.push(on_canary);
    }
    assert!(counts[0] >= 1 && counts[0] < counts[2], "{counts:?}");
    assert_eq!(counts[3], users.len(), "all of them at 100 %");
    assert!(counts[1] <= 70 && (90..=215).contains(&counts[2]), "5 and 25 % of 600 users: {counts:?}");
}

fn cookie_of(answer: &Answer) -> String {
    let set = answer.header("Set-Cookie");
    for word in ["Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(word), "{word} is not in {set:?}");
    }
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_header_and_the_pinned_ports_choose_the_lane_and_are_no_evidence() {
    let mut bench = Bench::start(3, |_| ()).await;
    let mirror = Server::mirror(bench.host()).await;
    bench.endpoint(Lane::Production, mirror.addr.ip(), mirror.addr.port());
    bench.replica(Lane::Canary, 3, "v2", &[]);
    bench.split(0.0).await;
    let canary = force_value(Lane::Canary, FORCE_TOKEN);
    bench.until("the canary answers", async || get(bench.port + 3, "/").await.status == 200).await;
    let forced = ask(bench.port, "GET /forced", &[(FORCE, &canary)], b"").await.unwrap();
    assert_eq!((forced.status, forced.header("X-Served-By")), (404, "canary"), "at 0 % the header alone gets there");
    for wrong in ["canary", "canary:", "canary:force-token-0123456780", "true", FORCE_TOKEN] {
        let answer = ask(bench.port, "GET /wrong", &[(FORCE, wrong)], b"").await.unwrap();
        assert_eq!(answer.header("X-Served-By"), "production", "{wrong:?}");
        assert!(!answer.body.contains(FORCE), "the app never sees the header: {}", answer.body);
    }
    bench.split(100.0).await;
    let production = force_value(Lane::Production, FORCE_TOKEN);
    let back = ask(bench.port, "GET /back", &[(FORCE, &production)], b"").await.unwrap();
    assert_eq!(back.header("X-Served-By"), "production");
    assert!(!back.body.contains(FORCE_TOKEN), "{}", back.body);
    assert_eq!(get(bench.port + 2, "/pinned").await.header("X-Served-By"), "production");
    assert_eq!(get(bench.port + 3, "/pinned").await.header("X-Served-By"), "canary");
    assert_eq!(get(bench.port, "/drawn").await.header("X-Served-By"), "canary");
    bench.until("lines", async || bench.log().contains("/drawn")).await;
    let lines: Vec<AccessLine> = bench.log().lines().map(|line| AccessLine::parse(line).unwrap()).collect();
    let routes = |path: &str| -> Vec<Route> { lines.iter().filter(|l| l.path == path).map(|l| l.route).collect() };
    assert_eq!(routes("/forced"), [Route::Ruled(Lane::Canary)]);
    assert_eq!(routes("/wrong"), [Route::Drawn(Lane::Production); 5]);
    assert_eq!(routes("/pinned"), [Route::Ruled(Lane::Production), Route::Ruled(Lane::Canary)]);
    assert_eq!(routes("/drawn"), [Route::Drawn(Lane::Canary)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_canary_costs_no_get_and_what_failover_hides_is_in_the_log() {
    let mut bench = Bench::start(4, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    let canary = bench.replica(Lane::Canary, 3, "v2", &["LATENCY_MS=20"]);
    bench.split(50.0).await;
    bench.until("replicas answer", async || get(bench.port + 3, "/").await.status == 200).await;
    let mut plan = LoadPlan::new(([127, 0, 0, 1], bench.port).into(), 100.0);
    plan.connections = 150;
    let load = Load::start(plan).unwrap();
    bench.until("the canary serves", async || load.snapshot().by_version.contains_key("v2")).await;
    docker(&["kill", &canary]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let report = load.stop().await;
    assert_eq!((report.failed, report.unsent), (0, 0), "{:#?}", report.failures);
    assert!(report.latency.max_ms < 5_000.0, "{:?}", report.latency);
    bench.until("lines", async || bench.log().lines().count() as u64 >= report.sent).await;
    let hidden = bench
        .log()
        .lines()
        .map(|line| AccessLine::parse(line).unwrap())
        .filter(|l| l.status == 200 && l.attempts.len() == 2)
        .filter(|l| l.attempts[0].addr.is_some_and(|a| a.ip().to_string().ends_with(".3")))
        .filter(|l| matches!(l.attempts[0].status, Some(502 | 504)) && l.attempts[1].status == Some(200))
        .count();
    assert!(hidden > 20, "only {hidden} of {} requests show the failed attempt", report.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_was_sent_is_never_sent_again() {
    let mut bench = Bench::start(5, |_| ()).await;
    let (broken, mirror) = (Server::cut(bench.host()).await, Server::mirror(bench.host()).await);
    bench.endpoint(Lane::Canary, broken.addr.ip(), broken.addr.port());
    bench.endpoint(Lane::Production, mirror.addr.ip(), mirror.addr.port());
    bench.split(100.0).await;
    for _ in 0..20 {
        assert_eq!(ask(bench.port, "POST /orders", &[], b"an order").await.unwrap().status, 502);
    }
    assert_eq!((broken.hits(), mirror.hits()), (20, 0), "each order once");
    for _ in 0..5 {
        let answer = get(bench.port, "/").await;
        assert_eq!((answer.status, answer.header("X-Served-By")), (200, "production"), "a GET is tried on production");
    }
    assert_eq!((broken.hits(), mirror.hits()), (25, 5));
    let pinned = get(bench.port + 3, "/").await;
    assert_eq!((pinned.status, pinned.header("X-Served-By")), (502, "canary"), "who wants the canary gets no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn lowering_is_quick_for_new_and_for_busy_connections() {
    let mut bench = Bench::start(6, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    let mut figures = Vec::new();
    for keep_alive in [false, true] {
        bench.split(50.0).await;
        bench.until("replicas answer", async || get(bench.port + 3, "/").await.status == 200).await;
        let load = load(bench.port, 200.0, keep_alive);
        bench.until("the canary serves", async || load.snapshot().by_version.contains_key("v2")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let decided = load.snapshot().ran_ms;
        let live = bench.link.lower(&bench.master(), Why::Decided).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let report = load.stop().await;
        assert_eq!(report.failed, 0, "{:#?}", report.failures);
        let last = report.by_version["v2"].last_ms.saturating_sub(decided);
        figures.push(format!("keep-alive {keep_alive}: live after {:?}, last old answer after {last} ms", live.took));
        assert!(last < 2_000, "{figures:?}");
    }
    println!("lowering: {}", figures.join("; "));
}
