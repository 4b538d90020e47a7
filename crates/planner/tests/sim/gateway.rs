//! NGINX: makes intents live, lowerings at once.

use std::time::Duration;

use canaryd_gateway::{Intent, Traffic};
use canaryd_planner::{Exit, ExitCause, GatewayContainer, GatewayView, Live};
use canaryd_rollout::Weight;
use jiff::Timestamp;

#[derive(Clone, Default)]
pub struct Nginx {
    pub live: Option<Live>,
    asked: Option<(Timestamp, Intent)>,
    /// How long a change takes that is no lowering.
    pub delay: Duration,
    /// How long workers of an older generation finish requests.
    pub linger: Duration,
    old: Vec<Timestamp>,
    /// Set by hand.
    pub old_workers: u32,
    pub problem: Option<String>,
    pub lowered_offline: bool,
    /// The daemon lowered it and was killed before it could write down why.
    pub unexplained: bool,
    /// It was a precaution, and is written down so.
    precaution: bool,
    /// It answers nobody.
    pub silent: Option<String>,
    /// What of the newest manifest it refuses.
    pub refused: Option<String>,
    /// Its container: made when it is first asked for, and brought back a second after somebody ended it.
    container: Option<GatewayContainer>,
    made: u32,
    ended: Option<Timestamp>,
    /// What is live is the twin of this intent.
    twin_of: Option<u64>,
}

impl Nginx {
    /// Somebody stops its container, or removes it.
    pub fn end(&mut self, is_removed: bool, now: Timestamp) {
        self.ended = Some(now);
        if let Some(container) = &mut self.container {
            (container.runs, container.paused) = (false, false);
            container.exit = Some(Exit { at: now, code: 0, oom: false, cause: ExitCause::Somebody });
        }
        self.container = self.container.take().filter(|_| !is_removed);
    }

    /// Somebody pauses its container, or lets it go on.
    pub fn pause(&mut self, is_paused: bool) {
        self.container.iter_mut().for_each(|container| container.paused = is_paused);
    }

    fn start_container(&mut self, now: Timestamp) {
        if self.ended.is_some_and(|ended| now < ended + Duration::from_secs(1)) {
            return;
        }
        let made = self.made;
        let container = self.container.get_or_insert_with(|| GatewayContainer {
            id: format!("g{}", made + 1),
            runs: false,
            paused: false,
            started_at: None,
            exit: None,
        });
        if !container.runs {
            (container.runs, container.started_at) = (true, Some(now));
            self.made += 1;
        }
    }

    pub fn ask(&mut self, intent: &Intent, now: Timestamp) {
        if (self.lowered_offline || self.unexplained) && intent.traffic.canary() > Weight::ZERO {
            return;
        }
        if intent.traffic.canary() == Weight::ZERO {
            (self.lowered_offline, self.unexplained) = (false, false);
        }
        let due = self.asked.as_ref().filter(|(_, asked)| asked == intent).map_or(now + self.delay, |(due, _)| *due);
        self.asked = Some((due, intent.clone()));
        let lowers = self.live.as_ref().is_some_and(|l| intent.lowers(&l.intent));
        if lowers {
            let lowered = self.live.as_ref().map(|live| live.intent.seq);
            self.make_live(intent.clone(), now);
            self.twin_of = lowered.filter(|_| intent.traffic.canary() == Weight::ZERO);
            self.precaution = intent.precaution;
        }
        self.follow(now);
    }

    pub fn follow(&mut self, now: Timestamp) {
        if self.asked.is_some() {
            self.start_container(now);
        }
        self.old.retain(|until| *until > now);
        // a moment that is too far away is one from before the clock was set back
        let is_due = |due: Timestamp| due <= now || due > now + self.delay;
        let due = self.asked.as_ref().filter(|(due, _)| is_due(*due) && self.problem.is_none());
        if let Some((_, intent)) = due.cloned() {
            self.make_live(intent, now);
        }
    }

    fn make_live(&mut self, intent: Intent, now: Timestamp) {
        if self.live.as_ref().is_some_and(|l| l.intent == intent) {
            return;
        }
        if self.live.is_some() && !self.linger.is_zero() {
            self.old.push(now + self.linger);
        }
        let generation = format!("1.{}", intent.seq);
        (self.lowered_offline, self.unexplained, self.precaution) = (false, false, false);
        self.twin_of = None;
        self.live = Some(Live { intent, generation, since: now });
    }

    /// Somebody swaps the symlink to the twin.
    pub fn lower_offline(&mut self) {
        let Some(live) = &mut self.live else { return };
        self.lowered_offline = live.intent.traffic.canary() > Weight::ZERO;
        if live.intent.traffic.reaches_somebody() {
            live.intent.traffic = Traffic::PRODUCTION;
        }
        self.asked = None;
    }

    /// The gateway is found at the twin of the very intent that the journal knows: nobody could write down that it was
    /// lowered.
    pub fn wake(&mut self, known: Option<&Intent>) {
        let weighty = known.filter(|known| known.traffic.canary() > Weight::ZERO);
        self.unexplained |= weighty.is_some_and(|known| self.twin_of == Some(known.seq));
    }

    /// What is on disk is live, and nothing else is known.
    pub fn start_again(&mut self, live: Option<Live>) {
        (self.live, self.asked, self.twin_of) = (live, None, None);
        (self.lowered_offline, self.unexplained, self.precaution) = (false, false, false);
    }

    pub fn remove(&mut self) {
        *self = Self { delay: self.delay, linger: self.linger, ..Self::default() };
    }

    pub fn view(&self) -> GatewayView {
        GatewayView {
            live: self.live.clone(),
            old_workers: self.old_workers + u32::try_from(self.old.len()).unwrap(),
            lowered_offline: self.lowered_offline,
            unexplained: self.unexplained,
            precaution: self.unexplained && self.precaution,
            problem: self.problem.clone(),
            silent: self.silent.clone(),
            refused: self.refused.clone(),
            container: self.container.clone(),
            ..GatewayView::default()
        }
    }
}
