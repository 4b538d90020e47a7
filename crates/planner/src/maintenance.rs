//! Maintenance: a person takes the whole rollout down for a while, and users get a page meanwhile.
//!
//! The order is the policy. On the way down: the page is live, then what is under way is finished, then containers stop.
//! On the way back: every replica of the app is healthy, then users get it; until then they get the page. Containers are
//! kept stopped, so that a start is quick, keeps addresses, and needs no image; their restart policy is off, so that
//! neither an engine nor a host that starts again brings them back.

use std::time::Duration;

use canaryd_gateway::{PageId, Traffic};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::Command;
use crate::commands::{Reply, by};
use crate::crash::clock;
use crate::phase::Phase;
use crate::report::{Severity, StoppedView};
use crate::trial::Kind;
use crate::turn::Turn;

/// What clients are told to wait where nobody says it: a minute.
const RETRY_AFTER: u32 = 60;
/// The longest that they may be told: 30 days.
const LONGEST: u32 = 30 * 86_400;
/// From so long ago on, the time of day alone says too little.
const A_DAY: SignedDuration = SignedDuration::from_hours(20);

/// It is stopped, until somebody starts it and users are served again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Maintenance {
    pub(crate) by: String,
    pub(crate) why: Option<String>,
    pub(crate) at: Timestamp,
    /// The user's own page.
    pub(crate) page: Option<PageId>,
    /// What clients are told to wait, in seconds.
    pub(crate) retry_after: u32,
    /// Nothing runs any more, and the history has that.
    pub(crate) down: bool,
    /// Somebody asked for the start.
    pub(crate) back: Option<WayBack>,
}

/// It is being started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WayBack {
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    /// Time spent in it.
    pub(crate) spent: Duration,
    /// The history has that it takes too long.
    pub(crate) told: bool,
}

impl Maintenance {
    /// Of which nothing more is known than that the live configuration shows its page.
    pub(crate) fn found(page: Option<PageId>, retry_after: u32, at: Timestamp) -> Self {
        let why = Some("found when the journal was rebuilt".to_owned());
        Self { by: "somebody".to_owned(), why, at, page, retry_after, down: false, back: None }
    }

    /// Kebab-case, as phases are named.
    pub(crate) fn phase_name(&self) -> &'static str {
        match (&self.back, self.down) {
            (Some(_), _) => "returning",
            (None, true) => "stopped",
            (None, false) => "stopping",
        }
    }

    /// Whether nothing is left to be done before somebody says so.
    pub(crate) fn rests(&self) -> bool {
        self.down && self.back.is_none()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic::Stopped { page: self.page, retry_after: self.retry_after }
    }

    /// By whom, since when, why.
    pub(crate) fn in_words(&self, now: Timestamp) -> String {
        let old = now.duration_since(self.at) >= A_DAY;
        let since = if old { self.at.strftime("%Y-%m-%d %H:%M UTC").to_string() } else { clock(self.at) };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("since {since} by {}{why}", self.by)
    }

    pub(crate) fn view(&self) -> StoppedView {
        StoppedView {
            by: self.by.clone(),
            why: self.why.clone(),
            since: self.at,
            page: self.page.map(|page| page.to_string()),
            retry_after: self.retry_after,
            started_by: self.back.as_ref().map(|back| back.by.clone()),
        }
    }
}

// --- what people say ---

