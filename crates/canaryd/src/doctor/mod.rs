//! `canaryd doctor`: what is wrong on this host, what that means, and the command that mends it.
//!
//! `look` gathers facts, each within a time of its own; `check` is pure and makes findings of them. Nothing is changed,
//! nothing is pulled or started but `nginx -v` inside a gateway that runs, and nothing is left behind.

mod check;
mod facts;
mod look;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing fails for it now.
    Warning,
    /// Something fails, or will.
    Wrong,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: `journal`, `gateway shop`.
    pub(crate) item: String,
    /// How bad it is.
    pub(crate) level: Level,
    /// What is so.
    pub(crate) said: String,
    /// What that leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) means: Option<String>,
    /// What mends it, to be typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    fn ok(item: impl Into<String>, said: impl Into<String>) -> Self {
        Self { item: item.into(), level: Level::Ok, said: said.into(), means: None, mend: None }
    }
    fn warning(item: impl Into<String>, said: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(item, said) }
    }
    fn wrong(item: impl Into<String>, said: impl Into<String>) -> Self {
        Self { level: Level::Wrong, ..Self::ok(item, said) }
    }
    fn means(mut self, text: impl Into<String>) -> Self {
        self.means = Some(text.into());
        self
    }
    fn mend(mut self, text: impl Into<String>) -> Self {
        self.mend = Some(text.into());
        self
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Diagnosis {
    /// Name of this host.
    pub(crate) host: String,
    /// Version of this program.
    pub(crate) version: String,
    /// When it was looked.
    pub(crate) at: Timestamp,
    /// A daemon answers.
    pub(crate) daemon: bool,
    /// A Docker engine answers, to this user or to the daemon.
    pub(crate) engine: bool,
    /// The worst that was found.
    pub(crate) verdict: Level,
    /// One or more for each thing, in a fixed order.
    pub(crate) findings: Vec<Finding>,
}

/// Where to look.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
    /// Its state directory; `None`: the one that the daemon names, else `usual`.
    pub(crate) state: Option<PathBuf>,
    /// Where a daemon on that socket keeps its state when nothing else is said.
    pub(crate) usual: PathBuf,
    /// Directories that it is to watch, besides those that a running one names.
    pub(crate) watch: Vec<PathBuf>,
    /// Docker's address, when it is not the default.
    pub(crate) docker_host: Option<String>,
}

/// Looks at everything and says what is wrong.
pub(crate) async fn examine(places: &Places) -> Diagnosis {
    let facts = look::look(places).await;
    let findings = check::check(&facts);
    Diagnosis {
        host: crate::paths::host(),
        version: facts.version.clone(),
        at: facts.now,
        daemon: facts.socket.page().is_some(),
        engine: facts.docker.is_ok(),
        verdict: findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok),
        findings,
    }
}

/// What is so with one journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalCheck {
    /// One for the journal, more for what is wrong in it; none: there is no journal, and there was none.
    pub(crate) findings: Vec<Finding>,
    /// It could not be looked at now (locked, closed to this user): nothing is known of it.
    pub(crate) unread: bool,
}

/// Looks at every page of the journal of one state directory. `None`: the disk does not answer.
pub(crate) async fn examine_journal(state: PathBuf, patience: std::time::Duration) -> Option<JournalCheck> {
    let state = look::journal_in(state, patience).await?;
    let unread = matches!(state.journal, facts::Journal::Unread(_));
    Some(JournalCheck { findings: check::journal_of(&state), unread })
}
