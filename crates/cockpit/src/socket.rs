//! The socket file: made so that it is never open to the wrong people, and never taken from a living daemon.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Who may use the socket beside its owner.
const GROUP: &str = "canaryd";

/// Why the socket could not be made. `Display` says what can be done.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A daemon listens there.
    #[error("another daemon listens on {}: stop it, or give this one its own --socket and --state", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is not a socket: nothing was changed; choose another --socket", .0.display())]
    NotASocket(PathBuf),
    /// The file system refused.
    #[error("the socket {} cannot be made", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the socket and listens on it: mode 0660, group `canaryd` where that group exists. A socket that a dead daemon
/// left behind is replaced in one step.
///
/// # Errors
/// A living daemon has it, it is not a socket, or the file system refuses.
pub async fn bind(path: &Path) -> Result<UnixListener, BindError> {
    refuse_the_living(path).await?;
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    // Under another name until its rights are set: nobody can connect in between.
    let fresh = beside(path);
    remove(&fresh).map_err(failed)?;
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    open_to_the_group(&fresh).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)?;
    Ok(listener)
}

/// Takes the socket away at the end of a daemon, if it is still this daemon's: `made` is what [`made_at`] said of it. What
/// is left behind by mistake is replaced by the next start.
pub fn unbind(path: &Path, made: Option<(u64, u64)>) {
    if made.is_some() && made_at(path) == made {
        let _ = std::fs::remove_file(path);
    }
}

/// Which file stands there: device and number.
#[must_use]
pub fn made_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("~");
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

async fn refuse_the_living(path: &Path) -> Result<(), BindError> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused || e.kind() == io::ErrorKind::NotFound => Ok(()),
        // It answered, or it is too busy to: both live.
        Ok(_) | Err(_) => Err(BindError::InUse(path.to_owned())),
    }
}

fn open_to_the_group(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    if let Some(gid) = gid_of(&std::fs::read_to_string("/etc/group").unwrap_or_default(), GROUP) {
        // Only root and members may give a file to a group; for others the socket stays their own.
        if let Err(e) = chown(path, None, Some(gid)) {
            tracing::debug!(group = GROUP, error = %e, "the socket keeps its group");
        }
    }
    Ok(())
}

/// The id of a group in the text of `/etc/group`.
fn gid_of(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

/// The name of a user in the text of `/etc/passwd`.
pub(crate) fn user_of(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_their_files() {
        assert_eq!(user_of("root:x:0:0:root:/root:/bin/sh\nmina:x:1000:1000::/home/mina:/bin/sh", 1000), Some("mina"));
        assert_eq!(user_of("broken line\n", 0), None);
        assert_eq!(gid_of("adm:x:4:\ncanaryd:x:998:mina\n", "canaryd"), Some(998));
        assert_eq!(gid_of("canary:x:1:\n", "canaryd"), None);
    }

    #[tokio::test]
    async fn a_daemon_that_ends_takes_its_own_socket_away_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("canaryd.sock");
        let first = bind(&path).await.unwrap();
        let made = made_at(&path);
        drop(first);
        let _second = bind(&path).await.unwrap();
        unbind(&path, made);
        assert!(path.exists(), "the second daemon's");
        unbind(&path, made_at(&path));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/canaryd.sock");
        let first = bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(matches!(bind(&path).await, Err(BindError::InUse(_))));
        drop(first);
        assert!(path.exists(), "a dead daemon leaves its socket behind");
        bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        assert!(matches!(bind(&path).await, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }
}
