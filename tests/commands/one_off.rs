//! `run`: one command in a container of its own.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, canaryd, demo_image, docker, inspect, load, remove_leftovers};
use canaryd_rollout::Weight;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::inside::{at_a_terminal, inside, run};
use super::yes;

const NAME: &str = "gate-run";
const SECRET: &str = "hunter2-in-the-environment";

/// Ids of the containers for one command that exist.
fn one_offs(host: &Host) -> Vec<String> {
    let instance = format!("label=io.canaryd.instance={}", host.instance());
    let found = docker(&["ps", "-aq", "--no-trunc", "--filter", &instance, "--filter", "label=io.canaryd.one-off"]);
    found.lines().map(str::to_owned).collect()
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts one that goes on; its process and the container's id.
async fn started(host: &Host, args: &[&str]) -> (Child, String) {
    let child = inside(host, args, &["serve"]).stdin(Stdio::null()).spawn().unwrap();
    until("it runs", || one_offs(host).first().is_some_and(|id| inspect(id, "{{.State.Running}}") == "true")).await;
    let id = one_offs(host).remove(0);
    until("it answers", || docker(&["logs", &id]).contains("opens its port")).await;
    (child, id)
}

fn tell(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

async fn end(child: Child) -> (Option<i32>, String) {
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = ended.expect("it ends").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn manifest(host: &Host, app: &str) -> Manifest {
    fs::write(host.path("secret"), "hunter2-in-a-file").unwrap();
    fs::write(host.path("vars.env"), format!("TOKEN={SECRET}\n")).unwrap();
    Manifest::new(NAME, app, "v1", 22_621)
        .stages(&[(10.0, 300), (100.0, 300)])
        .app("envFiles: [../vars.env]")
        .app("secrets: [{ file: ../secret, target: /run/secrets/token }]")
        .app("labels: { traefik.enable: \"true\" }")
}

#[tokio::test(flavor = "multi_thread")]
async fn run_has_all_that_the_version_has_but_traffic_and_leaves_nothing_behind() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[("IGNORE_TERM", "1")]);
    remove_leftovers(NAME);
    let host = Host::start().await;
    let manifest = manifest(&host, &app);
    host.set(&manifest);
    host.until_serving(NAME, "v1").await;
    until_steady(22_621).await;
    let load = load(22_621, 50.0, true);
    what_it_has(&host).await;
    beside_production(&host).await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    host.set(&manifest.version("v2"));
    host.until(NAME, "10 %", |r| r.live_weight > Weight::ZERO).await;
    one_that_does_not_end(&host).await;
    nothing_is_told_that_is_secret(&host).await;
    let (child, _) = started(&host, &["run", NAME]).await;
    yes(&host, &["delete", NAME, "--yes"]).await;
    end(child).await;
    let gone = "deleted; the manifest is still there";
    host.until(NAME, gone, |r| r.notes.iter().any(|n| n.contains(gone))).await;
    assert!(one_offs(&host).is_empty(), "what is deleted runs nothing any more");
}

async fn what_it_has(host: &Host) {
    let asked = [
        (["do", "env", "VERSION"], "v1\n"),
        (["do", "env", "TOKEN"], "hunter2-in-the-environment\n"),
        (["do", "cat", "/run/secrets/token"], "hunter2-in-a-file"),
    ];
    for (command, answer) in asked {
        let (code, said, err) = run(host, &["run", NAME], &command, "").await;
        assert_eq!((code, said.as_str()), (0, answer), "{err}");
    }
    let (code, said, err) = run(host, &["run", NAME], &["do", "cat"], "two\nlines\n").await;
    assert_eq!((code, said.as_str()), (0, "two\nlines\n"), "{err}");
    let (code, _, err) = run(host, &["run", NAME], &["do", "exit", "7"], "").await;
    assert_eq!(code, 7, "{err}");
    typed_at(host).await;
    let screen = at_a_terminal(host, &["run", NAME], &["do", "terminal"]).await;
    assert!(screen.contains("a terminal") && screen.contains("left with 0"), "{screen}");
    assert!(one_offs(host).is_empty(), "each is gone when it has ended");
    let (code, _, refused) = run(host, &["run", NAME, "--lane", "canary"], &["do"], "").await;
    assert!(code == 1 && refused.contains("nothing on trial"), "{refused}");
    let (code, _, refused) = run(host, &["run", NAME, "--component", "worker"], &["do"], "").await;
    assert!(code == 1 && refused.contains("it has app"), "{refused}");
}

/// At a terminal whose output goes elsewhere: lines that are typed reach the command, and so does Ctrl-C, once.
async fn typed_at(host: &Host) {
    let said = host.path("said");
    let line = inside(host, &["run", NAME], &["serve"]);
    let words: Vec<String> = line.as_std().get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    // Some shells end with the command that they ran when Ctrl-C came: this one hears it, and goes on.
    let line =
        format!("trap : INT; {} {} > {}; echo left with $?", canaryd().display(), words.join(" "), said.display());
    let mut script = Command::new("script");
    script
        .env("SHELL", "/bin/sh")
        .args(["--quiet", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = script.kill_on_drop(true).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let text = || fs::read_to_string(&said).unwrap_or_default();
    until("it listens", || text().contains("listens on port")).await;
    keyboard.write_all(b"\x03").await.unwrap();
    let (_, screen) = end(child).await;
    assert!(screen.contains("left with 0"), "{screen}");
    assert!(text().matches("got signal 2").count() == 1 && text().contains("ended"), "to its very end: {}", text());
}

/// It is no replica and gets no requests; Ctrl-C and SIGTERM reach the command.
async fn beside_production(host: &Host) {
    let before = host.report(NAME).await.unwrap();
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let (child, id) = started(host, &["run", NAME]).await;
        let labels = inspect(&id, "{{json .Config.Labels}}");
        assert!(!labels.contains("traefik") && !labels.contains("io.canaryd.set"), "{labels}");
        assert_eq!(inspect(&id, "{{len .HostConfig.PortBindings}}"), "0");
        let address = inspect(&id, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
        assert_eq!(
            inspect(&id, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"),
            format!("canaryd-{NAME}")
        );
        let arguments = fs::read_dir("/proc").unwrap().filter_map(|p| fs::read(p.ok()?.path().join("cmdline")).ok());
        let all: Vec<u8> = arguments.flatten().collect();
        assert!(!String::from_utf8_lossy(&all).contains("hunter2"), "no secret is in an argument list");
        host.until(NAME, "it is seen", |r| r.replicas == before.replicas && r.phase == "idle").await;
        assert!(yes(host, &["status", NAME]).await.contains("v1 serves all"));
        tell(&child, signal);
        let (code, said) = end(child).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.matches(&format!("got signal {number}, finishes 0 requests")).count(), 1, "{said}");
        let log = fs::read_to_string(host.state().join("gateways").join(NAME).join("log/access.log")).unwrap();
        assert!(address.contains('.') && log.contains("\"ua\"") && !log.contains(&format!("{address}:")), "a request");
        assert!(one_offs(host).is_empty());
    }
    assert_eq!(host.report(NAME).await.unwrap().replicas, before.replicas);
}

async fn one_that_does_not_end(host: &Host) {
    let (child, _) = started(host, &["run", NAME, "--lane", "canary"]).await;
    tell(&child, Signal::TERM);
    let told = Instant::now();
    let (code, said) = end(child).await;
    assert!(code == Some(137) && said.contains("ignores signal 15"), "{code:?} {said}");
    assert!(told.elapsed() >= Duration::from_secs(5), "not before stop.grace is over: {:?}", told.elapsed());
    assert!(one_offs(host).is_empty(), "it is gone all the same");
    let report = host.report(NAME).await.unwrap();
    assert!(
        report.canary.is_some() && report.waiting.iter().all(|w| !format!("{w:?}").contains("Crash")),
        "{report:#?}"
    );
}

async fn nothing_is_told_that_is_secret(host: &Host) {
    let events = host.events(NAME).await;
    let told: Vec<&str> = events.iter().filter(|e| e.kind == "one-off").map(|e| e.message.as_str()).collect();
    assert!(told[0].contains("(uid ") && told[0].contains("made of v1 (production)"), "{told:?}");
    let files = ["journal.db", "journal.db-wal"].map(|name| fs::read(host.state().join(name)).unwrap_or_default());
    let journal: Vec<u8> = files.concat();
    for text in [String::from_utf8_lossy(&journal).into_owned(), host.log()] {
        assert!(!text.contains("hunter2"), "a secret is told");
        assert!(!text.contains("do env TOKEN"), "what was run is nobody's business");
    }
}
