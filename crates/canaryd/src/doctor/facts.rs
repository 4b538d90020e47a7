//! What was seen on the host, before anybody judges it.

use std::net::SocketAddr;
use std::path::PathBuf;

use canaryd_engine::{Checkup, EngineError, EngineInfo, GatewayCheck};
use canaryd_gateway::{GenerationId, NginxVersion};
use canaryd_journal::Examined;
use canaryd_link::OnDisk;
use canaryd_rollout::RolloutName;
use jiff::Timestamp;

/// Everything that was seen.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Version of this program.
    pub(super) version: String,
    /// When.
    pub(super) now: Timestamp,
    /// This process.
    pub(super) me: Process,
    /// The daemon's socket.
    pub(super) socket: Socket,
    /// The state directory; `None`: its disk does not answer.
    pub(super) state: Option<State>,
    /// Docker.
    pub(super) docker: Result<Docker, EngineError>,
    /// Each gateway that the engine or the state directory knows.
    pub(super) gateways: Vec<Gateway>,
    /// Each watched directory.
    pub(super) watch: Vec<Watched>,
    /// What the kernel allows.
    pub(super) kernel: Kernel,
}

impl Facts {
    /// Who signals NGINX: the daemon where one runs, else whoever asks.
    pub(super) fn signaller(&self) -> (&Process, &'static str) {
        match self.state.as_ref().and_then(|s| s.holder.as_ref()) {
            Some(daemon) => (daemon, "the daemon"),
            None => (&self.me, "this user"),
        }
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Real, effective and saved user id.
    pub(super) uids: [u32; 3],
    /// May signal everybody's processes.
    pub(super) may_kill: bool,
    /// How many files it may open, and has open.
    pub(super) files: Option<(u64, Option<u64>)>,
}

/// The daemon's socket.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) path: PathBuf,
    /// `None`: there is nothing.
    pub(super) file: Option<SocketFile>,
    pub(super) answer: Answer,
}

impl Socket {
    pub(super) fn page(&self) -> Option<&Page> {
        match &self.answer {
            Answer::Page(page) => Some(page),
            Answer::Nobody(_) | Answer::Forbidden | Answer::Odd(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SocketFile {
    pub(super) is_socket: bool,
    pub(super) uid: u32,
    /// Name of its owner and of its group, or their numbers.
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) mode: u32,
}

/// What the socket said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Page(Page),
    Nobody(String),
    Forbidden,
    /// Something answered, or nothing in time.
    Odd(String),
}

/// What a running daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) version: String,
    pub(super) since: Timestamp,
    pub(super) instance: String,
    /// Its state directory, where it names it.
    pub(super) state: Option<PathBuf>,
    pub(super) watch: Vec<PathBuf>,
    pub(super) dry_run: bool,
    pub(super) rollouts: usize,
    /// Mistakes that it tells of: manifests that are ignored, and what else keeps it from its work.
    pub(super) errors: usize,
    /// What somebody should look at; it hinders nothing.
    pub(super) warnings: usize,
    /// It runs without its journal: the sentence that says so, and the way out.
    pub(super) safe_mode: Option<(String, String)>,
}

/// The state directory.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) path: PathBuf,
    /// `None`: it does not exist.
    pub(super) dir: Option<Dir>,
    /// Of its file system, or of the one where it would be made.
    pub(super) disk: Option<Disk>,
    /// The daemon that holds its lock.
    pub(super) holder: Option<Process>,
    pub(super) journal: Journal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dir {
    pub(super) is_directory: bool,
    pub(super) uid: u32,
    pub(super) owner: String,
    pub(super) mode: u32,
    /// This process may look into it.
    pub(super) readable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) free: u64,
    pub(super) total: u64,
    pub(super) inodes_free: u64,
    /// 0 where the file system does not count them.
    pub(super) inodes: u64,
    pub(super) read_only: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Journal {
    /// There is none, and the instance that the plain file names all the same.
    Missing(Option<String>),
    Found(Box<Examined>),
    /// Damaged, or not a journal.
    Damaged(String),
    /// Not read, for this reason.
    Unread(String),
}

/// The engine.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    pub(super) info: EngineInfo,
    /// Who names its address.
    pub(super) from: String,
    pub(super) checkup: Result<Checkup, EngineError>,
    /// NGINX images that are wanted.
    pub(super) images: Vec<NginxImage>,
}

/// An image of NGINX, and who wants it; nobody yet when there is no rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NginxImage {
    pub(super) reference: String,
    pub(super) wanted_by: Option<String>,
    pub(super) present: bool,
    /// As the image says it, or the gateway that runs it.
    pub(super) version: Option<NginxVersion>,
}

/// One gateway.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    pub(super) rollout: RolloutName,
    /// `None`: there is no container, or Docker does not answer.
    pub(super) container: Option<GatewayCheck>,
    /// `None`: not to be read by this user, or there is nothing.
    pub(super) disk: Option<OnDisk>,
    /// The generation that answers.
    pub(super) live: Option<Result<GenerationId, String>>,
    /// What is current is what the journal asks for.
    pub(super) as_asked: Option<bool>,
    /// The configuration on disk shows the page of a rollout that is stopped for maintenance.
    pub(super) stopped: bool,
    /// Published places where nobody answers.
    pub(super) silent: Vec<SocketAddr>,
    /// Published places of a gateway that does not run, and who listens there instead.
    pub(super) taken: Vec<(SocketAddr, String)>,
    /// NGINX's main process, as it is seen from here.
    pub(super) master: Option<Process>,
    /// There is a route from this process to its network.
    pub(super) routed: Option<bool>,
}

/// One watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    /// Directories in it, itself included; or why it cannot be read.
    pub(super) directories: Result<usize, String>,
    /// Manifests directly in it or below.
    pub(super) manifests: usize,
}

/// What the kernel allows and has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kernel {
    pub(super) inotify_watches: Option<u64>,
    pub(super) inotify_instances: Option<u64>,
    /// All memory, and what new processes could use.
    pub(super) memory: Option<(u64, u64)>,
}
