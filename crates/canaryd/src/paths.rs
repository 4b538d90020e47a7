//! Where things are on this host: state directory, socket, and what lies in the state directory.

use std::path::{Path, PathBuf};

/// Where root keeps state.
const SYSTEM_STATE: &str = "/var/lib/canaryd";
/// Where root's daemon listens.
const SYSTEM_SOCKET: &str = "/run/canaryd/canaryd.sock";

/// What the choice of paths depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The caller is root.
    pub(crate) root: bool,
    /// `$XDG_STATE_HOME`.
    pub(crate) state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// `$HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `$CANARYD_SOCKET`.
    pub(crate) socket: Option<PathBuf>,
}

impl Surroundings {
    /// As this process finds them. An empty variable counts as unset; so does a relative XDG path (as its
    /// specification asks).
    pub(crate) fn find() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let absolute = |name: &str| var(name).filter(|p| p.is_absolute());
        Self {
            root: rustix::process::geteuid().is_root(),
            state_home: absolute("XDG_STATE_HOME"),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            home: absolute("HOME"),
            socket: var("CANARYD_SOCKET"),
        }
    }

    /// The state directory when none is given.
    pub(crate) fn state_dir(&self) -> PathBuf {
        if self.root {
            return SYSTEM_STATE.into();
        }
        let home = || self.home.clone().unwrap_or_else(|| "/tmp".into()).join(".local/state");
        self.state_home.clone().unwrap_or_else(home).join("canaryd")
    }

    /// The state directory of the daemon behind that socket when none is given.
    pub(crate) fn state_behind(&self, socket: &Path) -> PathBuf {
        if socket == Path::new(SYSTEM_SOCKET) { SYSTEM_STATE.into() } else { self.state_dir() }
    }

    /// Likewise, if it is a socket that is used when none is given: another says nothing of its daemon.
    pub(crate) fn usual_state(&self, socket: &Path) -> Option<PathBuf> {
        let usual = socket == Path::new(SYSTEM_SOCKET) || socket == self.own_socket();
        usual.then(|| self.state_behind(socket))
    }

    /// The socket on which a daemon listens when none is given.
    pub(crate) fn own_socket(&self) -> PathBuf {
        if let Some(socket) = &self.socket {
            return socket.clone();
        }
        if self.root {
            return SYSTEM_SOCKET.into();
        }
        match &self.runtime_dir {
            Some(dir) => dir.join("canaryd.sock"),
            None => self.state_dir().join("canaryd.sock"),
        }
    }

    /// The socket that a client asks when none is given: its own user's if there is one, else the system's.
    pub(crate) fn socket_to_ask(&self, exists: impl Fn(&Path) -> bool) -> PathBuf {
        let own = self.own_socket();
        let system = PathBuf::from(SYSTEM_SOCKET);
        if self.socket.is_none() && !exists(&own) && exists(&system) { system } else { own }
    }
}

/// The files of one state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(pub(crate) PathBuf);

#[expect(dead_code, reason = "the daemon takes each of them as it grows into it")]
impl StateDir {
    /// SQLite.
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal.db")
    }
    /// The lock that makes one daemon per journal.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
    /// The instance id, in plain text.
    pub(crate) fn instance(&self) -> PathBuf {
        self.0.join("instance")
    }
    /// Copies of env files, configs and secrets, one directory a revision.
    pub(crate) fn revisions(&self) -> PathBuf {
        self.0.join("revisions")
    }
    /// Configuration, logs and tokens of gateways, one directory a rollout.
    pub(crate) fn gateways(&self) -> PathBuf {
        self.0.join("gateways")
    }
    /// Logs and facts of failed sets.
    pub(crate) fn failures(&self) -> PathBuf {
        self.0.join("failures")
    }
}

/// The name of this host, for people.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_uses_the_system_s_places_and_others_their_own() {
        let root = Surroundings { root: true, runtime_dir: Some("/run/user/0".into()), ..Surroundings::default() };
        assert_eq!(root.state_dir(), Path::new("/var/lib/canaryd"));
        assert_eq!(root.own_socket(), Path::new("/run/canaryd/canaryd.sock"));
        let mina = Surroundings {
            home: Some("/home/mina".into()),
            runtime_dir: Some("/run/user/1000".into()),
            ..Surroundings::default()
        };
        assert_eq!(mina.state_dir(), Path::new("/home/mina/.local/state/canaryd"));
        assert_eq!(mina.own_socket(), Path::new("/run/user/1000/canaryd.sock"));
        assert_eq!(mina.usual_state(Path::new(SYSTEM_SOCKET)), Some(SYSTEM_STATE.into()));
        assert_eq!(mina.usual_state(&mina.own_socket()), Some(mina.state_dir()));
        assert_eq!(mina.usual_state(Path::new("/tmp/x.sock")), None);
        let bare = Surroundings { state_home: Some("/s".into()), ..Surroundings::default() };
        assert_eq!(bare.own_socket(), Path::new("/s/canaryd/canaryd.sock"));
    }

    #[test]
    fn a_client_finds_the_system_s_daemon_when_it_has_none_of_its_own() {
        let mina = Surroundings { runtime_dir: Some("/run/user/1000".into()), ..Surroundings::default() };
        assert_eq!(mina.socket_to_ask(|p| p.starts_with("/run/canaryd")), Path::new(SYSTEM_SOCKET));
        assert_eq!(mina.socket_to_ask(|_| true), Path::new("/run/user/1000/canaryd.sock"));
        let told = Surroundings { socket: Some("/x.sock".into()), ..mina };
        assert_eq!(told.socket_to_ask(|p| p.starts_with("/run")), Path::new("/x.sock"));
    }
}
