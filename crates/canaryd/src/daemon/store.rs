//! What is kept in files because it may hold secrets: resolved rollouts and copies of env files, configs and secrets.
//! Everything is written atomically, mode 0600 in directories of mode 0700; the journal holds only hashes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use canaryd_rollout::{ImageState, RevisionId, Rollout, RolloutName};
use serde::{Deserialize, Serialize};

use super::bells::lock;
use super::failures::Failures;

/// Revisions that are held in memory: a few of each of many rollouts.
const REVISIONS: usize = 500;
/// How the directory of a gateway begins that is on its way out. No rollout's name does.
const ASIDE: &str = ".gone-";

/// The state directory's files.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
    /// Revisions as they were kept or read last: every plan asks for them, and a disk may be slow.
    revisions: Arc<Mutex<Revisions>>,
    /// The failure bundles.
    pub(crate) failures: Failures,
}

/// By name and revision.
type Revisions = BTreeMap<(RolloutName, RevisionId), Arc<Rollout>>;

/// The last valid manifest of one name, resolved: what stays in force when its file breaks, also across a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Digest of the document and of every file that it names.
    pub(crate) key: String,
    /// The file that it came from.
    pub(crate) file: PathBuf,
    /// The rollout.
    pub(crate) rollout: Rollout,
}

