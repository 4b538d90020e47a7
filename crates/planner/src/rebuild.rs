//! A memory made anew from what can be proven without the journal: the live configuration of the gateway, the labels of
//! containers, and the manifests on disk.
//!
//! Production is what the production lane of the live configuration serves, and nothing else: no canary is promoted by a
//! guess. Where that cannot be proven everything stays as it is, until a person decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use canaryd_gateway::{Intent, Lane, Traffic};
use canaryd_rollout::{ComponentName, RevisionId, Rollout, SetId, Weight};
use jiff::Timestamp;

use crate::crew::{Crew, Crews, Member, Wish};
use crate::lanes::{REVERT_DRAIN, carries};
use crate::maintenance::Maintenance;
use crate::memory::{Deployed, Memory, Previous, Retired};
use crate::phase::Phase;
use crate::promote::HISTORY;
use crate::release::{Blocked, Past, Release, bare};
use crate::report::{Event, Outcome, OutcomeView, Severity};
use crate::trial::{Kind, Trial};
use crate::turn::occupies;
use crate::world::{Replica, SetView};

/// Why a version is not tried again by itself.
const WHY: &str = "the journal was rebuilt";

/// What is left of one rollout when its memory is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The last valid manifest.
    pub desired: Option<Rollout>,
    /// Every version whose content is on disk.
    pub revisions: Vec<Rollout>,
    /// Its containers, by their labels.
    pub sets: Vec<SetView>,
    /// Versions by revision, as the labels say them.
    pub versions: BTreeMap<RevisionId, String>,
    /// What the live configuration of its gateway does (an all-production twin: no weight for the canary).
    pub live: Option<Intent>,
    /// The highest number of an intent on disk.
    pub seq: u64,
    /// The highest number of a set that is only told of: in older configurations, in failure bundles.
    pub last_set: u64,
}

/// A memory that was made anew, and what a person should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// To be journalled.
    pub memory: Memory,
    /// What is proven.
    pub found: Vec<String>,
    /// What is assumed where nothing proves it, and what follows.
    pub assumed: Vec<String>,
    /// For the history.
    pub events: Vec<Event>,
}

/// Makes the memory of one rollout anew. Total: where nothing is proven, nothing is touched.
#[must_use]
pub fn rebuild(traces: &Traces, now: Timestamp) -> Rebuilt {
    let mut work = Rebuilding {
        traces,
        now,
        memory: Memory::default(),
        taken: BTreeSet::new(),
        found: Vec::new(),
        assumed: Vec::new(),
    };
    work.count();
    match work.proof() {
        Ok((set, release)) => work.around(set, release),
        Err(why) => work.leave_alone(&why),
    }
    work.keep_files();
    let Rebuilding { memory, found, assumed, .. } = work;
    let production = memory.production.as_ref().map_or("nothing is known to be in production".to_owned(), |d| {
        format!("{} is in production", d.release.version)
    });
    let message = format!("the journal was rebuilt from containers and the live configuration: {production}");
    let events = vec![Event { severity: Severity::Notify, kind: "journal-rebuilt".to_owned(), message }];
    Rebuilt { memory, found, assumed, events }
}

/// A memory in the making.
struct Rebuilding<'a> {
    traces: &'a Traces,
    now: Timestamp,
    memory: Memory,
    /// Sets that have their place.
    taken: BTreeSet<SetId>,
    found: Vec<String>,
    assumed: Vec<String>,
}

impl<'a> Rebuilding<'a> {
    /// Numbers go on above every one that is known to have been used.
    fn count(&mut self) {
        let traces = self.traces;
        let memory = &mut self.memory;
        memory.seq = traces.seq.max(traces.live.as_ref().map_or(0, |live| live.seq));
        let labels = traces.sets.iter().map(|set| &set.id);
        let lanes = traces.live.iter().flat_map(|live| live.lanes.values().flatten()).map(|e| &e.set);
        memory.last_set = labels.chain(lanes).map(number).max().unwrap_or(0).max(traces.last_set);
        for set in &traces.sets {
            let last = memory.last_ordinal.entry(set.component.clone()).or_insert(0);
            *last = set.replicas.iter().map(|r| r.ordinal).max().unwrap_or(0).max(*last);
        }
        let served = traces.live.iter().flat_map(|live| live.lanes.values().flatten()).map(|e| e.ordinal).max();
        if let Some(served) = served {
            let last = memory.last_ordinal.entry(ComponentName::app()).or_insert(0);
            *last = served.max(*last);
        }
        memory.manifest = traces.desired.as_ref().map(|desired| Box::new(bare(desired)));
    }

