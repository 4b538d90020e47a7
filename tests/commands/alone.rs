//! Without a daemon.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::{Manifest, SmallDisk, canaryd};
use rusqlite::Connection;
use serde_json::Value;

fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(canaryd());
    let Output { status, stdout, stderr } = command
        .args(args)
        .args(if args.contains(&"--socket") { &[][..] } else { &["--socket", "nobody.sock"] })
        .env("XDG_STATE_HOME", dir)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn validate_tells_every_problem_with_its_place_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let good = Manifest::new("shop", "shop-app", "v1", 8080).yaml();
    fs::write(dir.path().join("good.yaml"), &good).unwrap();
    let bad = good
        .replace("kind: Rollout", "kind: Rolout")
        .replace("port: 8000", "prot: 8000")
        .replace("replicas: 1", "replicas: some")
        .replace("listen: 8080", "listen: 80800")
        .replace("weight: 25,", "weight: 3,")
        .replace("name: shop }", "name: blog }");
    fs::write(dir.path().join("bad.yaml"), bad).unwrap();
    let (code, out, err) = run(dir.path(), &["validate", "bad.yaml", "good.yaml"]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("ok: good.yaml: shop v1"), "{out}");
    for word in ["Rolout", "prot", "80800", "stage weights must rise: 3 after 5", "replicas"] {
        assert!(err.contains(word), "{word} is not told: {err}");
    }
    for place in ["bad.yaml:2:", "bad.yaml:8:5", "bad.yaml:9:", "bad.yaml:14:", "^", "hint:", "did you mean port?"] {
        assert!(err.contains(place), "{place:?} is not told: {err}");
    }
    let (code, out, _) = run(dir.path(), &["validate", ".", "--output", "json"]);
    let page: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &page["ok"], page["rollouts"][0]["name"].as_str()), (2, &Value::Bool(false), Some("shop")));
    assert!(page["problems"].as_array().unwrap().len() >= 5, "{page:#}");
    assert_eq!(run(dir.path(), &["validate", "good.yaml"]).0, 0);
    fs::write(dir.path().join("twin.yaml"), good.replace("version: v1", "version: v2")).unwrap();
    let (code, _, err) = run(dir.path(), &["validate", "good.yaml", "twin.yaml"]);
    assert!(code == 2 && err.contains("rollout shop is in good.yaml as well"), "{err}");
    let (code, _, err) = run(dir.path(), &["validate", "absent.yaml"]);
    assert!(code == 2 && err.contains("absent.yaml"), "{err}");
}

#[test]
fn schema_prints_the_committed_one() {
    let dir = tempfile::tempdir().unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/rollout.schema.json");
    let (code, out, _) = run(dir.path(), &["schema"]);
    assert_eq!(code, 0);
    assert_eq!(out, fs::read_to_string(committed).unwrap(), "canaryd schema > schema/rollout.schema.json");
}

#[test]
fn without_a_daemon_each_command_says_that_users_are_served_and_how_to_start_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.yaml"), Manifest::new("shop", "shop-app", "v1", 8080).yaml()).unwrap();
    let commands: [&[&str]; 24] = [
        &["status"],
        &["status", "--watch"],
        &["events", "--follow"],
        &["set", "shop", "v2", "--wait"],
        &["logs", "shop", "--follow"],
        &["retry", "shop"],
        &["restart", "shop"],
        &["status", "shop", "--output", "json"],
        &["plan", "m.yaml"],
        &["set", "shop", "v2"],
        &["follow", "shop"],
        &["wait", "shop"],
        &["events"],
        &["logs", "shop"],
        &["explain", "shop"],
        &["advance", "shop"],
        &["promote", "shop", "--reason", "a test"],
        &["pause", "shop"],
        &["resume", "shop"],
        &["abort", "shop"],
        &["undo", "shop"],
        &["rollback", "shop"],
        &["delete", "shop", "--yes"],
        &["traffic", "shop", "5"],
    ];
    for args in commands {
        let (code, out, err) = run(dir.path(), args);
        assert_eq!((code, out.as_str()), (4, ""), "{args:?}: {err}");
        for word in ["error: the daemon does not run", "nobody.sock", "serves as before", "hint:", "canaryd --watch"] {
            assert!(err.contains(word), "{args:?}: {word:?} is not said: {err}");
        }
    }
}

