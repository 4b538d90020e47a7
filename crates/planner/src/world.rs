//! What the planner is told about reality: a snapshot, each part with its age. It knows no Docker and no NGINX.

use std::collections::BTreeSet;
use std::net::IpAddr;

use canaryd_gateway::{Intent, Traffic};
use canaryd_rollout::{ComponentName, RevisionId, Rollout, RolloutName, SetId};
use canaryd_verdict::Judge;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::Waiting;

/// One observation of everything that concerns one rollout.
#[derive(Debug, Clone)]
pub struct World {
    /// What the manifest asks for.
    pub desired: Desired,
    /// All sets of this rollout that have containers, in whatever state.
    pub sets: Vec<SetView>,
    /// The gateway as it is.
    pub gateway: GatewayView,
    /// Evidence about the set on trial, and how fresh its source is.
    pub evidence: EvidenceView,
    /// Whether this rollout may move and may start containers now.
    pub slots: Slots,
    /// The container engine as a whole.
    pub engine: EngineView,
    /// What this run of the daemon did about files and image tags.
    pub shelf: Shelf,
    /// Why the journal cannot be written now: only lowering actions run, nothing is remembered.
    pub journal_trouble: Option<String>,
}

/// What the manifest asks for.
#[derive(Debug, Clone)]
pub enum Desired {
    /// A valid manifest. Its `images` say what is pending or missing; with anything pending, `revision` is provisional.
    Ready(Box<Rollout>),
    /// Not known now (unreadable directory, daemon just started): what was in force stays.
    Unknown,
    /// No longer in any complete, successful listing.
    Gone {
        /// Since when.
        since: Timestamp,
        /// Whether this counts as deleted (30 s of absence, and confirmed when several went at once).
        confirmed: bool,
    },
}

/// Containers of one component and one revision that were started together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetView {
    /// Which set.
    pub id: SetId,
    /// Of which component.
    pub component: ComponentName,
    /// Of which revision.
    pub revision: RevisionId,
    /// Its containers by ordinal.
    pub replicas: Vec<Replica>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// Number within rollout and component.
    pub ordinal: u32,
    /// Container id, for people.
    pub container: String,
    /// Whether it runs.
    pub state: RunState,
    /// Whether it is well.
    pub health: Health,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// Its address on canaryd's network; it keeps it until it is removed.
    pub addr: Option<IpAddr>,
    /// Its latest exits, oldest first (bounded).
    pub exits: Vec<Exit>,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Paused by somebody.
    Paused,
    /// Between an exit and Docker's restart.
    Restarting,
    /// Ended.
    Exited,
}

/// Whether a replica is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Health {
    /// canaryd has no way to ask it yet: the gateway, which would tell the way, does not run. Nothing is said about it.
    Unasked,
    /// Not proven yet.
    Starting {
        /// Last failure of the probe, in words, if any.
        last: Option<String>,
    },
    /// Proven.
    Healthy,
    /// It was healthy once (or its start-up time is over) and fails now.
    Unhealthy {
        /// In words.
        why: String,
    },
}

/// One end of a container's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Exit code (128 + signal for a signal).
    pub code: i64,
    /// Killed for memory.
    pub oom: bool,
    /// What is known about who or what caused it. May still change from `Itself` within 2 s of `at`.
    pub cause: ExitCause,
}

/// Who or what ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExitCause {
    /// Nobody asked for it.
    Itself,
    /// canaryd stopped it.
    Us,
    /// Somebody else killed, stopped or removed it.
    Somebody,
    /// A container outside the set died within 2 s.
    Neighbour,
    /// The engine restarted or was gone.
    Engine,
}

