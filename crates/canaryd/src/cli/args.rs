//! What can be typed: the clap definitions, and nothing else.

mod about;
mod help;
mod inside;
mod journal;
mod lanes;
mod stop;

use std::path::PathBuf;
use std::time::Duration;

use canaryd_planner::Verb;
use canaryd_rollout::{RolloutName, Weight};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use inside::{EjectArgs, ExecArgs, InsideArgs};
pub(crate) use journal::{CheckArgs, JournalCommand, RebuildArgs};
pub(crate) use lanes::{HeaderArgs, LogsArgs};
pub(crate) use stop::StopArgs;

use help::{DOCTOR_HELP, EJECT_HELP, EXEC_HELP, EXIT_CODES, FOLLOW_HELP, HEADER_HELP, RUN_HELP, SET_HELP, WAIT_HELP};
use stop::{START_HELP, STOP_HELP};

/// Progressive delivery for plain Docker: commit a version, and it is promoted or taken off by itself.
#[derive(Debug, Parser)]
#[command(name = "canaryd", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) common: Common,
    /// The daemon, when no command is given.
    #[command(flatten)]
    pub(crate) daemon: DaemonFlags,
    /// A command for a running daemon.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    /// Socket of the daemon [default: $CANARYD_SOCKET, else the user's own, else /run/canaryd/canaryd.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Only ASCII signs
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
    /// No colour (so does NO_COLOR)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The daemon's flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Daemon")]
pub(crate) struct DaemonFlags {
    /// Runs the daemon on the manifests (*.yaml, *.yml) under this directory; repeatable
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub(crate) watch: Vec<PathBuf>,
    /// Where it remembers [default: /var/lib/canaryd, or $XDG_STATE_HOME/canaryd]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Variables for manifests.
    #[command(flatten)]
    pub(crate) vars: VarFlags,
    /// Observe and tell the first actions, but change nothing in Docker, NGINX or memories
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// So many rollouts move at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_moving: u32,
    /// Docker's address [default: $DOCKER_HOST, else the current context]
    #[arg(long, value_name = "URL")]
    pub(crate) docker_host: Option<String>,
    /// How containers are reached (health): by address, through the gateway's ops port, or whichever works
    #[arg(long, value_enum, default_value_t = ReachChoice::Auto)]
    pub(crate) reach: ReachChoice,
    /// How log lines look [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    pub(crate) log: Option<LogFormat>,
}

/// Variables for manifests.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VarFlags {
    /// A variable for ${K} in manifests; repeatable
    #[arg(long, value_name = "K=V")]
    pub(crate) var: Vec<String>,
    /// A file of K=V lines; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<PathBuf>,
}

