//! What commands need besides an answer of the planner: which containers there are, one more for one command, a page that
//! is kept.

use canaryd_cockpit::{ContainerView, ContainersPage, KeptPage, OneOffPage, OneOffRequest, PageRequest, Refusal};
use canaryd_engine::{ObservedContainer, OneOffPlan, RunState};
use canaryd_gateway::{Lane, Page, PageKind};
use canaryd_journal::NewEvent;
use canaryd_planner::Memory;
use canaryd_rollout::{RevisionId, RolloutName};
use jiff::Timestamp;

use super::house::House;
use super::rollouts::{DISK_PATIENCE, SLOW_DISK};
use super::store::image_id;

/// The containers of a rollout, by component, lane and number.
pub(super) async fn containers(house: &House, name: &RolloutName) -> Result<ContainersPage, Refusal> {
    let info = house.engine.info().await.map_err(|e| refused(e.to_string()))?;
    let observation = house.observer.seen().observation;
    let Some(cell) = house.cell(name) else { return Err(refused(format!("there is no rollout {name}"))) };
    let memory = cell.memory.lock().await;
    let mine = observation.iter().flat_map(|seen| seen.of(name).0);
    let mut containers: Vec<ContainerView> = mine.map(|c| view(c, &memory)).collect();
    containers.sort_by(|a, b| (&a.component, a.lane, a.ordinal).cmp(&(&b.component, b.lane, b.ordinal)));
    Ok(ContainersPage { engine: info.endpoint, containers })
}

fn view(container: &ObservedContainer, memory: &Memory) -> ContainerView {
    ContainerView {
        id: container.id.clone(),
        name: container.name.clone(),
        component: container.component.clone(),
        lane: memory.lane_of(&container.set),
        version: container.version.clone(),
        revision: container.revision.clone(),
        ordinal: container.ordinal,
        running: container.state == RunState::Running,
    }
}

/// Makes a container for one command. That somebody did is in the history before it is there; the words of the command are
/// nowhere, since they may hold a secret.
pub(super) async fn one_off(
    house: &House,
    name: &RolloutName,
    request: OneOffRequest,
    actor: &str,
) -> Result<OneOffPage, Refusal> {
    if house.config.dry_run {
        return Err(refused("this daemon runs with --dry-run: it makes no containers".to_owned()));
    }
    let lane = request.lane;
    let (version, revision) = release_in(house, name, lane).await?;
    let plan = plan_of(house, name, &revision, request).map_err(refused)?;
    let engine = house.engine.info().await.map_err(|e| refused(e.to_string()))?.endpoint;
    write_down(house, name, format!("{actor} runs a command in a container of its own, made of {version} ({lane})"))
        .await?;
    let made = house.engine.create_one_off(&plan).await.map_err(|e| refused(e.to_string()))?;
    tracing::info!(rollout = %name, container = made.name, actor, "a container for one command was created");
    let grace = plan.component.stop.grace.as_secs_f64();
    Ok(OneOffPage { engine, id: made.id, name: made.name, version, grace })
}

async fn release_in(house: &House, name: &RolloutName, lane: Lane) -> Result<(String, RevisionId), Refusal> {
    let Some(cell) = house.cell(name) else { return Err(refused(format!("there is no rollout {name}"))) };
    let memory = cell.memory.lock().await;
    let found = memory.release_in(lane).map(|(version, revision)| (version.to_owned(), revision.clone()));
    found.ok_or_else(|| match lane {
        Lane::Production => refused(format!("{name} has nothing in production yet")),
        Lane::Canary => refused(format!("{name} has nothing on trial")),
    })
}

fn plan_of(
    house: &House,
    name: &RolloutName,
    revision: &RevisionId,
    request: OneOffRequest,
) -> Result<OneOffPlan, String> {
    let rollout = house.store.revision(name, revision);
    let rollout =
        rollout.ok_or_else(|| format!("what revision {revision} was started with cannot be read any more"))?;
    let component = rollout.component(&request.component).ok_or_else(|| {
        let there: Vec<&str> = rollout.components().map(|c| c.name.as_str()).collect();
        format!("{name} has no component {}; it has {}", request.component, there.join(", "))
    })?;
    let image_id =
        image_id(&rollout, &component.image).ok_or_else(|| format!("image {} is not resolved", component.image))?;
    Ok(OneOffPlan {
        rollout: name.clone(),
        component: component.clone(),
        revision: revision.clone(),
        version: rollout.version.clone(),
        image_id: image_id.to_owned(),
        files_dir: house.store.files_dir(name, revision),
        command: request.command,
        terminal: request.terminal,
    })
}

