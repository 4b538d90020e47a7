//! Manifests with mistakes, and what is said about each, word by word. `UPDATE_GOLDEN=1` writes it anew; review the difference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use canaryd_rollout::{Diagnostic, SourceText, parse};

use crate::common::{resolved, said, tests};

/// Every manifest of the corpus.
fn corpus() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(tests("wrong")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

/// The problems of a file, those of the files that it names included, and how many of its documents can be used.
fn problems(file: &Path) -> (Vec<Diagnostic>, usize, usize) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let source = match SourceText::of_bytes(&name, &std::fs::read(file).unwrap()) {
        Ok(source) => source,
        Err(problems) => return (problems, 0, 1),
    };
    let parsed = parse(&source, &BTreeMap::new());
    let (mut problems, mut broken) = (parsed.problems, parsed.broken.len());
    for draft in &parsed.drafts {
        match resolved(draft, &tests("wrong/files")) {
            Ok(resolved) => problems.extend(resolved.warnings),
            Err(more) => {
                broken += 1;
                problems.extend(more);
            }
        }
    }
    (problems, parsed.drafts.len() + parsed.broken.len() - broken, broken)
}

#[test]
fn every_wrong_manifest_is_answered_word_by_word() {
    let mut differing = Vec::new();
    for file in corpus() {
        let (problems, usable, broken) = problems(&file);
        let answer = format!("{}\n\nusable: {usable}, not usable: {broken}\n", said(&problems));
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &answer).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != answer {
            differing.push(format!("{}\n{answer}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "run with UPDATE_GOLDEN=1 and review:\n{}", differing.join("\n"));
}

#[test]
fn every_problem_has_its_place_its_caret_and_a_way_out() {
    for file in corpus() {
        let (problems, ..) = problems(&file);
        assert!(!problems.is_empty(), "{} is not wrong", file.display());
        for problem in problems {
            let text = problem.to_string();
            assert!(problem.line > 0 && problem.column > 0, "no place: {text}");
            let snippet = problem.snippet.as_ref().unwrap_or_else(|| panic!("no snippet: {text}"));
            assert!(snippet.start <= snippet.text.chars().count(), "the caret is beside the line: {text}");
            assert!(problem.label.is_some() || problem.hint.is_some(), "no way out: {text}");
        }
    }
}

#[test]
fn every_problem_is_said_in_the_same_voice() {
    for file in corpus() {
        for problem in problems(&file).0 {
            let texts = [Some(&problem.message), problem.label.as_ref(), problem.hint.as_ref()];
            for text in texts.into_iter().flatten() {
                assert!(!text.ends_with('.') && !text.is_empty(), "a full stop: {problem}");
                assert!(!text.contains("Some(") && !text.contains("None"), "debugging: {problem}");
            }
            assert!(!problem.to_string().contains("hunter"), "a secret: {problem}");
            assert!(!problem.to_string().contains('\u{1b}'), "a control character: {problem}");
        }
    }
}