/// How containers are reached for health and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReachChoice {
    /// By their addresses if this process has a route there, else through the gateway.
    Auto,
    /// By their addresses.
    Direct,
    /// Through the gateway.
    Relay,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For people with room: revisions, replicas, the way back.
    Wide,
    /// For machines.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks manifests without a daemon: every problem with file, line and what to do
    #[command(after_help = "Example: canaryd validate manifests/")]
    Validate(ValidateArgs),
    /// Prints the JSON Schema of a manifest, for editors
    #[command(after_help = "Example: canaryd schema > rollout.schema.json")]
    Schema,
    /// Shows what would be done about a manifest now, and why; changes nothing
    #[command(after_help = "Example: canaryd plan manifests/shop.yaml")]
    Plan(PlanArgs),
    /// Edits the version line of a manifest in place; comments stay
    #[command(after_help = SET_HELP)]
    Set(SetArgs),
    /// Shows all rollouts, or one
    #[command(after_help = "Example: canaryd status --watch")]
    Status(StatusArgs),
    /// Shows one rollout live until it ends; the exit code is its outcome
    #[command(after_help = FOLLOW_HELP)]
    Follow(FollowArgs),
    /// Waits in silence until a rollout has ended; the exit code is its outcome
    #[command(after_help = WAIT_HELP)]
    Wait(WaitArgs),
    /// Shows what has happened
    #[command(after_help = "Example: canaryd events shop --follow")]
    Events(EventsArgs),
    /// Shows what the containers wrote, or the gateway
    #[command(after_help = "Example: canaryd logs shop --lane canary --tail 100 --follow")]
    Logs(LogsArgs),
    /// Runs a command inside a running container of a rollout; the exit code is the command's
    #[command(after_help = EXEC_HELP)]
    Exec(ExecArgs),
    /// Runs a command in a container of its own, made of a rollout's version: a migration, say; the exit code is the command's
    #[command(after_help = RUN_HELP)]
    Run(InsideArgs),
    /// Prints the request header that forces a lane: a secret, shown by nothing else
    #[command(after_help = HEADER_HELP)]
    Header(HeaderArgs),
    /// Explains the checks: the numbers, how sure they are, and what is missing
    #[command(after_help = "Example: canaryd explain shop errors")]
    Explain(ExplainArgs),
    /// Finds out what is wrong on this host, what that means, and how to mend it; changes nothing
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Checks the journal, or makes it anew when it is lost or damaged
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Goes to the next stage now; a failing check still takes the version off
    #[command(
        after_help = "In the last stage it skips the time, not the requests that promotion needs: promote --reason does without.\n\
                           Example: canaryd advance shop --comment 'looked at the traces'"
    )]
    Advance(VerbArgs),
    /// Gives all users the version on trial and finishes; health and failing checks still count
    #[command(after_help = "Example: canaryd promote shop --reason 'security fix'")]
    Promote(PromoteArgs),
    /// Stops progress until resume; checks go on
    #[command(after_help = "Example: canaryd pause shop --comment 'until the call is over'")]
    Pause(VerbArgs),
    /// Goes on after a pause; gives a weight set by hand back
    #[command(
        after_help = "A weight set by hand goes back to the last stage that gives no more than it.\nExample: canaryd resume shop"
    )]
    Resume(VerbArgs),
    /// Takes the version on trial off, before it is in production
    #[command(after_help = "Example: canaryd abort shop")]
    Abort(VerbArgs),
    /// Goes back to the previous version, after a promotion
    #[command(after_help = "Example: canaryd undo shop")]
    Undo(VerbArgs),
    /// The panic button: whichever of abort and undo is right; says what it did
    #[command(after_help = "Example: canaryd rollback shop\nWithout a daemon: canaryd rollback shop --offline")]
    Rollback(RollbackArgs),
    /// Lets a version that was taken off be tried again
    #[command(after_help = "Example: canaryd retry shop")]
    Retry(VerbArgs),
    /// Replaces the containers in production by new ones of the same version, without a gap
    #[command(after_help = "Example: canaryd restart shop")]
    Restart(VerbArgs),
    /// Takes a rollout down for maintenance: users get a page with 503, then its containers stop, and are kept
    #[command(after_help = STOP_HELP)]
    Stop(StopArgs),
    /// Brings back what was stopped: users get it when it is healthy, and the page until then
    #[command(after_help = START_HELP)]
    Start(VerbArgs),
    /// Stops everything of a rollout and forgets it
    #[command(after_help = "Example: canaryd delete shop --yes")]
    Delete(DeleteArgs),
    /// Writes what is in production as a Compose file, and how to move there; changes nothing
    #[command(after_help = EJECT_HELP)]
    Eject(EjectArgs),
    /// Sets the share of the version on trial by hand; progress stops, safety stays
    #[command(after_help = "Example: canaryd traffic shop 12.5\nGive control back: canaryd resume shop")]
    Traffic(TrafficArgs),
    /// Shows the whole thing on real traffic in three minutes
    #[command(after_help = "Example: canaryd demo")]
    Demo(DemoArgs),
    /// Prints completions for a shell
    #[command(after_help = "Example: canaryd completions bash > /etc/bash_completion.d/canaryd")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Prints the version
    #[command(after_help = "Example: canaryd version")]
    Version {
        /// How it is printed
        #[arg(short, long, value_enum, default_value_t)]
        output: OutputFormat,
    },
}