/// Keeps a page of the user's own beside the gateway that is to show it.
pub(super) async fn keep_page(house: &House, name: &RolloutName, request: &PageRequest) -> Result<KeptPage, Refusal> {
    if house.config.dry_run {
        return Err(refused("this daemon runs with --dry-run: it keeps no pages".to_owned()));
    }
    let kind = PageKind::of_file(&request.file);
    let page = Page::new(kind, request.text.as_bytes())
        .map_err(|why| refused(format!("{} cannot be a page: {why}", request.file)))?;
    let dir = house.store.gateway_dir(name);
    if !dir.exists() {
        return Err(refused(format!("the gateway of {name} was not made yet: there is nothing to stop")));
    }
    let id = page.id();
    let kept = tokio::task::spawn_blocking(move || super::gateways::keep_page(&dir, &page)).await;
    match kept {
        Ok(Ok(())) => Ok(KeptPage { page: id }),
        Ok(Err(error)) => Err(refused(format!("the page cannot be kept: {error:#}"))),
        Err(error) => Err(refused(format!("the page cannot be kept: {error}"))),
    }
}

async fn write_down(house: &House, name: &RolloutName, message: String) -> Result<(), Refusal> {
    let event = NewEvent { severity: "info".to_owned(), kind: "one-off".to_owned(), message };
    let told = house.journal.tell(name.as_str(), vec![event], Timestamp::now());
    let why = match tokio::time::timeout(DISK_PATIENCE, told).await {
        Ok(Ok(_)) => {
            house.changed();
            return Ok(());
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => SLOW_DISK.to_owned(),
    };
    Err(refused(format!("nothing was run: it cannot be written down who did ({why})")))
}

fn refused(error: String) -> Refusal {
    Refusal { error, hint: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use canaryd_journal::EventFilter;
    use canaryd_rollout::Rollout;
    use rusqlite::Connection;

    use super::super::bells::lock;
    use super::super::fake::{Site, name, rollout};
    use super::*;

    async fn serving(site: &Site) -> Rollout {
        let rollout = rollout("v1", "", "");
        site.house.store.keep_revision(&rollout, &BTreeMap::new()).unwrap();
        let mut memory = serde_json::to_value(Memory::default()).unwrap();
        memory["production"] = serde_json::json!({
            "release": { "version": "v1", "revision": rollout.revision, "provisional": rollout.provisional, "components": [] },
            "crews": {}, "since": "2026-11-23T12:00:00Z",
        });
        *site.cell("shop").memory.lock().await = serde_json::from_value(memory).unwrap();
        rollout
    }

    fn asked(lane: Lane, component: &str) -> OneOffRequest {
        let command = ["migrate", "--password", "hunter2"].map(str::to_owned).to_vec();
        OneOffRequest { lane, component: component.parse().unwrap(), command, terminal: false }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_ran_something_is_written_down_before_it_is_made_and_what_they_ran_is_not() {
        let site = Site::new().await;
        let rollout = serving(&site).await;
        let request = asked(Lane::Production, "app");
        let page = one_off(&site.house, &name("shop"), request, "mina (uid 1000)").await.unwrap();
        assert_eq!((page.version.as_str(), page.engine.as_str()), ("v1", "unix:///a/test.sock"));
        let plans = lock(&site.engine.one_offs).clone();
        assert_eq!((&plans[0].component, plans[0].image_id.as_str()), (&rollout.app, "sha256:1"));
        let filter = EventFilter { name: Some("shop".to_owned()), after_seq: 0, limit: 10, newest: true };
        let told = site.house.journal.events(filter).await.unwrap();
        assert!(told[0].message.contains("mina (uid 1000)") && told[0].message.contains("v1"), "{told:?}");
        assert!(!format!("{told:?}").contains("migrate"), "{told:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_written_down_or_is_not_there_is_not_run() {
        let site = Site::new().await;
        serving(&site).await;
        let house = &site.house;
        let refusal = async |request| one_off(house, &name("shop"), request, "mina").await.unwrap_err().error;
        assert!(refusal(asked(Lane::Canary, "app")).await.contains("nothing on trial"));
        assert!(refusal(asked(Lane::Production, "worker")).await.contains("it has app"));
        let locked = Connection::open(house.journal.path()).unwrap();
        locked.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(refusal(asked(Lane::Production, "app")).await.contains("cannot be written down"));
        assert!(lock(&site.engine.one_offs).is_empty());
    }
}
