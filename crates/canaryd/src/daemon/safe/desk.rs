//! What the API answers in safe mode: the status, and to everything else why not.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use canaryd_cockpit::{Control, EventLine, LogLine, LogQuery, PlanPage, Refusal, SafeMode, StatusPage};
use canaryd_planner::{Answer, Command, Report, Verb};
use canaryd_rollout::RolloutName;
use futures::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::sync::watch;

use super::gateways::Told;
use super::page;
use crate::daemon::bells::lock;

/// The daemon without its journal, as the API sees it.
pub(super) struct Desk {
    state: PathBuf,
    why: String,
    instance: String,
    since: Timestamp,
    watch: Vec<PathBuf>,
    told: Mutex<Vec<Told>>,
    changes: watch::Sender<u64>,
}

impl Desk {
    pub(super) fn new(state: &Path, why: String, instance: String, since: Timestamp, watch: Vec<PathBuf>) -> Self {
        let (told, changes) = (Mutex::default(), watch::Sender::new(0));
        Self { state: state.to_owned(), why, instance, since, watch, told, changes }
    }

    /// As it is now.
    fn mode(&self) -> SafeMode {
        page(&self.state, self.why.clone(), &lock(&self.told))
    }

    /// What became of each gateway.
    pub(super) fn show(&self, told: Vec<Told>) {
        *lock(&self.told) = told;
    }
}

#[async_trait]
impl Control for Desk {
    async fn status(&self) -> StatusPage {
        let problems = lock(&self.told).iter().map(|told| told.text.clone()).collect();
        StatusPage {
            host: crate::paths::host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.instance.clone(),
            since: self.since,
            state: Some(self.state.display().to_string()),
            watch: self.watch.iter().map(|dir| dir.display().to_string()).collect(),
            rollouts: Vec::new(),
            problems,
            dry_run: false,
            safe_mode: Some(self.mode()),
        }
    }

    fn closed(&self) -> Option<Refusal> {
        Some(self.mode().refusal())
    }

    async fn report(&self, _: &RolloutName) -> Option<Report> {
        None
    }

    async fn events(&self, _: Option<&RolloutName>, _: u64, _: usize) -> Result<Vec<EventLine>, String> {
        Err(self.mode().sentence)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whoever wants the canary off gets the answer that it is; everything else is refused.
    async fn command(&self, name: &RolloutName, command: Command) -> Result<Answer, String> {
        match command.verb {
            Verb::Abort | Verb::Rollback => {
                let told = lock(&self.told).iter().find(|told| &told.rollout == name).cloned();
                let at_zero = told.as_ref().is_some_and(|told| told.at_zero);
                let text = told.map_or_else(|| format!("{name} has no gateway here"), |told| told.text);
                let message = format!("{text}. {}", self.mode().sentence);
                Ok(Answer { id: command.id, accepted: at_zero, message })
            }
            Verb::Advance
            | Verb::Promote { .. }
            | Verb::Pause
            | Verb::Resume
            | Verb::Undo
            | Verb::Retry
            | Verb::Restart
            | Verb::Traffic { .. }
            | Verb::Stop { .. }
            | Verb::Start
            | Verb::Delete => Err(self.mode().sentence),
        }
    }

    fn logs(&self, _: &RolloutName, _: LogQuery) -> BoxStream<'static, LogLine> {
        let why = self.mode().sentence;
        futures::stream::once(async move { LogLine::Failed { why } }).boxed()
    }

    async fn plan(&self, _: String, _: String) -> Result<Vec<PlanPage>, String> {
        Err(self.mode().sentence)
    }
}