/// The gateway as it is.
#[expect(clippy::struct_excessive_bools, reason = "facts that hold or not, each for itself")]
#[derive(Debug, Clone, Default)]
pub struct GatewayView {
    /// The newest intent of this rollout that is proven live, with when it became so.
    pub live: Option<Live>,
    /// NGINX workers of older generations that still finish requests.
    pub old_workers: u32,
    /// The live symlink names a twin while canary weight was asked for: somebody lowered it without the daemon.
    pub lowered_offline: bool,
    /// Likewise, and it was the daemon itself, which was killed before it could write down why.
    pub unexplained: bool,
    /// Of what is not explained: it was a precaution, for nobody saw how the version does.
    pub precaution: bool,
    /// Why the newest intent is not live: refused generation, port taken, no image … One sentence.
    pub problem: Option<String>,
    /// Why NGINX refuses what the newest manifest chooses for it. It goes on with what was accepted last. A clause with its
    /// subject.
    pub refused: Option<String>,
    /// NGINX was not asked yet about what the newest manifest chooses.
    pub untried: bool,
    /// Why users cannot reach anything through it: it is paused, gone, or answers no question. A clause with its subject.
    pub silent: Option<String>,
    /// Its container; `None`: there is none.
    pub container: Option<GatewayContainer>,
}

/// The gateway's container, as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayContainer {
    /// The first signs of its id.
    pub id: String,
    /// Whether it is up, paused or not.
    pub runs: bool,
    /// Paused by somebody.
    pub paused: bool,
    /// When it was last started, if known.
    pub started_at: Option<Timestamp>,
    /// How it last ended.
    pub exit: Option<Exit>,
}

/// An intent that is proven live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The intent.
    pub intent: Intent,
    /// `<epoch>.<n>`.
    pub generation: String,
    /// Since when it is live.
    pub since: Timestamp,
}

impl GatewayView {
    /// What users get at this moment, as far as proven.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.live.as_ref().map_or(Traffic::Nobody, |l| l.intent.traffic)
    }
}

/// Evidence about the set on trial.
#[derive(Debug, Clone, Default)]
pub struct EvidenceView {
    /// The processes of the verdict, for this set.
    pub judge: Option<(SetId, Judge)>,
    /// Under which number they began ([`Memory::evidence_number`](crate::Memory::evidence_number)).
    pub number: u64,
    /// When evidence was last read.
    pub read_at: Option<Timestamp>,
    /// The source is silent (unreadable, lines lost): since when and why.
    pub silent: Option<(Timestamp, String)>,
    /// Present traffic of the gateway, requests per second over the last minute.
    pub requests_per_second: f64,
    /// What became of production's requests of the last minute.
    pub production: Recent,
}

/// Requests of the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// All that were answered, or should have been.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Recent {
    /// The share of failures; `None` without any request.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^52")]
        let share = self.failed as f64 / self.requests as f64;
        (self.requests > 0).then_some(share)
    }
}

/// Whether this rollout may move and may start containers now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// A rollout may begin to move (at most `maxMoving` do).
    pub may_move: bool,
    /// Containers may be started (one rollout at a time).
    pub may_start: bool,
    /// Who has the slot, for the report.
    pub ahead: Vec<RolloutName>,
}

/// Files and image tags of revisions, as far as this run of the daemon has seen to them: empty after a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Their images carry a tag of ours.
    pub kept: BTreeSet<RevisionId>,
    /// Nothing of them is left.
    pub forgotten: BTreeSet<RevisionId>,
}

/// The container engine as a whole.
#[derive(Debug, Clone, Default)]
pub struct EngineView {
    /// `Some(why)`: it cannot be asked; `sets` is the last known state.
    pub unreachable: Option<String>,
    /// It is being asked at this moment: `sets` may be older than what evidence tells of.
    pub asking: bool,
    /// Operations on a set that failed and are not mended: a start, a stop, an inspection …
    pub troubles: Vec<Trouble>,
    /// Operations under way that the report should name (pull progress …).
    pub busy: Vec<Waiting>,
}

/// An operation on a set that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Which set.
    pub set: SetId,
    /// One sentence.
    pub what: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that an operation on a set failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Nobody's, as far as known: a later try may succeed by itself.
    Passing,
    /// The host's: a port, a name or an address is taken, a network is missing. Somebody must mend it; no version is
    /// blamed for it.
    Host,
    /// The version's: what it asks for cannot be had (image, mount, command …). No later try can help.
    Version,
}
