//! Safe mode: the journal cannot be read. Every canary is brought to 0 % by its prepared twin, nothing is started or
//! stopped, nothing is written into the journal, and every question is answered with the way out.

mod desk;
mod gateways;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use canaryd_cockpit::SafeMode;
use canaryd_journal::{Hold, JournalError};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{end_of_life, tell_systemd};
use crate::cli::DaemonArgs;
use desk::Desk;
use gateways::{Gateways, Told};

/// How often gateways are looked at: one may be started, or raised by a hand.
const LOOK: Duration = Duration::from_secs(1);

/// Why safe mode is due, if it is: the journal is there, or was, and does not say what is in production. What another
/// flag, right or moment mends is no reason.
pub(super) fn is_due(error: &anyhow::Error) -> Option<String> {
    let lost = |error: &JournalError| match error {
        JournalError::Newer { .. }
        | JournalError::Corrupt { .. }
        | JournalError::Lost { .. }
        | JournalError::InstanceMismatch { .. } => true,
        JournalError::InUse { .. }
        | JournalError::Full { .. }
        | JournalError::ReadOnly { .. }
        | JournalError::Io { .. }
        | JournalError::Sqlite { .. }
        | JournalError::Closed => false,
    };
    error.chain().any(|cause| cause.downcast_ref().is_some_and(lost)).then(|| format!("{error:#}"))
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Another daemon has the state directory or the socket.
pub(super) async fn run(args: &DaemonArgs, why: String) -> Result<ExitCode> {
    let state = std::path::absolute(&args.state)?;
    let _hold = Hold::take(&state)?;
    // First of all: it needs neither a socket nor Docker.
    let mut gateways = Gateways::of(&state, args.docker_host.clone());
    gateways.lower();
    let socket = canaryd_cockpit::bind(&args.socket).await?;
    let page = page(&state, why.clone(), &gateways.told());
    tracing::error!(socket = %args.socket.display(), way_out = page.way_out, "{}", page.sentence);
    let (stop, since) = (CancellationToken::new(), Timestamp::now());
    let watch = args.watch.iter().map(std::path::absolute).collect::<std::io::Result<Vec<_>>>()?;
    let desk = Arc::new(Desk::new(&state, why, gateways.instance().to_owned(), since, watch));
    desk.show(gateways.told());
    let serving = tokio::spawn(canaryd_cockpit::serve(socket, Arc::clone(&desk) as _, stop.clone()));
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    let watching = async {
        loop {
            gateways.look().await;
            desk.show(gateways.told());
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        ended = end_of_life() => ended?,
        () = watching => {}
    }
    tracing::info!("stopping; containers and gateways go on serving, canaries stay at 0 %");
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    let _ = tokio::time::timeout(LOOK, serving).await;
    Ok(ExitCode::SUCCESS)
}

/// What is said first, whatever is asked.
fn page(state: &Path, why: String, told: &[Told]) -> SafeMode {
    let users = if told.iter().all(|told| told.at_zero) {
        "production serves the users, every canary is at 0 %"
    } else {
        "production serves the users but those of a canary that is NOT at 0 % (below)"
    };
    let sentence =
        format!("safe mode: the journal cannot be used ({why}); {users}, and nothing is started, stopped or promoted");
    let state = state.display();
    let way_out = format!(
        "stop the daemon, canaryd journal rebuild --state {state} (it shows what it will assume and asks), start the daemon"
    );
    SafeMode { sentence, why, way_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_mode_is_for_a_journal_that_does_not_say_what_is_in_production_and_for_nothing_else() {
        let path = || std::path::PathBuf::from("/s/journal.db");
        let due = [
            JournalError::Corrupt { path: path(), what: "malformed".to_owned() },
            JournalError::Newer { path: path(), found: 2, known: 1 },
            JournalError::Lost { path: path(), file: "/s/instance".into(), instance: "one".to_owned() },
            JournalError::InstanceMismatch { file: "/s/instance".into(), journal: "a".into(), plain: "b".into() },
        ];
        for error in due {
            let error = anyhow::Error::from(error).context("at the start");
            let why = is_due(&error).unwrap_or_else(|| panic!("{error:#}"));
            assert!(why.starts_with("at the start: "), "{why}");
        }
        let not = [
            JournalError::InUse { dir: "/s".into(), holder: None },
            JournalError::Full { path: path() },
            JournalError::ReadOnly { path: path(), what: "readonly".to_owned() },
            JournalError::Io { doing: "open", path: path(), source: std::io::ErrorKind::PermissionDenied.into() },
        ];
        for error in not {
            assert_eq!(is_due(&anyhow::Error::from(error)), None);
        }
    }
}
