//! Commands that look at one lane.

use canaryd_gateway::Lane;
use canaryd_rollout::RolloutName;
use clap::{Args, ValueEnum};

use super::OutputFormat;

/// One of the lanes, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaneChoice {
    /// What is on trial.
    Canary,
    /// What was last promoted.
    Production,
}

impl From<LaneChoice> for Lane {
    fn from(lane: LaneChoice) -> Self {
        match lane {
            LaneChoice::Canary => Self::Canary,
            LaneChoice::Production => Self::Production,
        }
    }
}

/// `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Only this lane
    #[arg(long, value_enum, conflicts_with = "gateway")]
    pub(crate) lane: Option<LaneChoice>,
    /// Keep showing what comes
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only the last lines of each container
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u32>,
    /// The gateway's log instead of the containers'
    #[arg(long)]
    pub(crate) gateway: bool,
}

/// `header`.
#[derive(Debug, Args)]
pub(crate) struct HeaderArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// The lane that the header chooses
    #[arg(long, value_enum, default_value_t = LaneChoice::Canary)]
    pub(crate) lane: LaneChoice,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}
