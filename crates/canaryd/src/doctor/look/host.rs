//! What the kernel and the file system say.

use std::fs;
use std::path::Path;

use canaryd_source::{Glance, Trouble, glance};

use crate::doctor::facts::{Disk, Kernel, Watched};

pub(super) fn kernel() -> Kernel {
    let limit = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse().ok()
    };
    Kernel {
        inotify_watches: limit("max_user_watches"),
        inotify_instances: limit("max_user_instances"),
        memory: canaryd_engine::host_memory(),
    }
}

/// Of the path, or of the nearest directory above it that exists.
pub(super) fn disk(path: &Path) -> Option<Disk> {
    let there = path.ancestors().find(|p| p.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(Disk {
        free: found.f_bavail * found.f_frsize,
        total: found.f_blocks * found.f_frsize,
        inodes_free: found.f_favail,
        inodes: found.f_files,
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

pub(super) fn watched(path: &Path) -> Watched {
    let Glance { files, directories, trouble } = glance(path);
    let directories = match trouble {
        Some(Trouble::Vanished { path }) => Err(format!("{}: it does not exist", path.display())),
        Some(Trouble::Unreadable { path, why }) => Err(format!("{}: {why}", path.display())),
        Some(Trouble::Empty { .. } | Trouble::TooMany { .. }) | None => Ok(directories),
    };
    Watched { path: path.to_owned(), directories, manifests: files.len() }
}

/// Name of a user or group in the text of `/etc/passwd` or `/etc/group`, else the number.
pub(super) fn name_of(file: &str, id: u32) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    name_in(&text, id).map_or_else(|| id.to_string(), str::to_owned)
}

fn name_in(text: &str, id: u32) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_manifests_are_counted_and_what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        for name in ["a/shop.yaml", ".git/shop.yaml", "a/.shop.yaml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = watched(dir.path());
        assert_eq!((found.directories, found.manifests), (Ok(3), 1));
        assert!(watched(&dir.path().join("absent")).directories.unwrap_err().contains("absent"));
    }

    #[test]
    fn a_disk_is_that_of_the_directory_that_would_be_made() {
        let found = disk(Path::new("/absent/below/absent")).unwrap();
        assert!(found.total > 0);
        assert_eq!(name_in("root:x:0:0::/root:/bin/sh\nmina:x:1000:\n", 1000), Some("mina"));
    }
}
