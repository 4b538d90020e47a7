//! The walls of the house: what a crate may never come to depend on, and how long a file may be.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PURE: [&str; 4] = ["canaryd-rollout", "canaryd-verdict", "canaryd-planner", "canaryd-gateway"];
const IO: [&str; 7] = [
    "canaryd-engine",
    "canaryd-link",
    "canaryd-telemetry",
    "canaryd-source",
    "canaryd-journal",
    "canaryd-probe",
    "canaryd-cockpit",
];
/// What does I/O, or drives it.
const FORBIDDEN: [&str; 9] = ["tokio", "bollard", "hyper", "reqwest", "rusqlite", "notify", "axum", "mio", "socket2"];
const LONGEST_FILE: usize = 500;
/// Files that are too long already and wait to be split: none may pass its own limit, and each leaves this list when it is short
/// enough.
const TOO_LONG: [(&str, usize); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Normal dependencies of every package that is resolved, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> =
        packages.iter().map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap())).collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let name = names[node["id"].as_str().unwrap()];
        let normal = node["deps"].as_array().unwrap().iter().filter(|dep| is_normal(dep));
        let on = normal.map(|dep| names[dep["pkg"].as_str().unwrap()].to_owned());
        found.entry(name.to_owned()).or_default().extend(on);
    }
    found
}

fn is_normal(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
}

/// Everything that a package comes to depend on.
fn all_of(package: &str, dependencies: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![package.to_owned()]);
    while let Some(next) = open.pop() {
        for on in dependencies.get(&next).into_iter().flatten() {
            if seen.insert(on.clone()) {
                open.push(on.clone());
            }
        }
    }
    seen
}

#[test]
fn pure_crates_come_to_depend_on_no_io() {
    let dependencies = dependencies();
    for package in PURE {
        assert!(dependencies.contains_key(package), "{package} is no longer in the workspace");
        let all = all_of(package, &dependencies);
        let wrong: Vec<_> = FORBIDDEN.iter().chain(&IO).filter(|name| all.contains(**name)).collect();
        assert!(wrong.is_empty(), "{package} is pure, and yet depends on {wrong:?}");
    }
}

#[test]
fn io_crates_do_not_know_each_other() {
    let dependencies = dependencies();
    for package in IO {
        assert!(dependencies.contains_key(package), "{package} is no longer in the workspace");
        let all = all_of(package, &dependencies);
        let wrong: Vec<_> = IO.iter().chain(&["canaryd"]).filter(|name| all.contains(**name)).collect();
        assert!(wrong.is_empty(), "{package} depends on {wrong:?}: only canaryd knows them all");
    }
}

#[test]
fn no_source_file_is_too_long() {
    let mut long = BTreeMap::new();
    for folder in ["crates", "examples", "tests"] {
        measure(&root().join(folder), &mut long);
    }
    for (file, most) in TOO_LONG {
        let lines = long.remove(&root().join(file)).unwrap_or(0);
        assert!(lines > LONGEST_FILE, "{file} is short enough now: take it off the list");
        assert!(lines <= most, "{file} has {lines} lines, more than {most}: split it");
    }
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:#?}");
}

/// Notes every file that is too long.
fn measure(folder: &Path, long: &mut BTreeMap<PathBuf, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            measure(&path, long);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > LONGEST_FILE {
                long.insert(path, lines);
            }
        }
    }
}
