//! Gathers the facts: whatever does not depend on another is looked at side by side, and nothing waits for ever.

mod daemon;
mod docker;
mod gateways;
mod host;
mod process;
mod state;

use std::future::Future;
use std::time::Duration;

use canaryd_engine::EngineError;
use jiff::Timestamp;

use super::Places;
use super::facts::{Docker, Facts, Journal, Page, State};

/// For what asks a disk or a socket.
const QUICK: Duration = Duration::from_secs(6);
/// For all questions to Docker together.
const PATIENT: Duration = Duration::from_secs(12);

pub(super) use state::look_at as journal_in;

pub(super) async fn look(places: &Places) -> Facts {
    let (socket, kernel) = tokio::join!(daemon::look(&places.socket), blocking(host::kernel));
    let page = socket.page();
    let named = places.state.clone().or_else(|| page?.state.clone());
    let state = state::look(named.unwrap_or_else(|| places.usual.clone())).await;
    let watched: Vec<_> = page.into_iter().flat_map(|p| p.watch.clone()).chain(places.watch.clone()).collect();
    let late = EngineError::Timeout { doing: "answering the doctor's questions".to_owned(), after: PATIENT };
    let instance = instance(page, state.as_ref());
    let (docker, watch) = tokio::join!(
        within(PATIENT, docker::look(places, instance, state.as_ref())),
        within(QUICK, blocking(move || watched.iter().map(|dir| host::watched(dir)).collect())),
    );
    let docker = docker.unwrap_or(Err(late));
    let checkup = docker.as_ref().ok().and_then(|d: &Docker| d.checkup.as_ref().ok());
    let gateways = within(PATIENT, gateways::look(state.as_ref(), checkup)).await.unwrap_or_default();
    Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: Timestamp::now(),
        me: process::me(),
        socket,
        state,
        docker,
        gateways,
        watch: watch.flatten().unwrap_or_default(),
        kernel: kernel.unwrap_or_default(),
    }
}

/// Whose containers are ours. One that nobody has fits nothing.
fn instance(page: Option<&Page>, state: Option<&State>) -> String {
    let of_journal = || match &state?.journal {
        Journal::Found(found) => Some(found.instance.clone()),
        Journal::Missing(plain) => plain.clone(),
        Journal::Damaged(_) | Journal::Unread(_) => {
            let text = std::fs::read_to_string(state?.path.join("instance")).ok()?;
            Some(text.trim().to_owned())
        }
    };
    page.map(|p| p.instance.clone()).or_else(of_journal).unwrap_or_else(|| "nobody".to_owned())
}

async fn within<T>(limit: Duration, looking: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, looking).await.ok()
}

/// On a thread where a disk that hangs keeps nobody else waiting.
async fn blocking<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::time::timeout(QUICK, tokio::task::spawn_blocking(look)).await.ok()?.ok()
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
