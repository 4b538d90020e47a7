//! Lowering when canaryd is not there at all: the lines of docs/operations.md, and what systemd is given for it, word by word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use canaryd_e2e::{Scene, canaryd};

use super::{at_a_quarter, expect_off_for_good, now};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The first block of a shell under that heading of docs/operations.md.
fn documented(heading: &str) -> String {
    let text = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// The value of a setting of a unit, as systemd gives it to a program.
fn setting(unit: &str, key: &str) -> String {
    let text = fs::read_to_string(repository().join("packaging").join(unit)).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    value.unwrap_or_else(|| panic!("{unit} has no {key}")).replace("$$", "$")
}

/// Runs lines that are written for the usual places in the places of this scene.
fn sh(scene: &Scene, lines: &str) {
    let state = scene.host.state();
    let lines = lines
        .replace("/usr/local/bin/canaryd", canaryd().to_str().unwrap())
        .replace("/var/lib/canaryd", state.to_str().unwrap())
        .replace("shop", &scene.name);
    let output = Command::new("sh").args(["-c", &lines]).env("CANARYD_SOCKET", "/nonexistent").output().unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_lines_take_the_canary_off_without_canaryd_and_do_no_harm_twice() {
    let mut scene = at_a_quarter("abort-by-hand").await;
    let lines = documented("Without canaryd");
    assert_eq!(lines.lines().count(), 3, "{lines}");
    scene.host.kill().await;
    let asked = now();
    sh(&scene, &lines);
    let current = || fs::read_link(scene.gateway_dir().join("conf/current")).unwrap();
    let lowered = current();
    assert!(lowered.to_str().unwrap().ends_with('t'), "the twin: {}", lowered.display());
    sh(&scene, &lines);
    assert_eq!(current(), lowered, "once more changes nothing");
    expect_off_for_good(scene, asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_systemd_runs_for_a_daemon_that_failed_takes_the_canary_off() {
    let mut scene = at_a_quarter("abort-unit").await;
    let command = setting("canaryd-lower.service", "ExecStart");
    let script = command.strip_prefix("/bin/sh -c '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
    scene.host.kill().await;
    let asked = now();
    sh(&scene, script);
    expect_off_for_good(scene, asked).await;
}

#[test]
fn the_units_are_valid_and_name_each_other() {
    assert!(repository().join("packaging").join(setting("lower.conf", "OnFailure")).exists());
    let again = setting("canaryd-lower.service", "ExecStartPost");
    assert!(again.contains("start canaryd.service") && again.contains("is-failed"), "{again}");
    let dir = tempfile::tempdir().unwrap();
    let drop_ins = dir.path().join("canaryd.service.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::copy(repository().join("packaging/lower.conf"), drop_ins.join("lower.conf")).unwrap();
    let units = ["canaryd.service", "canaryd-lower.service"].map(|unit| {
        let text = fs::read_to_string(repository().join("packaging").join(unit)).unwrap();
        let path = dir.path().join(unit);
        fs::write(&path, text.replace("/usr/local/bin/canaryd", canaryd().to_str().unwrap())).unwrap();
        path
    });
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(&units).output();
    match verified {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: systemd-analyze cannot be run: {error}"),
    }
}