#[test]
fn set_says_how_the_manifest_is_edited_without_a_daemon_and_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest::new("shop", "shop-app", "v1", 8080).yaml();
    fs::write(dir.path().join("m.yaml"), &manifest).unwrap();
    let (code, _, err) = run(dir.path(), &["set", "shop", "v2"]);
    assert!(code == 4 && err.contains("canaryd set shop v2 --file FILE"), "{err}");
    assert_eq!(run(dir.path(), &["set", "shop", "v2", "--file", "m.yaml"]).0, 0);
    let (code, out, err) = run(dir.path(), &["set", "shop", "v3", "--file", "m.yaml", "--wait"]);
    assert!(code == 4 && out.contains("says v3 now") && err.contains("the daemon does not run"), "{out}{err}");
    let text = fs::read_to_string(dir.path().join("m.yaml")).unwrap();
    assert_eq!(text, manifest.replace("version: v1", "version: v3"));
}

#[test]
fn the_demo_without_an_engine_is_exit_code_4() {
    let dir = tempfile::tempdir().unwrap();
    for (host, word) in [("unix:///nobody/docker.sock", "/nobody/docker.sock"), ("tcp://192.0.2.1:2375", "192.0.2.1")] {
        let mut command = Command::new(canaryd());
        command.arg("demo").env("DOCKER_HOST", host).env("XDG_STATE_HOME", dir.path()).current_dir(dir.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(4) && err.contains(word), "{host}: {:?} {err}", output.status);
    }
}

#[test]
fn wrong_usage_is_exit_code_2_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let wrong: [(&[&str], &str); 11] = [
        (&["statsu"], "status"),
        (&["traffic", "shop", "101"], "100"),
        (&["traffic", "shop", "1.234"], "two decimals"),
        (&["wait", "shop", "--timeout", "5"], "90s"),
        (&["promote", "shop"], "--reason"),
        (&["status", "Not A Name"], "Not A Name"),
        (&["delete", "shop"], "--yes"),
        (&["logs", "shop", "--gateway", "--lane", "canary"], "--lane"),
        (&["set", "shop"], "VERSION"),
        (&["events", "--limit", "0"], "1..=1000"),
        (&["events", "--limit", "1001"], "1..=1000"),
    ];
    for (args, word) in wrong {
        let (code, _, err) = run(dir.path(), args);
        assert!(code == 2 && err.contains(word), "{args:?}: {code}, {word:?} is not said: {err}");
    }
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_whose_fault_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("m")).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let usage: [(&[&str], &str); 5] = [
        (&["--state", "s"], "canaryd --watch DIR"),
        (&["--watch", "m", "--state", "s", "--var", "novalue"], "NAME=VALUE"),
        (&["--watch", "m", "--state", "file"], "file"),
        (&["--watch", "m", "--state", "s", "--max-moving", "0"], "max-moving"),
        (&["--watch", "m", "--state", "s", "status"], "one by one"),
    ];
    for (args, word) in usage {
        let (code, _, err) = run(dir.path(), args);
        assert!(code == 2 && err.contains(word), "{args:?}: {code}, {word:?} is not said: {err}");
    }
    let engine = ["--watch", "m", "--state", "s", "--docker-host", "unix:///nobody/docker.sock"];
    let (code, _, err) = run(dir.path(), &engine);
    assert!(code == 4 && err.contains("/nobody/docker.sock"), "{code}: {err}");
}

/// A state directory with a journal that says which instance it is; no engine answers.
const START: [&str; 8] =
    ["--watch", "m", "--state", "s", "--docker-host", "unix:///nobody/docker.sock", "--log", "text"];

fn with_journal(dir: &Path) -> Connection {
    fs::create_dir_all(dir.join("m")).unwrap();
    // It ends for want of an engine, and its journal is there.
    assert_eq!(run(dir, &START).0, 4);
    Connection::open(dir.join("s/journal.db")).unwrap()
}

/// Ends with exit code 4 before it asks for the engine, and says each of `words`.
fn expect_unusable(dir: &Path, words: &[&str]) {
    let (code, _, err) = run(dir, &START);
    assert_eq!(code, 4, "{err}");
    for word in words {
        assert!(err.contains(word), "{word:?} is not said: {err}");
    }
    assert!(!err.contains("docker.sock"), "the journal comes first: {err}");
}