/// `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files, or directories with *.yaml and *.yml
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Variables.
    #[command(flatten)]
    pub(crate) vars: VarFlags,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The manifest, or a directory of manifests
    pub(crate) file: PathBuf,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// The version that should serve
    pub(crate) version: String,
    /// The manifest, if the daemon should not be asked where it is
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
    /// Look for the manifest here instead of where the daemon does; repeatable
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    pub(crate) watch: Vec<PathBuf>,
    /// Wait until it has ended; the exit code is its outcome
    #[arg(long, required_if_eq("through_pauses", "true"))]
    pub(crate) wait: bool,
    /// With --wait.
    #[command(flatten)]
    pub(crate) until: UntilArgs,
    /// How the answer is printed; json with --wait: the last report
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// How long is waited.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UntilArgs {
    /// Leave after this long with exit code 3: 90s, 15m, 2h30m
    #[arg(long, value_parser = super::vars::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Wait on while it waits for a person, instead of leaving with exit code 3
    #[arg(long)]
    pub(crate) through_pauses: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this rollout, with all its numbers
    pub(crate) name: Option<RolloutName>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
    /// Show it again whenever it changes
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `follow`.
#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Until when.
    #[command(flatten)]
    pub(crate) until: UntilArgs,
}

/// `wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Wait for this version, even if its rollout has not begun yet
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// Until when.
    #[command(flatten)]
    pub(crate) until: UntilArgs,
    /// How the end is printed; json: the last report
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only of this rollout
    pub(crate) name: Option<RolloutName>,
    /// Only those after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) after: u64,
    /// At most so many, 1 to 1000: the newest, or the oldest of those after SEQ
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    /// Keep showing what comes
    #[arg(long)]
    pub(crate) follow: bool,
    /// How it is printed; json: one object a line
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Only this check
    pub(crate) check: Option<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// State directory of the daemon [default: as the daemon's]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Look at this directory of manifests, besides those that a running daemon names; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Vec<PathBuf>,
    /// Docker's address [default: $DOCKER_HOST, else the current context]
    #[arg(long, value_name = "URL")]
    pub(crate) docker_host: Option<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// A verb without words of its own.
#[derive(Debug, Args)]
pub(crate) struct VerbArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// How the answer is printed and what is written down.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// How a verb is sent.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HowArgs {
    /// Why: kept in the history
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// `promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Why it should not wait for enough data
    #[arg(long)]
    pub(crate) reason: String,
    /// How it is sent.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Without a daemon: swaps the prepared all-production configuration in and signals NGINX
    #[arg(long)]
    pub(crate) offline: bool,
    /// State directory of the daemon that is not running
    #[arg(long, value_name = "DIR", requires = "offline")]
    pub(crate) state: Option<PathBuf>,
    /// How it is sent.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// `delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// How it is sent.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// `traffic`.
#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    /// Which rollout
    pub(crate) name: RolloutName,
    /// 0 to 100, at most two decimals
    #[arg(value_name = "PERCENT", allow_negative_numbers = true)]
    pub(crate) weight: Weight,
    /// How it is sent.
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// `demo`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DemoArgs {
    /// Remove what an earlier demo left, and stop
    #[arg(long)]
    pub(crate) clean: bool,
    /// Gateway image [default: nginx:stable, else canaryd-nginx:local]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) nginx_image: Option<String>,
    /// Application image, with the tags v1 to v4 [default: canaryd-demo]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) app_image: Option<String>,
    /// Where the figures are written
    #[arg(long, value_name = "FILE", default_value = "target/reports/demo.json")]
    pub(crate) report: PathBuf,
}

/// A verb with the rollout that it is for and how it is sent.
pub(crate) struct Asked {
    /// Which rollout.
    pub(crate) name: RolloutName,
    /// What to do.
    pub(crate) verb: Verb,
    /// How it is sent.
    pub(crate) how: HowArgs,
}

impl VerbArgs {
    /// With its verb.
    pub(crate) fn asks(self, verb: Verb) -> Asked {
        Asked { name: self.name, verb, how: self.how }
    }
}
