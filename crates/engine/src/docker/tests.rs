//! Our use of bollard against the fake: what is sent, in which order, and that nothing is sent twice.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::{EventActor, EventMessage, RestartPolicyNameEnum};
use canaryd_rollout::{
    CanaryReplicas, Component, ComponentName, Container, ExecHealth, FileMount, Gpus, Health, Mount, Order, Probe,
    PullPolicy, SetId, Sharing, Stop,
};
use futures::StreamExt;
use serde_json::json;

use super::create;
use super::fake::{self, Shared};
use super::labels::{self, Identity, ReplicaId};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::observation::{DockerHealth, ExitCause, Observation, ObservedContainer, RunState};
use crate::plan::{OneOffPlan, SetPlan};

fn plan(container: Container) -> SetPlan {
    let second = Duration::from_secs(1);
    let component = Component {
        name: ComponentName::app(),
        image: "shop:v1".into(),
        pull: PullPolicy::Missing,
        replicas: 1,
        canary_replicas: CanaryReplicas::Auto,
        port: Some(8000),
        container,
        health: Health { probe: Probe::None, interval: second, timeout: second, failures: 3, startup: 30 * second },
        stop: Stop { grace: 10 * second, drain: second },
        order: Order::StartFirst,
    };
    SetPlan {
        rollout: "shop".parse().unwrap(),
        component,
        revision: "0123456789".parse().unwrap(),
        version: "v1".into(),
        image_id: "sha256:ab".into(),
        set: SetId::nth(1),
        running: vec![1, 2],
        stopped: Vec::new(),
        removed: Vec::new(),
        grace: second,
        expendable: false,
        files_dir: "/state/files".into(),
    }
}

fn one_off(container: Container) -> OneOffPlan {
    let SetPlan { rollout, component, revision, version, image_id, files_dir, .. } = plan(container);
    let command = vec!["migrate".to_owned(), "up".to_owned()];
    OneOffPlan { rollout, component, revision, version, image_id, files_dir, command, terminal: true }
}

#[test]
fn a_container_for_one_command_is_made_of_the_component_and_is_no_replica_of_it() {
    let container = Container {
        entrypoint: Some(vec!["/entry".into()]),
        command: Some(vec!["serve".into()]),
        env: BTreeMap::from([("TOKEN".into(), "x".into())]),
        labels: BTreeMap::from([("traefik.enable".into(), "true".into())]),
        ..Container::default()
    };
    let plan = one_off(container);
    let labels = labels::of_one_off(&plan, "one");
    assert!(labels::is_one_off(&labels) && Identity::read(&labels, "one").is_none(), "nobody counts it");
    let body = create::one_off(&plan, labels, "canaryd-shop");
    assert_eq!(body.cmd.unwrap(), ["migrate", "up"]);
    assert_eq!((body.entrypoint.unwrap(), body.env.unwrap()), (vec!["/entry".to_owned()], vec!["TOKEN=x".to_owned()]));
    assert_eq!(
        (body.tty, body.open_stdin, body.healthcheck.unwrap().test.unwrap()[0].as_str()),
        (Some(true), Some(true), "NONE")
    );
    assert!(!body.labels.unwrap().contains_key("traefik.enable"), "nothing sends it requests");
    let host = body.host_config.unwrap();
    assert_eq!((host.auto_remove, host.restart_policy.unwrap().name), (Some(true), Some(RestartPolicyNameEnum::NO)));
}

fn changes(state: &Shared) -> Vec<String> {
    std::mem::take(&mut state.lock().unwrap().changes)
}

