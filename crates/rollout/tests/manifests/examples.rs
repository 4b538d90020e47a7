//! The manifests that people are shown are without a flaw.

use std::path::{Path, PathBuf};

use canaryd_rollout::{CheckKind, Resolved, SourceText, parse};

use crate::common::{MINIMAL, repository, resolved, rollout, said};

/// Every rollout of a file, with the files beside it; `.env` is what `.env.example` says.
fn read(file: &Path) -> Vec<Resolved> {
    let directory = tempfile(file.parent().unwrap());
    let source = SourceText::of_bytes(&file.display().to_string(), &std::fs::read(file).unwrap());
    let parsed = parse(&source.map_err(|p| said(&p)).unwrap(), &std::collections::BTreeMap::new());
    assert!(parsed.problems.is_empty(), "{}", said(&parsed.problems));
    let made = parsed.drafts.iter().map(|draft| resolved(draft, &directory).map_err(|p| said(&p)).unwrap()).collect();
    std::fs::remove_dir_all(directory).unwrap();
    made
}

/// A copy of a directory's files in which `.env.example` is `.env` as well, as its README says.
fn tempfile(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap().to_string_lossy().into_owned();
    let copy = std::env::temp_dir().join(format!("canaryd-rollout-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&copy).unwrap();
    for file in std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).filter(|f| f.is_file()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::copy(&file, copy.join(&name)).unwrap();
        if name == ".env.example" {
            std::fs::copy(&file, copy.join(".env")).unwrap();
        }
    }
    copy
}

fn manifests(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            found.extend(manifests(&path));
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_manifest_of_the_repository_is_without_a_flaw() {
    let files = [manifests(&repository().join("manifests")), manifests(&repository().join("examples"))].concat();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert!(!read(&file).is_empty(), "{} has no rollout", file.display());
    }
}

#[test]
fn the_manifest_of_the_quickstart_has_eight_lines_and_every_default() {
    let file = repository().join("manifests/hello.yaml");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 8);
    let hello = read(&file).remove(0).rollout;
    assert_eq!(hello.app.image, "canaryd-demo:v1");
    let stages: Vec<_> = hello.stages.iter().map(|s| (s.weight.to_string(), s.observe.as_secs() / 60)).collect();
    let expected =
        [("1", 15), ("5", 15), ("25", 15), ("100", 15)].map(|(weight, minutes)| (weight.to_owned(), minutes));
    assert_eq!(stages, expected);
    assert_eq!(hello.checks[0].kind, CheckKind::ErrorRate { max: 0.01 });
    assert_eq!(hello.checks.len(), 1);
}

#[test]
fn what_is_not_written_counts_as_its_default_written_out() {
    let written = MINIMAL.to_owned()
        + "    replicas: 1\n    canaryReplicas: auto\n    pull: missing\n    stop: { grace: 30s, drain: 30s }\n    init: false\n"
        + "  workers: []\n  gateway: { image: \"nginx:stable\", listen: 8080, workers: 2, limits: { body: 0 } }\n"
        + "  stages: [1, 5, 25, 100]\n  observe: 15m\n  onDelete: keep\n  promotion: { keepPrevious: 1h, keepFailed: 1h }\n"
        + "  analysis: { alpha: 5%, beta: 5%, onInconclusive: pause, warmup: 60s }\n"
        + "  checks: [{ name: errors, errorRate: { max: 1% } }]\n  deadlines: { pull: 10m, start: 5m }\n";
    assert_eq!(rollout(&written), rollout(MINIMAL));
}

#[test]
fn the_example_of_a_whole_system_says_what_it_means() {
    let example = read(&repository().join("examples/fragrance-ai/fragrance-ai.yaml")).remove(0).rollout;
    assert_eq!(example.app.image, format!("fragrance-ai-app:{}", example.version));
    assert!(example.app.container.env.contains_key("DATABASE_URL"), "the env file is read");
    assert_eq!(example.workers.iter().map(|w| w.replicas).collect::<Vec<_>>(), [4, 1]);
    assert_eq!(example.stages.len(), 4);
    assert_eq!(example.checks.iter().filter(|c| c.mode.is_some()).count(), 3);
    assert!(example.gateway.sticky.is_some() && example.gateway.expose.canary == Some(8001));
}
