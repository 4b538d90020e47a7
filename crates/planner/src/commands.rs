//! What people ask for. Every command is idempotent, and refused with a reason and a way out when it makes no sense.

use canaryd_rollout::Weight;
use jiff::SignedDuration;

use crate::action::{Action, Answer, Command, Verb};
use crate::evidence::Leave;
use crate::memory::{Manual, Pause};
use crate::phase::Phase;
use crate::release::{Blocked, Release};
use crate::report::{Outcome, Severity};
use crate::trial::{Kind, Push};
use crate::turn::{Did, Turn};

/// Answers that are remembered.
const ANSWERS: usize = 32;
/// So soon after a stage was skipped the same word means the same skip.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// `Ok`: accepted. `Err`: refused. Both in one sentence.
pub(crate) type Reply = Result<String, String>;

/// Who said so, and why if that was said.
pub(crate) fn by(command: &Command) -> String {
    let Command { actor, comment, .. } = command;
    comment.as_ref().map_or_else(|| format!("by {actor}"), |comment| format!("by {actor}: {comment}"))
}

impl Turn<'_> {
    /// Answers every command in the inbox; then what was done without the daemon.
    pub(crate) fn heed_commands(&mut self) -> Option<Did> {
        let mut did = None;
        let trouble = self.world.journal_trouble.clone();
        if trouble.is_none() {
            let recorded = std::mem::take(&mut self.memory.unrecorded);
            self.memory.inbox.splice(0..0, recorded);
        }
        for command in self.memory.unrecorded.clone() {
            // It was answered, and goes on to have its effect.
            let _ = self.obey(&command, &mut did);
        }
        self.answer_all(|turn, command| match (turn.stale(command), &trouble) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => turn.obey(command, &mut did),
            (None, Some(why)) => turn.obey_unrecorded(command, &mut did, why),
        });
        did.or_else(|| self.heed_offline())
    }

    /// While everything is being removed there is nothing left to decide.
    pub(crate) fn refuse_commands(&mut self) {
        self.answer_all(|_, command| match command.verb {
            Verb::Delete => Ok("everything of this rollout is being stopped and removed".to_owned()),
            Verb::Advance
            | Verb::Promote { .. }
            | Verb::Pause
            | Verb::Resume
            | Verb::Abort
            | Verb::Undo
            | Verb::Rollback
            | Verb::Retry
            | Verb::Restart
            | Verb::Stop { .. }
            | Verb::Start
            | Verb::Traffic { .. } => Err("it is being deleted; once that is done, retry starts it again".to_owned()),
        });
    }

    /// Empties the inbox. A command that was answered before is answered as before, and does nothing.
    fn answer_all(&mut self, mut reply: impl FnMut(&mut Self, &Command) -> Reply) {
        for command in std::mem::take(&mut self.memory.inbox) {
            let known = self.memory.answers.iter().find(|a| a.id == command.id).cloned();
            let answer = known.unwrap_or_else(|| {
                let reply = reply(self, &command);
                let accepted = reply.is_ok();
                let message = reply.unwrap_or_else(|refusal| refusal);
                Answer { id: command.id.clone(), accepted, message }
            });
            self.memory.answers.retain(|a| a.id != answer.id);
            self.memory.answers.push(answer.clone());
            self.answers.push(answer);
        }
        let surplus = self.memory.answers.len().saturating_sub(ANSWERS);
        self.memory.answers.drain(..surplus);
    }

    /// Somebody lowered the canary without the daemon: an abort, or an undo where the lane swap was on its way already.
    fn heed_offline(&mut self) -> Option<Did> {
        if !self.world.gateway.lowered_offline {
            return None;
        }
        let is_meant = self.trial().is_some_and(|t| t.is_canary() || t.weight > Weight::ZERO);
        let is_prepared = matches!(self.memory.phase, Phase::Preflight { .. });
        if is_prepared || (is_meant && !self.is_reverting()) {
            return Some(self.take_off(Outcome::Aborted, "rolled back offline", None, Some("offline".to_owned())));
        }
        let swapped = self.memory.phase == Phase::Promoting { swapped: true } && self.memory.trial.is_none();
        (swapped && self.memory.previous.is_some()).then(|| self.begin_undo("offline".to_owned()))
    }

    fn stale(&self, command: &Command) -> Option<String> {
        let expected = command.expected.as_ref()?;
        let now = self.trial().map(|t| &t.release.revision);
        if expected.revision.is_some() && expected.revision.as_ref() != now {
            let now = self
                .trial()
                .map_or("nothing is on trial".to_owned(), |t| format!("{} is on trial", self.name_of(&t.release)));
            return Some(format!("this is not what is on trial any more: {now} now"));
        }
        if expected.stage.is_some() && expected.stage != self.stage() {
            let now =
                self.stage().map_or("no stage".to_owned(), |s| format!("stage {} of {}", s + 1, self.last_stage() + 1));
            return Some(format!("the stage has changed: it is at {now} now"));
        }
        if expected.phase.as_ref().is_some_and(|phase| phase != self.memory.phase_name()) {
            return Some(format!("things have moved on: it is {} now", self.memory.phase_name()));
        }
        let asked = self.memory.asked.as_ref().map_or(Weight::ZERO, |a| a.traffic.canary());
        if expected.weight.is_some_and(|weight| weight != asked) {
            return Some(format!("the weight has changed: it is {asked} % now"));
        }
        None
    }

    fn obey(&mut self, command: &Command, did: &mut Option<Did>) -> Reply {
        let has_meaning = matches!(command.verb, Verb::Stop { .. } | Verb::Start | Verb::Abort | Verb::Delete);
        if let Some(refusal) = self.refusal_while_stopped().filter(|_| !has_meaning) {
            return Err(refusal);
        }
        match &command.verb {
            Verb::Advance => self.advance(command),
            Verb::Promote { reason } => self.promote(command, reason),
            Verb::Pause => self.pause(command),
            Verb::Resume => Ok(self.resume(command)),
            Verb::Abort => self.abort(command, did),
            // On the way back already, to end that would leave the users where they were.
            Verb::Rollback if self.can_abort() && !self.is_undoing() => self.abort(command, did),
            Verb::Undo | Verb::Rollback => self.undo(command, did),
            Verb::Retry => self.retry(command, did),
            Verb::Restart => self.restart(command, did),
            Verb::Traffic { weight } => self.traffic(command, *weight),
            Verb::Stop { page, retry_after } => self.stop(command, *page, *retry_after),
            Verb::Start => Ok(self.start(command)),
            Verb::Delete => {
                if self.memory.deletion.is_none() {
                    self.begin_delete(command.actor.clone(), &by(command));
                }
                *did = Some(Did::Delete);
                Ok("everything of this rollout is being stopped and removed".to_owned())
            }
        }
    }

    /// What is acknowledged is on disk first. Only what lowers a weight does not wait for that, and says so.
    fn obey_unrecorded(&mut self, command: &Command, did: &mut Option<Did>, why: &str) -> Reply {
        let off = self.can_abort() && !self.is_reverting();
        let undoing = self.is_undoing();
        let done = match &command.verb {
            Verb::Rollback if undoing => return self.undo(command, did),
            Verb::Abort | Verb::Rollback if off => {
                let version = self.what_goes();
                self.abort(command, did)?;
                format!("{version} goes to 0 % now and is stopped later")
            }
            Verb::Abort => return self.abort(command, did),
            Verb::Rollback if self.is_reverting() => return self.abort(command, did),
            Verb::Traffic { weight } if *weight < self.lowest() => {
                self.traffic(command, *weight)?;
                format!("{} goes to {weight} % now", self.version())
            }
            Verb::Advance
            | Verb::Promote { .. }
            | Verb::Pause
            | Verb::Resume
            | Verb::Undo
            | Verb::Rollback
            | Verb::Retry
            | Verb::Restart
            | Verb::Traffic { .. }
            | Verb::Stop { .. }
            | Verb::Start
            | Verb::Delete => {
                return Err(format!(
                    "the journal cannot be written: {why}; until that is mended a weight can be lowered (abort, rollback, traffic) and nothing else moves: say it again then"
                ));
            }
        };
        self.memory.unrecorded.push(command.clone());
        Ok(format!(
            "{done}, but this is not recorded: the journal cannot be written: {why}; it is recorded when that is mended, and if canaryd ends before, say it again"
        ))
    }

    /// The share that the canary has for certain: what was granted may have been lowered since.
    fn lowest(&self) -> Weight {
        let live = self.world.gateway.live.as_ref().map(|live| live.intent.traffic.canary());
        live.map_or(self.granted(), |live| live.min(self.granted()))
    }

    fn canary(&self) -> Result<String, String> {
        if self.is_reverting() {
            return Err(format!("{} is being taken off", self.what_goes()));
        }
        let trial = self.trial().filter(|t| t.is_canary()).ok_or_else(|| self.why_none())?;
        Ok(self.name_of(&trial.release))
    }

    fn advance(&mut self, command: &Command) -> Reply {
        let version = self.canary()?;
        let Some(stage) = self.stage() else {
            return Err(format!(
                "{version} is {}: its first stage begins by itself when it is healthy",
                self.memory.phase_name()
            ));
        };
        if let Some(why) = self.why_unseen() {
            return Err(format!("{version} gets nothing more now: {why}"));
        }
        let below = self.granted() < self.stage_weight(stage);
        if let Some(weight) = self.just_advanced().filter(|_| !below) {
            return Ok(format!(
                "{version} has only just gone on to {weight} %; to go further, say it again in a moment"
            ));
        }
        self.memory.manual = None;
        if stage == self.last_stage() && !below {
            return Ok(self.hurry(&version, command));
        }
        self.end_own_pause(command);
        let to = stage + usize::from(!below);
        let goal = self.stage_weight(to);
        if let Some(trial) = self.memory.trial.as_mut().filter(|t| t.push.is_none()) {
            trial.push = Some(Push::Stage { stage: to });
            self.tell(Severity::Info, "advanced", format!("{version}: on to {goal} %, {}", by(command)));
        }
        Ok(format!(
            "{version} goes to {goal} % as soon as its replicas are healthy; a crash or a failed check still takes it off"
        ))
    }

    /// Said twice at once, it is one stage: two people, or one with a quick finger, mean the same.
    fn just_advanced(&self) -> Option<Weight> {
        let (stage, watch) = (self.stage()?, self.memory.phase.watch()?);
        let before = self.trial()?.passed.get(&stage.checked_sub(1)?)?;
        let new = self.now.duration_since(watch.entered) < A_MOMENT;
        (before.skipped && (new || !self.weight_is_live())).then(|| self.stage_weight(stage))
    }

    /// In the last stage only its time can be skipped: what nobody has seen enough of goes to production on a reason alone.
    fn hurry(&mut self, version: &str, command: &Command) -> String {
        if let Some(watch) = self.memory.phase.watch_mut().filter(|watch| !watch.skipped) {
            watch.skipped = true;
            self.tell(Severity::Info, "advanced", format!("{version}: no more waiting at 100 %, {}", by(command)));
        }
        let lacks = match self.leave(Weight::FULL) {
            Leave::Granted => {
                self.end_own_pause(command);
                return format!(
                    "{version} goes to production as soon as its replicas are healthy; a crash or a failed check still takes it off"
                );
            }
            Leave::Samples { check, need, .. } => {
                format!("{} for {check}", crate::crew::several(need, "more request"))
            }
            Leave::Silent(why) => format!("evidence: {why}"),
        };
        format!(
            "{version} goes to production without more time, but not without {lacks}; promote --reason WHY does without"
        )
    }

    /// A pause that nobody asked for ends with a word of a person.
    fn end_own_pause(&mut self, command: &Command) {
        if self.memory.paused.take_if(|p| p.by.is_none()).is_some() {
            self.tell_resumed(command);
        }
    }

    fn promote(&mut self, command: &Command, reason: &str) -> Reply {
        let version = self.canary()?;
        if reason.trim().is_empty() {
            return Err("promote needs a reason: canaryd promote NAME --reason TEXT".to_owned());
        }
        self.memory.manual = None;
        if self.memory.paused.take().is_some() {
            self.tell_resumed(command);
        }
        let push = Push::Finish { reason: reason.to_owned(), by: Some(command.actor.clone()) };
        let asked = self.memory.trial.as_mut().and_then(|trial| trial.push.replace(push.clone()));
        if asked != Some(push) {
            let why = command.comment.as_ref().filter(|comment| *comment != reason);
            let why = why.map(|comment| format!(" ({comment})")).unwrap_or_default();
            let message = format!("{version}: on to production without waiting, by {}: {reason}{why}", command.actor);
            self.tell(Severity::Info, "promote-asked", message);
        }
        Ok(format!(
            "{version} goes to 100 % and to production as soon as every replica is healthy; a crash or a failed check still takes it off"
        ))
    }

    fn pause(&mut self, command: &Command) -> Reply {
        let moving = self.memory.trial.is_some() || matches!(self.memory.phase, Phase::Preflight { .. });
        if !moving || self.is_reverting() {
            return Err("nothing moves, so there is nothing to pause".to_owned());
        }
        if self.memory.paused.as_ref().is_none_or(|p| p.by.is_none()) {
            let why = command.comment.clone().unwrap_or_else(|| "by hand".to_owned());
            let person = Some(command.actor.clone());
            self.memory.paused = Some(Pause { by: person, why, at: self.now, told: self.now, lacks: None });
            self.tell(Severity::Info, "paused", format!("{} is paused {}", self.version(), by(command)));
        }
        Ok(format!("{} is paused; the checks go on and can still take it off; resume goes on", self.version()))
    }

    fn resume(&mut self, command: &Command) -> String {
        let had = self.memory.paused.take().is_some() | self.memory.manual.is_some();
        let given_back = self.memory.manual.take().is_some();
        if given_back {
            self.give_back();
        }
        self.forgive_environment();
        if let Some(watch) = self.memory.phase.watch_mut().filter(|_| had) {
            (watch.spent, watch.unlive) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        }
        if had {
            self.tell_resumed(command);
        }
        let version = self.version();
        match (had, self.stage().filter(|_| given_back)) {
            (true, Some(stage)) => {
                let (weight, last) = (self.stage_weight(stage), self.last_stage() + 1);
                format!("{version} goes on by itself, in stage {} of {last}, with {weight} %", stage + 1)
            }
            (true, None) => format!("{version} goes on by itself"),
            (false, _) => "it was not paused".to_owned(),
        }
    }

    fn tell_resumed(&mut self, command: &Command) {
        self.tell(Severity::Info, "resumed", format!("{} goes on, {}", self.version(), by(command)));
    }

    pub(crate) fn can_abort(&self) -> bool {
        self.trial().is_some() || matches!(self.memory.phase, Phase::Preflight { .. }) || self.is_about_to_start()
    }

    fn is_restart(&self) -> bool {
        self.trial().is_some_and(|t| t.kind == Kind::Restart)
    }

    /// What an abort takes off. Of a restart it is not the version, which serves on.
    fn what_goes(&self) -> String {
        if self.is_restart() { format!("the second set of {}", self.version()) } else { self.version() }
    }

    fn is_undoing(&self) -> bool {
        !self.is_reverting() && self.trial().is_some_and(|t| matches!(t.kind, Kind::Undo { .. }))
    }

    /// Whether this very plan would begin with what the manifest asks for.
    fn is_about_to_start(&self) -> bool {
        let idle = self.memory.phase == Phase::Idle && self.trial().is_none() && self.memory.deletion.is_none();
        let idle = idle && self.memory.maintenance.is_none();
        idle && self.asks().is_some_and(|r| !self.production_is(r) && !self.is_blocked(r))
    }

    fn abort(&mut self, command: &Command, did: &mut Option<Did>) -> Reply {
        let serves = match (self.what_ails(), self.production_version()) {
            (Some(ill), _) => ill.what,
            (None, Some(version)) if self.memory.maintenance.is_some() => {
                format!("{version} is stopped for maintenance")
            }
            (None, Some(version)) if self.is_restart() => format!("{version} serves on"),
            (None, Some(version)) => format!("{version} serves all"),
            (None, None) => "nothing serves".to_owned(),
        };
        if !self.can_abort() {
            let undo = self.memory.previous.is_some() && self.undo_is_open();
            let name = self.manifest().map(|m| m.name.to_string()).unwrap_or_default();
            let promoted = self.memory.outcome.as_ref().filter(|o| o.outcome == Outcome::Promoted && undo);
            return match promoted {
                Some(o) => Err(format!("{} is in production already: use undo (canaryd undo {name})", o.version)),
                None => Ok(format!("nothing is on trial; {serves}")),
            };
        }
        let reason = by(command);
        let version = self.what_goes();
        if self.is_reverting() {
            let so = if self.take_retry_back(&reason) { ", and is not tried again" } else { "" };
            return Ok(format!("{version} is being taken off already{so}; {serves}"));
        }
        let runs = self.trial().is_some_and(|t| !t.crews.is_empty());
        *did = Some(self.take_off(Outcome::Aborted, &reason, None, Some(command.actor.clone())));
        let what = if runs { "goes to 0 % now and is stopped when drained" } else { "is not started" };
        Ok(format!("{version} {what}; {serves}"))
    }

    /// The last word counts: what was to be tried again when it is off is not.
    fn take_retry_back(&mut self, reason: &str) -> bool {
        let asked = |turn: &Self, release: &Release| {
            turn.manifest().is_some_and(|manifest| release.is_asked_by(manifest) && !turn.is_blocked(manifest))
        };
        let release =
            self.trial().filter(|t| matches!(t.kind, Kind::Install | Kind::Canary)).map(|t| t.release.clone());
        let Some(release) = release.filter(|release| asked(self, release)) else { return false };
        self.block(Blocked {
            version: release.version,
            revision: release.revision,
            provisional: release.provisional,
            outcome: Outcome::Aborted,
            why: reason.to_owned(),
            at: self.now,
        });
        true
    }

    fn undo(&mut self, command: &Command, did: &mut Option<Did>) -> Reply {
        if let Some(trial) = self.trial() {
            return match trial.kind {
                Kind::Undo { .. } => Ok(format!("on the way back to {} already", self.name_of(&trial.release))),
                Kind::Install | Kind::Canary | Kind::Restart => {
                    Err(format!("{} is on trial: use abort", self.name_of(&trial.release)))
                }
            };
        }
        let Some(previous) = &self.memory.previous else {
            let undone = self.memory.outcome.as_ref().filter(|o| o.outcome == Outcome::Undone);
            let serves = self.production_version().unwrap_or_else(|| "nothing".to_owned());
            return match undone {
                Some(o) => Ok(format!("{} was undone already; {serves} serves", o.version)),
                None => Err(format!("there is no earlier version to go back to; {serves} serves")),
            };
        };
        if !self.undo_is_open() {
            return Err("rollbackWindow is over: set the version line back to start a rollout of the earlier version"
                .to_owned());
        }
        let version = self.name_of(&previous.release);
        self.memory.manual = None;
        self.memory.paused = None;
        self.tell(Severity::Info, "undo-asked", format!("back to {version}, {}", by(command)));
        *did = Some(self.begin_undo(command.actor.clone()));
        Ok(format!("{version} gets all traffic as soon as it is healthy"))
    }

    fn retry(&mut self, command: &Command, did: &mut Option<Did>) -> Reply {
        let Some(manifest) = self.memory.manifest.clone() else { return Err("there is no manifest".to_owned()) };
        let deleted = self.memory.deletion.as_ref().is_some_and(|d| d.done.is_some());
        if !deleted && !self.is_blocked(&manifest) {
            return Ok(format!("{} is not blocked", manifest.version));
        }
        self.memory.blocked.retain(|b| !b.is_asked_by(&manifest));
        let message = format!("{} is tried again, {}", manifest.version, by(command));
        self.tell(Severity::Info, "retry-asked", message);
        // Also for the files of a deleted one, which went with it.
        self.actions.push(Action::ResolveAgain);
        if deleted {
            self.memory.deletion = None;
            *did = Some(Did::Move);
            return Ok("it starts again".to_owned());
        }
        Ok(format!("{} is tried again from its first stage", manifest.version))
    }

    fn restart(&mut self, command: &Command, did: &mut Option<Did>) -> Reply {
        if let Some(trial) = self.trial() {
            return match trial.kind {
                Kind::Restart => Ok("it is being restarted already".to_owned()),
                Kind::Install | Kind::Canary | Kind::Undo { .. } => Err(format!(
                    "{} is under way: restart when it is through, or abort it first",
                    trial.release.version
                )),
            };
        }
        let Some(release) = self.memory.production.as_ref().map(|d| d.release.clone()) else {
            return Err("nothing is in production, so there is nothing to restart".to_owned());
        };
        let Release { version, .. } = release.clone();
        let message = format!("a second set of {version} is asked for, {}", by(command));
        self.tell(Severity::Info, "restart-asked", message);
        self.begin_trial(Kind::Restart, release);
        *did = Some(Did::Move);
        Ok(format!("a second set of {version} starts and takes over when it is healthy"))
    }

    fn traffic(&mut self, command: &Command, weight: Weight) -> Reply {
        let version = self.canary()?;
        let when = match self.precaution() {
            Some(_) => "when it is seen again: until then it stays at 0 % as a precaution",
            None if weight <= self.granted() => "now",
            None => "once its replicas are healthy",
        };
        self.memory.manual = Some(Manual { by: command.actor.clone(), weight, at: self.now });
        if let Some(trial) = &mut self.memory.trial {
            trial.push = None;
        }
        self.tell(Severity::Warning, "manual-weight", format!("{version}: {weight} % {}", by(command)));
        Ok(format!("{version} goes to {weight} % {when}; progress stops, safety stays; resume gives control back"))
    }
}
