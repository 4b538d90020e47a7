//! Whether the harm that the version on trial does would be seen. Where it would not be, for long, its weight is 0 as a
//! precaution, whatever else can be done or not. Nobody is blamed, and it comes back by itself: to the beginning of its stage,
//! when it was seen for long enough in one go.

use std::time::Duration;

use canaryd_rollout::Weight;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::deadline::{REMINDER, words};
use crate::report::{Severity, Waiting};
use crate::trial::{Push, Trial};
use crate::turn::{Did, Turn};

/// So long users may get a version while nobody sees how it does; and so long it is seen in one go before they get it again.
/// What passes by itself is over in half of that: a log that is rotated, a gateway that restarts, lines that were lost (no more
/// of them for 5 s), a disk that hangs (each look takes 2 s more), a start of canaryd (50,000 lines a second).
const LONG: Duration = Duration::from_secs(30);
/// The time to be seen doubles with each precaution, so that a disk that is full now and then moves no weight now and then.
const DOUBLINGS: u32 = 5;
/// A log that was not read for so long is not read. The 2 s of a slow disk are no blindness.
const UNREAD: SignedDuration = SignedDuration::from_secs(10);

/// How well the version on trial is seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// Time in which users got it and nobody saw how it does, since it was last seen for long enough in one go.
    blind: Duration,
    /// Time in which it was seen, in one go.
    seen: Duration,
    /// Why its weight is 0, if that is why.
    pub(crate) precaution: Option<Precaution>,
    /// How often that was so.
    times: u32,
}

/// A version that nobody saw gets nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Precaution {
    since: Timestamp,
    /// What keeps it from being seen.
    why: String,
    /// When a person was last told.
    told: Option<Timestamp>,
}

impl Sight {
    /// Without what only time changes.
    pub(crate) fn without_clock(self) -> Self {
        Self { blind: Duration::ZERO, seen: Duration::ZERO, ..self }
    }

    fn pass(&mut self, delta: Duration, is_blind: bool, is_exposed: bool) {
        match (is_blind, is_exposed) {
            (true, true) => (self.seen, self.blind) = (Duration::ZERO, self.blind + delta),
            (true, false) => self.seen = Duration::ZERO,
            (false, true | false) => self.seen = (self.seen + delta).min(LONG * (1 << DOUBLINGS)),
        }
        if self.seen >= LONG {
            self.blind = Duration::ZERO;
        }
    }

    /// So long it is to be seen in one go before it comes back.
    fn needed(&self) -> Duration {
        LONG * (1 << self.times.saturating_sub(1).min(DOUBLINGS))
    }
}