#[tokio::test]
async fn the_create_body_carries_every_field_and_no_port_and_no_alias() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    let second = Duration::from_secs(1);
    let container = Container {
        command: Some(vec!["serve".into()]),
        env: BTreeMap::from([("A".into(), "1".into())]),
        mounts: vec![Mount {
            source: "data".into(),
            target: "/data".into(),
            volume: true,
            read_only: false,
            sharing: Some(Sharing::PerRevision),
        }],
        files: vec![FileMount { copy: "c0ffee".into(), target: "/run/key".into(), secret: true, mode: 0o400 }],
        gpus: Some(Gpus::Count(1)),
        labels: BTreeMap::from([("team".into(), "scent".into())]),
        healthcheck: Some(ExecHealth {
            command: vec!["/check".into()],
            interval: second,
            timeout: second,
            failures: 2,
        }),
        init: true,
        ..Container::default()
    };
    engine.ensure_set(&SetPlan { running: vec![1], ..plan(container) }).await.unwrap();
    let body = state.lock().unwrap().containers["c1"]["Config"].clone();
    let subnet = state.lock().unwrap().networks["net-canaryd-shop"]["IPAM"]["Config"][0].clone();
    let address = format!("{}.3", subnet["Subnet"].as_str().unwrap().rsplit_once('.').unwrap().0);
    let wanted = json!({
        "Image": "sha256:ab", "Cmd": ["serve"], "Env": ["A=1"], "StopTimeout": 10,
        "Labels": {
            "io.canaryd.component": "app", "io.canaryd.format": "1", "io.canaryd.instance": "test", "io.canaryd.ordinal": "1",
            "io.canaryd.revision": "0123456789", "io.canaryd.rollout": "shop", "io.canaryd.set": "s1", "io.canaryd.version": "v1",
            "team": "scent",
        },
        "Healthcheck": {
            "Test": ["CMD", "/check"], "Interval": 1_000_000_000, "Timeout": 1_000_000_000, "Retries": 2, "StartPeriod": 30_000_000_000_i64,
        },
        "HostConfig": {
            "NetworkMode": "canaryd-shop", "RestartPolicy": { "Name": "unless-stopped" }, "Init": true,
            "DeviceRequests": [{ "Count": 1, "Capabilities": [["gpu"]] }],
            "Mounts": [
                { "Type": "volume", "Source": "data-0123456789", "Target": "/data" },
                { "Type": "bind", "Source": "/state/files/c0ffee", "Target": "/run/key", "ReadOnly": true },
            ],
        },
        "NetworkingConfig": { "EndpointsConfig": { "canaryd-shop": { "IPAMConfig": { "IPv4Address": address } } } },
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn a_second_call_changes_nothing_and_a_new_goal_only_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    let mut plan = plan(Container::default());
    engine.ensure_set(&plan).await.unwrap();
    let first =
        ["networks/create", "containers/create", "containers/c1/start", "containers/create", "containers/c2/start"];
    assert_eq!(changes(&state), first.map(|c| format!("POST /{c}")));
    engine.ensure_set(&plan).await.unwrap();
    assert!(changes(&state).is_empty());
    (plan.running, plan.stopped) = (vec![1], vec![2]);
    engine.ensure_set(&plan).await.unwrap();
    assert_eq!(changes(&state), ["POST /containers/c2/update", "POST /containers/c2/stop"], "the policy goes first");
    (plan.running, plan.stopped, plan.removed) = (vec![2], vec![], vec![1]);
    engine.ensure_set(&plan).await.unwrap();
    let last = [
        "POST /containers/c1/stop",
        "DELETE /containers/c1",
        "POST /containers/c2/update",
        "POST /containers/c2/start",
    ];
    assert_eq!(changes(&state), last);
}

#[tokio::test]
async fn a_start_that_failed_is_finished_by_the_next_call() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    let plan = SetPlan { running: vec![1], ..plan(Container::default()) };
    let fault = ("POST /containers/c1/start".to_owned(), 500, "try later".to_owned());
    state.lock().unwrap().faults.push(fault);
    let error = engine.ensure_set(&plan).await.unwrap_err();
    assert!(matches!(error, EngineError::Failed { .. }) && !error.is_final(), "{error}");
    state.lock().unwrap().faults.clear();
    changes(&state);
    engine.ensure_set(&plan).await.unwrap();
    assert_eq!(changes(&state), ["POST /containers/c1/start"]);
}

#[tokio::test]
async fn containers_of_another_instance_are_not_seen_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    engine.ensure_set(&plan(Container::default())).await.unwrap();
    for container in state.lock().unwrap().containers.values_mut() {
        container["Config"]["Labels"]["io.canaryd.instance"] = json!("another");
    }
    changes(&state);
    assert!(engine.observe().await.unwrap().containers.is_empty());
    engine.remove_set(&"shop".parse().unwrap(), &SetId::nth(1), Duration::ZERO).await.unwrap();
    assert!(changes(&state).is_empty());
}

#[tokio::test]
async fn credentials_leave_in_the_alphabet_that_docker_reads() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    let credentials = DockerCredentials { password: Some("p?>~secret~~~".into()), ..DockerCredentials::default() };
    let _: Vec<_> = engine
        .inner
        .docker
        .create_image(None::<bollard::query_parameters::CreateImageOptions>, None, Some(credentials))
        .collect()
        .await;
    let header = state.lock().unwrap().registry_auth.clone().unwrap();
    assert!(!header.contains(['+', '/']) && header.contains(['-', '_']), "{header}");
}

fn replica(observation: &Observation, ordinal: u32) -> &ObservedContainer {
    observation.containers.iter().find(|c| c.ordinal == ordinal).unwrap()
}

#[tokio::test]
async fn a_container_that_cannot_be_inspected_hides_no_other_and_is_not_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    engine.ensure_set(&plan(Container::default())).await.unwrap();
    let before = engine.observe().await.unwrap();
    assert!(before.containers.iter().all(|c| c.unseen.is_none()));
    engine.inner.heard_nothing();
    state.lock().unwrap().hangs.push("GET /containers/c1/json".to_owned());
    let began = tokio::time::Instant::now();
    let sick = engine.observe().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1900), "shorter than a call may take: {:?}", began.elapsed());
    assert_eq!(replica(&sick, 2), replica(&before, 2), "the other one is seen as ever");
    let unseen = replica(&sick, 1).unseen.clone().unwrap();
    assert!(unseen.why.contains("no answer") && unseen.inspected.is_some(), "{unseen:?}");
    let known = ObservedContainer { unseen: None, ..replica(&sick, 1).clone() };
    assert_eq!(&known, replica(&before, 1), "what was last known of it counts");
    let again = tokio::time::Instant::now();
    let since = engine.observe().await.unwrap().containers[0].unseen.clone().unwrap().since;
    assert!(again.elapsed() < Duration::from_millis(900), "who is late delays no later look: {:?}", again.elapsed());
    assert_eq!(since, unseen.since);
}

