//! What Docker tells of its containers. The whole host is listened to, because a neighbour's death may excuse one of ours; only what
//! concerns this instance is passed on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{EventActor, EventMessage};
use bollard::query_parameters::EventsOptions;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::exits::{Heard, HeardKind};
use super::labels::{self, Identity};
use super::{Inner, call, observe};
use crate::error::{EngineError, Result};
use crate::observation::{EngineEvent, EventKind};

/// After this long without an event the engine is asked whether it is still there: a stream has no timeout of its own.
const SILENCE: Duration = Duration::from_secs(15);
const DOING: &str = "listening to Docker's events";

/// Everything that the exit book and the caller need, and none of the three events of every health check run.
const ACTIONS: [&str; 13] = [
    "create",
    "start",
    "die",
    "kill",
    "stop",
    "oom",
    "destroy",
    "pause",
    "unpause",
    "rename",
    "update",
    "health_status",
    "restart",
];

struct Listening<S> {
    inner: Arc<Inner>,
    stream: S,
    over: bool,
}

/// This instance's events, until the first gap.
pub(super) fn events(inner: Arc<Inner>) -> BoxStream<'static, Result<EngineEvent>> {
    let opened = async move {
        let since = Timestamp::now();
        match inner.call(DOING, inner.docker.ping()).await {
            Ok(_) => {}
            Err(error) => return futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
        inner.book().listening(Timestamp::now(), inner.engine_start());
        inner.heard_nothing();
        let stream = inner.docker.events(Some(options(since))).boxed();
        listen(Listening { inner, stream, over: false }).boxed()
    };
    futures::stream::once(opened).flatten().boxed()
}

/// From just before, so that nothing falls between the answer to the ping and the stream.
fn options(since: Timestamp) -> EventsOptions {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), ACTIONS.iter().map(|a| (*a).to_owned()).collect()),
    ]);
    let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
    EventsOptions { since: Some(since), until: None, filters: Some(filters) }
}

fn listen<S>(listening: Listening<S>) -> impl Stream<Item = Result<EngineEvent>> + Send
where
    S: Stream<Item = Result<EventMessage, bollard::errors::Error>> + Unpin + Send,
{
    futures::stream::unfold(listening, |mut l| async move {
        if l.over {
            return None;
        }
        let next = l.next().await;
        if next.is_err() {
            l.over = true;
            l.inner.book().deaf(Timestamp::now());
            l.inner.heard_nothing();
        }
        Some((next, l))
    })
}

impl<S> Listening<S>
where
    S: Stream<Item = Result<EventMessage, bollard::errors::Error>> + Unpin + Send,
{
    async fn next(&mut self) -> Result<EngineEvent> {
        loop {
            match tokio::time::timeout(SILENCE, self.stream.next()).await {
                Ok(Some(Ok(message))) => {
                    if let Some(event) = self.inner.hear(&message) {
                        return Ok(event);
                    }
                }
                Ok(Some(Err(error))) => return Err(call::explain(&self.inner.endpoint, DOING, &error)),
                Ok(None) => {
                    return Err(EngineError::Failed {
                        doing: DOING.to_owned(),
                        why: "the engine closed the stream".to_owned(),
                    });
                }
                Err(_) => self.inner.call(DOING, self.inner.docker.ping()).await.map(|_| ())?,
            }
        }
    }
}

impl Inner {
    /// Enters the event into the book; what concerns this instance is returned.
    pub(super) fn hear(&self, message: &EventMessage) -> Option<EngineEvent> {
        let actor = message.actor.as_ref()?;
        let id = actor.id.clone()?;
        let at = Timestamp::from_nanosecond(i128::from(message.time_nano?)).ok()?;
        let action = message.action.as_deref()?;
        let attributes = actor.attributes.clone().unwrap_or_default();
        let identity = Identity::read(&attributes, &self.options.instance);
        self.told_of(&id);
        // Whoever sits beside a one-off container sees how it ends: that says nothing of others.
        if let Some(what) = heard_kind(action, actor).filter(|_| !labels::is_one_off(&attributes)) {
            let kin = identity.as_ref().map(observe::kin);
            self.book().heard(&Heard { at, id: id.clone(), kin, what });
        }
        Some(event(identity?, at, id, event_kind(action, actor)))
    }
}

fn event(identity: Identity, at: Timestamp, container_id: String, kind: EventKind) -> EngineEvent {
    match identity {
        Identity::Replica(r) => EngineEvent {
            at,
            rollout: r.rollout,
            component: Some(r.component),
            set: Some(r.set),
            ordinal: Some(r.ordinal),
            container_id,
            kind,
        },
        Identity::Gateway { rollout, .. } => {
            EngineEvent { at, rollout, component: None, set: None, ordinal: None, container_id, kind }
        }
    }
}

fn attribute<T: std::str::FromStr>(actor: &EventActor, name: &str) -> Option<T> {
    actor.attributes.as_ref()?.get(name)?.parse().ok()
}

fn heard_kind(action: &str, actor: &EventActor) -> Option<HeardKind> {
    match action {
        "start" => Some(HeardKind::Start),
        "kill" => Some(HeardKind::Kill(attribute(actor, "signal").unwrap_or(15))),
        "oom" => Some(HeardKind::Oom),
        "die" => Some(HeardKind::Die(attribute(actor, "exitCode").unwrap_or(-1))),
        "destroy" => Some(HeardKind::Destroy),
        _ => None,
    }
}

fn event_kind(action: &str, actor: &EventActor) -> EventKind {
    match action {
        "create" => EventKind::Created,
        "start" => EventKind::Started,
        "die" => EventKind::Died { code: attribute(actor, "exitCode").unwrap_or(-1) },
        "oom" => EventKind::OutOfMemory,
        "destroy" => EventKind::Removed,
        // `health_status: healthy`, `health_status: unhealthy`
        other if other.starts_with("health_status") => EventKind::Health { healthy: other.ends_with(" healthy") },
        _ => EventKind::Changed,
    }
}
