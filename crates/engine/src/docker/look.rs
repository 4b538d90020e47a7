//! One look at one container: its inspection, within a short time of its own. A container whose inspection hangs or fails
//! delays nobody else and is never taken for gone: it is entered by what the list says of it now, and for the rest by what
//! was last known. Whoever was late is asked again beside the next looks, which do not wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, ContainerSummary,
    ContainerSummaryStateEnum as Listed, EndpointIpamConfig, EndpointSettings, Health, HealthStatusEnum,
    NetworkSettings,
};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::Inner;
use super::sets::status;
use crate::error::{EngineError, Result};
use crate::observation::Unseen;

/// So long one look waits for one inspection.
const PATIENCE: Duration = Duration::from_secs(1);
/// So long an inspection holds, while neither the list nor an event tells of a change.
const AGE: Duration = Duration::from_secs(300);

/// What is known of one container.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The entry in the list for which the inspection holds.
    entry: String,
    /// The latest inspection, and when it was made.
    found: Option<(Arc<ContainerInspectResponse>, Timestamp)>,
    /// An event told of it since that inspection was asked for.
    changed: bool,
    overdue: Option<Overdue>,
}

#[derive(Debug)]
struct Overdue {
    since: Timestamp,
    why: String,
    asking: Option<JoinHandle<Answer>>,
}

type Answer = Result<Option<Arc<ContainerInspectResponse>>>;

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) found: Arc<ContainerInspectResponse>,
    /// `Some`: not inspected now; what was found is a guess.
    pub(super) unseen: Option<Unseen>,
}

impl Inner {
    /// `None`: there is no such container any more.
    ///
    /// # Errors
    /// Only of an engine that answers nobody.
    pub(super) async fn look(self: &Arc<Self>, summary: &ContainerSummary) -> Result<Option<Look>> {
        let id = summary.id.clone().unwrap_or_default();
        let entry = entry(summary);
        if let Some(found) = self.settled(&id, &entry) {
            return Ok(Some(Look { found, unseen: None }));
        }
        if self.is_overdue(&id) {
            self.ask_beside(&id, entry);
            return Ok(Some(self.guess(summary)));
        }
        let mut asking = self.ask(&id, entry);
        match tokio::time::timeout(PATIENCE, &mut asking).await {
            Ok(Ok(Ok(found))) => Ok(found.map(|found| Look { found, unseen: None })),
            Ok(Ok(Err(error @ (EngineError::Unreachable { .. } | EngineError::Permission { .. })))) => Err(error),
            Ok(Ok(Err(_)) | Err(_)) => Ok(Some(self.guess(summary))),
            Err(_) => {
                self.late(&id, asking);
                Ok(Some(self.guess(summary)))
            }
        }
    }

    /// The inspection that still holds. What is younger than a minute in its state is always inspected, since its entry would
    /// be the same after one more restart; likewise what never ran, since nothing tells of a start that failed.
    fn settled(&self, id: &str, entry: &str) -> Option<Arc<ContainerInspectResponse>> {
        let cache = self.cache();
        let known = cache.get(id).filter(|k| k.entry == entry && !k.changed && k.overdue.is_none())?;
        let (found, at) = known.found.as_ref()?;
        let holds = Timestamp::now().duration_since(*at).unsigned_abs() < AGE;
        let ran = !matches!(status(found), Status::CREATED | Status::EMPTY);
        (holds && ran && !entry.contains("second")).then(|| Arc::clone(found))
    }

    /// An event told of a container: the next look inspects it.
    pub(super) fn told_of(&self, id: &str) {
        if let Some(known) = self.cache().get_mut(id) {
            known.changed = true;
        }
    }

    /// Events were missed: the next look inspects everything.
    pub(super) fn heard_nothing(&self) {
        self.cache().values_mut().for_each(|known| known.changed = true);
    }

    fn is_overdue(&self, id: &str) -> bool {
        self.cache().get(id).is_some_and(|known| known.overdue.is_some())
    }

