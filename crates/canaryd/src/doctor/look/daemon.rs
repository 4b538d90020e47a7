//! The daemon's socket and what answers there.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use canaryd_cockpit::{Client, ClientError, StatusPage};

use super::host::name_of;
use crate::doctor::facts::{Answer, Page, Socket, SocketFile};

/// A daemon that takes longer is in trouble of its own.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn look(path: &Path) -> Socket {
    let file = std::fs::symlink_metadata(path).ok().map(|found| SocketFile {
        is_socket: found.file_type().is_socket(),
        uid: found.uid(),
        owner: name_of("/etc/passwd", found.uid()),
        group: name_of("/etc/group", found.gid()),
        mode: found.mode() & 0o777,
    });
    let asking = async { Client::connect(path).await?.status().await };
    let answer = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(page)) => Answer::Page(short(page)),
        Ok(Err(ClientError::NoDaemon { why, .. })) => Answer::Nobody(why),
        Ok(Err(ClientError::Forbidden { .. })) => Answer::Forbidden,
        Ok(Err(error)) => Answer::Odd(error.to_string()),
        Err(_) => Answer::Odd(format!("no answer within {PATIENCE:?}")),
    };
    Socket { path: path.to_owned(), file, answer }
}

fn short(page: StatusPage) -> Page {
    let is_warning = |problem: &&String| problem.starts_with("warning");
    let warnings = page.problems.iter().filter(is_warning).count();
    Page {
        version: page.version,
        since: page.since,
        instance: page.instance,
        state: page.state.map(Into::into),
        watch: page.watch.into_iter().map(Into::into).collect(),
        dry_run: page.dry_run,
        rollouts: page.rollouts.len(),
        errors: page.problems.len() - warnings,
        warnings,
        safe_mode: page.safe_mode.map(|mode| (mode.sentence, mode.way_out)),
    }
}
