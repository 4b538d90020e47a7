//! What the daemon is told at its start: flags with every default filled in.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use super::args::{Common, DaemonFlags, LogFormat, ReachChoice};
use super::exit::Failure;
use crate::paths::Surroundings;

/// Everything that the daemon is told.
#[derive(Debug, Clone)]
pub(crate) struct DaemonArgs {
    /// Directories with manifests, as typed; at least one.
    pub(crate) watch: Vec<PathBuf>,
    /// State directory.
    pub(crate) state: PathBuf,
    /// Where the API listens.
    pub(crate) socket: PathBuf,
    /// Variables for manifests.
    pub(crate) vars: BTreeMap<String, String>,
    /// Nothing is written to Docker, NGINX or the journal.
    pub(crate) dry_run: bool,
    /// So many rollouts move at a time; at least 1.
    pub(crate) max_moving: usize,
    /// Docker's address, when it is not the default.
    pub(crate) docker_host: Option<String>,
    /// How containers are reached.
    pub(crate) reach: ReachChoice,
    /// How log lines look.
    pub(crate) log: LogFormat,
}

impl DaemonArgs {
    /// Fills in what was not typed.
    pub(crate) fn from_flags(flags: DaemonFlags, common: &Common, around: &Surroundings) -> Result<Self, Failure> {
        if flags.watch.is_empty() {
            return Err(Failure::usage(
                "which manifests? canaryd --watch DIR, or one of the commands of canaryd --help",
            ));
        }
        let log = || if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
        Ok(Self {
            watch: flags.watch,
            state: flags.state.unwrap_or_else(|| around.state_dir()),
            socket: common.socket.clone().unwrap_or_else(|| around.own_socket()),
            vars: super::vars::read(&flags.vars)?,
            dry_run: flags.dry_run,
            max_moving: flags.max_moving as usize,
            docker_host: flags.docker_host,
            reach: flags.reach,
            log: flags.log.unwrap_or_else(log),
        })
    }
}
