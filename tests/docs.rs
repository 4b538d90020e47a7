//! What the documents say is so: links lead somewhere, examples are valid, messages are the real ones, and every field of
//! a manifest is described. With `UPDATE_DOCS=1` the tables of `docs/manifest.md` are written.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use canaryd_e2e::document::blocks;
use canaryd_rollout::{Inputs, SourceText, parse, resolve};

mod fields;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every document of the repository, with its text.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    collect(&root(), &mut found);
    assert!(found.len() > 5, "the documents were not found");
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
}

/// Where the links of a document lead, code left out.
fn links(document: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        inside ^= line.starts_with("```");
        if inside {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    links
}

/// Anchors of the headings of a document, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_that_are_there() {
    let documents = documents();
    let mut dead = Vec::new();
    for (path, text) in &documents {
        for link in links(text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = fs::canonicalize(&target).ok().filter(|t| t.starts_with(root()));
            let heading =
                |t: &PathBuf| anchor.is_empty() || documents.get(t).is_some_and(|d| anchors(d).contains(anchor));
            if !there.as_ref().is_some_and(heading) {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links: {dead:#?}");
}

/// What `canaryd validate` would say about a manifest whose files are there.
fn problems(name: &str, text: &str) -> Vec<String> {
    let parsed = parse(&SourceText { name: name.to_owned(), text: text.to_owned() }, &BTreeMap::new());
    let mut said: Vec<String> = parsed.problems.iter().map(|p| p.render(false)).collect();
    for draft in &parsed.drafts {
        let files = draft.needs().files.iter().map(|file| (file.clone(), Ok(Vec::new()))).collect();
        if let Err(errors) = resolve(draft, &Inputs { files, images: BTreeMap::new() }) {
            said.extend(errors.iter().map(|p| p.render(false)));
        }
    }
    assert!(!said.is_empty() || !parsed.drafts.is_empty(), "{name}: no rollout and no problem");
    said
}

#[test]
fn every_manifest_in_a_document_is_valid() {
    let mut seen = 0;
    for (path, text) in documents() {
        for block in blocks(&text).iter().filter(|b| b.info == "yaml" && b.text.contains("kind: Rollout")) {
            let said = problems("manifest", &block.text);
            assert!(said.is_empty(), "{}:{}:\n{}", path.display(), block.line, said.join("\n"));
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a manifest");
}

/// A block `yaml broken FILE` is followed by one that shows, word for word, what is said about it.
#[test]
fn every_diagnostic_in_a_document_is_the_real_one() {
    let mut seen = 0;
    for (path, text) in documents() {
        for pair in blocks(&text).windows(2) {
            let Some(name) = pair[0].info.strip_prefix("yaml broken ") else { continue };
            let said = problems(name, &pair[0].text);
            let place = format!("{}:{}", path.display(), pair[1].line);
            assert!(!said.is_empty(), "{place}: this manifest is valid");
            assert_eq!(pair[1].text.trim_end(), said.join("\n\n").trim_end(), "{place}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a diagnostic");
}

#[test]
fn every_field_of_a_manifest_is_described() {
    let schema = fs::read_to_string(root().join("schema/rollout.schema.json")).unwrap();
    let tables = fields::tables(&serde_json::from_str(&schema).unwrap());
    let path = root().join("docs/manifest.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(fields::BEGIN).expect("docs/manifest.md says where its tables begin");
    let (_, tail) = rest.split_once(fields::END).expect("docs/manifest.md says where its tables end");
    let made = format!("{head}{}{tables}{}{tail}", fields::BEGIN, fields::END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == made,
        "docs/manifest.md is not up to date: run this test with UPDATE_DOCS=1"
    );
}

/// Parts of a message that say the same on every machine: without names, numbers and what is left out.
fn fixed_parts(message: &str) -> impl Iterator<Item = &str> {
    message.split(['…', '`']).flat_map(|part| part.split("NAME")).map(str::trim).filter(|part| part.len() >= 10)
}

#[test]
fn every_message_that_operations_explains_is_one_of_ours() {
    let mut sources = String::new();
    read_sources(&root().join("crates"), &mut sources);
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, table) = text.split_once("| it says |").expect("there is a table of messages");
    let messages: Vec<&str> =
        table.lines().skip(2).take_while(|row| row.starts_with('|')).filter_map(|row| row.split('|').nth(1)).collect();
    assert!(messages.len() > 10, "{messages:?}");
    let unknown: Vec<&str> =
        messages.iter().flat_map(|m| fixed_parts(m)).filter(|part| !sources.contains(part)).collect();
    assert!(unknown.is_empty(), "nobody says this any more: {unknown:#?}");
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
