//! `canaryd journal …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputFormat;
use super::help::{CHECK_HELP, REBUILD_HELP};

/// What is done with the journal.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Reads every page and every memory of the journal, beside a daemon or without one; changes nothing
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Makes a journal anew when it is lost or damaged, from containers and the live configurations; asks first
    #[command(after_help = REBUILD_HELP)]
    Rebuild(RebuildArgs),
}

/// `journal check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// State directory [default: the one that the daemon on the socket names, else the usual one]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `journal rebuild`.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// State directory of the daemon that is not running [default: as the daemon's]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Docker's address [default: $DOCKER_HOST, else the current context]
    #[arg(long, value_name = "URL")]
    pub(crate) docker_host: Option<String>,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Show what was found and what would be assumed, and change nothing; beside a daemon in safe mode, too
    #[arg(long)]
    pub(crate) dry_run: bool,
}
