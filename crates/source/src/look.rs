//! One look at everything: the manifests, and on the way every place whose change would change what was seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{DirEntry, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::identity::Identity;
use crate::listing::{DirState, Listing, Trouble};
use crate::names::{is_manifest, is_skipped};
use crate::scope::Scope;

/// Largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// How much is read below one directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Manifests, and everything else in one directory that has to be looked at.
    pub(crate) manifests: usize,
    /// Directories.
    pub(crate) dirs: usize,
    /// MiB of manifests.
    pub(crate) mib: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { manifests: 10_000, dirs: 10_000, mib: 64 }
    }
}

/// What one look saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// For the reader.
    pub(crate) listing: Listing,
    /// For the watch.
    pub(crate) scope: Scope,
    /// What each watched directory led to.
    pub(crate) tops: Vec<Option<Identity>>,
}

/// Reads everything below `dirs`, and of the files in `also` what the hash needs.
pub(crate) fn look(dirs: &[PathBuf], also: &BTreeSet<PathBuf>, limits: Limits) -> Seen {
    let mut scope = Scope::default();
    let mut files = BTreeMap::new();
    let tops = dirs.iter().map(|dir| Identity::of(dir)).collect();
    let read = |dir: &PathBuf| {
        let trouble = Walk::new(dir, limits, &mut scope, &mut files).run();
        DirState { path: dir.clone(), trouble }
    };
    let states = dirs.iter().map(read).collect::<Vec<_>>();
    for path in also {
        scope.file(path);
    }
    let hash = digest(&states, &files, also);
    Seen { listing: Listing { dirs: states, files, hash }, scope, tops }
}

fn digest(states: &[DirState], files: &BTreeMap<PathBuf, Result<String, String>>, also: &BTreeSet<PathBuf>) -> String {
    let mut hash = Sha256::new();
    for state in states {
        feed(&mut hash, format!("{state:?}").as_bytes());
    }
    for (path, text) in files {
        feed(&mut hash, path.as_os_str().as_encoded_bytes());
        feed_content(&mut hash, text.as_ref().map(String::as_bytes));
    }
    for path in also {
        feed(&mut hash, path.as_os_str().as_encoded_bytes());
        feed_content(&mut hash, read_bytes(path).as_deref());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn feed_content(hash: &mut Sha256, content: Result<&[u8], &String>) {
    match content {
        Ok(bytes) => feed(hash, bytes),
        Err(why) => {
            feed(hash, b"unreadable");
            feed(hash, why.as_bytes());
        }
    }
}

/// With its length ahead, so that no two sequences of parts are one text.
fn feed(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// The walk through one watched directory. Trouble in one place does not keep the others from being read.
struct Walk<'a> {
    top: &'a Path,
    limits: Limits,
    scope: &'a mut Scope,
    files: &'a mut BTreeMap<PathBuf, Result<String, String>>,
    /// Directories reached by more than one way (a loop of symlinks) are read once, by the way without symlinks.
    been: BTreeSet<Identity>,
    dirs: VecDeque<PathBuf>,
    linked: VecDeque<PathBuf>,
    manifests: usize,
    bytes: usize,
    trouble: Option<Trouble>,
}

impl<'a> Walk<'a> {
    fn new(
        top: &'a Path,
        limits: Limits,
        scope: &'a mut Scope,
        files: &'a mut BTreeMap<PathBuf, Result<String, String>>,
    ) -> Self {
        Self {
            top,
            limits,
            scope,
            files,
            been: BTreeSet::new(),
            dirs: VecDeque::new(),
            linked: VecDeque::from([top.to_owned()]),
            manifests: 0,
            bytes: 0,
            trouble: None,
        }
    }

    fn run(mut self) -> Option<Trouble> {
        while let Some(dir) = self.dirs.pop_front().or_else(|| self.linked.pop_front()) {
            if self.is_over_a_limit() {
                break;
            }
            if self.been.len() == self.limits.dirs {
                self.give_up(self.limits.dirs, "directories");
                break;
            }
            self.enter(&dir);
        }
        if self.trouble.is_none() && self.manifests == 0 {
            return Some(Trouble::Empty { path: self.top.to_owned() });
        }
        self.trouble
    }

    /// Whether there is too much to go on; that is the trouble then, whatever was noted before.
    fn is_over_a_limit(&mut self) -> bool {
        let Limits { manifests, mib, .. } = self.limits;
        if self.manifests > manifests {
            self.give_up(manifests, "manifests");
        } else if self.bytes > mib << 20 {
            self.give_up(mib, "MiB of manifests");
        } else {
            return false;
        }
        true
    }

    fn give_up(&mut self, limit: usize, what: &'static str) {
        self.trouble = Some(Trouble::TooMany { path: self.top.to_owned(), limit, what });
    }

    fn enter(&mut self, dir: &Path) {
        let Some(real) = self.scope.way_to(dir) else {
            return self.note(Trouble::Vanished { path: dir.to_owned() });
        };
        let entries = Identity::of(&real)
            .ok_or_else(gone)
            .and_then(|identity| if self.been.insert(identity) { self.entries_of(&real) } else { Ok(Vec::new()) });
        match entries {
            Ok(entries) => entries.iter().for_each(|(name, is_link)| self.meet(dir, &real, name, *is_link)),
            // It was there a moment ago: moved or removed under our eyes. The next look sees what became of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir != self.top => {}
            Err(error) => {
                // Its own watch would be refused as well; the directory above tells when its mode changes.
                self.scope.file(&real);
                self.note(Trouble::Unreadable { path: dir.to_owned(), why: error.to_string() });
            }
        }
    }

    /// The entries that count, in order: manifests, directories, and symlinks to either.
    fn entries_of(&mut self, real: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(real)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if counts(&entry, kind.is_dir() || kind.is_symlink()) {
                entries.push((entry.file_name(), kind.is_symlink()));
            }
            if entries.len() > self.limits.manifests {
                let (limit, what) = (self.limits.manifests, "manifests and directories");
                self.note(Trouble::TooMany { path: real.to_owned(), limit, what });
                break;
            }
        }
        self.scope.all_of(real);
        entries.sort();
        Ok(entries)
    }

    fn meet(&mut self, dir: &Path, real: &Path, name: &OsString, is_link: bool) {
        let path = dir.join(name);
        if is_link {
            self.scope.file(&real.join(name));
        }
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() && is_link => self.linked.push_back(path),
            Ok(meta) if meta.is_dir() => self.dirs.push_back(path),
            Ok(meta) if is_manifest(name) => self.read(path, &meta),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => {}
            Err(error) if is_manifest(name) => self.keep(path, Err(told(&error, is_link))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.note(Trouble::Vanished { path }),
            Err(error) => self.note(Trouble::Unreadable { path, why: error.to_string() }),
        }
    }

    fn read(&mut self, path: PathBuf, meta: &Metadata) {
        if self.is_over_a_limit() {
            return;
        }
        let text = read_known(&path, meta).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| format!("it is no text in UTF-8: {}", error.utf8_error()))
        });
        self.keep(path, text);
    }

    fn keep(&mut self, path: PathBuf, text: Result<String, String>) {
        self.manifests += 1;
        self.bytes += text.as_ref().map_or(0, String::len);
        self.files.insert(path, text);
    }

    /// The first trouble is the one that is told.
    fn note(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }
}

