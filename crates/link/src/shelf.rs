//! The generations on disk: `generations/<id>/nginx.conf`, `current`, and symlinks that wait to be renamed.
//!
//! `go-<id>` is ready to become `current` by one rename, for each generation and each twin: a swap allocates nothing,
//! so it works on a full disk. `own-<id>` and `unseen-<id>` wait beside it for each twin and lead to the same place by other
//! spellings: with that one rename it is written down as well that the daemon lowered, and nobody else; and whether that was a
//! precaution, for nobody could see how the canary does.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use canaryd_gateway::{GenerationId, Rendered};

use crate::link::{Owner, Why};

/// One gateway's `conf` directory.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    dir: PathBuf,
    owner: Owner,
}

impl Shelf {
    /// Makes the directory: only the owner's group gets in, for the files hold tokens.
    pub(crate) fn open(dir: PathBuf, owner: Owner) -> io::Result<Self> {
        make_dir(&dir, 0o750, None, Some(owner.gid))?;
        make_dir(&dir.join("generations"), 0o750, None, Some(owner.gid))?;
        Ok(Self { dir, owner })
    }

    /// One that is only looked at.
    pub(crate) fn as_it_is(dir: PathBuf) -> Self {
        Self { dir, owner: Owner { uid: 0, gid: 0 } }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `current` names.
    pub(crate) fn current(&self) -> Option<GenerationId> {
        let target = fs::read_link(self.dir.join("current")).ok()?;
        target.file_name()?.to_str()?.parse().ok()
    }

    pub(crate) fn has(&self, id: GenerationId) -> bool {
        self.home(id).join("nginx.conf").is_file()
    }

    /// Writes a generation, synced, with its waiting symlink. The directory appears whole or not at all.
    pub(crate) fn put(&self, rendered: &Rendered) -> io::Result<()> {
        let home = self.home(rendered.generation);
        let same = fs::read(home.join("nginx.conf")).is_ok_and(|found| found == rendered.nginx_conf.as_bytes());
        if !same {
            let draft = self.dir.join("generations").join(format!(".{}", rendered.generation));
            remove_dir(&draft)?;
            self.write(&draft, &rendered.nginx_conf).inspect_err(|_| drop(remove_dir(&draft)))?;
            remove_dir(&home)?;
            fs::rename(&draft, &home)?;
            sync_dir(&self.dir.join("generations"))?;
        }
        self.arm(rendered.generation)
    }

    /// Whether `current` was made by the daemon's own lowering.
    pub(crate) fn is_own(&self) -> bool {
        fs::read_link(self.dir.join("current")).is_ok_and(|target| target.as_os_str().as_bytes().starts_with(b"./"))
    }

    /// Whether that was a precaution.
    pub(crate) fn is_precaution(&self) -> bool {
        fs::read_link(self.dir.join("current")).is_ok_and(|target| target.as_os_str().as_bytes().starts_with(b"././"))
    }

    /// Makes sure that a swap to `id` is one rename.
    pub(crate) fn arm(&self, id: GenerationId) -> io::Result<()> {
        if id.is_twin() {
            make_link(&format!("./generations/{id}"), &self.own(id, Why::Decided))?;
            make_link(&format!("././generations/{id}"), &self.own(id, Why::Precaution))?;
        }
        make_link(&format!("generations/{id}"), &self.waiting(id))
    }

    /// Whether a swap to `id` is one rename.
    pub(crate) fn is_armed(&self, id: GenerationId) -> bool {
        fs::symlink_metadata(self.waiting(id)).is_ok()
    }

    /// One rename. Where the waiting symlink was used up before, it is made anew.
    pub(crate) fn swap(&self, id: GenerationId) -> io::Result<()> {
        if self.current() == Some(id) {
            return Ok(());
        }
        if !self.has(id) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("generation {id} is not on disk")));
        }
        let current = self.dir.join("current");
        match fs::rename(self.waiting(id), &current) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.arm(id)?;
                fs::rename(self.waiting(id), &current)
            }
            other => other,
        }?;
        // The rename is in force now; that it also outlives a power cut is worth a try, not a failure.
        drop(sync_dir(&self.dir));
        Ok(())
    }

    /// The same to a twin, as the daemon's own lowering. Where that was not prepared, it is a swap like any other.
    pub(crate) fn swap_as_own(&self, id: GenerationId, why: Why) -> io::Result<()> {
        let current = self.dir.join("current");
        let prepared = [self.own(id, why), self.own(id, Why::Decided)];
        if prepared.iter().any(|link| fs::rename(link, &current).is_ok()) {
            drop(sync_dir(&self.dir));
            return Ok(());
        }
        self.swap(id)
    }

    /// A twin that is current as a precaution becomes current like any other.
    pub(crate) fn take_over(&self, id: GenerationId) -> io::Result<()> {
        if !self.is_precaution() {
            return Ok(());
        }
        self.arm(id)?;
        fs::rename(self.waiting(id), self.dir.join("current"))
    }

    /// Removes all but the newest `keep` generations with their twins, and `current` with its twin.
    pub(crate) fn sweep(&self, keep: usize) -> io::Result<usize> {
        let entries = fs::read_dir(self.dir.join("generations"))?;
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        let mut ids: Vec<GenerationId> = names.filter_map(|name| name.parse().ok()).collect();
        ids.sort_unstable();
        let mut originals: Vec<GenerationId> = ids.iter().map(|id| id.original()).collect();
        originals.dedup();
        let kept = originals.split_off(originals.len().saturating_sub(keep));
        let live = self.current().map(GenerationId::original);
        let old = ids.iter().filter(|id| !kept.contains(&id.original()) && Some(id.original()) != live);
        let mut gone = 0;
        for id in old {
            remove_file(&self.waiting(*id))?;
            remove_file(&self.own(*id, Why::Decided))?;
            remove_file(&self.own(*id, Why::Precaution))?;
            remove_dir(&self.home(*id))?;
            gone += 1;
        }
        Ok(gone)
    }

    fn home(&self, id: GenerationId) -> PathBuf {
        self.dir.join("generations").join(id.to_string())
    }

    fn waiting(&self, id: GenerationId) -> PathBuf {
        self.dir.join(format!("go-{id}"))
    }

    fn own(&self, id: GenerationId, why: Why) -> PathBuf {
        self.dir.join(match why {
            Why::Decided => format!("own-{id}"),
            Why::Precaution => format!("unseen-{id}"),
        })
    }

    fn write(&self, home: &Path, conf: &str) -> io::Result<()> {
        make_dir(home, 0o750, None, Some(self.owner.gid))?;
        let path = home.join("nginx.conf");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path)?;
        file.write_all(conf.as_bytes())?;
        give(&path, None, Some(self.owner.gid))?;
        fs::set_permissions(&path, Permissions::from_mode(0o640))?;
        file.sync_all()?;
        sync_dir(home)
    }
}

/// Makes a directory, or mends the rights of the one that is there.
pub(crate) fn make_dir(path: &Path, mode: u32, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    give(path, uid, gid)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Changes the owner where it differs: a daemon that is not root may not, and need not.
fn give(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let now = fs::metadata(path)?;
    let right = uid.is_none_or(|uid| uid == now.uid()) && gid.is_none_or(|gid| gid == now.gid());
    if right { Ok(()) } else { chown(path, uid, gid) }
}

fn make_link(target: &str, link: &Path) -> io::Result<()> {
    match symlink(target, link) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove_dir(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_dir_all(path))
}

fn remove_file(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_file(path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