    /// The app set in production, and its content; or why neither can be proven.
    fn proof(&self) -> Result<(&'a SetView, Release), String> {
        let live = self.traces.live.as_ref().ok_or("no configuration of its gateway says who serves")?;
        let serving = live.lane(Lane::Production).first().map(|e| e.set.clone());
        let serving = serving.ok_or("nothing is in the production lane of its gateway")?;
        let set = self.traces.sets.iter().find(|set| set.id == serving && set.component.is_app());
        let set = set.ok_or_else(|| format!("set {serving}, which its gateway serves, has no containers"))?;
        let release = self.known(&set.revision);
        let release = release.ok_or_else(|| format!("the content of revision {} is not on disk", set.revision))?;
        Ok((set, release))
    }

    /// Content that is on disk.
    fn known(&self, revision: &RevisionId) -> Option<Release> {
        let desired = self.traces.desired.iter().chain(&self.traces.revisions);
        desired.into_iter().find(|rollout| &rollout.revision == revision).map(Release::of)
    }

    /// Likewise; where it is not, what the labels say is enough to stop and to remove it.
    fn named(&self, revision: &RevisionId) -> Release {
        self.known(revision).unwrap_or_else(|| Release {
            version: self.traces.versions.get(revision).cloned().unwrap_or_else(|| revision.to_string()),
            revision: revision.clone(),
            provisional: revision.clone(),
            components: Vec::new(),
        })
    }

    /// Production is proven: everything else has its place by it.
    fn around(&mut self, app: &'a SetView, release: Release) {
        let live = self.traces.live.clone();
        if let Some(Traffic::Stopped { page, retry_after }) = live.as_ref().map(|live| live.traffic) {
            self.memory.maintenance = Some(Maintenance::found(page, retry_after, self.now));
            self.found
                .push("it is stopped for maintenance, by the live configuration; canaryd start ends that".to_owned());
        }
        self.memory.asked = live.map(|live| Intent { seq: self.memory.seq, ..live });
        let lowered = self.memory.asked.as_ref().is_some_and(|asked| asked.traffic.canary() == Weight::ZERO);
        self.memory.last_without_canary = if lowered { self.memory.seq } else { 0 };
        if self.memory.manifest.is_none() {
            let kept = self.traces.revisions.iter().find(|rollout| rollout.revision == release.revision);
            self.memory.manifest = kept.map(|rollout| Box::new(bare(rollout)));
        }
        let crews = self.crews(app, Wish::Running, Wish::Stopped);
        self.found.push(format!(
            "{} is in production: {} of set {} ({}), by the production lane of the live configuration",
            release.version,
            replicas(&crews),
            app.id,
            release.revision
        ));
        let revision = release.revision.clone();
        self.memory.production = Some(Deployed { release, crews, since: self.now });
        self.place_trial(app, &revision);
        self.place_previous(app, &revision);
        self.place_the_rest(&revision);
        self.block_what_is_asked(Some(&revision));
    }

    /// What is on trial is taken off, as if somebody had said abort; an undo or a restart on its way is given up.
    fn place_trial(&mut self, production: &SetView, serving: &RevisionId) {
        let newer = |set: &&&SetView| number(&set.id) > number(&production.id);
        let runs = |set: &&&SetView| set.replicas.iter().any(occupies);
        let apps: Vec<&SetView> = self.traces.sets.iter().filter(|set| set.component.is_app()).collect();
        let in_lane = apps.iter().filter(newer).find(|set| self.is_in_lane(Lane::Canary, &set.id));
        let Some(app) = in_lane.or_else(|| apps.iter().filter(newer).filter(runs).max_by_key(|s| number(&s.id))) else {
            return;
        };
        let release = self.named(&app.revision);
        // Its containers are stopped once they are drained.
        let crews = self.crews(app, Wish::Running, Wish::Stopped);
        let text = format!("{} was on trial ({} of set {})", release.version, replicas(&crews), app.id);
        self.found.push(text);
        if release.revision == *serving {
            self.assumed.push(format!("the second set of {} is given up; the first serves on", release.version));
        } else {
            self.assumed.push(format!(
                "{} counts as aborted: 0 %, drained, removed, not tried again before canaryd retry",
                release.version
            ));
            let aborted = self.aborted(&release);
            self.memory.has_ended(aborted);
            self.block(&release);
        }
        let Some(trial) = self.trial(release, crews) else { return };
        self.memory.trial = Some(trial);
        self.memory.phase = Phase::Reverting { keep: false, why: WHY.to_owned(), spent: Duration::ZERO };
    }

