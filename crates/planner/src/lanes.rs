//! Who gets traffic: the intent that follows from the memory and from what runs.
//!
//! Two laws meet here. "The canary's weight never rises because production got worse": an *unhealthy* production keeps
//! its share, and its running replicas stay rendered. "A lane without a running container gets nothing": when production
//! has *no running container at all*, its share would be refused, so a canary that is healthy and neither condemned nor
//! held takes all of it until production runs again; without such a canary nobody serves, an honest 503. The granted
//! weight in memory is not touched by this, and no stage counts time during it.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_gateway::{Endpoint, Intent, Lane, Traffic};
use canaryd_rollout::{SetId, Weight};

use crate::action::Action;
use crate::crew::{Crew, Member};
use crate::release::Release;
use crate::trial::Kind;
use crate::turn::{Turn, is_healthy, is_presumed_healthy, is_running};
use crate::world::{Health, Replica};

/// After a revert, old NGINX workers are waited for at most this long.
pub(crate) const REVERT_DRAIN: Duration = Duration::from_secs(5);

pub(crate) type Lanes = BTreeMap<Lane, Vec<Endpoint>>;

impl Turn<'_> {
    /// The canary's share as decided, whatever runs.
    pub(crate) fn wanted_weight(&self) -> Weight {
        match self.trial() {
            Some(trial) if trial.is_refused_by_host() || trial.sight.precaution.is_some() => Weight::ZERO,
            Some(trial) if trial.kind != Kind::Install && !self.is_condemned() => trial.weight,
            Some(_) | None => Weight::ZERO,
        }
    }

    /// Whether the trial must not get a single request: it is on its way out, or an exit holds it.
    fn is_condemned(&self) -> bool {
        self.memory.deletion.is_some() || self.is_reverting() || self.trial().is_some_and(|t| t.crash.is_some())
    }

    /// What the gateway should do; `None` while this rollout never had anything.
    fn wish(&self) -> Option<(Traffic, Lanes)> {
        let ever = self.memory.production.is_some() || self.memory.trial.is_some() || self.memory.asked.is_some();
        if !ever {
            return None;
        }
        let unseen = !self.engine_answers() && self.world.sets.is_empty();
        if unseen && self.memory.deletion.is_none() {
            return self.wish_unseen();
        }
        if let Some(stopped) = self.stopped_traffic() {
            return Some(stopped);
        }
        if self.memory.deletion.is_some() {
            return Some((Traffic::Nobody, Lanes::new()));
        }
        Some(self.split(self.production_endpoints(), self.canary_endpoints()))
    }

    /// Before the engine was asked for the first time nothing is known of any container: what was asked for stays, and the
    /// canary's share can only fall.
    fn wish_unseen(&self) -> Option<(Traffic, Lanes)> {
        let asked = self.memory.asked.as_ref()?;
        let traffic = match asked.traffic {
            Traffic::Split { canary } if !asked.lane(Lane::Production).is_empty() => {
                Traffic::Split { canary: canary.min(self.wanted_weight()) }
            }
            unchanged @ (Traffic::Nobody | Traffic::Stopped { .. } | Traffic::Split { .. }) => unchanged,
        };
        Some((traffic, asked.lanes.clone()))
    }

    fn split(&self, production: Vec<Endpoint>, canary: Vec<Endpoint>) -> (Traffic, Lanes) {
        let weight = self.wanted_weight();
        let both = |p: Vec<Endpoint>, c: Vec<Endpoint>| {
            let lanes = [(Lane::Production, p), (Lane::Canary, c)];
            lanes.into_iter().filter(|(_, endpoints)| !endpoints.is_empty()).collect::<Lanes>()
        };
        match (production.is_empty(), canary.is_empty()) {
            (false, false) => (Traffic::Split { canary: weight }, both(production, canary)),
            (false, true) => (Traffic::PRODUCTION, both(production, canary)),
            (true, false) if self.may_stand_in() => (Traffic::Split { canary: Weight::FULL }, both(production, canary)),
            (true, false | true) => (Traffic::Nobody, Lanes::new()),
        }
    }

    /// Whether the canary may take everything while production has no container that ever answered.
    fn may_stand_in(&self) -> bool {
        let crew = self.trial().and_then(|t| Self::app_crew(&t.crews));
        !self.is_condemned() && crew.is_some_and(|c| self.healthy(c) > 0)
    }

    /// Whether users get more of the canary than it was granted, because production has nobody to answer.
    pub(crate) fn stands_in(&self) -> bool {
        let granted = self.wanted_weight();
        let gets_all = self.world.gateway.traffic().canary() == Weight::FULL && granted < Weight::FULL;
        gets_all && self.may_stand_in() && self.production_version().is_some() && self.production_endpoints().is_empty()
    }

    fn production_endpoints(&self) -> Vec<Endpoint> {
        if let Some(production) = &self.memory.production {
            // While a proven canary can answer, nobody is sent to what has yet to start.
            let open = !self.may_stand_in();
            return self.endpoints(&production.release, Self::app_crew(&production.crews), open);
        }
        let install = self.trial().filter(|t| t.kind == Kind::Install && !self.is_reverting());
        let proven = install.filter(|t| t.crews.values().any(|c| c.running().any(|(_, m)| m.ready)));
        proven.map_or_else(Vec::new, |t| self.endpoints(&t.release, Self::app_crew(&t.crews), true))
    }

    fn canary_endpoints(&self) -> Vec<Endpoint> {
        let trial = self.trial().filter(|t| t.kind != Kind::Install);
        trial.map_or_else(Vec::new, |t| {
            let serves = self.wanted_weight() > Weight::ZERO;
            self.endpoints(&t.release, Self::app_crew(&t.crews), serves)
        })
    }

    /// The healthy replicas; if there are none, those that were healthy; if there are none either and the lane serves,
    /// all that run (fail open).
    fn endpoints(&self, release: &Release, crew: Option<&Crew>, serves: bool) -> Vec<Endpoint> {
        let Some(crew) = crew else { return Vec::new() };
        let port = release.app().and_then(|a| a.port).unwrap_or(80);
        let choose = |fits: &dyn Fn(&Member, &Replica) -> bool| -> Vec<Endpoint> {
            let seen = crew.running().filter_map(|(o, m)| Some((m, self.replica(&crew.set, o)?)));
            let replicas = seen.filter(|(m, r)| fits(m, r)).map(|(_, r)| r);
            let endpoint =
                |r: &Replica| r.addr.map(|addr| Endpoint { set: crew.set.clone(), ordinal: r.ordinal, addr, port });
            replicas.filter_map(endpoint).collect()
        };
        let was_healthy = |m: &Member, r: &Replica| {
            let in_this_life = m.proven.is_some() && m.proven == r.started_at;
            is_running(r) && (in_this_life || matches!(r.health, Health::Unhealthy { .. }))
        };
        let mut endpoints = choose(&|m, r| is_healthy(r) || is_presumed_healthy(m, r));
        if endpoints.is_empty() {
            endpoints = choose(&was_healthy);
        }
        if endpoints.is_empty() && serves {
            endpoints = choose(&|_, r| is_running(r));
        }
        endpoints.sort();
        endpoints
    }

    /// Asks the gateway for what follows from the memory. Said again, under the same number, while it is not live.
    pub(crate) fn route(&mut self) {
        let Some((traffic, lanes)) = self.wish() else { return };
        let known = self.memory.asked.as_ref().filter(|a| a.traffic == traffic && a.lanes == lanes);
        let intent = match known {
            Some(same) if self.is_live(same) => return,
            Some(same) => same.clone(),
            None => {
                self.memory.seq += 1;
                Intent { seq: self.memory.seq, traffic, lanes, precaution: self.precaution().is_some() }
            }
        };
        if intent.traffic.canary() == Weight::ZERO {
            self.memory.last_without_canary = intent.seq;
        }
        self.memory.asked = Some(intent.clone());
        self.actions.insert(0, Action::Route(intent));
    }

    fn is_live(&self, intent: &Intent) -> bool {
        self.world.gateway.live.as_ref().is_some_and(|l| same_wish(&l.intent, intent))
    }

    /// Whether what was last asked for is proven live.
    pub(crate) fn asked_is_live(&self) -> bool {
        self.memory.asked.as_ref().is_some_and(|a| self.is_live(a))
    }

    /// Whether what follows from this very turn is live already. What was asked before may be older: that nobody serves.
    pub(crate) fn serves_as_it_should(&self) -> bool {
        let live = self.world.gateway.live.as_ref().map(|l| &l.intent);
        self.wish().is_some_and(|(traffic, lanes)| live.is_some_and(|l| l.traffic == traffic && l.lanes == lanes))
    }

    /// Whether a first version answers users, with all of its replicas or with some.
    pub(crate) fn first_version_serves(&self) -> bool {
        let app = self.trial().filter(|_| self.is_install()).and_then(|trial| Self::app_crew(&trial.crews));
        app.is_some_and(|crew| self.healthy(crew) > 0)
            && self.serves_as_it_should()
            && self.world.gateway.traffic().reaches_somebody()
    }

    /// Whether the granted weight is what was asked for last, and proven live.
    pub(crate) fn weight_is_live(&self) -> bool {
        let weight = self.wanted_weight();
        let asked = self.memory.asked.as_ref().map(|a| a.traffic);
        let honest = matches!(asked, Some(Traffic::Split { canary }) if canary == weight);
        honest && self.asked_is_live()
    }

    /// Whether the gateway's container runs, as far as is known.
    pub(crate) fn gateway_runs(&self) -> bool {
        self.world.gateway.container.as_ref().is_none_or(|container| container.runs)
    }

    /// Whether users get answers from the gateway, as far as is known.
    pub(crate) fn gateway_answers(&self) -> bool {
        self.gateway_runs() && self.world.gateway.silent.is_none()
    }

    /// Whether a raise would meet too many old NGINX workers; lowerings never wait.
    pub(crate) fn gateway_is_busy(&mut self) -> bool {
        let workers = self.world.gateway.old_workers;
        if workers > 8 {
            self.wait_drain(workers, Duration::ZERO);
        }
        workers > 8
    }

    /// Whether something that is live, or was asked for, sends requests to this replica (`None`: to any of the set).
    pub(crate) fn is_carried(&self, set: &SetId, ordinal: Option<u32>) -> bool {
        let live = self.world.gateway.live.as_ref().map(|l| &l.intent);
        live.into_iter().chain(&self.memory.asked).any(|intent| carries(intent, set, ordinal))
    }

    /// Whether requests can no longer be on their way to this member of a set: nothing sends any, and old NGINX workers
    /// are gone, or were waited for long enough. Of a gateway that was not looked at yet no worker is known to be gone.
    pub(crate) fn is_drained(&self, set: &SetId, ordinal: u32, member: &Member, at_most: Duration) -> bool {
        let workers_are_gone = self.world.gateway.live.is_some() && self.world.gateway.old_workers == 0;
        !self.is_carried(set, Some(ordinal)) && (workers_are_gone || member.quiet.is_some_and(|quiet| quiet >= at_most))
    }

    /// Likewise, for all of a set.
    pub(crate) fn is_set_drained(&self, crew: &Crew, at_most: Duration) -> bool {
        crew.members.iter().all(|(ordinal, member)| self.is_drained(&crew.set, *ordinal, member, at_most))
    }

    pub(crate) fn wait_drain(&mut self, workers: u32, at_most: Duration) {
        self.waiting.push(crate::report::Waiting::Drain { workers, seconds: at_most.as_secs() });
    }
}

/// Two intents that differ in their number only are the same wish.
pub(crate) fn same_wish(a: &Intent, b: &Intent) -> bool {
    a.traffic == b.traffic && a.lanes == b.lanes
}

/// Whether an intent sends requests to this replica (`None`: to any of the set).
pub(crate) fn carries(intent: &Intent, set: &SetId, ordinal: Option<u32>) -> bool {
    let share = |lane: Lane| match (intent.traffic, lane) {
        (Traffic::Nobody | Traffic::Stopped { .. }, Lane::Production | Lane::Canary) => Weight::ZERO,
        (Traffic::Split { canary }, Lane::Canary) => canary,
        (Traffic::Split { canary }, Lane::Production) => canary.complement(),
    };
    let here = |e: &Endpoint| &e.set == set && ordinal.is_none_or(|o| o == e.ordinal);
    [Lane::Production, Lane::Canary].into_iter().any(|l| share(l) > Weight::ZERO && intent.lane(l).iter().any(here))
}
