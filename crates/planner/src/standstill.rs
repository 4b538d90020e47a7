//! What is done while a rollout is stopped, and what is said of it: the way down, the rest, the way back.

use std::time::Duration;

use canaryd_gateway::{Lane, Traffic};
use canaryd_rollout::ComponentName;

use crate::crash::clock;
use crate::crew::{Crew, Crews, Wish, count, several};
use crate::lanes::Lanes;
use crate::maintenance::Maintenance;
use crate::report::{Severity, Waiting};
use crate::turn::{Did, Turn, is_healthy, occupies, why_not_healthy};
use crate::world::{ExitCause, Replica, RunState};

impl Turn<'_> {
    /// What users get while it is stopped; `None`: it is not, or it is well enough to serve again.
    pub(crate) fn stopped_traffic(&self) -> Option<(Traffic, Lanes)> {
        let held = self.memory.maintenance.as_ref()?;
        if held.back.is_some() && self.app_is_back() {
            return None;
        }
        // Nobody gets there; but whoever has nothing but the configuration must know what was in production.
        let before = self.memory.asked.as_ref().map(|asked| asked.lane(Lane::Production).to_vec()).unwrap_or_default();
        let lanes = [(Lane::Production, before)].into_iter().filter(|(_, endpoints)| !endpoints.is_empty());
        Some((held.traffic(), lanes.collect()))
    }

    /// Every replica of production's app is there and healthy.
    fn app_is_back(&self) -> bool {
        let Some(production) = &self.memory.production else { return false };
        let Some((app, crew)) = production.release.app().zip(Self::app_crew(&production.crews)) else { return false };
        crew.size() >= self.replicas(app) && self.not_healthy(crew).is_none()
    }

    pub(crate) fn progress_maintenance(&mut self) -> Option<Did> {
        let held = self.memory.maintenance.clone()?;
        Some(if held.back.is_some() { self.progress_back(&held) } else { self.progress_down(&held) })
    }

    fn progress_down(&mut self, held: &Maintenance) -> Did {
        let up = self.still_up();
        if !self.page_is_live() {
            self.waiting.push(Waiting::GatewayLive { problem: self.world.gateway.problem.clone() });
        } else if self.is_draining() {
            let drain = self.manifest().map_or(Duration::ZERO, |m| m.app.stop.drain);
            self.wait_drain(self.world.gateway.old_workers, drain);
        } else if up > 0 {
            self.waiting.push(Waiting::Ending { containers: up });
        } else if self.engine_answers() && !held.down {
            self.is_down();
        }
        self.waiting.push(Waiting::Start { why: held.in_words(self.now) });
        Did::Wait
    }

    fn is_down(&mut self) {
        let kept = self.production_replicas().count() as u64;
        if let Some(held) = &mut self.memory.maintenance {
            held.down = true;
        }
        let version = self.production_version().unwrap_or_default();
        let message = format!("{version} is stopped; {} kept for the start", several(kept, "container"));
        self.tell(Severity::Info, "stopped", message);
    }

    fn progress_back(&mut self, held: &Maintenance) -> Did {
        if !self.app_is_back() {
            self.wait_for_app();
            self.time_back();
            return Did::Wait;
        }
        let serves =
            self.world.gateway.live.as_ref().is_some_and(|l| matches!(l.intent.traffic, Traffic::Split { .. }));
        if !(serves && self.asked_is_live()) {
            self.waiting.push(Waiting::GatewayLive { problem: self.world.gateway.problem.clone() });
            return Did::Wait;
        }
        self.memory.maintenance = None;
        let version = self.production_version().unwrap_or_default();
        let took = u64::try_from(self.now.duration_since(held.at).as_secs()).unwrap_or(0);
        let took = canaryd_rollout::fmt::duration(Duration::from_secs(took));
        let by = held.back.as_ref().map(|back| back.by.as_str()).unwrap_or_default();
        let message = format!("users get {version} again, {took} after it was stopped; started by {by}");
        self.tell(Severity::Info, "served-again", message);
        Did::Move
    }

    fn wait_for_app(&mut self) {
        let app = ComponentName::app();
        let crew = self.memory.production.as_ref().and_then(|d| Self::app_crew(&d.crews));
        let running: Vec<u32> = crew.into_iter().flat_map(Crew::running).map(|(ordinal, _)| ordinal).collect();
        let Some(set) = crew.map(|crew| crew.set.clone()) else { return };
        let whys = running.into_iter().filter_map(|ordinal| {
            let replica = self.replica(&set, ordinal);
            if replica.is_some_and(is_healthy) {
                return None;
            }
            let last = replica.map_or_else(|| Some("its container does not exist yet".to_owned()), why_not_up);
            Some(Waiting::Healthy { component: app.clone(), ordinal, last })
        });
        self.waiting.extend(whys.collect::<Vec<_>>());
    }

    /// A start that takes longer than a version may take is told once; it is tried on.
    fn time_back(&mut self) {
        let limit = self.manifest().map_or(Duration::MAX, |m| m.deadlines.start);
        let counts = self.engine_answers();
        let (delta, version) = (self.delta, self.production_version().unwrap_or_default());
        let why = self.why_not_back();
        let name = self.own_name();
        let Some(back) = self.memory.maintenance.as_mut().and_then(|held| held.back.as_mut()).filter(|_| counts) else {
            return;
        };
        back.spent += delta;
        if back.spent < limit || std::mem::replace(&mut back.told, true) {
            return;
        }
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!(
            "{version} does not come up{why}. Users get the page; canaryd logs {name} shows what it says, \
             canaryd stop {name} gives the start up"
        );
        self.tell(Severity::Notify, "start-late", message);
    }

    fn why_not_back(&self) -> Option<String> {
        let trouble = self.world.engine.troubles.iter().find(|trouble| {
            let crews = self.memory.production.as_ref().map(|d| &d.crews);
            crews.is_some_and(|crews| crews.values().any(|crew| crew.set == trouble.set))
        });
        trouble.map(|trouble| trouble.what.clone()).or_else(|| {
            self.waiting.iter().find_map(|waiting| match waiting {
                Waiting::Healthy { component, ordinal, last } => {
                    let last = last.as_ref().map(|last| format!(" ({last})")).unwrap_or_default();
                    Some(format!("{component} {ordinal} is not healthy{last}"))
                }
                _ => None,
            })
        })
    }

    /// Whether what users get is proven to be the page that is asked for.
    pub(crate) fn page_is_live(&self) -> bool {
        let live = self.world.gateway.live.as_ref().map(|live| live.intent.traffic);
        let asked = self.memory.maintenance.as_ref().map(Maintenance::traffic);
        live.is_some() && live == asked
    }

    /// What stops of production and of what is kept beside it: the app when it is drained, workers with it.
    pub(crate) fn tend_stopped(&mut self) {
        if self.memory.maintenance.as_ref().is_none_or(|held| held.back.is_some()) || !self.page_is_live() {
            return;
        }
        if let Some(mut production) = self.memory.production.take() {
            let drain = production.release.app().map_or(Duration::ZERO, |app| app.stop.drain);
            self.put_down(&mut production.crews, drain);
            self.memory.production = Some(production);
        }
        if let Some(mut previous) = self.memory.previous.take() {
            let drain = previous.release.app().map_or(Duration::ZERO, |app| app.stop.drain);
            self.put_down(&mut previous.crews, drain);
            self.memory.previous = Some(previous);
        }
    }

    fn put_down(&self, crews: &mut Crews, drain: Duration) {
        let app = ComponentName::app();
        if let Some(crew) = crews.get_mut(&app) {
            for ordinal in ordinals(crew, Wish::Running) {
                crew.want(ordinal, Wish::Leaving);
            }
            let drained = |o: &u32| crew.members.get(o).is_some_and(|m| self.is_drained(&crew.set, *o, m, drain));
            let done: Vec<u32> = ordinals(crew, Wish::Leaving).into_iter().filter(drained).collect();
            for ordinal in done {
                crew.want(ordinal, Wish::Stopped);
            }
        }
        if crews.get(&app).is_some_and(|crew| crew.with(Wish::Leaving).next().is_some()) {
            return;
        }
        for crew in crews.values_mut() {
            for ordinal in ordinals(crew, Wish::Running) {
                crew.want(ordinal, Wish::Stopped);
            }
        }
    }

    /// What was kept warm is kept warm again.
    pub(crate) fn wake_previous(&mut self) {
        let app = self.memory.previous.as_mut().and_then(|p| p.crews.get_mut(&ComponentName::app()));
        if let Some(crew) = app {
            for ordinal in
                [Wish::Stopped, Wish::Leaving].into_iter().flat_map(|wish| ordinals(crew, wish)).collect::<Vec<_>>()
            {
                crew.want(ordinal, Wish::Running);
            }
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        let crew = self.memory.production.as_ref().and_then(|d| Self::app_crew(&d.crews));
        crew.is_some_and(|crew| crew.running().chain(crew.with(Wish::Leaving)).next().is_some())
    }

    /// Containers of production and of what is kept beside it that run.
    fn still_up(&self) -> u32 {
        let previous = self.memory.previous.iter().flat_map(|p| p.crews.values());
        let old_workers = self.memory.retired.iter().filter(|r| r.works_on).flat_map(|r| r.crews.values());
        let beside = previous.chain(old_workers).filter_map(|crew| self.set(&crew.set)).flat_map(|set| &set.replicas);
        count(self.production_replicas().chain(beside).filter(|r| occupies(r)).count())
    }

    fn production_replicas(&self) -> impl Iterator<Item = &Replica> {
        let crews = self.memory.production.iter().flat_map(|d| d.crews.values());
        crews.filter_map(|crew| self.set(&crew.set)).flat_map(|set| &set.replicas)
    }
}

