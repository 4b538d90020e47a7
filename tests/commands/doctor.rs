//! What the doctor finds on hosts that are well and on such as are not.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, SmallDisk, canaryd, demo_image, docker, free_port, remove_leftovers};
use serde_json::Value;

/// Names, owners and rights of everything below a directory.
fn listing(dir: &Path) -> BTreeSet<(String, u32, u32)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
        let Ok(seen) = entry.metadata() else { continue };
        found.insert((entry.path().display().to_string(), seen.uid(), seen.mode()));
        if seen.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found
}

fn copies_left() -> usize {
    let names = fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok).map(|e| e.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("canaryd-doctor-")).count()
}

/// Level and words of one finding.
fn finding<'a>(page: &'a Value, item: &str) -> (&'a str, String) {
    let all = page["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["item"] == item).unwrap_or_else(|| panic!("{item} is missing: {page:#}"));
    let words = ["said", "means", "mend"].map(|key| found[key].as_str().unwrap_or_default());
    (found["level"].as_str().unwrap(), words.join(" | "))
}

async fn examine(host: &Host) -> (i32, Value) {
    let state = host.state().display().to_string();
    let (code, out, err) = host.cli(&["doctor", "--state", &state, "--output", "json"]).await;
    assert!(err.is_empty(), "{err}");
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}")))
}

/// Runs it where no daemon is; its words, wherever its lines were broken.
fn alone(args: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(canaryd());
    let output = command.arg("doctor").args(args).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_healthy_host_healthy_and_tells_what_was_done_to_it_since() {
    const NAME: &str = "doctor";
    remove_leftovers(NAME);
    let app = demo_image(NAME, "v1", &[]);
    let port = free_port();
    let mut host = Host::serving(&Manifest::new(NAME, &app, "v1", port)).await;
    a_healthy_one(&host, NAME).await;
    if is_root() {
        a_socket_of_somebody_else(&host).await;
    }
    host.kill().await;
    without_its_daemon(&host, NAME).await;
    a_gateway_whose_port_was_taken(&host, NAME, port).await;
    a_damaged_journal(&host).await;
}

async fn a_healthy_one(host: &Host, name: &str) {
    let before = listing(&host.state());
    let (code, page) = examine(host).await;
    assert_eq!((code, &page["daemon"]), (0, &Value::Bool(true)), "{page:#}");
    for item in ["daemon", "socket", "docker", "state", "journal", "clock", "network", "watch"] {
        assert_eq!(finding(&page, item).0, "ok", "{page:#}");
    }
    let (level, words) = finding(&page, &format!("gateway {name}"));
    assert!(level == "ok" && words.contains("its twin is ready"), "{words}");
    if is_root() {
        assert_eq!(finding(&page, &format!("signal {name}")).0, "ok", "{page:#}");
    }
    assert!(finding(&page, "image").1.contains("is NGINX 1."), "{page:#}");
    let (_, unasked, _) = host.cli(&["doctor", "--output", "json"]).await;
    let unasked: Value = serde_json::from_str(&unasked).unwrap();
    assert_eq!(unasked["findings"], page["findings"], "the daemon names its state directory itself");
    let state = host.state().display().to_string();
    let (_, text, _) = host.cli(&["doctor", "--state", &state, "--ascii"]).await;
    assert!(text.is_ascii() && text.contains("nothing is wrong") && text.contains("+ ok "), "{text}");
    let is_long = |line: &&str| line.len() > 80 && line.contains("  ") && !line.contains('/');
    assert_eq!(text.lines().find(is_long), None, "{text}");
    assert_eq!(listing(&host.state()), before, "it changed something");
}

async fn a_socket_of_somebody_else(host: &Host) {
    chown(host.socket(), Some(65_534), None).unwrap();
    let (code, page) = examine(host).await;
    let (level, words) = finding(&page, "socket");
    assert!(code == 1 && level == "wrong" && words.contains("belongs to") && words.contains("chown"), "{words}");
    chown(host.socket(), Some(0), None).unwrap();
}

/// What a killed daemon left is read in a copy.
async fn without_its_daemon(host: &Host, name: &str) {
    let (before, copies) = (listing(&host.state()), copies_left());
    let (code, page) = examine(host).await;
    assert_eq!((code, &page["daemon"], &page["engine"]), (1, &Value::Bool(false), &Value::Bool(true)), "{page:#}");
    let (level, words) = finding(&page, "daemon");
    assert!(level == "wrong" && words.contains("(1 rollout) serves as before"), "{words}");
    assert_eq!(finding(&page, "socket").0, "warning", "{page:#}");
    assert_eq!(finding(&page, "journal").0, "ok", "{page:#}");
    assert_eq!(finding(&page, &format!("gateway {name}")).0, "ok", "{page:#}");
    assert_eq!((listing(&host.state()), copies_left()), (before, copies), "it left something behind");
}

async fn a_gateway_whose_port_was_taken(host: &Host, name: &str, port: u16) {
    docker(&["stop", &format!("{name}-gateway")]);
    let _somebody = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (code, page) = examine(host).await;
    let (level, words) = finding(&page, &format!("gateway {name}"));
    let by = format!("127.0.0.1:{port} is taken by");
    let process = format!("(process {})", std::process::id());
    assert!(code == 1 && level == "wrong", "{page:#}");
    assert!(words.contains("has ended") && words.contains(&by) && words.contains(&process), "{words}");
}

async fn a_damaged_journal(host: &Host) {
    let path = host.state().join("journal.db");
    let text = vec![0x55; 64 << 10];
    fs::write(&path, &text).unwrap();
    // Else every page would be in it.
    fs::remove_file(host.state().join("journal.db-wal")).unwrap();
    let (code, page) = examine(host).await;
    let (level, words) = finding(&page, "journal");
    assert!(code == 1 && level == "wrong" && words.contains("damaged") && words.contains("backup"), "{words}");
    assert_eq!(fs::read(&path).unwrap(), text, "it is left as it is");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

#[test]
fn on_a_fresh_host_the_doctor_finds_nothing_wrong_and_without_an_engine_it_leaves_with_4() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = ["--state", &path("state"), "--socket", &path("sock"), "--watch", &path("absent")];
    let (code, text) = alone(&args[..4], &[]);
    assert!(code == 0 && text.contains("nothing is wrong") && text.contains("does not run"), "{text}");
    let (code, text) = alone(&args, &[]);
    assert!(code == 1 && text.contains("wrong watch"), "{text}");
    let (code, text) = alone(&args[..4], &[("DOCKER_HOST", &format!("unix://{}", path("docker")))]);
    assert!(code == 4 && text.contains("no engine answers") && text.contains("systemctl start docker"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it made something");
}

#[test]
fn an_engine_and_a_daemon_that_take_a_call_and_never_answer_hold_the_doctor_up_for_seconds_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let _mute = [path("docker"), path("sock")].map(|path| UnixListener::bind(path).unwrap());
    let began = Instant::now();
    let args = ["--state", &path("state"), "--socket", &path("sock")];
    let (code, text) = alone(&args, &[("DOCKER_HOST", &format!("unix://{}", path("docker")))]);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert!(code == 4 && text.contains("gives no status") && text.contains("did not answer within"), "{text}");
}

#[test]
fn the_doctor_says_that_the_state_directory_s_disk_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let Some(disk) = SmallDisk::mount(&state, "4M") else {
        eprintln!("skipped: a small disk can only be mounted as root");
        return;
    };
    let (state, socket) = (state.display().to_string(), dir.path().join("sock").display().to_string());
    let args = ["--state", &state, "--socket", &socket];
    let (code, text) = alone(&args, &[]);
    assert!(code == 1 && text.contains("of 4.0 MiB free"), "{text}");
    disk.remount("ro");
    let (code, text) = alone(&args, &[]);
    assert!(code == 1 && text.contains("is read-only") && text.contains("remount,rw"), "{text}");
    disk.remount("rw");
}