#[test]
fn a_journal_that_is_locked_ends_the_daemon_with_4_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let journal = with_journal(dir.path());
    journal.execute_batch("BEGIN IMMEDIATE").unwrap();
    expect_unusable(dir.path(), &["journal.db", "locked"]);
    journal.execute_batch("ROLLBACK").unwrap();
    assert!(run(dir.path(), &START).2.contains("docker.sock"), "it is as it was");
}

/// Runs on in safe mode, without an engine, says each of `words` first, refuses everything else, and ends with 0.
fn expect_safe_mode(dir: &Path, words: &[&str]) {
    let mut command = Command::new(canaryd());
    command.args(START).args(["--socket", "safe.sock"]).env("XDG_STATE_HOME", dir).current_dir(dir);
    let mut daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ask = |args: &[&str]| run(dir, &[args, &["--socket", "safe.sock"]].concat());
    let asked = || {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match ask(&["status"]) {
                (0, page, _) => return page,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let page = asked();
    fs::remove_file(dir.join("safe.sock")).unwrap();
    assert_eq!(asked(), page, "a socket file that somebody removes is made anew");
    let first = page.lines().next().unwrap_or_default();
    for word in words.iter().chain(&["safe mode", "production serves"]) {
        assert!(first.contains(word), "{word:?} is not said first: {page}");
    }
    assert!(page.contains("canaryd journal rebuild"), "{page}");
    let (code, _, err) = ask(&["retry", "shop"]);
    assert!(code == 1 && err.contains("safe mode") && err.contains("canaryd journal rebuild"), "{code}: {err}");
    let pid = rustix::process::Pid::from_raw(i32::try_from(daemon.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    assert!(!dir.join("safe.sock").exists());
}

#[test]
fn a_journal_that_does_not_say_what_serves_starts_safe_mode_also_without_an_engine() {
    let dir = tempfile::tempdir().unwrap();
    let journal = with_journal(dir.path());
    let path = dir.path().join("s/journal.db");
    journal.execute("UPDATE schema_version SET version = 7", []).unwrap();
    expect_safe_mode(dir.path(), &["journal.db", "newer canaryd", "format 7", "up to 1", "backup"]);
    journal.execute("UPDATE schema_version SET version = 1", []).unwrap();
    journal.execute("INSERT INTO memory VALUES ('shop', '{}')", []).unwrap();
    expect_safe_mode(dir.path(), &["memory of shop cannot be read"]);
    let check = |word: &str| {
        let (code, out, err) = run(dir.path(), &["journal", "check", "--state", "s"]);
        assert!(code == 1 && out.contains(word) && out.contains("journal rebuild"), "{code}: {out}{err}");
    };
    check("memory of shop");
    journal.execute("DELETE FROM memory", []).unwrap();
    drop(journal);
    assert!(run(dir.path(), &START).2.contains("docker.sock"), "it is as it was");
    let (code, out, _) = run(dir.path(), &["journal", "check", "--state", "s"]);
    assert!(code == 0 && out.contains("sound"), "{code}: {out}");
    fs::write(&path, "scribbled over ".repeat(1000)).unwrap();
    expect_safe_mode(dir.path(), &["journal.db", "damaged"]);
    check("damaged");
    assert!(fs::read_to_string(&path).unwrap().starts_with("scribbled over"), "it is left as it is");
    fs::remove_file(&path).unwrap();
    expect_safe_mode(dir.path(), &["journal.db", "is missing"]);
    check("is missing");
    let rebuild = ["journal", "rebuild", "--yes", "--state", "s", "--docker-host", "unix:///nobody/docker.sock"];
    let (code, _, err) = run(dir.path(), &rebuild);
    assert!(code == 4 && err.contains("docker.sock") && !path.exists(), "{code}: {err}");
    // A dry run changes nothing, and so it lowers nothing.
    let (code, _, err) = run(dir.path(), &[&START[..], &["--dry-run"]].concat());
    assert!(code == 4 && err.contains("is missing"), "{code}: {err}");
}

#[test]
fn a_disk_that_takes_nothing_ends_the_daemon_with_4_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("s"), "1M") else {
        eprintln!("skipped: a small disk can only be mounted as root");
        return;
    };
    drop(with_journal(dir.path()));
    disk.fill();
    expect_unusable(dir.path(), &["journal.db"]);
    disk.free();
    assert!(run(dir.path(), &START).2.contains("docker.sock"), "it goes on when there is room");
    disk.remount("ro");
    expect_unusable(dir.path(), &["Read-only file system"]);
}