// --- what is said of it ---

impl Turn<'_> {
    /// Are users fine, do I have to do something?
    pub(crate) fn maintenance_sentence(&self) -> Option<String> {
        let held = self.memory.maintenance.as_ref()?;
        let (name, version) = (self.own_name(), self.production_version().unwrap_or_default());
        let ill = self.ill.as_ref().map(|ill| format!("{}. ", ill.what)).unwrap_or_default();
        let since = held.in_words(self.now);
        let users = match (self.page_is_live(), &self.world.gateway.problem) {
            (true, _) => "users get a page with 503".to_owned(),
            (false, None) => format!("users get {version} until the gateway shows the page"),
            (false, Some(problem)) => format!("users get {version}, for the gateway does not take the page: {problem}"),
        };
        Some(match (&held.back, held.down) {
            (None, true) => {
                format!("{ill}stopped for maintenance {since}; {users}. canaryd start {name} brings {version} back.")
            }
            (None, false) => {
                let then = "its containers stop when what is under way is finished";
                format!(
                    "{ill}being stopped for maintenance {since}; {users}; {then}. canaryd start {name} brings it back."
                )
            }
            (Some(back), _) => {
                let why = self.why_not_back().map(|why| format!(": {why}")).unwrap_or_default();
                let by = &back.by;
                if self.app_is_back() {
                    let problem = self.world.gateway.problem.as_ref().map(|p| format!(": {p}")).unwrap_or_default();
                    return Some(format!(
                        "{ill}{version} is healthy again; the gateway has yet to take it over{problem}."
                    ));
                }
                format!(
                    "{ill}stopped for maintenance {since}; being started again by {by}, and users get a page with 503 \
                     until {version} is healthy{why}."
                )
            }
        })
    }

    /// That what the manifest asks for waits as well.
    pub(crate) fn unbegun_while_stopped(&self) -> Option<String> {
        self.memory.maintenance.as_ref()?;
        let asked = self.asks().filter(|rollout| !self.production_is(rollout) && !self.is_blocked(rollout))?;
        let name = self.own_name();
        Some(format!("{}, which the manifest asks for, begins after canaryd start {name}", asked.version))
    }
}

fn ordinals(crew: &Crew, wish: Wish) -> Vec<u32> {
    crew.with(wish).map(|(ordinal, _)| ordinal).collect()
}

/// How it ended, where it ended by itself: that is what a person needs to know.
fn why_not_up(replica: &Replica) -> Option<String> {
    let ended = replica.exits.last().filter(|exit| exit.cause != ExitCause::Us);
    match (replica.state, ended) {
        (RunState::Exited | RunState::Restarting, Some(exit)) if exit.oom => {
            Some(format!("it was killed for memory at {}", clock(exit.at)))
        }
        (RunState::Exited | RunState::Restarting, Some(exit)) => {
            Some(format!("it ended with exit code {} at {}", exit.code, clock(exit.at)))
        }
        (RunState::Exited, None) => Some("its container is not started yet".to_owned()),
        (RunState::Running | RunState::Paused | RunState::Created | RunState::Restarting, _) => {
            why_not_healthy(replica)
        }
    }
}