fn counts(entry: &DirEntry, may_be_directory: bool) -> bool {
    let name = entry.file_name();
    !is_skipped(&name) && (may_be_directory || is_manifest(&name))
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn told(error: &io::Error, is_link: bool) -> String {
    if is_link && error.kind() == io::ErrorKind::NotFound {
        return "it is a symlink to something that does not exist".to_owned();
    }
    error.to_string()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    read_known(path, &meta)
}

/// Reads a file, but waits for no pipe and takes no more memory than it may.
fn read_known(path: &Path, meta: &Metadata) -> Result<Vec<u8>, String> {
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(n) if n as u64 > LARGEST => Err("it is larger than 1 MiB, the most that is read".to_owned()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(limits: Limits, files: &[(&str, &str)]) -> (usize, Option<Trouble>) {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        let seen = look(&[dir.path().to_owned()], &BTreeSet::new(), limits);
        (seen.listing.files.len(), seen.listing.dirs[0].trouble.clone())
    }

    fn is_too_many(trouble: Option<&Trouble>, expected: &str) -> bool {
        matches!(trouble, Some(Trouble::TooMany { what, .. }) if *what == expected)
    }

    #[test]
    fn more_manifests_than_are_read_make_a_listing_incomplete() {
        let limits = Limits { manifests: 2, ..Limits::default() };
        assert_eq!(trouble(limits, &[("a.yaml", ""), ("b/b.yaml", "")]), (2, None));
        let (n, trouble) =
            trouble(limits, &[("a.yaml", ""), ("b/b.yaml", ""), ("b/c/c.yaml", ""), ("b/c/d/d.yaml", "")]);
        assert!(n <= 3 && is_too_many(trouble.as_ref(), "manifests"), "{n} {trouble:?}");
    }

    #[test]
    fn more_entries_than_are_read_make_a_listing_incomplete() {
        let limits = Limits { manifests: 2, ..Limits::default() };
        let (_, trouble) = trouble(limits, &[("a.yaml", ""), ("b/b", ""), ("c/c", ""), ("d/d", "")]);
        assert!(is_too_many(trouble.as_ref(), "manifests and directories"), "{trouble:?}");
    }

    #[test]
    fn more_directories_than_are_read_make_a_listing_incomplete() {
        let limits = Limits { dirs: 2, ..Limits::default() };
        assert_eq!(trouble(limits, &[("a/a.yaml", "")]), (1, None));
        let (_, trouble) = trouble(limits, &[("a/a.yaml", ""), ("b/b.yaml", "")]);
        assert!(is_too_many(trouble.as_ref(), "directories"), "{trouble:?}");
    }

    #[test]
    fn more_text_than_is_read_makes_a_listing_incomplete() {
        let limits = Limits { mib: 1, ..Limits::default() };
        let big = "x".repeat(700_000);
        let (n, trouble) = trouble(limits, &[("a.yaml", &big), ("b.yaml", &big), ("c.yaml", "")]);
        assert!(n == 2 && is_too_many(trouble.as_ref(), "MiB of manifests"), "{n} {trouble:?}");
    }

    #[test]
    fn a_directory_reached_twice_is_listed_by_the_way_without_links() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("real")).expect("a directory");
        std::fs::write(dir.path().join("real/shop.yaml"), "v1").expect("a manifest");
        std::os::unix::fs::symlink("real", dir.path().join("alias")).expect("a link");
        let seen = look(&[dir.path().to_owned()], &BTreeSet::new(), Limits::default());
        assert_eq!(seen.listing.files.into_keys().collect::<Vec<_>>(), [dir.path().join("real/shop.yaml")]);
    }
}
