//! Commands that run something inside a container of a rollout.

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