    fn trial(&self, release: Release, crews: Crews) -> Option<Trial> {
        let manifest = self.memory.manifest.as_ref()?;
        Some(Trial { told: true, ..Trial::new(Kind::Canary, release, crews, manifest, self.now) })
    }

    fn aborted(&self, release: &Release) -> OutcomeView {
        OutcomeView {
            outcome: Outcome::Aborted,
            version: release.version.clone(),
            revision: release.revision.clone(),
            reason: WHY.to_owned(),
            check: None,
            at: self.now,
            took: 0.0,
            requests: 0,
            failed: 0,
            actor: None,
        }
    }

    /// What runs without traffic and is older than production is what production took the place of.
    fn place_previous(&mut self, production: &SetView, serving: &RevisionId) {
        let older = |set: &&SetView| set.component.is_app() && number(&set.id) < number(&production.id);
        let other = |set: &&SetView| &set.revision != serving && set.replicas.iter().any(occupies);
        let found = self.traces.sets.iter().filter(older).filter(other).max_by_key(|set| number(&set.id));
        let Some(app) = found else { return };
        let release = self.named(&app.revision);
        let mut crews = self.crews(app, Wish::Running, Wish::Stopped);
        // Only the app of a version before is kept warm: its workers would work beside those of production.
        for crew in crews.iter_mut().filter(|(name, _)| !name.is_app()).map(|(_, crew)| crew) {
            crew.members.values_mut().for_each(|member| member.wish = Wish::Stopped);
        }
        let keep = self.memory.manifest.as_ref().map_or(Duration::ZERO, |m| m.promotion.keep_previous);
        let warm_until = self.later(keep);
        self.found.push(format!("{} runs without traffic ({} of set {})", release.version, replicas(&crews), app.id));
        self.assumed.push(format!(
            "{} is the version before; undo goes back to it, from now on as long as keepPrevious says",
            release.version
        ));
        self.memory.previous = Some(Previous { release, crews, left: self.now, warm_until });
    }

    /// Sets that nothing sends requests to: stopped, kept for a look, then removed.
    fn place_the_rest(&mut self, serving: &RevisionId) {
        let keep = self.memory.manifest.as_ref().map_or(Duration::from_secs(3600), |m| m.promotion.keep_failed);
        let until = Some(self.later(keep));
        for set in self.traces.sets.iter().filter(|set| !self.taken.contains(&set.id)).collect::<Vec<_>>() {
            let release = self.named(&set.revision);
            let what = describe(set, &release);
            if self.may_be_at_work(set) {
                self.assumed.push(format!("{what}: stopped as those of production take their place, then removed"));
                self.retire(set, release, Wish::Running, until);
                continue;
            }
            self.assumed.push(format!("nothing sends requests to {what}: stopped, and removed after keepFailed"));
            if set.component.is_app() && &set.revision != serving {
                self.block(&release);
            }
            self.retire(set, release, Wish::Leaving, until);
        }
    }

    fn retire(&mut self, set: &SetView, release: Release, up: Wish, until: Option<Timestamp>) {
        let drain = release.app().map_or(REVERT_DRAIN, |app| app.stop.drain);
        let crews = Crews::from([(set.component.clone(), self.crew(set, up, Wish::Stopped))]);
        let works_on = self.may_be_at_work(set);
        self.memory.retired.push(Retired { release, crews, drain, until, works_on });
    }

    /// Workers that run beside those of production may be the ones that production has to take the place of yet.
    fn may_be_at_work(&self, set: &SetView) -> bool {
        let production = self.memory.production.as_ref().filter(|_| !set.component.is_app());
        production.is_some_and(|d| d.release.component(&set.component).is_some()) && set.replicas.iter().any(occupies)
    }

    /// Nothing is proven: what there is stays as it is, and nothing starts before somebody says so.
    fn leave_alone(&mut self, why: &str) {
        if self.traces.sets.is_empty() {
            self.found.push("it has no containers".to_owned());
        } else {
            self.found.push(format!("what is in production cannot be proven: {why}"));
        }
        for set in &self.traces.sets {
            let release = self.named(&set.revision);
            let what = describe(set, &release);
            self.assumed.push(format!("left as it is, and not known as production: {what}"));
            self.retire(set, release, Wish::Running, Some(Timestamp::MAX));
        }
        self.block_what_is_asked(None);
    }