#[tokio::test]
async fn an_inspection_holds_until_the_list_or_an_event_tells_of_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    engine.ensure_set(&plan(Container::default())).await.unwrap();
    let looked_into = async || {
        state.lock().unwrap().inspected.clear();
        let seen = engine.observe().await.unwrap();
        let mut ids = state.lock().unwrap().inspected.clone();
        ids.sort();
        (seen, ids)
    };
    let (first, both) = looked_into().await;
    assert_eq!(both, ["c1", "c2"]);
    let (second, none) = looked_into().await;
    assert_eq!((&second.containers, none), (&first.containers, vec![]));
    engine.inner.told_of("c2");
    assert_eq!(looked_into().await.1, ["c2"]);
    state.lock().unwrap().containers.get_mut("c1").unwrap()["State"]["Status"] = json!("paused");
    let (paused, asked) = looked_into().await;
    assert_eq!((replica(&paused, 1).state, asked), (RunState::Paused, vec!["c1".to_owned()]));
    engine.inner.heard_nothing();
    assert_eq!(looked_into().await.1, ["c1", "c2"], "events were missed");
}

#[tokio::test]
async fn a_container_that_was_never_inspected_is_entered_by_what_the_list_says() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    engine.ensure_set(&plan(Container::default())).await.unwrap();
    let address = state.lock().unwrap().containers["c2"]["NetworkSettings"]["Networks"]["canaryd-shop"]["IPAMConfig"]
        ["IPv4Address"]
        .clone();
    {
        let mut state = state.lock().unwrap();
        state.containers.get_mut("c2").unwrap()["State"]["Health"] = json!({ "Status": "unhealthy" });
        state.faults.push(("GET /containers/c2/json".to_owned(), 500, "layer does not exist".to_owned()));
    }
    let seen = engine.observe().await.unwrap();
    let sick = replica(&seen, 2);
    let unseen = sick.unseen.clone().unwrap();
    assert!(unseen.why.contains("layer does not exist") && unseen.inspected.is_none(), "{unseen:?}");
    assert_eq!((sick.state, sick.name.as_str()), (RunState::Running, "shop-app-0123456789-2"));
    assert_eq!(sick.addr.map(|a| json!(a)), Some(address));
    assert_eq!((sick.started_at, &sick.docker_health), (None, &Some(DockerHealth::Unhealthy { last: String::new() })));
    assert!(replica(&seen, 1).unseen.is_none());
}

#[tokio::test]
async fn a_container_that_answers_again_is_seen_again_and_one_that_went_meanwhile_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, state) = fake::engine(dir.path()).await;
    engine.ensure_set(&plan(Container::default())).await.unwrap();
    state.lock().unwrap().faults.push(("GET /containers/c".to_owned(), 500, "busy".to_owned()));
    assert!(engine.observe().await.unwrap().containers.iter().all(|c| c.unseen.is_some()));
    {
        let mut state = state.lock().unwrap();
        state.faults.clear();
        state.containers.remove("c2");
    }
    let seen = async || {
        loop {
            let seen = engine.observe().await.unwrap();
            if seen.containers.iter().all(|c| c.unseen.is_none()) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen()).await.unwrap();
    assert_eq!(seen.containers.iter().map(|c| c.ordinal).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn the_end_of_a_container_for_one_command_excuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _state) = fake::engine(dir.path()).await;
    let died = |id: &str, labels: HashMap<String, String>, at: i64| EventMessage {
        action: Some("die".to_owned()),
        actor: Some(EventActor {
            id: Some(id.to_owned()),
            attributes: Some(labels.into_iter().chain([("exitCode".to_owned(), "1".to_owned())]).collect()),
        }),
        time_nano: Some(1_800_000_000_000_000_000 + at),
        ..EventMessage::default()
    };
    let ours = labels::of_one_off(&one_off(Container::default()), "one");
    for (neighbour, labels, cause) in
        [("run", ours, ExitCause::Itself), ("postgres", HashMap::new(), ExitCause::Neighbour)]
    {
        let at = if neighbour == "run" { 0 } else { 60_000_000_000 };
        let replica = Identity::Replica(ReplicaId {
            rollout: "shop".parse().unwrap(),
            component: ComponentName::app(),
            set: SetId::nth(1),
            revision: "0123456789".parse().unwrap(),
            ordinal: 1,
            version: "v1".into(),
        });
        engine.inner.hear(&died(neighbour, labels, at));
        engine.inner.hear(&died("canary", replica.labels("one"), at + 500_000_000));
        assert_eq!(engine.inner.book().exits("canary").last().unwrap().cause, cause, "{neighbour}");
    }
}
