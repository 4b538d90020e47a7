//! Every way to write a file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, demo_image, load};

use super::until_told;

/// Loaded machines are slow; the promise is a second.
const SOON: Duration = Duration::from_secs(5);

fn git(dir: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=mina", "-c", "user.email=mina@example.org", "-c", "init.defaultBranch=main"]);
    let output = git.args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_writes_a_manifest_is_noticed_within_a_second_and_users_notice_nothing() {
    let app = demo_image("gate-ways", "v1", &[]);
    let host = Host::start().await;
    let good = Manifest::new("gate-ways", &app, "v1", 22_400).yaml();
    host.write("ways.yaml", &good);
    host.until_serving("gate-ways", "v1").await;
    until_steady(22_400).await;
    let load = load(22_400, 50.0, true);
    let bad = |word: &str| good.replace("replicas: 1", &format!("replicas: {word}"));
    let (path, dir) = (host.manifests().join("ways.yaml"), host.manifests());
    let mut figures: Vec<(&str, Duration)> = Vec::new();

    host.write("ways.yaml", &bad("renamed"));
    figures.push(("rename", until_told(&host, "renamed", |t| t.contains("renamed")).await));
    fs::write(&path, bad("rewritten")).unwrap();
    figures.push(("in place", until_told(&host, "rewritten", |t| t.contains("rewritten")).await));

    // As vim does: the old file is moved away, a new one is written, the old one removed.
    fs::rename(&path, dir.join("ways.yaml~")).unwrap();
    fs::write(&path, bad("edited")).unwrap();
    fs::remove_file(dir.join("ways.yaml~")).unwrap();
    figures.push(("editor", until_told(&host, "edited", |t| t.contains("edited")).await));

    // In two halves, with a pause in between.
    let text = bad("halves");
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.sync_all().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    figures.push(("two halves", until_told(&host, "halves", |t| t.contains("halves")).await));

    // A release directory behind a symlink, as atomic deployments do it.
    let (one, two) = (host.path("releases/1"), host.path("releases/2"));
    for (release, text) in [(&one, bad("first")), (&two, bad("second"))] {
        fs::create_dir_all(release).unwrap();
        fs::write(release.join("ways.yaml"), text).unwrap();
    }
    symlink(one.join("ways.yaml"), host.path("link")).unwrap();
    fs::rename(host.path("link"), &path).unwrap();
    figures.push(("symlink", until_told(&host, "first", |t| t.contains("first")).await));
    symlink(two.join("ways.yaml"), host.path("link")).unwrap();
    fs::rename(host.path("link"), &path).unwrap();
    figures.push(("symlink swap", until_told(&host, "second", |t| t.contains("second")).await));
    fs::write(two.join("ways.yaml"), bad("behind")).unwrap();
    figures.push(("behind the symlink", until_told(&host, "behind", |t| t.contains("behind")).await));

    fs::remove_file(&path).unwrap();
    fs::write(&path, bad("committed")).unwrap();
    git(&dir, &["init", "-q"]);
    git(&dir, &["add", "ways.yaml"]);
    git(&dir, &["commit", "-q", "-m", "broken"]);
    git(&dir, &["checkout", "-q", "-b", "mended"]);
    fs::write(&path, &good).unwrap();
    git(&dir, &["commit", "-q", "-am", "mended"]);
    until_told(&host, "nothing is wrong", str::is_empty).await;
    git(&dir, &["checkout", "-q", "main"]);
    figures.push(("git checkout", until_told(&host, "committed", |t| t.contains("committed")).await));
    git(&dir, &["checkout", "-q", "mended"]);
    figures.push(("git checkout back", until_told(&host, "nothing is wrong", str::is_empty).await));

    println!("noticed after: {figures:?}");
    for (way, took) in &figures {
        assert!(*took < SOON, "{way}: {took:?}");
    }
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    assert!(report.by_version.keys().eq(["v1"]), "{:?}", report.by_version);
    assert_eq!(host.containers("gate-ways", "app").len(), 1, "nothing was started for it");
}
