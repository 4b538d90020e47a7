//! What each command does: asks the daemon (or reads files), prints a screen, says an exit code.

mod ask;
mod doctor;
mod ear;
mod eject;
mod exec;
mod files;
mod follow;
mod header;
mod journal;
mod logs;
mod one_off;
mod patience;
mod rollback;
mod stop;
mod verbs;
mod watch;

pub(crate) use ask::{events, explain, plan, status};
pub(crate) use doctor::doctor;
pub(crate) use eject::eject;
pub(crate) use exec::exec;
pub(crate) use files::{set, validate};
pub(crate) use follow::follow;
pub(crate) use header::header;
pub(crate) use journal::{journal_check, journal_rebuild};
pub(crate) use logs::logs;
pub(crate) use one_off::run;
pub(crate) use rollback::rollback;
pub(crate) use stop::stop;
pub(crate) use verbs::{delete, send};
pub(crate) use watch::wait;

use std::path::PathBuf;
use std::sync::OnceLock;

use canaryd_cockpit::{Client, ClientError};

use super::args::Common;
use super::exit::Failure;
use crate::paths::Surroundings;

/// The daemon that the caller means.
pub(crate) async fn daemon(common: &Common) -> Result<Client, Failure> {
    Ok(reach(common).await?)
}

async fn reach(common: &Common) -> Result<Client, ClientError> {
    // Found once: while a daemon restarts its socket is away, and another daemon's is not to be asked in its place.
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let find = || Surroundings::find().socket_to_ask(std::path::Path::exists);
    let socket = common.socket.as_ref().unwrap_or_else(|| FOUND.get_or_init(find));
    Client::connect(socket).await
}

/// A value as JSON for people's tools.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|e| Failure::new(super::exit::Exit::NoDaemon, e.to_string()))
}
