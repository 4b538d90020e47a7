//! Which manifests are in force. A listing comes in; out goes, for each name, the draft that counts, and what is
//! wrong with the rest. Nothing here deletes: a name that vanished is only marked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use canaryd_rollout::{Draft, RolloutName, SourceText, parse};
use jiff::Timestamp;

/// A name counts as deleted after this long an absence from complete listings.
const ABSENCE: Duration = Duration::from_secs(30);

/// One complete or incomplete look at the watched directories.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Text of every manifest file, or why it cannot be read.
    pub(crate) files: BTreeMap<PathBuf, Result<String, String>>,
    /// What is wrong with whole directories: unreadable, vanished, empty. Then nothing counts as gone.
    pub(crate) troubles: Vec<String>,
}

/// The manifests in force.
#[derive(Debug, Default)]
pub(crate) struct Book {
    vars: BTreeMap<String, String>,
    entries: BTreeMap<RolloutName, Entry>,
    problems: BTreeMap<PathBuf, Vec<String>>,
    troubles: Vec<String>,
}

/// One name.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The document that counts; `None` until a file with this name was seen (known from an earlier run only).
    pub(crate) draft: Option<Draft>,
    /// Where it came from.
    pub(crate) file: PathBuf,
    /// Absent from complete listings since then.
    pub(crate) gone_since: Option<Timestamp>,
    /// Several went at once: a person has to confirm.
    pub(crate) needs_confirmation: bool,
}

impl Entry {
    /// Whether the absence counts as a deletion.
    pub(crate) fn is_deleted(&self, now: Timestamp) -> bool {
        let absent = |since: Timestamp| now.duration_since(since).unsigned_abs() >= ABSENCE;
        !self.needs_confirmation && self.gone_since.is_some_and(absent)
    }
}

impl Book {
    pub(crate) fn new(vars: BTreeMap<String, String>) -> Self {
        Self { vars, ..Self::default() }
    }

    /// Makes a name known that an earlier run had in force.
    pub(crate) fn remember(&mut self, name: RolloutName, file: PathBuf) {
        self.entries.entry(name).or_insert(Entry { draft: None, file, gone_since: None, needs_confirmation: false });
    }

    /// Takes a name out for good.
    pub(crate) fn forget(&mut self, name: &RolloutName) {
        self.entries.remove(name);
    }

    /// What the daemon was given for `${…}`.
    pub(crate) fn vars(&self) -> &BTreeMap<String, String> {
        &self.vars
    }

    pub(crate) fn entries(&self) -> &BTreeMap<RolloutName, Entry> {
        &self.entries
    }

    /// Everything that is wrong now, rendered.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.troubles.iter().chain(self.problems.values().flatten()).cloned().collect()
    }

    /// Takes a look in; returns the names whose draft changed.
    pub(crate) fn update(&mut self, look: &Look, now: Timestamp) -> BTreeSet<RolloutName> {
        self.problems.clear();
        self.troubles.clone_from(&look.troubles);
        let mut found: BTreeMap<RolloutName, Vec<(PathBuf, Draft)>> = BTreeMap::new();
        for (path, text) in &look.files {
            self.read(path, text, &mut found);
        }
        let mut changed = BTreeSet::new();
        for (name, candidates) in found.clone() {
            if self.choose(&name, candidates) {
                changed.insert(name);
            }
        }
        self.mark_gone(&found.into_keys().collect(), look, now);
        changed
    }

    fn read(
        &mut self,
        path: &Path,
        text: &Result<String, String>,
        found: &mut BTreeMap<RolloutName, Vec<(PathBuf, Draft)>>,
    ) {
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                let message = format!("error: cannot read {}: {why}", path.display());
                self.problems.entry(path.to_owned()).or_default().push(message);
                return;
            }
        };
        let source = SourceText { name: path.display().to_string(), text: text.clone() };
        let parsed = parse(&source, &self.vars);
        for problem in &parsed.problems {
            self.problems.entry(path.to_owned()).or_default().push(problem.render(false));
        }
        for draft in parsed.drafts {
            found.entry(draft.name().clone()).or_default().push((path.to_owned(), draft));
        }
    }

    /// Decides which of several documents of one name counts: the one in force stays, equal content is a move.
    fn choose(&mut self, name: &RolloutName, candidates: Vec<(PathBuf, Draft)>) -> bool {
        let differ = candidates.windows(2).any(|pair| pair[0].1.content_hash() != pair[1].1.content_hash());
        let current = self.entries.get(name);
        let chosen = if differ {
            let places: Vec<String> =
                candidates.iter().map(|(file, draft)| format!("{}:{}", file.display(), draft.line())).collect();
            let in_force = current.map(|e| e.file.clone());
            self.problems.entry(candidates[0].0.clone()).or_default().push(conflict(
                name,
                &places,
                in_force.as_deref(),
            ));
            // Only the file that is in force may go on speaking for the name, and only with what it said before.
            return false;
        } else {
            let stays = |(file, _): &&(PathBuf, Draft)| current.is_some_and(|e| &e.file == file);
            candidates.iter().find(stays).or_else(|| candidates.first()).cloned()
        };
        let Some((file, draft)) = chosen else { return false };
        let is_new = current.and_then(|e| e.draft.as_ref()).is_none_or(|d| d.content_hash() != draft.content_hash());
        let entry = Entry { draft: Some(draft), file, gone_since: None, needs_confirmation: false };
        self.entries.insert(name.clone(), entry);
        is_new
    }

    fn mark_gone(&mut self, found: &BTreeSet<RolloutName>, look: &Look, now: Timestamp) {
        let broken: BTreeSet<&PathBuf> = self.problems.keys().collect();
        let complete = look.troubles.is_empty();
        let mut gone = Vec::new();
        for (name, entry) in &mut self.entries {
            if found.contains(name) {
                continue;
            }
            if !complete || broken.contains(&entry.file) {
                entry.gone_since = None;
                continue;
            }
            if entry.gone_since.is_none() {
                entry.gone_since = Some(now);
                gone.push(name.clone());
            }
        }
        let absent = self.entries.values().filter(|e| e.gone_since.is_some()).count();
        if gone.len() > 1 || (absent > 1 && !gone.is_empty()) {
            for entry in self.entries.values_mut().filter(|e| e.gone_since.is_some()) {
                entry.needs_confirmation = true;
            }
        }
    }
}

fn conflict(name: &RolloutName, places: &[String], in_force: Option<&Path>) -> String {
    let stays = in_force.map_or("none of them is in force".to_owned(), |file| {
        format!("what {} said before stays in force", file.display())
    });
    format!(
        "error: two manifests are named {name}, with different content: {}; {stays}\n  hint: give one of them another metadata.name, or remove it",
        places.join(" and ")
    )
}
