//! What the API needs from the daemon: one trait, so that the server can be tried without one.

use async_trait::async_trait;
use canaryd_gateway::Lane;
use canaryd_planner::{Answer, Command, Report};
use canaryd_rollout::RolloutName;
use futures::stream::BoxStream;
use tokio::sync::watch;

use crate::inside::{ContainersPage, EjectPage, OneOffPage, OneOffRequest};
use crate::page::{EventLine, KeptPage, LaneHeader, LogLine, LogQuery, PageRequest, PlanPage, Refusal, StatusPage};

/// What the API reads from and asks of the daemon. Errors are one sentence for a person.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Everything on this host.
    async fn status(&self) -> StatusPage;

    /// `Some`: nothing is answered but the status, and commands are asked for whatever the name; why.
    fn closed(&self) -> Option<Refusal> {
        None
    }

    /// One rollout; `None`: the name is not known.
    async fn report(&self, name: &RolloutName) -> Option<Report>;

    /// History with a sequence number above `after`, oldest first, at most `limit` lines; `None`: of all rollouts.
    /// With `after` 0 these are the *newest* `limit` lines, still oldest first.
    ///
    /// # Errors
    /// The journal cannot be read: why.
    async fn events(&self, name: Option<&RolloutName>, after: u64, limit: usize) -> Result<Vec<EventLine>, String>;

    /// Reads the manifests and plans this rollout, so that a report tells of what was saved before this call. Bounded.
    async fn catch_up(&self, _name: &RolloutName) {}

    /// Changes its value whenever a report or the history may have changed; wakes followers.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Journals the command, waits for the plan that consumes it and returns its answer.
    ///
    /// # Errors
    /// It could not be journalled or was not planned in time: why.
    async fn command(&self, name: &RolloutName, command: Command) -> Result<Answer, String>;

    /// Log lines. With `follow` the stream goes on with every container that comes, and ends when none is to come. A failure
    /// ends it.
    fn logs(&self, name: &RolloutName, query: LogQuery) -> BoxStream<'static, LogLine>;

    /// The request header that forces a lane. Its value is a secret: it is told to whoever asks for it, and written nowhere.
    ///
    /// # Errors
    /// The manifest names no such header, or the gateway was not made yet.
    async fn lane_header(&self, name: &RolloutName, _lane: Lane) -> Result<LaneHeader, Refusal> {
        Err(Refusal { error: format!("{name} has no header that forces a lane"), hint: None })
    }

    /// The containers of a rollout and where their engine is.
    ///
    /// # Errors
    /// The engine does not answer: why.
    async fn containers(&self, name: &RolloutName) -> Result<ContainersPage, Refusal> {
        Err(Refusal { error: format!("nothing is known of the containers of {name}"), hint: None })
    }

    /// Makes a container for one command of this person, and writes down that they did.
    ///
    /// # Errors
    /// Nothing is in that lane, the engine refuses, it could not be written down.
    async fn one_off(&self, name: &RolloutName, _request: OneOffRequest, _actor: &str) -> Result<OneOffPage, Refusal> {
        Err(Refusal { error: format!("nothing can be run for {name}"), hint: None })
    }

    /// Keeps a page of the user's own for a later command.
    ///
    /// # Errors
    /// It is no page, nothing is there that could show it, or it cannot be written.
    async fn keep_page(&self, name: &RolloutName, _request: PageRequest) -> Result<KeptPage, Refusal> {
        Err(Refusal { error: format!("{name} has no gateway that could show a page"), hint: None })
    }

    /// What is in production, as a Compose file whose app is on this host port, or on one that is chosen.
    ///
    /// # Errors
    /// Nothing is in production, or what it was started with cannot be read.
    async fn eject(&self, name: &RolloutName, _port: Option<u16>) -> Result<EjectPage, Refusal> {
        Err(Refusal { error: format!("{name} has nothing in production"), hint: None })
    }

    /// What would be done about each manifest of this text now. `source` is the file's absolute path.
    ///
    /// # Errors
    /// The rendered diagnostics of an invalid manifest.
    async fn plan(&self, source: String, text: String) -> Result<Vec<PlanPage>, String>;
}
