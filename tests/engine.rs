//! The Docker engine room against a real Docker engine: sets, addresses, causes of exits, the gateway's container.
//! Everything carries an instance of its own and is removed at the end, whatever happens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use canaryd_engine::{
    Bind, DockerEngine, DockerOptions, Engine, EngineError, EventKind, ExitCause, Fault, GatewayPlan, LogOptions,
    ObservedContainer, ObservedExit, PublishedPort, RunState, SetPlan, Signal,
};
use canaryd_rollout::{
    CanaryReplicas, Component, ComponentName, Container, Health, Order, Probe, PullPolicy, Resources, RolloutName,
    SetId, Stop,
};
use futures::StreamExt;

/// What runs in the containers: it serves, crashes, eats memory or plays an NGINX master, as its first argument says.
const PROGRAM: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void end(int s) { (void)s; _exit(0); }
static void hup(int s) { (void)s; if (write(1, "hup\n", 4)) {} }
static void serve(void) {
  printf("hello from %s\n", getenv("VERSION") ? getenv("VERSION") : "nobody"); fflush(stdout);
  fprintf(stderr, "a warning\n");
  for (;;) pause();
}
int main(int n, char **a) {
  signal(SIGTERM, end); signal(SIGQUIT, end); signal(SIGHUP, hup);
  if (n > 1 && !strcmp(a[1], "crash")) { usleep(atoi(a[2]) * 1000); return atoi(a[3]); }
  if (n > 1 && !strcmp(a[1], "eat")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
  if (n > 1 && !strcmp(a[1], "say")) { printf("%s\n", a[2]); return 7; }
  if (n > 1 && !strcmp(a[1], "master") && !fork())
    execl("/app", "nginx: worker process is shutting down", "child", (char *)0);
  serve();
}
"#;

struct House {
    engine: DockerEngine,
    instance: String,
    rollout: RolloutName,
    image: String,
    image_id: String,
    dir: tempfile::TempDir,
}

impl House {
    async fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let unique: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let instance = format!("canaryd-test-{unique}");
        let image = format!("{instance}:v1");
        import(dir.path(), &image);
        let engine = DockerEngine::connect(DockerOptions::new(&instance, dir.path())).await.unwrap();
        let image_id = engine.image(&image).await.unwrap().unwrap().id;
        let rollout = format!("t{unique}").parse().unwrap();
        Self { engine, instance, rollout, image, image_id, dir }
    }

    fn plan(&self, command: &[&str]) -> SetPlan {
        let container = Container {
            entrypoint: Some(vec!["/app".to_owned()]),
            command: Some(command.iter().map(|a| (*a).to_owned()).collect()),
            env: BTreeMap::from([("VERSION".to_owned(), "v1".to_owned())]),
            ..Container::default()
        };
        SetPlan {
            rollout: self.rollout.clone(),
            component: component(&self.image, container),
            revision: "0123456789".parse().unwrap(),
            version: "v1".to_owned(),
            image_id: self.image_id.clone(),
            set: SetId::nth(1),
            running: vec![1],
            stopped: Vec::new(),
            removed: Vec::new(),
            grace: Duration::from_secs(5),
            expendable: false,
            files_dir: self.dir.path().to_owned(),
        }
    }

    async fn containers(&self) -> Vec<ObservedContainer> {
        self.engine.observe().await.unwrap().containers
    }

    /// The only container, once it is as described; fails with what it was instead.
    async fn until(&self, wanted: impl Fn(&ObservedContainer) -> bool) -> ObservedContainer {
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            let now = self.containers().await;
            match now.first() {
                Some(c) if wanted(c) => return c.clone(),
                other => assert!(Instant::now() < end, "it stayed {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets the exit book hear the engine's events in the background, as the daemon does.
    fn listen(&self) -> tokio::task::JoinHandle<Vec<EventKind>> {
        let mut events = self.engine.events();
        tokio::spawn(async move {
            let mut heard = Vec::new();
            while let Some(Ok(event)) = events.next().await {
                let last = event.kind == EventKind::Removed;
                heard.push(event.kind);
                if last {
                    break;
                }
            }
            heard
        })
    }

    fn gateway(&self, published: u16, recreate: bool) -> GatewayPlan {
        GatewayPlan {
            rollout: self.rollout.clone(),
            image_id: self.image_id.clone(),
            user: "65534:65534".to_owned(),
            entrypoint: vec!["/app".to_owned(), "master".to_owned()],
            binds: vec![Bind {
                source: self.dir.path().to_owned(),
                target: "/etc/gateway".to_owned(),
                read_only: true,
            }],
            ports: vec![PublishedPort { container: 8080, address: "127.0.0.1".parse().unwrap(), host: published }],
            ops_port: 8081,
            ops_host_port: None,
            networks: Vec::new(),
            aliases: Vec::new(),
            spec_hash: format!("published at {published}"),
            recreate,
            grace: Duration::from_secs(5),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let label = format!("label=io.canaryd.instance={}", self.instance);
        for id in quiet(&["ps", "-aq", "--filter", &label]).lines() {
            quiet(&["rm", "-f", "-v", id]);
        }
        for id in quiet(&["network", "ls", "-q", "--filter", &label]).lines() {
            quiet(&["network", "rm", id]);
        }
        quiet(&["rmi", "-f", &self.image]);
    }
}

fn component(image: &str, container: Container) -> Component {
    let startup = Duration::from_secs(5);
    Component {
        name: ComponentName::app(),
        image: image.to_owned(),
        pull: PullPolicy::Never,
        replicas: 1,
        canary_replicas: CanaryReplicas::Auto,
        port: Some(8000),
        container,
        health: Health { probe: Probe::None, interval: startup, timeout: startup, failures: 3, startup },
        stop: Stop { grace: Duration::from_secs(5), drain: Duration::ZERO },
        order: Order::StartFirst,
    }
}

fn quiet(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn import(dir: &Path, image: &str) {
    let source = dir.join("app.c");
    std::fs::write(&source, PROGRAM).unwrap();
    let compiled =
        Command::new("gcc").args(["-static", "-O1", "-w", "-o"]).arg(dir.join("app")).arg(&source).status().unwrap();
    assert!(compiled.success(), "gcc -static");
    let archive = Command::new("tar").arg("-C").arg(dir).args(["-c", "app"]).output().unwrap().stdout;
    let mut import = Command::new("docker")
        .args(["import", "-", image])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&archive).unwrap();
    assert!(import.wait().unwrap().success(), "docker import");
}

#[tokio::test]
async fn a_set_is_started_scaled_stopped_and_comes_back_under_the_same_ids_and_addresses() {
    let house = House::build().await;
    let mut plan = house.plan(&["serve"]);
    plan.running = vec![1, 2];
    house.engine.ensure_set(&plan).await.unwrap();
    let first = house.containers().await;
    assert_eq!(
        first.iter().map(|c| (c.ordinal, c.state)).collect::<Vec<_>>(),
        [(1, RunState::Running), (2, RunState::Running)]
    );
    assert_ne!(first[0].addr.unwrap(), first[1].addr.unwrap());
    assert_eq!(first[0].name, format!("{}-app-0123456789-1", house.rollout));
    house.engine.ensure_set(&plan).await.unwrap();
    let same = |now: &[ObservedContainer], then: &[ObservedContainer]| {
        now.iter().zip(then).all(|(a, b)| (&a.id, a.addr) == (&b.id, b.addr)) && now.len() == then.len()
    };
    assert!(same(&house.containers().await, &first), "a second call changes nothing");

    plan.running = vec![1, 2, 3];
    house.engine.ensure_set(&plan).await.unwrap();
    assert_eq!(house.containers().await.len(), 3);

    (plan.running, plan.stopped, plan.removed) = (Vec::new(), vec![1, 2], vec![3]);
    house.engine.ensure_set(&plan).await.unwrap();
    let stopped = house.containers().await;
    assert!(
        stopped.iter().all(|c| c.state == RunState::Exited && c.exits.last().unwrap().cause == ExitCause::Us),
        "{stopped:?}"
    );
    let policy = |id: &str| quiet(&["inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", id]);
    assert_eq!(policy(&first[0].id), "no");

    (plan.running, plan.stopped, plan.removed) = (vec![1, 2], Vec::new(), Vec::new());
    house.engine.ensure_set(&plan).await.unwrap();
    let again = house.containers().await;
    assert!(same(&again, &first) && again.iter().all(|c| c.state == RunState::Running), "{again:?}");
    assert_eq!(policy(&first[0].id), "unless-stopped");

    house.engine.remove_set(&house.rollout, &plan.set, Duration::from_secs(5)).await.unwrap();
    assert!(house.containers().await.is_empty());
}

#[tokio::test]
async fn a_container_renamed_or_removed_by_hand_is_found_by_label_or_made_anew_and_addresses_are_not_reused() {
    let house = House::build().await;
    let plan = house.plan(&["serve"]);
    house.engine.ensure_set(&plan).await.unwrap();
    let first = house.containers().await.remove(0);
    quiet(&["rename", &first.id, &format!("{}-renamed", house.instance)]);
    house.engine.ensure_set(&plan).await.unwrap();
    assert_eq!(house.containers().await.remove(0).id, first.id);
    quiet(&["rm", "-f", &first.id]);
    house.engine.ensure_set(&plan).await.unwrap();
    let second = house.containers().await.remove(0);
    assert_ne!(second.id, first.id);
    assert_ne!(second.addr, first.addr);
}

#[tokio::test]
async fn crash_kill_and_memory_have_their_causes() {
    let house = House::build().await;
    let listening = house.listen();
    house.engine.ensure_set(&house.plan(&["crash", "400", "3"])).await.unwrap();
    let crashed = house.until(|c| !c.exits.is_empty() && c.exits[0].code != 0).await;
    assert_eq!((crashed.exits[0].code, crashed.exits[0].cause), (3, ExitCause::Itself));
    house.engine.remove_set(&house.rollout, &SetId::nth(1), Duration::ZERO).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), listening).await.unwrap().unwrap();
    assert!(heard.contains(&EventKind::Died { code: 3 }) && heard.contains(&EventKind::Started), "{heard:?}");

    let _listening = house.listen();
    house.engine.ensure_set(&house.plan(&["serve"])).await.unwrap();
    let running = house.until(|c| c.state == RunState::Running).await;
    quiet(&["kill", &running.id]);
    let killed = house.until(|c| c.exits.last().is_some_and(|e| e.cause != ExitCause::Itself)).await;
    assert_eq!(
        (killed.exits[0].cause, killed.exits[0].code, killed.state),
        (ExitCause::Somebody, 137, RunState::Exited)
    );
    house.engine.remove_set(&house.rollout, &SetId::nth(1), Duration::ZERO).await.unwrap();

    let _listening = house.listen();
    let mut hungry = house.plan(&["eat"]);
    hungry.component.container.resources = Resources { memory: Some(16 << 20), ..Resources::default() };
    house.engine.ensure_set(&hungry).await.unwrap();
    // Some engines do not tell of memory, neither in an event nor in an inspection: then it is a kill that nobody sent.
    let for_memory = |e: &ObservedExit| e.oom || e.code == 137;
    let eaten = house.until(|c| c.exits.iter().any(for_memory)).await;
    assert_eq!(eaten.exits.iter().find(|e| for_memory(e)).unwrap().cause, ExitCause::Itself);
}

#[tokio::test]
async fn output_and_commands_inside_are_read() {
    let house = House::build().await;
    house.engine.ensure_set(&house.plan(&["serve"])).await.unwrap();
    let id = house.until(|c| c.state == RunState::Running).await.id;
    let command = ["/app", "say", "something"].map(str::to_owned);
    let said = house.engine.exec(&id, &command, Duration::from_secs(10)).await.unwrap();
    assert_eq!((said.code, said.output.as_str()), (7, "something\n"));
    let waiting = ["/app", "serve"].map(str::to_owned);
    let late = house.engine.exec(&id, &waiting, Duration::from_millis(300)).await;
    assert!(matches!(late, Err(EngineError::Timeout { .. })), "{late:?}");
    let lines: Vec<_> =
        house.engine.logs(&id, LogOptions { timestamps: true, ..LogOptions::default() }).collect().await;
    let lines: Vec<_> = lines.into_iter().map(Result::unwrap).collect();
    assert!(lines.iter().any(|l| l.text == "hello from v1" && !l.stderr && l.time.is_some()), "{lines:?}");
    assert!(lines.iter().any(|l| l.text == "a warning" && l.stderr), "{lines:?}");
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_whose_fault_it_is() {
    let house = House::build().await;
    let mut plan = house.plan(&["serve"]);
    plan.component.container.networks = vec!["no-such-network".to_owned()];
    let lost = house.engine.ensure_set(&plan).await.unwrap_err();
    assert!(matches!(&lost, EngineError::NoSuchNetwork { network, .. } if network == "no-such-network"), "{lost}");

    let mut plan = house.plan(&["serve"]);
    plan.component.container.entrypoint = Some(vec!["/nope".to_owned()]);
    let nope = house.engine.ensure_set(&plan).await.unwrap_err();
    assert!(matches!(nope, EngineError::BadCommand { .. }), "{nope}");
    house.engine.remove_set(&house.rollout, &plan.set, Duration::ZERO).await.unwrap();

    let mut plan = house.plan(&["serve"]);
    plan.image_id = format!("sha256:{}", "0".repeat(64));
    let image = house.engine.ensure_set(&plan).await.unwrap_err();
    assert!(matches!(image, EngineError::NoSuchImage { .. }), "{image}");

    let name = format!("{}-app-0123456789-1", house.rollout);
    let foreign = quiet(&["create", "--name", &name, &house.image, "/app"]);
    let taken = house.engine.ensure_set(&house.plan(&["serve"])).await.unwrap_err();
    quiet(&["rm", "-f", &foreign]);
    assert!(matches!(&taken, EngineError::NameTaken { name: theirs, .. } if *theirs == name), "{taken}");
    for (error, fault) in [(lost, Fault::Host), (nope, Fault::Asked), (image, Fault::Asked), (taken, Fault::Host)] {
        assert_eq!(error.fault(), fault, "{error}");
    }
}

#[tokio::test]
async fn the_gateways_container_is_made_once_signalled_and_replaced_only_on_request() {
    let house = House::build().await;
    let free = |n: u16| {
        (20_000..30_000).skip(usize::from(n)).find(|p| std::net::TcpListener::bind(("127.0.0.1", *p)).is_ok()).unwrap()
    };
    let offset = u16::try_from(std::process::id() % 5_000).unwrap();
    let (one, two) = (free(offset), free(offset + 5_000));
    let gateway = house.engine.ensure_gateway(&house.gateway(one, false)).await.unwrap();
    assert!(gateway.pid.is_some() && gateway.ops_port.is_some() && gateway.drift.is_empty(), "{gateway:?}");
    let again = house.engine.ensure_gateway(&house.gateway(one, true)).await.unwrap();
    assert_eq!(again, gateway, "nothing differs, nothing is replaced");
    assert_eq!(house.engine.observe().await.unwrap().gateways[0].ops_port, gateway.ops_port);

    assert_eq!(house.engine.old_workers(&gateway.id).await.unwrap(), 1);
    house.engine.signal(&gateway.id, gateway.pid, Signal::Hup).await.unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while !house.engine.gateway_logs(&gateway.id, gateway.started_at).await.unwrap().contains("hup\n") {
        assert!(Instant::now() < end, "the signal never arrived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let other = house.engine.ensure_gateway(&house.gateway(two, false)).await.unwrap();
    assert_eq!(other.id, gateway.id);
    assert!(other.drift.iter().any(|d| d.contains(&two.to_string())), "{:?}", other.drift);
    let replaced = house.engine.ensure_gateway(&house.gateway(two, true)).await.unwrap();
    assert_ne!(replaced.id, gateway.id);
    assert_eq!((replaced.addr, replaced.drift), (gateway.addr, Vec::new()));

    let taken = std::net::TcpListener::bind(("127.0.0.1", one)).unwrap();
    let refused = house.engine.ensure_gateway(&house.gateway(one, true)).await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::AddressInUse { address, .. } if *address == format!("127.0.0.1:{one}")),
        "{refused}"
    );
    drop(taken);

    let removed = house.engine.remove_everything().await.unwrap();
    assert_eq!((removed.containers.len(), removed.networks.len(), removed.kept.len()), (1, 1, 0), "{removed:?}");
}
