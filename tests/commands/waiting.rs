//! Commands that stay: through restarts of the daemon, and until only a person can go on.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, canaryd, demo_image, load};
use canaryd_rollout::Weight;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::{no, yes};

const SLOW: [(f64, u64); 2] = [(10.0, 300), (100.0, 300)];

/// A command that goes on beside the test: exit code, stdout, stderr.
fn beside(host: &Host, args: &[&str]) -> JoinHandle<(Option<i32>, String, String)> {
    let mut command = Command::new(canaryd());
    command.args(args).arg("--socket").arg(host.socket()).stdin(Stdio::null()).kill_on_drop(true);
    tokio::spawn(async move {
        let output = command.output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    })
}

async fn ended(command: JoinHandle<(Option<i32>, String, String)>) -> (Option<i32>, String, String) {
    tokio::time::timeout(Duration::from_secs(60), command).await.expect("it ends").unwrap()
}

/// A command that goes on until the test ends it; what it writes goes to files.
struct Watching {
    child: tokio::process::Child,
    out: std::path::PathBuf,
    err: std::path::PathBuf,
}

impl Watching {
    fn start(host: &Host, name: &str, args: &[&str]) -> Self {
        let (out, err) = (host.path(&format!("{name}.out")), host.path(&format!("{name}.err")));
        let mut command = Command::new(canaryd());
        command.args(args).arg("--socket").arg(host.socket()).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&err).unwrap());
        Self { child: command.spawn().unwrap(), out, err }
    }
    async fn until(&self, done: impl Fn(&str, &str) -> bool) -> (String, String) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let read = |path| std::fs::read_to_string(path).unwrap();
            let (out, err) = (read(&self.out), read(&self.err));
            if done(&out, &err) {
                return (out, err);
            }
            assert!(Instant::now() < deadline, "{out}\n{err}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_daemon_is_said_once_and_waited_for_and_no_event_is_lost_or_comes_twice() {
    let name = "gate-again";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let mut host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", 22_560).stages(&SLOW);
    host.write("again.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    until_steady(22_560).await;
    let load = load(22_560, 50.0, true);
    host.write("again.yaml", &manifest.clone().version("v2").yaml());
    host.until(name, "10 %", |r| r.live_weight > Weight::ZERO).await;
    let waited = beside(&host, &["wait", name, "--version", "v2", "--timeout", "5m", "--through-pauses"]);
    let followed = beside(&host, &["follow", name, "--through-pauses"]);
    let status = Watching::start(&host, "status", &["status", "--watch"]);
    let events = Watching::start(&host, "events", &["events", name, "--follow", "--output", "json"]);
    let logs = Watching::start(&host, "logs", &["logs", name, "--gateway", "--follow"]);
    logs.until(|out, _| out.contains(&format!("{name}-gateway | "))).await;
    status.until(|out, _| out.contains(name)).await;
    events.until(|out, _| out.contains("stage-entered")).await;

    host.kill().await;
    for watching in [&status, &events, &logs] {
        watching.until(|_, err| err.contains("the daemon is gone")).await;
    }
    // Written while nobody looks, it is shown all the same.
    canaryd_e2e::docker(&["kill", "-s", "HUP", &format!("{name}-gateway")]);
    let before = std::fs::read_to_string(&logs.out).unwrap().lines().count();
    host.run().await;
    for watching in [&status, &events, &logs] {
        watching.until(|_, err| err.contains("the daemon answers again")).await;
    }
    logs.until(|out, _| out.lines().skip(before).any(|line| line.contains("signal 1 (SIGHUP)"))).await;
    yes(&host, &["pause", name]).await;
    yes(&host, &["resume", name]).await;
    assert_eq!(host.terminate().await, Some(0));
    host.run().await;
    let (_, err) = logs.until(|_, err| err.matches("the daemon answers again").count() == 2).await;
    assert_eq!(err.matches("the daemon is gone").count(), 2, "once a restart: {err}");
    host.until(name, "it is known again", |r| r.live_weight > Weight::ZERO).await;
    yes(&host, &["promote", name, "--reason", "a test"]).await;
    host.until_serving(name, "v2").await;

    let (code, out, err) = ended(waited).await;
    assert_eq!(code, Some(0), "wait: {out}{err}");
    assert_eq!(err.matches("the daemon is gone").count(), 2, "once a restart: {err}");
    assert_eq!(err.matches("the daemon answers again").count(), 2, "{err}");
    let (code, out, err) = ended(followed).await;
    assert_eq!(code, Some(0), "follow: {out}{err}");
    assert!(err.contains("what it started serves as before. Waiting for it, at most 2m"), "{err}");
    for kind in ["paused", "resumed", "promoted"] {
        assert_eq!(out.matches(&format!("{name}  {kind}:")).count(), 1, "{kind}: {out}");
    }
    let (out, _) = events.until(|out, _| out.contains("\"promoted\",\"message\":\"v2")).await;
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
    let seen: Vec<u64> = out.lines().map(line).collect();
    let mut all: Vec<u64> = host.events(name).await.iter().map(|event| event.seq).collect();
    all.truncate(seen.len());
    assert_eq!(seen, all, "none is lost, none comes twice");
    drop((status.child, events.child, logs.child, load));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stays_away_ends_the_waiting_with_4_when_time_is_over() {
    let name = "gate-away";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let mut host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", 22_561).stages(&SLOW);
    host.write("away.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    host.write("away.yaml", &manifest.version("v2").yaml());
    host.until(name, "10 %", |r| r.live_weight > Weight::ZERO).await;
    let mut followed = Watching::start(&host, "follow", &["follow", name, "--timeout", "5s"]);
    followed.until(|out, _| out.contains(name)).await;
    host.kill().await;
    let code = tokio::time::timeout(Duration::from_secs(30), followed.child.wait()).await.expect("it ends");
    let (_, err) = followed.until(|_, err| err.contains("not decided after 5s: the daemon is gone")).await;
    assert!(code.unwrap().code() == Some(4) && err.contains("systemctl start canaryd"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_ends_with_3_and_the_command_that_goes_on() {
    let name = "gate-person";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let host = Host::start().await;
    // Nobody sends requests, so that after three seconds canaryd pauses.
    let manifest = Manifest::new(name, &app, "v1", 22_562).stages(&[(10.0, 1), (100.0, 1)]).longest_stage(3);
    host.write("person.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    let began = Instant::now();
    let (code, out, err) = host.cli(&["set", name, "v2", "--wait"]).await;
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("v2 of gate-person is not decided; it waits for a person: paused by canaryd"), "{err}");
    assert!(err.contains("go on: canaryd advance gate-person"), "{err}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    for verb in ["wait", "follow"] {
        let said = no(&host, 3, &[verb, name]).await;
        assert!(said.contains("canaryd advance gate-person"), "{verb}: {said}");
        let said = no(&host, 3, &[verb, name, "--through-pauses", "--timeout", "1s"]).await;
        assert!(said.contains("not decided after 1s; it goes on"), "{verb}: {said}");
    }
    assert!(yes(&host, &["status", name]).await.contains("canaryd advance gate-person"));
    let plan = host.manifests().join("person.yaml").display().to_string();
    let said = yes(&host, &["plan", &plan]).await;
    assert!(said.contains("there is no traffic at present"), "canaryd's own questions are none: {said}");
    yes(&host, &["resume", name]).await;
    yes(&host, &["traffic", name, "20"]).await;
    let said = no(&host, 3, &["wait", name]).await;
    assert!(
        said.contains("its weight is set by hand: 20 % by") && said.contains("canaryd resume gate-person"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saves_a_manifest_and_waits_at_once_waits_for_what_was_saved() {
    let name = "gate-pull";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[("HEALTH_LIES", "unwell")]);
    demo_image(name, "v3", &[("HEALTH_LIES", "unwell")]);
    let host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", 22_563).startup(2).deadlines("{ start: 1s }");
    host.write("pull.yaml", &manifest.yaml());
    let said = yes(&host, &["wait", name]).await;
    assert!(said.contains("v1 serves all"), "a name that the daemon had not seen yet: {said}");
    for (verb, version) in [("wait", "v2"), ("follow", "v3")] {
        host.write("pull.yaml", &manifest.clone().version(version).yaml());
        let (code, out, err) = host.cli(&[verb, name, "--timeout", "60s"]).await;
        assert_eq!(code, 1, "{verb}: {version} is never healthy\n{out}{err}");
        assert_eq!(host.cli(&["wait", name]).await.0, 1, "it is still what the manifest asks for");
        host.write("pull.yaml", &manifest.yaml());
        yes(&host, &["wait", name]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_version_that_ended_before_a_later_one_is_answered_at_once() {
    let name = "gate-late";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    demo_image(name, "v3", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", 22_564).stages(&SLOW);
    host.write("late.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    host.write("late.yaml", &manifest.clone().version("v2").yaml());
    host.until(name, "v2 is on trial", |r| r.canary.is_some()).await;
    yes(&host, &["abort", name]).await;
    host.until_ended(name, "v2").await;
    host.write("late.yaml", &manifest.clone().version("v3").yaml());
    host.until(name, "v3 is on trial", |r| r.canary.as_ref().is_some_and(|c| c.version == "v3")).await;
    let began = Instant::now();
    let (code, out, err) = host.cli(&["wait", name, "--version", "v2", "--timeout", "50s"]).await;
    assert!(code == 1 && out.contains("gate-late: v2 was aborted at "), "{code} {out}{err}");
    assert_eq!(host.cli(&["wait", name, "--version", "v1", "--timeout", "50s"]).await.0, 0, "it is in production");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_logs_hears_of_the_container_that_is_to_come_and_of_the_one_that_takes_its_place() {
    let name = "gate-logs";
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", 22_599).stages(&SLOW);
    host.write("logs.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    let err = no(&host, 1, &["logs", name, "--lane", "canary", "--follow"]).await;
    assert!(err.contains("has no container to read from; see canaryd status"), "{err}");

    let production = Watching::start(&host, "production", &["logs", name, "--lane", "production", "--follow"]);
    production.until(|out, _| out.contains("v1")).await;
    canaryd_e2e::docker(&["rm", "-f", &host.containers(name, "app")[0]]);
    let writers = |out: &str| -> BTreeSet<String> {
        out.lines().filter_map(|line| line.split(" | ").next()).map(str::to_owned).collect()
    };
    production.until(|out, _| writers(out).len() == 2).await;

    yes(&host, &["set", name, "v2"]).await;
    let canary = Watching::start(&host, "canary", &["logs", name, "--lane", "canary", "--follow"]);
    canary.until(|out, _| out.contains("v2")).await;
    yes(&host, &["abort", name]).await;
    host.until(name, "v2 is off", |r| r.canary.is_none() && r.phase == "idle").await;
    yes(&host, &["retry", name]).await;
    let again = Watching::start(&host, "again", &["logs", name, "--lane", "canary", "--follow"]);
    again.until(|out, _| out.contains("v2")).await;
    let (out, _) = production.until(|_, _| true).await;
    assert_eq!(writers(&out).len(), 2, "v2 is not in production: {out}");
}
