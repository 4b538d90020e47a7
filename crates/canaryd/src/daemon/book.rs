//! Which manifests are in force. A listing comes in; out goes, for each name, the draft that counts, and what is
//! wrong with the rest. Nothing here deletes: a name that vanished is only marked.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use canaryd_rollout::{Diagnostic, Draft, RolloutName, SourceText, parse};
use jiff::Timestamp;

/// A name counts as deleted after this long an absence from complete listings.
pub(crate) const ABSENCE: Duration = Duration::from_secs(30);
/// Longer pauses between two looks (a suspended host, a clock that was set) are not absence that was observed.
const LONGEST_STEP: Duration = Duration::from_secs(2);

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
    /// Why what the last look found for a name is not taken over, in one line.
    ignored: BTreeMap<RolloutName, String>,
    /// Files of which nobody can tell which names they hold.
    opaque: BTreeMap<PathBuf, Opaque>,
    looks: u64,
    last: Option<Timestamp>,
}

/// One name.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The document that counts; `None` until a file with this name was seen (known from an earlier run only).
    pub(crate) draft: Option<Draft>,
    /// Where it came from; empty when nobody knows any more.
    pub(crate) file: PathBuf,
    /// How it stands with its manifest.
    pub(crate) standing: Standing,
    /// Whether it was ever taken over. What was not leaves nothing behind.
    in_force: bool,
    /// The look that found the name last.
    seen: u64,
}

/// How a name stands with its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The last look found its draft.
    Present,
    /// It cannot be told, or what was found cannot be used: what was in force stays.
    Kept,
    /// Absent from complete listings.
    Absent {
        /// Since then.
        since: Timestamp,
        /// For as long as was observed.
        observed: Duration,
    },
    /// Absent, and not alone: a person has to confirm.
    Unconfirmed {
        /// Since then.
        since: Timestamp,
    },
    /// Counts as deleted, until a manifest asks for it again.
    Deleted {
        /// Absent since then.
        since: Timestamp,
    },
}

impl Standing {
    /// Absent since when, and whether that counts as a deletion.
    pub(crate) fn gone(self) -> Option<(Timestamp, bool)> {
        match self {
            Self::Present | Self::Kept => None,
            Self::Absent { since, .. } | Self::Unconfirmed { since } => Some((since, false)),
            Self::Deleted { since } => Some((since, true)),
        }
    }

    /// Whether only looking again tells what becomes of it.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

/// A file that cannot be read, or that is broken so that not even names can be read in it.
#[derive(Debug)]
struct Opaque {
    content: u64,
    /// The look that found it so for the first time.
    since: u64,
}

/// What one look found.
#[derive(Debug, Default)]
struct Found {
    drafts: BTreeMap<RolloutName, Vec<(PathBuf, Draft)>>,
    /// Places of documents that carry a name but cannot be used.
    broken: BTreeMap<RolloutName, Vec<String>>,
    opaque: BTreeMap<PathBuf, u64>,
}

impl Book {
    pub(crate) fn new(vars: BTreeMap<String, String>) -> Self {
        Self { vars, ..Self::default() }
    }

    /// Makes a name known that an earlier run had in force, or had as deleted already.
    pub(crate) fn remember(&mut self, name: RolloutName, file: PathBuf, deleted: Option<Timestamp>) {
        let standing = deleted.map_or(Standing::Kept, |since| Standing::Deleted { since });
        self.entries.entry(name).or_insert(Entry { draft: None, file, standing, in_force: true, seen: 0 });
    }

    /// The draft of this name was taken over.
    pub(crate) fn is_in_force(&mut self, name: &RolloutName) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.in_force = true;
        }
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

    /// Why a newer manifest of this name is not taken over, if there is one: place and mistake.
    pub(crate) fn ignored(&self, name: &RolloutName) -> Option<&str> {
        self.ignored.get(name).map(String::as_str)
    }

    /// Takes a look in.
    pub(crate) fn update(&mut self, look: &Look, now: Timestamp) {
        let step = self.last.map_or(Duration::ZERO, |last| step_between(last, now));
        self.last = Some(now);
        self.looks += 1;
        self.problems.clear();
        self.ignored.clear();
        self.troubles.clone_from(&look.troubles);
        let found = self.read(look);
        self.note_opaque(&found);
        for (name, candidates) in &found.drafts {
            self.choose(name, candidates, found.broken.get(name));
        }
        self.mark_absent(&found, now, step);
    }

