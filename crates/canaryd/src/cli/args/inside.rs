//! Commands that run something inside a container of a rollout, and the one that takes it out of canaryd.

use std::path::PathBuf;

use canaryd_rollout::{ComponentName, RolloutName};
use clap::Args;

use super::lanes::LaneChoice;

/// Which container, and what runs in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct InsideArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// The lane whose version is meant
    #[arg(long, value_enum, default_value_t = LaneChoice::Production)]
    pub(crate) lane: LaneChoice,
    /// The app, or one kind of worker
    #[arg(long, value_name = "COMPONENT", default_value = "app")]
    pub(crate) component: ComponentName,
    /// The command with its arguments, as they are: no shell reads them
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// `exec`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExecArgs {
    /// Where and what.
    #[command(flatten)]
    pub(crate) inside: InsideArgs,
    /// The Nth running container of the lane
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) replica: u32,
}

/// `eject`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EjectArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Where the Compose file is written; a file that is there is not touched [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Host port of the app under Compose, on 127.0.0.1 [default: the gateway's, and 10000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}