    /// Asks in a task of its own, which writes down what it is told even if nobody waits for it any more.
    fn ask(self: &Arc<Self>, id: &str, entry: String) -> JoinHandle<Answer> {
        if let Some(known) = self.cache().get_mut(id) {
            known.changed = false;
        }
        let (inner, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            let answer = inner.inspect(&id).await.map(|found| found.map(Arc::new));
            inner.note(&id, entry, &answer);
            answer
        })
    }

    /// Once at a time.
    fn ask_beside(self: &Arc<Self>, id: &str, entry: String) {
        let asks =
            |known: &Known| known.overdue.as_ref().and_then(|o| o.asking.as_ref()).is_some_and(|a| !a.is_finished());
        if self.cache().get(id).is_none_or(asks) {
            return;
        }
        let asking = self.ask(id, entry);
        if let Some(overdue) = self.cache().get_mut(id).and_then(|known| known.overdue.as_mut()) {
            overdue.asking = Some(asking);
        }
    }

    fn note(&self, id: &str, entry: String, answer: &Answer) {
        let mut cache = self.cache();
        match answer {
            Ok(Some(found)) => {
                let found = Some((Arc::clone(found), Timestamp::now()));
                // What an event told while it was under way may not be in it.
                let changed = cache.get(id).is_some_and(|known| known.changed);
                cache.insert(id.to_owned(), Known { entry, found, changed, overdue: None });
            }
            Ok(None) => drop(cache.remove(id)),
            Err(error) => overdue(&mut cache, id, error.to_string()),
        }
    }

    fn late(&self, id: &str, asking: JoinHandle<Answer>) {
        let mut cache = self.cache();
        if asking.is_finished() {
            return; // it answered in that very moment, and wrote it down
        }
        overdue(&mut cache, id, format!("no answer within {PATIENCE:?}"));
        if let Some(overdue) = cache.get_mut(id).and_then(|known| known.overdue.as_mut()) {
            overdue.asking = Some(asking);
        }
    }

    /// What the list says now; for the rest, what was last known.
    fn guess(&self, summary: &ContainerSummary) -> Look {
        let cache = self.cache();
        let known = summary.id.as_deref().and_then(|id| cache.get(id));
        let last = known.and_then(|k| k.found.as_ref());
        let overdue = known.and_then(|k| k.overdue.as_ref());
        let unseen = Unseen {
            since: overdue.map_or_else(Timestamp::now, |o| o.since),
            why: overdue.map_or("no answer".to_owned(), |o| o.why.clone()),
            inspected: last.map(|(_, at)| *at),
        };
        let found = guessed(summary, last.map(|(found, _)| found.as_ref()));
        Look { found: Arc::new(found), unseen: Some(unseen) }
    }
}

/// What the list says of a container, but for what it says of all alike.
fn entry(summary: &ContainerSummary) -> String {
    let networks = summary.network_settings.iter().flat_map(|n| n.networks.iter().flatten());
    let mut addresses: Vec<_> = networks.map(|(name, endpoint)| (name, endpoint.ip_address.as_deref())).collect();
    addresses.sort();
    format!("{:?} {:?} {:?} {addresses:?}", summary.state, summary.status, summary.names)
}

fn overdue(cache: &mut HashMap<String, Known>, id: &str, why: String) {
    let known = cache.entry(id.to_owned()).or_default();
    let overdue = known.overdue.get_or_insert(Overdue { since: Timestamp::now(), why: String::new(), asking: None });
    overdue.why = why;
}

fn guessed(summary: &ContainerSummary, last: Option<&ContainerInspectResponse>) -> ContainerInspectResponse {
    let now = listed_status(summary);
    let mut found = last.cloned().unwrap_or_else(|| ContainerInspectResponse {
        id: summary.id.clone(),
        name: summary.names.iter().flatten().next().cloned(),
        image: summary.image_id.clone(),
        network_settings: Some(NetworkSettings { networks: networks(summary), ..NetworkSettings::default() }),
        ..ContainerInspectResponse::default()
    });
    let same_life = last.is_some_and(|last| status(last) == now);
    let mut state = found.state.take().filter(|_| same_life).unwrap_or_default();
    state = ContainerState { status: Some(now), health: listed_health(summary), ..state };
    found.state = Some(state);
    found
}

fn listed_status(summary: &ContainerSummary) -> Status {
    match summary.state {
        Some(Listed::CREATED) => Status::CREATED,
        Some(Listed::RUNNING) => Status::RUNNING,
        Some(Listed::PAUSED) => Status::PAUSED,
        Some(Listed::RESTARTING) => Status::RESTARTING,
        Some(Listed::EXITED) => Status::EXITED,
        Some(Listed::REMOVING) => Status::REMOVING,
        Some(Listed::DEAD) => Status::DEAD,
        Some(Listed::STOPPING) => Status::STOPPING,
        Some(Listed::EMPTY) | None => Status::EMPTY,
    }
}

/// `Up 2 minutes (healthy)`: the list's word is as fresh as an inspection's.
fn listed_health(summary: &ContainerSummary) -> Option<Health> {
    let words = summary.status.as_deref().unwrap_or_default();
    let status = match words.rsplit_once('(').map(|(_, word)| word.trim_end_matches(')'))? {
        "healthy" => HealthStatusEnum::HEALTHY,
        "unhealthy" => HealthStatusEnum::UNHEALTHY,
        "health: starting" => HealthStatusEnum::STARTING,
        _ => return None,
    };
    Some(Health { status: Some(status), ..Health::default() })
}

/// Our addresses are fixed: where the list does not name the fixed one, the present one is the same.
fn networks(summary: &ContainerSummary) -> Option<HashMap<String, EndpointSettings>> {
    let mut networks = summary.network_settings.as_ref()?.networks.clone()?;
    for endpoint in networks.values_mut() {
        let present = endpoint.ip_address.clone().filter(|address| !address.is_empty());
        if let Some(address) = present.filter(|_| super::networks::fixed_address(endpoint).is_none()) {
            let fixed = EndpointIpamConfig { ipv4_address: Some(address), ..EndpointIpamConfig::default() };
            endpoint.ipam_config = Some(fixed);
        }
    }
    Some(networks)
}
