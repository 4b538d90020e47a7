//! `stop` and `start`: maintenance of one rollout.

use std::path::PathBuf;
use std::time::Duration;

use canaryd_rollout::RolloutName;
use clap::Args;

use super::HowArgs;
use crate::cli::vars;

/// `stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// A page of your own for users: HTML, or *.json or *.txt, at most 128 KiB; it is copied [default: a plain built-in one]
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// How long clients are told to wait (Retry-After), 1s to 30d [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = vars::duration)]
    pub(crate) retry_after: Option<Duration>,
    /// How it is sent.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// Below the flags of `stop`.
pub(super) const STOP_HELP: &str = "\
First every request gets 503 with the page, Retry-After and Cache-Control: no-store; who asks for JSON gets JSON. Then what is under \
way is finished, at most stop.drain, then the containers of app and workers stop, and stay for the start. Nothing brings them back but \
canaryd start: no restart of canaryd, of Docker or of the host. What the manifest asks for meanwhile waits. Said again, it changes the \
page. It is refused while a version is on trial, and says which command comes first.

Example: canaryd stop shop --page down.html --retry-after 30m --comment 'the database is migrated'
         canaryd run shop -- ./migrate up
         canaryd start shop && canaryd wait shop";

/// Below the flags of `start`.
pub(super) const START_HELP: &str = "\
The containers start, and users get the page until every one of the app is healthy; no request meets one that is not. What does not \
come up leaves the page where it is: canaryd status says why, canaryd stop gives the start up.

Example: canaryd start shop && canaryd wait shop";
