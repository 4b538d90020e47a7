//! What is watched: directories, and what in each of them matters.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::identity::Identity;
use crate::names::is_manifest;
use crate::trace::trace;

/// The directories to watch. One that is reached by several paths (a bind mount) is in here once, because the kernel
/// reports its events under one of them only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    places: BTreeMap<PathBuf, Place>,
    paths: BTreeMap<Identity, PathBuf>,
}

/// One directory.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    identity: Identity,
    /// Whether every manifest and every directory in it matters.
    manifests: bool,
    /// Entries that matter whatever they are called.
    names: BTreeSet<OsString>,
}

impl Scope {
    /// All manifests and directories in `dir`, a path without symlinks.
    pub(crate) fn all_of(&mut self, dir: &Path) {
        if let Some(place) = self.place(dir) {
            place.manifests = true;
        }
    }

    /// One entry of `dir`, a path without symlinks.
    pub(crate) fn entry(&mut self, dir: &Path, name: &OsStr) {
        if let Some(place) = self.place(dir) {
            place.names.insert(name.to_owned());
        }
    }

    /// Everything that decides what `path` leads to; where that is known, the path without symlinks.
    pub(crate) fn way_to(&mut self, path: &Path) -> Option<PathBuf> {
        let trace = trace(path);
        for (dir, name) in &trace.turns {
            self.entry(dir, name);
        }
        trace.end
    }

    /// The way to `path`, and what is at its end: its content, its mode, its absence.
    pub(crate) fn file(&mut self, path: &Path) {
        let Some(end) = self.way_to(path) else { return };
        if let (Some(dir), Some(name)) = (end.parent(), end.file_name()) {
            self.entry(dir, name);
        }
    }

    /// Every directory to watch.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = (&Path, Identity)> {
        self.places.iter().map(|(path, place)| (path.as_path(), place.identity))
    }

    /// How many directories are listed whole.
    pub(crate) fn listed(&self) -> usize {
        self.places.values().filter(|place| place.manifests).count()
    }

    /// Whether `path` is one of the watched directories itself.
    pub(crate) fn is_watched(&self, path: &Path) -> bool {
        self.places.contains_key(path)
    }

    /// Whether the entry at `path` matters by its name.
    pub(crate) fn matters(&self, path: &Path) -> bool {
        self.is_watched(path)
            || self
                .entry_of(path)
                .is_some_and(|(place, name)| place.names.contains(name) || (place.manifests && is_manifest(name)))
    }

    /// Whether a directory at `path` would be listed.
    pub(crate) fn lists_directories_at(&self, path: &Path) -> bool {
        self.entry_of(path).is_some_and(|(place, name)| place.manifests && !crate::names::is_skipped(name))
    }

    fn entry_of<'a>(&self, path: &'a Path) -> Option<(&Place, &'a OsStr)> {
        Some((self.places.get(path.parent()?)?, path.file_name()?))
    }

    fn place(&mut self, dir: &Path) -> Option<&mut Place> {
        if !self.places.contains_key(dir) {
            let identity = Identity::of(dir)?;
            let known = self.paths.entry(identity).or_insert_with(|| dir.to_owned()).clone();
            let fresh = Place { identity, manifests: false, names: BTreeSet::new() };
            return Some(self.places.entry(known).or_insert(fresh));
        }
        self.places.get_mut(dir)
    }
}
