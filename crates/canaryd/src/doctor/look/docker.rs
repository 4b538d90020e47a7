//! What the engine says. Nothing is pulled and no container is started.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_engine::{Checkup, DockerEngine, DockerOptions, Engine, EngineError, RunState, local_endpoint};
use canaryd_gateway::{NginxVersion, container::version_argv};
use futures::future::join_all;
use serde_json::Value;

use crate::doctor::Places;
use crate::doctor::facts::{Docker, Journal, NginxImage, State};

/// For one question.
const PATIENCE: Duration = Duration::from_secs(4);
/// What a gateway is made of when nobody says otherwise.
const USUAL: [&str; 2] = ["nginx:stable", "canaryd-nginx:local"];

pub(super) async fn look(places: &Places, instance: String, state: Option<&State>) -> Result<Docker, EngineError> {
    let mut options = DockerOptions::new(instance, state.map_or(&places.usual, |state| &state.path));
    options.host.clone_from(&places.docker_host);
    options.call_timeout = PATIENCE;
    let from = local_endpoint(places.docker_host.as_deref())?.from;
    let engine = DockerEngine::connect(options).await?;
    let (info, checkup) = tokio::join!(engine.info(), engine.checkup());
    let images = images(&engine, state, checkup.as_ref().ok()).await;
    Ok(Docker { info: info?, from, checkup, images })
}

async fn images(engine: &DockerEngine, state: Option<&State>, checkup: Option<&Checkup>) -> Vec<NginxImage> {
    let wanted = wanted(state);
    if wanted.is_empty() {
        return join_all(USUAL.map(|reference| image(engine, reference.to_owned(), None, None))).await;
    }
    let running = |name: &str| {
        let gateways = checkup.into_iter().flat_map(|c| &c.gateways);
        gateways.filter(|g| g.state == RunState::Running).find(|g| g.rollout.as_str() == name).map(|g| g.id.clone())
    };
    join_all(wanted.into_iter().map(|(name, reference)| image(engine, reference, running(&name), Some(name)))).await
}

/// The gateway's image of each rollout that the journal remembers.
fn wanted(state: Option<&State>) -> BTreeMap<String, String> {
    let Some(Journal::Found(found)) = state.map(|s| &s.journal) else { return BTreeMap::new() };
    let image = |json: &str| {
        let memory: Value = serde_json::from_str(json).ok()?;
        Some(memory.pointer("/manifest/gateway/image")?.as_str()?.to_owned())
    };
    found.memories.iter().filter_map(|(name, json)| Some((name.clone(), image(json)?))).collect()
}

async fn image(
    engine: &DockerEngine,
    reference: String,
    running: Option<String>,
    wanted_by: Option<String>,
) -> NginxImage {
    let present = engine.image(&reference).await.is_ok_and(|found| found.is_some());
    let mut version = None;
    if let Some(id) = running {
        version = engine.exec(&id, &version_argv(), PATIENCE).await.ok().and_then(|said| said.output.parse().ok());
    }
    if version.is_none() && present {
        let said = engine.image_variable(&reference, "NGINX_VERSION").await.ok().flatten();
        version = said.and_then(|text| format!("nginx/{text}").parse::<NginxVersion>().ok());
    }
    NginxImage { reference, wanted_by, present, version }
}
