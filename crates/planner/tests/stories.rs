//! Golden stories: each `scripts/*.txt` is a rollout told in words, beside it what became of it (`*.out`, under review).
//!
//! `UPDATE=1 cargo nextest run -p canaryd-planner stories` renews what changed; read the difference before it is committed.
//! `STORY=abort` runs those whose name contains it. The words are explained in `scripts/README.md`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, and its scripts are files")]

#[path = "sim/mod.rs"]
mod sim;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use sim::Sim;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let wanted = std::env::var("STORY").unwrap_or_default();
    let fits = |p: &PathBuf| p.extension().is_some_and(|e| e == "txt") && p.to_string_lossy().contains(&wanted);
    let mut scripts: Vec<PathBuf> = entries.filter(fits).collect();
    scripts.sort();
    scripts
}

/// The script's lines, each followed by what happened.
fn tell(script: &str) -> String {
    let mut sim = Sim::new();
    sim.strict = true;
    let mut out = String::new();
    for line in script.lines() {
        out += line;
        out += "\n";
        let words = line.split('#').next().unwrap_or_default().trim();
        if !words.is_empty() {
            let shown = words::obey(&mut sim, words);
            for told in std::mem::take(&mut sim.told).into_iter().chain(shown) {
                out += told.trim_end();
                out += "\n";
            }
        }
    }
    sim.settle();
    let size = serde_json::to_string(&sim.memory).unwrap().len();
    assert!(size < sim::laws::LARGEST_MEMORY, "law 10: a memory of {size} bytes");
    out
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let script = fs::read_to_string(path).unwrap();
    let told = std::panic::catch_unwind(|| tell(&script)).map_err(|_| format!("{name}: see the panic above"))?;
    let golden = path.with_extension("out");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(golden, &told).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    let differ = told.lines().zip(expected.lines().chain(std::iter::repeat(""))).find(|(is, was)| is != was);
    match differ {
        Some((is, was)) => Err(format!("{name}:\n  expected {was}\n  but      {is}")),
        None if told.lines().count() != expected.lines().count() => {
            Err(format!("{name}: it ends earlier than expected"))
        }
        None => Ok(()),
    }
}

#[test]
fn every_story_ends_as_it_was_reviewed_and_keeps_the_laws() {
    let scripts = scripts();
    assert!(!scripts.is_empty());
    let halves = scripts.chunks(scripts.len().div_ceil(2));
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let check = |half: &'_ [PathBuf]| half.iter().filter_map(|path| check(path).err()).collect::<Vec<_>>();
        let threads: Vec<_> = halves.map(|half| scope.spawn(move || check(half))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "UPDATE=1 renews these after a look:\n{}", wrong.join("\n"));
}