    fn read(&mut self, look: &Look) -> Found {
        let mut found = Found::default();
        for (path, text) in &look.files {
            match text {
                Ok(text) => self.read_text(path, text, &mut found),
                Err(why) => {
                    self.tell(path, format!("error: cannot read {}: {why}", path.display()));
                    found.opaque.insert(path.clone(), digest(why));
                }
            }
        }
        self.ignored.retain(|name, _| !found.drafts.contains_key(name));
        found
    }

    fn read_text(&mut self, path: &Path, text: &str, found: &mut Found) {
        let source = SourceText { name: path.display().to_string(), text: text.to_owned() };
        let parsed = parse(&source, &self.vars);
        for problem in &parsed.problems {
            self.tell(path, problem.render(false));
        }
        for problem in parsed.problems.iter().filter(|problem| problem.is_error()) {
            self.ignore(path, problem);
        }
        for draft in parsed.drafts {
            found.drafts.entry(draft.name().clone()).or_default().push((path.to_owned(), draft));
        }
        for broken in parsed.broken {
            let Some(name) = broken.name else {
                found.opaque.insert(path.to_owned(), digest(text));
                continue;
            };
            found.broken.entry(name).or_default().push(format!("{}:{}", path.display(), broken.line));
        }
    }

    /// The mistake keeps a name from changing: the one that it belongs to, or all that this file spoke for.
    fn ignore(&mut self, path: &Path, problem: &Diagnostic) {
        let why = format!("{}: {}", problem.place(), problem.message);
        let spoken_for = self.entries.iter().filter(|(_, e)| e.file == path).map(|(name, _)| name);
        let names: Vec<RolloutName> = match &problem.rollout {
            Some(name) => vec![name.clone()],
            None => spoken_for.cloned().collect(),
        };
        for name in names {
            self.ignored.entry(name).or_insert_with(|| why.clone());
        }
    }

    /// Keeps in mind since when each opaque file is as it is.
    fn note_opaque(&mut self, found: &Found) {
        self.opaque.retain(|path, opaque| found.opaque.get(path) == Some(&opaque.content));
        for (path, content) in &found.opaque {
            let fresh = Opaque { content: *content, since: self.looks };
            self.opaque.entry(path.clone()).or_insert(fresh);
        }
    }

    /// Decides which of several documents of one name counts: equal content is a move, other content a conflict, in
    /// which what is in force stays.
    fn choose(&mut self, name: &RolloutName, candidates: &[(PathBuf, Draft)], broken: Option<&Vec<String>>) {
        let Some((file, draft)) = self.chosen(name, candidates) else { return };
        let differ = candidates.iter().any(|(_, other)| other.content_hash() != draft.content_hash());
        let current = self.entries.get_mut(name);
        let is_new =
            current.as_ref().and_then(|e| e.draft.as_ref()).map(Draft::content_hash) != Some(draft.content_hash());
        if !differ && (broken.is_none() || !is_new) {
            let in_force = current.is_some_and(|e| e.in_force);
            let standing = Standing::Present;
            let entry = Entry { draft: Some(draft), file, standing, in_force, seen: self.looks };
            self.entries.insert(name.clone(), entry);
            return;
        }
        let in_force = current.and_then(|entry| {
            entry.seen = self.looks;
            entry.standing = entry.standing.kept();
            entry.in_force.then(|| entry.file.clone())
        });
        let places = candidates.iter().map(|(file, draft)| format!("{}:{}", file.display(), draft.line()));
        let places: Vec<String> = places.chain(broken.into_iter().flatten().cloned()).collect();
        self.ignored.insert(name.clone(), format!("its name is in {}", places.join(" and ")));
        self.tell(&candidates[0].0, conflict(name, &places, in_force.as_deref()));
    }

    /// The document of the file that spoke for the name before, or the first one.
    fn chosen(&self, name: &RolloutName, candidates: &[(PathBuf, Draft)]) -> Option<(PathBuf, Draft)> {
        let before = self.entries.get(name).map(|entry| &entry.file);
        let stays = candidates.iter().find(|(file, _)| Some(file) == before);
        stays.or_else(|| candidates.first()).cloned()
    }

