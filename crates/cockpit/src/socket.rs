//! The socket file: made so that it is never open to the wrong people, never taken from a living daemon, and made anew
//! when somebody removes it.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Interval, MissedTickBehavior};

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

/// How often the daemon looks whether its socket file is still there: one `lstat`.
const LOOK: Duration = Duration::from_secs(1);

/// The daemon's socket: what clients connect to, and the file that leads there. A file that somebody removes is made anew
/// while this is asked for connections; dropping it takes the file away. Neither touches a file of somebody else.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
    /// Which file is this daemon's.
    made: Identity,
    look: Interval,
    /// Why the file could not be made anew, as it was logged.
    told: Option<String>,
}

/// Device and number of a file.
type Identity = (u64, u64);

/// Makes the socket and listens on it: mode 0660, group `canaryd` where that group exists. A socket that a dead daemon
/// left behind is replaced in one step.
///
/// # Errors
/// A living daemon has it, it is not a socket, or the file system refuses.
pub async fn bind(path: &Path) -> Result<Socket, BindError> {
    refuse_the_living(path).await?;
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    let fresh = beside(path);
    let (listener, made) = listen(&fresh).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Socket { path: path.to_owned(), listener, made, look, told: None })
}

impl Socket {
    /// Makes the file anew where it is gone. Who is connected stays so.
    fn keep(&mut self) {
        if !is_gone(&self.path) {
            return;
        }
        match make_anew(&self.path) {
            Ok(Some((listener, made))) => {
                tracing::warn!(socket = %self.path.display(), "somebody removed the socket; it is made anew");
                (self.listener, self.made, self.told) = (listener, made, None);
            }
            // Somebody was faster.
            Ok(None) => {}
            Err(error) => self.tell(error.to_string()),
        }
    }

    fn tell(&mut self, why: String) {
        if self.told.as_ref() != Some(&why) {
            tracing::error!(socket = %self.path.display(), "somebody removed the socket, and it cannot be made anew: {why}");
            self.told = Some(why);
        }
    }
}

impl axum::serve::Listener for Socket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            tokio::select! {
                biased;
                // Who came before the file went is heard.
                accepted = axum::serve::Listener::accept(&mut self.listener) => return accepted,
                _ = self.look.tick() => self.keep(),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for Socket {
    /// What is left behind by mistake is replaced by the next start.
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.made) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

fn is_gone(path: &Path) -> bool {
    identity(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// A listener and its file, which nobody can connect to until it has its rights and its name.
fn listen(fresh: &Path) -> io::Result<(UnixListener, Identity)> {
    if let Some(parent) = fresh.parent() {
        std::fs::create_dir_all(parent)?;
    }
    remove(fresh)?;
    let listener = UnixListener::bind(fresh)?;
    let made = identity(fresh)?;
    open_to_the_group(fresh)?;
    Ok((listener, made))
}

/// `None`: another file has the name meanwhile. A link, unlike a rename, replaces nothing.
fn make_anew(path: &Path) -> io::Result<Option<(UnixListener, Identity)>> {
    let fresh = beside(path);
    let made = listen(&fresh)?;
    let named = std::fs::hard_link(&fresh, path);
    remove(&fresh)?;
    match named {
        Ok(()) => Ok(Some(made)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(e),
    }
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
        std::fs::remove_file(&path).unwrap();
        let second = bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists(), "the second daemon's");
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_is_made_anew_with_its_directory_and_taken_away_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/canaryd.sock");
        let mut socket = bind(&path).await.unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        socket.keep();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let (dialled, taken) = tokio::join!(UnixStream::connect(&path), axum::serve::Listener::accept(&mut socket));
        assert!(dialled.is_ok() && taken.0.peer_cred().is_ok());
        drop(socket);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_somebody_else_put_there_meanwhile_stays_and_a_link_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("canaryd.sock");
        let mut first = bind(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = bind(&path).await.unwrap();
        first.keep();
        assert_eq!(identity(&path).unwrap(), second.made);
        assert!(make_anew(&path).unwrap().is_none());
        assert_eq!(identity(&path).unwrap(), second.made);
        drop(second);
        first.keep();
        assert_eq!(identity(&path).unwrap(), first.made, "its turn again");
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_made_anew_is_said_once_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let mut socket = bind(&run.join("canaryd.sock")).await.unwrap();
        std::fs::remove_dir_all(&run).unwrap();
        std::fs::write(&run, "in the way").unwrap();
        socket.tell("in the way".to_owned());
        socket.keep();
        std::fs::remove_file(&run).unwrap();
        socket.keep();
        assert!(socket.path.exists() && socket.told.is_none());
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
        // As one that was killed leaves it behind.
        drop(UnixListener::bind(&path).unwrap());
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