impl Store {
    /// Makes the directories.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let store = Self::look(root);
        for dir in ["revisions", "desired", "failures", "gateways"] {
            private_dir(&root.join(dir)).with_context(|| format!("cannot make {}", root.join(dir).display()))?;
        }
        Ok(store)
    }

    /// What is there, without making anything.
    pub(crate) fn look(root: &Path) -> Self {
        Self { root: root.to_owned(), revisions: Arc::default(), failures: Failures::new(root.join("failures")) }
    }

    /// Directory of one gateway: configuration, logs, tokens.
    pub(crate) fn gateway_dir(&self, name: &RolloutName) -> PathBuf {
        self.root.join("gateways").join(name.as_str())
    }

    /// Every gateway that has a directory.
    pub(crate) fn gateways(&self) -> Vec<RolloutName> {
        gateways_in(&self.root)
    }

    /// Removes everything of a gateway that is gone for good. Its directory is put aside first, so that no half of it is
    /// ever taken for a whole one; what cannot be removed then is removed at the next start. Blocking. Idempotent.
    pub(crate) fn discard_gateway(&self, name: &RolloutName) -> io::Result<()> {
        let aside = self.root.join("gateways").join(format!("{ASIDE}{name}"));
        remove_dir(&aside)?;
        match fs::rename(self.gateway_dir(name), &aside) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        if let Err(error) = remove_dir(&aside) {
            tracing::warn!(%error, dir = %aside.display(), "not everything of a removed gateway could be removed");
        }
        Ok(())
    }

    /// Removes what was put aside when canaryd was killed.
    pub(crate) fn discard_what_was_put_aside(&self) -> io::Result<()> {
        let entries = fs::read_dir(self.root.join("gateways"))?.filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE)) {
            remove_dir(&entry.path())?;
        }
        Ok(())
    }

    fn revision_dir(&self, name: &RolloutName, revision: &RevisionId) -> PathBuf {
        self.root.join("revisions").join(format!("{name}-{revision}"))
    }
    /// Directory of the copies of configs and secrets of one revision.
    pub(crate) fn files_dir(&self, name: &RolloutName, revision: &RevisionId) -> PathBuf {
        self.revision_dir(name, revision).join("files")
    }

    /// Keeps a revision with the contents of its files. Idempotent; what is there already is not touched.
    pub(crate) fn keep_revision(&self, rollout: &Rollout, copies: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        let dir = self.revision_dir(&rollout.name, &rollout.revision);
        let files = dir.join("files");
        private_dir(&files)?;
        for (digest, content) in copies {
            let path = files.join(digest);
            if !path.exists() {
                write_atomically(&path, content, mode_of(digest))?;
            }
        }
        let json = serde_json::to_vec_pretty(rollout)?;
        write_atomically(&dir.join("rollout.json"), &json, 0o600)
            .with_context(|| format!("cannot keep revision {} of {}", rollout.revision, rollout.name))?;
        // What was read before is older. It is read again, and not taken from here: the file is what a restart finds.
        lock(&self.revisions).remove(&(rollout.name.clone(), rollout.revision.clone()));
        Ok(())
    }

    /// The rollout as it was when this revision was resolved last.
    pub(crate) fn revision(&self, name: &RolloutName, revision: &RevisionId) -> Option<Arc<Rollout>> {
        // Held while it is read: a newer one that is kept meanwhile removes what is put in here.
        let mut known = lock(&self.revisions);
        let key = (name.clone(), revision.clone());
        if let Some(rollout) = known.get(&key) {
            return Some(Arc::clone(rollout));
        }
        let path = self.revision_dir(name, revision).join("rollout.json");
        let rollout: Arc<Rollout> = Arc::new(serde_json::from_slice(&fs::read(path).ok()?).ok()?);
        if known.len() >= REVISIONS {
            known.pop_first();
        }
        known.insert(key, Arc::clone(&rollout));
        Some(rollout)
    }

    /// Every revision of this rollout whose content is there, newest first.
    pub(crate) fn revisions_of(&self, name: &RolloutName) -> Vec<Rollout> {
        let entries = fs::read_dir(self.root.join("revisions")).into_iter().flatten().filter_map(Result::ok);
        let read = |path: PathBuf| -> Option<(std::time::SystemTime, Rollout)> {
            let path = path.join("rollout.json");
            let rollout: Rollout = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some((fs::metadata(&path).ok()?.modified().ok()?, rollout))
        };
        let mut found: Vec<_> =
            entries.filter_map(|entry| read(entry.path())).filter(|(_, r)| &r.name == name).collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.revision.cmp(&b.1.revision)));
        found.into_iter().map(|(_, rollout)| rollout).collect()
    }

    /// Removes a revision's files.
    pub(crate) fn forget_revision(&self, name: &RolloutName, revision: &RevisionId) -> io::Result<()> {
        lock(&self.revisions).remove(&(name.clone(), revision.clone()));
        remove_dir(&self.revision_dir(name, revision))
    }

    /// Every revision of a rollout that has a directory, also one that never came so far that anybody remembers it.
    fn revision_dirs(&self, name: &RolloutName) -> Vec<RevisionId> {
        let entries = fs::read_dir(self.root.join("revisions")).into_iter().flatten().filter_map(Result::ok);
        let mine = |entry: fs::DirEntry| {
            entry.file_name().to_str()?.strip_prefix(name.as_str())?.strip_prefix('-')?.parse().ok()
        };
        entries.filter_map(mine).collect()
    }

    fn desired_path(&self, name: &RolloutName) -> PathBuf {
        self.root.join("desired").join(format!("{name}.json"))
    }

    /// Remembers the last valid manifest.
    pub(crate) fn keep_desired(&self, kept: &Kept) -> Result<()> {
        let json = serde_json::to_vec_pretty(kept)?;
        write_atomically(&self.desired_path(&kept.rollout.name), &json, 0o600)
    }

    /// Every last valid manifest.
    pub(crate) fn desired(&self) -> Vec<Kept> {
        let Ok(entries) = fs::read_dir(self.root.join("desired")) else { return Vec::new() };
        let mut kept: Vec<Kept> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "json"))
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect();
        kept.sort_by(|a, b| a.rollout.name.cmp(&b.rollout.name));
        kept
    }

    /// Forgets a name altogether.
    pub(crate) fn forget(&self, name: &RolloutName) -> io::Result<()> {
        for revision in self.revision_dirs(name) {
            self.forget_revision(name, &revision)?;
        }
        match fs::remove_file(self.desired_path(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Every gateway that has a directory in this state directory.
pub(crate) fn gateways_in(root: &Path) -> Vec<RolloutName> {
    let entries = fs::read_dir(root.join("gateways")).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The mode of a copy, which its name ends with where it is another than the usual one. The directory above keeps the users of
/// the host out.
fn mode_of(copy: &str) -> u32 {
    let said = copy.rsplit_once('.').and_then(|(_, mode)| u32::from_str_radix(mode, 8).ok());
    said.unwrap_or(0o444)
}

/// The content id of a component's image in a resolved rollout.
pub(crate) fn image_id<'a>(rollout: &'a Rollout, reference: &str) -> Option<&'a str> {
    match rollout.images.get(reference)? {
        ImageState::Present { id } => Some(id),
        ImageState::Pending | ImageState::Missing { .. } => None,
    }
}

/// Removes a directory with all it holds, if it is there.
fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A directory that only we can enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whole or not at all: temporary file, fsync, rename.
pub(crate) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        if temporary.exists() {
            fs::remove_file(&temporary)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // Whatever the umask of this process is.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::fake::rollout;
    use super::*;

    #[test]
    fn a_copy_of_a_secret_is_readable_for_the_container_whatever_the_umask() {
        let dir = std::env::temp_dir().join(format!("canaryd-store-{}", std::process::id()));
        private_dir(&dir).unwrap();
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        write_atomically(&dir.join("copy"), b"text", 0o444).unwrap();
        rustix::process::umask(before);
        let mode = fs::metadata(dir.join("copy")).unwrap().permissions().mode();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(mode & 0o777, 0o444);
    }

    #[test]
    fn a_revision_is_read_once_and_again_when_it_was_kept_anew_or_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let [first, second] = ["10s", "20s"].map(|startup| rollout("v1", &format!(", startup: {startup}"), ""));
        assert_eq!(first.revision, second.revision, "health is policy");
        let read = || store.revision(&first.name, &first.revision);
        assert_eq!(read(), None);
        store.keep_revision(&first, &BTreeMap::new()).unwrap();
        assert_eq!(read().as_deref(), Some(&first));
        // A plan never waits for the disk again.
        let file = store.revision_dir(&first.name, &first.revision).join("rollout.json");
        fs::remove_file(&file).unwrap();
        assert_eq!(read().as_deref(), Some(&first));
        store.keep_revision(&second, &BTreeMap::new()).unwrap();
        assert_eq!(read().as_deref(), Some(&second));
        store.forget_revision(&first.name, &first.revision).unwrap();
        assert_eq!(read(), None);
    }
}