    fn mark_absent(&mut self, found: &Found, now: Timestamp, step: Duration) {
        let mut fresh = false;
        let mut veiled = Vec::new();
        for (name, entry) in self.entries.iter_mut().filter(|(name, _)| !found.drafts.contains_key(*name)) {
            let before = entry.standing;
            let veil = veil_of(entry, &self.opaque);
            if found.broken.contains_key(name) {
                entry.seen = self.looks;
                entry.standing = before.kept();
            } else if !self.troubles.is_empty() || self.opaque.contains_key(&entry.file) {
                entry.standing = before.kept();
            } else if let Some(veil) = veil {
                entry.standing = before.kept();
                veiled.push((name.clone(), veil.to_owned()));
            } else {
                entry.standing = before.absent(now, step);
            }
            fresh |= before.gone().is_none() && entry.standing.gone().is_some();
        }
        // Nothing of these was ever taken over, so there is nothing to delete.
        self.entries.retain(|_, entry| entry.in_force || entry.standing.gone().is_none());
        self.wait_for_a_person_if_several_went(fresh);
        self.tell_of_veils(&veiled);
    }

    fn wait_for_a_person_if_several_went(&mut self, fresh: bool) {
        let is_undecided = |s: Standing| matches!(s, Standing::Absent { .. } | Standing::Unconfirmed { .. });
        if !fresh || self.entries.values().filter(|entry| is_undecided(entry.standing)).count() < 2 {
            return;
        }
        for entry in self.entries.values_mut() {
            if let Standing::Absent { since, .. } = entry.standing {
                entry.standing = Standing::Unconfirmed { since };
            }
        }
    }

    fn tell_of_veils(&mut self, veiled: &[(RolloutName, PathBuf)]) {
        for (name, file) in veiled {
            if self.entries.get(name).is_some_and(|e| e.in_force && e.standing == Standing::Kept) {
                self.tell(file, veiled_by(name, file));
            }
        }
    }

    fn tell(&mut self, path: &Path, message: String) {
        self.problems.entry(path.to_owned()).or_default().push(message);
    }
}

impl Standing {
    /// Something of the name is there, or may be. What counts as deleted comes back by a usable manifest only.
    fn kept(self) -> Self {
        match self {
            Self::Deleted { .. } => self,
            Self::Present | Self::Kept | Self::Absent { .. } | Self::Unconfirmed { .. } => Self::Kept,
        }
    }

    /// A complete look did not find the name.
    fn absent(self, now: Timestamp, step: Duration) -> Self {
        match self {
            Self::Present | Self::Kept => Self::Absent { since: now, observed: Duration::ZERO },
            Self::Absent { since, observed } if observed + step >= ABSENCE => Self::Deleted { since },
            Self::Absent { since, observed } => Self::Absent { since, observed: observed + step },
            Self::Unconfirmed { .. } | Self::Deleted { .. } => self,
        }
    }
}

fn step_between(last: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(last)).unwrap_or(Duration::ZERO).min(LONGEST_STEP)
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A file that cannot be read since the name was found last: it may have been moved there.
fn veil_of<'a>(entry: &Entry, opaque: &'a BTreeMap<PathBuf, Opaque>) -> Option<&'a Path> {
    opaque.iter().find(|(_, opaque)| opaque.since > entry.seen).map(|(path, _)| path.as_path())
}

fn veiled_by(name: &RolloutName, file: &Path) -> String {
    format!(
        "warning: {name} is in no manifest that can be read; it may be in {}, so it is not counted as deleted",
        file.display()
    )
}

fn conflict(name: &RolloutName, places: &[String], in_force: Option<&Path>) -> String {
    let stays = match in_force {
        None => "none of them is in force".to_owned(),
        Some(file) if file.as_os_str().is_empty() => "what was in force stays".to_owned(),
        Some(file) => format!("what {} said before stays in force", file.display()),
    };
    let places: BTreeSet<&String> = places.iter().collect();
    let places: Vec<&str> = places.into_iter().map(String::as_str).collect();
    format!(
        "error: several manifests are named {name}: {}; {stays}\n  hint: give one of them another metadata.name, or remove it",
        places.join(" and ")
    )
}