impl Turn<'_> {
    /// Why nobody sees how the version on trial does, if so.
    pub(crate) fn blindness(&self) -> Option<String> {
        let evidence = &self.world.evidence;
        if let Some((_, why)) = &evidence.silent {
            return Some(why.clone());
        }
        let Some(read_at) = evidence.read_at else { return Some("the access log was not read yet".to_owned()) };
        let unread = self.now.duration_since(read_at).abs() >= UNREAD;
        unread.then(|| format!("the access log was not read for {} s", UNREAD.as_secs()))
    }

    /// The precaution that holds the weight at 0.
    pub(crate) fn precaution(&self) -> Option<&Precaution> {
        self.trial()?.sight.precaution.as_ref()
    }

    /// Adds the time since the last turn to what was seen of the trial, or was not.
    pub(crate) fn note_sight(&mut self) {
        let is_blind = self.blindness().is_some() || self.judge().is_none();
        let granted = self.wanted_weight().max(self.world.gateway.traffic().canary());
        let is_exposed = self.is_serving() && granted > Weight::ZERO && self.gateway_runs();
        let delta = self.delta;
        if let Some(trial) = self.memory.trial.as_mut().filter(|t| t.is_canary()) {
            trial.sight.pass(delta, is_blind, is_exposed);
        }
    }

    /// Begins the precaution when it is due, also the one of an earlier run that could not write it down; and tells of it as
    /// soon as the history can have it, once a day.
    pub(crate) fn heed_blindness(&mut self) {
        let found = self.world.gateway.precaution;
        let Some(trial) = self.trial().filter(|t| t.is_canary() && self.is_serving()) else { return };
        let due = found || (trial.sight.blind >= LONG && !is_sent_for_a_reason(trial));
        let now = self.now;
        let why = self.blindness().unwrap_or_else(|| "canaryd was started again meanwhile".to_owned());
        let can_tell = self.world.journal_trouble.is_none();
        self.drop_wait_for_evidence(due);
        let Some(trial) = &mut self.memory.trial else { return };
        if due && trial.sight.precaution.is_none() {
            trial.sight.precaution = Some(Precaution { since: now, why, told: None });
            trial.sight.times = trial.sight.times.saturating_add(1);
        }
        let is_due = |p: &Precaution| p.told.is_none_or(|told| now.duration_since(told) >= REMINDER);
        let untold = trial.sight.precaution.as_mut().filter(|p| can_tell && is_due(p));
        let Some(Precaution { since, why, told }) = untold else { return };
        *told = Some(now);
        let (since, why) = (crate::crash::clock(*since), why.clone());
        let message = format!(
            "{} is not blamed: nobody could see how it does ({why}); its weight is 0 % since {since} as a precaution, and it comes back by itself when it is seen again",
            self.version()
        );
        self.tell(Severity::Notify, "held", message);
    }

    /// A pause for want of evidence is no second thing to wait for: no evidence comes while nobody gets the version.
    fn drop_wait_for_evidence(&mut self, due: bool) {
        self.memory.paused.take_if(|pause| due && pause.lacks.is_some());
    }

    /// While the precaution is in force: nothing goes on, until the version was seen for long enough.
    pub(crate) fn hold_unseen(&mut self) -> Option<Did> {
        let trial = self.trial().filter(|t| t.sight.precaution.is_some() && self.is_serving())?;
        let is_sent = is_sent_for_a_reason(trial);
        // One that an earlier run left must be known as ours first: the gateway raises nothing before.
        let is_ours = !self.world.gateway.precaution;
        if is_sent && is_ours {
            self.come_back("gets requests again, though nobody sees how it does: somebody sends it to production");
            return Some(Did::Move);
        }
        if self.is_seen_again() && self.may_come_back() && is_ours {
            self.come_back("is seen again; the stage begins again from zero");
            return Some(Did::Move);
        }
        self.wait_for_hand();
        Some(Did::Hold)
    }

    /// Whether it was seen for long enough in one go. Says what is missing.
    fn is_seen_again(&mut self) -> bool {
        let Some(sight) = self.trial().map(|t| t.sight.clone()) else { return false };
        let left = sight.needed().saturating_sub(sight.seen);
        let now = self.blindness();
        if !left.is_zero() {
            let why = now.or(sight.precaution.map(|p| p.why)).unwrap_or_default();
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            self.waiting.push(Waiting::Sight { why, seconds });
        }
        left.is_zero() && self.stale_evidence().is_none()
    }

    /// As for every raise: with everything well, and not in a pause that only a person ends.
    fn may_come_back(&mut self) -> bool {
        let is_free = self.memory.paused.as_ref().is_none_or(|pause| pause.lacks.is_some());
        let is_whole = self.trial().is_some_and(|t| t.crash.is_none() && t.refusal.is_none());
        let is_heard = self.engine_answers() && self.world.journal_trouble.is_none() && !self.unwell;
        let weight = self.granted();
        is_free
            && is_whole
            && is_heard
            && self.app_has_capacity(weight)
            && self.trial_is_well()
            && !self.gateway_is_busy()
    }

    fn come_back(&mut self, what: &str) {
        let (version, requests) = (self.version(), self.requests().0);
        let by_hand = self.memory.manual.as_ref().map(|manual| manual.weight);
        if let Some(trial) = &mut self.memory.trial {
            trial.sight.precaution = None;
            trial.sight.blind = Duration::ZERO;
            trial.weight = by_hand.map_or(trial.weight, |weight| weight.min(trial.weight));
            // What was said of a step was said of what was seen then.
            trial.push = trial.push.take().filter(|push| matches!(push, Push::Finish { .. }));
        }
        self.drop_wait_for_evidence(true);
        self.begin_stage_again(requests);
        self.tell(Severity::Info, "recovered", format!("{version} {what}"));
    }

    /// Users are sent to a version whose harm nobody would see: what comes first, with what happens and what a person can do.
    pub(crate) fn blind_sentence(&self, version: &str) -> Option<String> {
        let why = self.blindness()?;
        let trial = self.trial()?;
        let is_news = self.world.evidence.silent.is_none() && trial.sight.blind < LONG / 6;
        if is_news || self.ill.is_some() || self.world.gateway.traffic().canary() == Weight::ZERO {
            return None;
        }
        let name = &self.manifest()?.name;
        let left = words(LONG.saturating_sub(trial.sight.blind));
        let then = if is_sent_for_a_reason(trial) {
            String::new()
        } else {
            format!("it goes to 0 % as a precaution in {left}, and ")
        };
        Some(format!("Nobody watches {version} now: {why}; {then}canaryd abort {name} takes it off at once."))
    }

    /// That it is at 0 % for it, and with what it comes back.
    pub(crate) fn precaution_sentence(&self, version: &str) -> Option<String> {
        let sight = &self.trial()?.sight;
        let Precaution { why, .. } = sight.precaution.as_ref()?;
        let back = self.pause_sentence().unwrap_or_else(|| {
            format!("It comes back by itself when it was seen for {} in one go.", words(sight.needed()))
        });
        let is = if self.world.gateway.traffic().canary() == Weight::ZERO { "is off" } else { "goes to 0 %" };
        Some(format!("{version} {is} as a precaution and is not blamed: nobody could see how it does ({why}). {back}"))
    }

    /// Why a version cannot be given more while it is off as a precaution.
    pub(crate) fn why_unseen(&self) -> Option<String> {
        let Precaution { why, .. } = self.precaution()?;
        Some(format!(
            "it is at 0 % as a precaution, for nobody could see how it does ({why}), and comes back by itself when it is seen again; promote --reason WHY does without"
        ))
    }
}

/// A person sends it to production and says why: missing evidence is no reason against it.
fn is_sent_for_a_reason(trial: &Trial) -> bool {
    matches!(trial.push, Some(Push::Finish { by: Some(_), .. }))
}