    /// Nothing starts by surprise: what the manifest asks for and is not in production waits for a person.
    fn block_what_is_asked(&mut self, serving: Option<&RevisionId>) {
        let Some(desired) = self.traces.desired.as_ref().filter(|desired| Some(&desired.revision) != serving) else {
            return;
        };
        let release = Release::of(desired);
        if self.memory.trial.as_ref().is_none_or(|trial| trial.release.revision != release.revision) {
            let version = &release.version;
            self.assumed.push(format!("{version}, which the manifest asks for, is not started before canaryd retry"));
        }
        self.block(&release);
    }

    fn block(&mut self, release: &Release) {
        if self.memory.blocked.iter().any(|b| b.revision == release.revision) {
            return;
        }
        self.memory.blocked.push(Blocked {
            version: release.version.clone(),
            revision: release.revision.clone(),
            provisional: release.provisional.clone(),
            outcome: Outcome::Aborted,
            why: WHY.to_owned(),
            at: self.now,
        });
    }

    /// Files and image tags of the versions that are needed, and of the last few that may be.
    fn keep_files(&mut self) {
        let needed = self.memory.revisions();
        let others = self.traces.revisions.iter().filter(|rollout| !needed.contains(&rollout.revision));
        for (n, rollout) in others.enumerate() {
            if n < HISTORY {
                let (version, revision) = (rollout.version.clone(), rollout.revision.clone());
                self.memory.history.push(Past { version, revision, left: self.now });
            } else {
                self.memory.given_up.insert(rollout.revision.clone());
            }
        }
        let on_disk: BTreeSet<&RevisionId> = self.traces.revisions.iter().map(|rollout| &rollout.revision).collect();
        self.memory.kept = self.memory.revisions().into_iter().filter(|revision| on_disk.contains(revision)).collect();
    }

    /// The app set with the workers that were started with it.
    fn crews(&mut self, app: &SetView, up: Wish, down: Wish) -> Crews {
        let mut crews = Crews::from([(app.component.clone(), self.crew(app, up, down))]);
        let workers = self.traces.sets.iter().filter(|set| !set.component.is_app() && set.revision == app.revision);
        let mut of: BTreeMap<&ComponentName, Vec<&SetView>> = BTreeMap::new();
        for set in workers.filter(|set| !self.taken.contains(&set.id)) {
            of.entry(&set.component).or_default().push(set);
        }
        for (component, sets) in of {
            let later = sets.iter().filter(|set| number(&set.id) > number(&app.id)).min_by_key(|set| number(&set.id));
            let Some(set) = later.or_else(|| sets.iter().max_by_key(|set| number(&set.id))).copied() else { continue };
            crews.insert(component.clone(), self.crew(set, up, down));
        }
        crews
    }

    fn crew(&mut self, set: &SetView, up: Wish, down: Wish) -> Crew {
        self.taken.insert(set.id.clone());
        let member = |replica: &Replica| {
            let wish = if occupies(replica) { up } else { down };
            let serves = self.traces.live.as_ref().is_some_and(|live| carries(live, &set.id, Some(replica.ordinal)));
            let listed = serves || self.is_in_lane_as(Lane::Production, &set.id, replica.ordinal);
            Member {
                wish,
                born: true,
                ready: listed || !set.component.is_app(),
                // Who is in the live configuration was healthy in this life: it is believed until it is asked again.
                proven: replica.started_at.filter(|_| listed),
                seen: replica.exits.iter().map(|exit| exit.at).max(),
                exits: 0,
                quiet: None,
                down: false,
                paused: false,
            }
        };
        let members = set.replicas.iter().map(|replica| (replica.ordinal, member(replica))).collect();
        Crew { set: set.id.clone(), members }
    }

    fn is_in_lane(&self, lane: Lane, set: &SetId) -> bool {
        self.traces.live.as_ref().is_some_and(|live| live.lane(lane).iter().any(|e| &e.set == set))
    }

    fn is_in_lane_as(&self, lane: Lane, set: &SetId, ordinal: u32) -> bool {
        let live = self.traces.live.as_ref();
        live.is_some_and(|live| live.lane(lane).iter().any(|e| &e.set == set && e.ordinal == ordinal))
    }

    fn later(&self, duration: Duration) -> Timestamp {
        self.now.checked_add(duration).unwrap_or(Timestamp::MAX)
    }
}

/// The number of a set: they rise.
fn number(set: &SetId) -> u64 {
    set.as_str()[1..].parse().unwrap_or(0)
}

fn replicas(crews: &Crews) -> String {
    count(crews.values().map(|crew| crew.members.len()).sum())
}

fn describe(set: &SetView, release: &Release) -> String {
    format!("{} of {} {} (set {})", count(set.replicas.len()), set.component, release.version, set.id)
}

fn count(n: usize) -> String {
    if n == 1 { "1 container".to_owned() } else { format!("{n} containers") }
}