impl Turn<'_> {
    pub(crate) fn stop(&mut self, command: &Command, page: Option<PageId>, retry_after: Option<u32>) -> Reply {
        if retry_after.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
            return Err("retry-after is one second to 30 days".to_owned());
        }
        if self.memory.maintenance.is_some() {
            return Ok(self.stop_again(command, page, retry_after));
        }
        if let Some(why) = self.why_it_cannot_stop() {
            return Err(why);
        }
        let version = self.production_version().unwrap_or_default();
        self.memory.unwell = None;
        self.memory.maintenance = Some(Maintenance {
            by: command.actor.clone(),
            why: command.comment.clone(),
            at: self.now,
            page,
            retry_after: retry_after.unwrap_or(RETRY_AFTER),
            down: false,
            back: None,
        });
        let said = by(command);
        self.tell(Severity::Warning, "stop-asked", format!("{version} is stopped for maintenance, {said}"));
        let name = self.own_name();
        Ok(format!(
            "users get a page with 503 now, and {version} is stopped when what is under way is finished; \
             canaryd start {name} brings it back"
        ))
    }

    /// Only production, and nothing beside it that is under way, is stopped.
    fn why_it_cannot_stop(&self) -> Option<String> {
        let (version, name) = (self.version(), self.own_name());
        let abort = format!("canaryd abort {name}");
        if let Phase::Reverting { .. } = self.memory.phase {
            return Some(format!("{version} is being taken off at this moment: say it again in a few seconds"));
        }
        match self.trial().map(|trial| &trial.kind) {
            Some(Kind::Install) => {
                return Some(format!("{version}, the first version, is not in production yet: {abort} takes it off"));
            }
            Some(Kind::Canary) => {
                return Some(format!(
                    "{version} is on trial: {abort} takes it off first, and canaryd retry {name} tries it again \
                     afterwards; or wait until it is through (canaryd wait {name})"
                ));
            }
            Some(Kind::Undo { .. }) => {
                return Some(format!("users are on their way back to {version}: say it again when they are there"));
            }
            Some(Kind::Restart) => {
                return Some(format!("{version} is being restarted: {abort} ends that, or wait until it is through"));
            }
            None => {}
        }
        match self.memory.phase {
            Phase::Preflight { .. } if self.memory.production.is_some() => {
                Some(format!("{version} is being prepared: {abort} ends that, and canaryd retry {name} tries it again"))
            }
            Phase::Promoting { .. } => {
                Some("a version takes over at this moment: say it again in a few seconds".to_owned())
            }
            _ if self.memory.production.is_none() => {
                Some("nothing is in production, so there is nothing to stop".to_owned())
            }
            Phase::Preflight { .. }
            | Phase::Idle
            | Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Reverting { .. } => None,
        }
    }

    /// It is, or was on its way back.
    fn stop_again(&mut self, command: &Command, page: Option<PageId>, retry_after: Option<u32>) -> String {
        let (name, now) = (self.own_name(), self.now);
        let version = self.production_version().unwrap_or_default();
        let Some(held) = &mut self.memory.maintenance else { return String::new() };
        let before = held.traffic();
        held.page = page.or(held.page);
        held.retry_after = retry_after.unwrap_or(held.retry_after);
        let another = held.traffic() != before;
        if held.back.take().is_some() {
            held.down = false;
            let said = by(command);
            self.tell(Severity::Warning, "stop-asked", format!("{version} is not started after all, {said}"));
            return format!("{version} stays stopped; canaryd start {name} brings it back");
        }
        let since = held.in_words(now);
        if another {
            self.tell(Severity::Info, "page-changed", format!("users get another page with 503, {}", by(command)));
            return format!("users get this page now; it is stopped {since}; canaryd start {name} brings it back");
        }
        format!("it is stopped already, {since}; canaryd start {name} brings it back")
    }

    pub(crate) fn start(&mut self, command: &Command) -> String {
        let (version, at) = (self.production_version().unwrap_or_default(), self.now);
        let Some(held) = &mut self.memory.maintenance else {
            return format!("it is not stopped; {}", self.serves());
        };
        if let Some(back) = &held.back {
            return format!("it is being started already, by {}", back.by);
        }
        held.back = Some(WayBack { by: command.actor.clone(), at, spent: Duration::ZERO, told: false });
        held.down = false;
        self.wake_previous();
        self.tell(Severity::Info, "start-asked", format!("{version} is started again, {}", by(command)));
        format!("{version} starts; users get the page until every container of its app is healthy, and then {version}")
    }

    /// While it is stopped there is nothing else to decide.
    pub(crate) fn refusal_while_stopped(&self) -> Option<String> {
        let held = self.memory.maintenance.as_ref()?;
        let name = self.own_name();
        Some(format!(
            "it is stopped for maintenance {}: canaryd start {name} brings it back; say this again then",
            held.in_words(self.now)
        ))
    }

    pub(crate) fn own_name(&self) -> String {
        self.memory.name().map(ToString::to_string).unwrap_or_default()
    }
}
