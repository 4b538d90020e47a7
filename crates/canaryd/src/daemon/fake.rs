//! A house without Docker: an engine that says and does what a test wants, and a real journal in a directory of its own.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use canaryd_engine::{
    Engine, EngineError, EngineEvent, EngineInfo, ExecResult, GatewayContainer, GatewayPlan, Image, LogLine,
    LogOptions, Observation, ObservedContainer, ObservedGateway, OneOff, OneOffPlan, Removed, Result, RunState,
    SetPlan, Signal,
};
use canaryd_journal::{Journal, Opened};
use canaryd_planner::Memory;
use canaryd_rollout::{ComponentName, ImageState, Rollout, RolloutName, SetId};
use futures::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::bells::lock;
use super::book::Book;
use super::house::{Cell, Config, House};
use super::store::Store;

/// What runs, by a test's word.
#[derive(Debug, Default)]
pub(super) struct FakeEngine {
    pub(super) containers: Mutex<Vec<ObservedContainer>>,
    pub(super) gateways: Mutex<Vec<ObservedGateway>>,
    /// Nobody answers.
    pub(super) away: Mutex<bool>,
    /// Whose gateway was to be removed, each time.
    pub(super) removals: Mutex<Vec<String>>,
    /// Containers for one command that were asked for.
    pub(super) one_offs: Mutex<Vec<OneOffPlan>>,
    /// The master process of its one gateway.
    pub(super) nginx: FakeNginx,
}

/// What becomes of a HUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hup {
    /// What `current` names is live.
    Obeyed,
    /// It is received, and the configuration is not taken.
    Ignored,
    /// It cannot be sent.
    Refused,
}

/// A master whose ops port says which generation is live.
#[derive(Debug, Default)]
pub(super) struct FakeNginx {
    /// The gateway's directory.
    pub(super) dir: Mutex<PathBuf>,
    /// What becomes of the next signals; obeyed when nothing is said.
    pub(super) next: Mutex<VecDeque<Hup>>,
    /// Signals that came.
    pub(super) hups: Mutex<u32>,
    /// What it took over, oldest first.
    pub(super) loaded: Mutex<Vec<String>>,
    /// Files that it was to test, and refused: it refuses all while this is `Some`.
    pub(super) refused: Mutex<Option<Vec<String>>>,
    live: Arc<Mutex<String>>,
}

impl FakeNginx {
    /// Starts on what `current` names; the port where its ops port is.
    pub(super) async fn start(&self, dir: PathBuf) -> u16 {
        *lock(&self.dir) = dir;
        self.reload();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let live = Arc::clone(&self.live);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The whole request comes in one piece, and every one is the same.
                let _ = stream.read(&mut [0; 4096]).await;
                let text = lock(&live).clone();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
                let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
            }
        });
        port
    }

    fn reload(&self) {
        let current = std::fs::read_link(lock(&self.dir).join("conf/current")).unwrap();
        let generation = current.file_name().unwrap().to_str().unwrap().to_owned();
        lock(&self.loaded).push(generation.clone());
        *lock(&self.live) = generation;
    }

    fn hup(&self) -> Result<()> {
        *lock(&self.hups) += 1;
        let next = lock(&self.next).pop_front();
        match next.unwrap_or(Hup::Obeyed) {
            Hup::Obeyed => self.reload(),
            Hup::Ignored => {}
            Hup::Refused => return away(),
        }
        Ok(())
    }
}

fn info() -> EngineInfo {
    EngineInfo {
        name: "a test".to_owned(),
        version: "29.1.0".to_owned(),
        api: "1.52".to_owned(),
        endpoint: "unix:///a/test.sock".to_owned(),
        memory_total: 1 << 30,
        cpus: 1,
        storage: "overlay2".to_owned(),
        os: "a test".to_owned(),
        architecture: "x86_64".to_owned(),
        cgroup: "2".to_owned(),
        rootless: false,
        virtual_machine: false,
        live_restore: false,
    }
}

fn away<T>() -> Result<T> {
    Err(EngineError::Unreachable { endpoint: "a test".to_owned(), why: "it is away".to_owned() })
}

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> Result<EngineInfo> {
        if *lock(&self.away) {
            return away();
        }
        Ok(info())
    }
    async fn image(&self, _: &str) -> Result<Option<Image>> {
        Ok(None)
    }
    async fn pull(&self, _: &str, _: Option<&str>, _: tokio::sync::watch::Sender<String>) -> Result<Image> {
        away()
    }
    async fn tag_image(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    async fn untag_image(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    async fn observe(&self) -> Result<Observation> {
        if *lock(&self.away) {
            return away();
        }
        let (mut containers, mut gateways) = (lock(&self.containers).clone(), lock(&self.gateways).clone());
        containers.sort_by(|a, b| a.rollout.cmp(&b.rollout));
        gateways.sort_by(|a, b| a.rollout.cmp(&b.rollout));
        Ok(Observation { at: Timestamp::now(), containers, gateways })
    }
    async fn ensure_set(&self, _: &SetPlan) -> Result<()> {
        away()
    }
    async fn remove_set(&self, _: &RolloutName, _: &SetId, _: Duration) -> Result<()> {
        away()
    }
    async fn exec(&self, _: &str, command: &[String], _: Duration) -> Result<ExecResult> {
        let conf = command.iter().find(|word| word.ends_with("nginx.conf"));
        if let (Some(conf), Some(refused)) = (conf, &mut *lock(&self.nginx.refused)) {
            refused.push(conf.clone());
            return Ok(ExecResult { code: 1, output: format!("unknown directive \"x\" in {conf}:88") });
        }
        Ok(ExecResult { code: 0, output: "nginx version: nginx/1.30.4".to_owned() })
    }
    async fn create_one_off(&self, plan: &OneOffPlan) -> Result<OneOff> {
        let name = format!("{}-{}-run", plan.rollout, plan.component.name);
        lock(&self.one_offs).push(plan.clone());
        Ok(OneOff { id: format!("{name}-id"), name })
    }
    fn logs(&self, container: &str, _: LogOptions) -> BoxStream<'static, Result<LogLine>> {
        let text = format!("a line of {container}");
        futures::stream::once(async { Ok(LogLine { stderr: false, time: None, text }) }).boxed()
    }
    fn events(&self) -> BoxStream<'static, Result<EngineEvent>> {
        futures::stream::pending().boxed()
    }
    async fn ensure_gateway(&self, _: &GatewayPlan) -> Result<GatewayContainer> {
        away()
    }
    async fn remove_gateway(&self, rollout: &RolloutName, _: bool) -> Result<()> {
        if *lock(&self.away) {
            return away();
        }
        lock(&self.removals).push(rollout.to_string());
        Ok(())
    }
    async fn signal(&self, _: &str, _: Option<i64>, signal: Signal) -> Result<()> {
        match signal {
            Signal::Hup => self.nginx.hup(),
            Signal::Usr1 | Signal::Quit => Ok(()),
        }
    }
    async fn old_workers(&self, _: &str) -> Result<u32> {
        Ok(0)
    }
    async fn gateway_logs(&self, _: &str, _: Option<Timestamp>) -> Result<String> {
        Ok(String::new())
    }
    async fn remove_everything(&self) -> Result<Removed> {
        away()
    }
    async fn free_memory(&self) -> Option<u64> {
        None
    }
}

/// A house and what it stands on.
pub(super) struct Site {
    pub(super) dir: TempDir,
    pub(super) engine: Arc<FakeEngine>,
    pub(super) house: Arc<House>,
}

impl Site {
    pub(super) async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// On a state directory that may hold something.
    pub(super) async fn on(dir: TempDir) -> Self {
        let store = Store::open(dir.path()).unwrap();
        let Opened { journal, epoch, instance } = Journal::open(dir.path()).await.unwrap();
        let config = Config {
            host: "a test".to_owned(),
            state: dir.path().to_owned(),
            watch: Vec::new(),
            dry_run: false,
            reach: crate::cli::ReachChoice::Direct,
            instance,
            epoch,
            since: Timestamp::now(),
            _scratch: None,
        };
        let engine = Arc::new(FakeEngine::default());
        let book = Book::new(BTreeMap::new());
        let stop = CancellationToken::new();
        let seam: Arc<dyn Engine> = Arc::<FakeEngine>::clone(&engine);
        let house = House::new(config, seam, journal, store, 4, book, stop);
        Self { dir, engine, house }
    }

    pub(super) fn cell(&self, rollout: &str) -> Arc<Cell> {
        self.house.cell_or_new(&name(rollout), Memory::default()).0
    }

    /// What the engine runs is seen by everybody.
    pub(super) async fn look(&self) {
        self.house.observer.look(self.house.engine.as_ref()).await;
    }
}

pub(super) fn name(rollout: &str) -> RolloutName {
    rollout.parse().unwrap()
}

/// The rollout `shop` with something more about its health (`, startup: 10s`) and the rest of its spec.
pub(super) fn rollout(version: &str, health: &str, more: &str) -> Rollout {
    let text = format!(
        "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: shop }}\nspec:\n  version: {version}\n  app:\n    image: shop:${{version}}\n    port: 80\n    env: {{ VERSION: {version} }}\n    health: {{ http: /health{health} }}\n{more}"
    );
    let source = canaryd_rollout::SourceText { name: "shop.yaml".into(), text };
    let mut parsed = canaryd_rollout::parse(&source, &BTreeMap::new());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let state = ImageState::Present { id: "sha256:1".to_owned() };
    let images = BTreeMap::from([(format!("shop:{version}"), state)]);
    let inputs = canaryd_rollout::Inputs { images, ..canaryd_rollout::Inputs::default() };
    canaryd_rollout::resolve(&parsed.drafts.remove(0), &inputs).unwrap().rollout
}

/// A gateway that runs.
pub(super) fn gateway(rollout: &str) -> ObservedGateway {
    ObservedGateway {
        rollout: name(rollout),
        id: format!("{rollout}-gateway-id"),
        name: format!("{rollout}-gateway"),
        image_id: "sha256:0".to_owned(),
        state: RunState::Running,
        pid: None,
        ops_port: None,
        addr: None,
        started_at: None,
        spec_hash: String::new(),
        exits: Vec::new(),
        error: None,
        unseen: None,
    }
}

/// A container of an app that has ended.
pub(super) fn container(rollout: &str, revision: &str, set: u64) -> ObservedContainer {
    ObservedContainer {
        rollout: name(rollout),
        component: ComponentName::app(),
        set: SetId::nth(set),
        revision: revision.parse().unwrap(),
        ordinal: 1,
        version: "v2".to_owned(),
        id: format!("{rollout}-id"),
        name: format!("{rollout}-app-{revision}-1"),
        image_id: "sha256:0".to_owned(),
        state: RunState::Exited,
        docker_health: None,
        started_at: None,
        exits: Vec::new(),
        addr: None,
        pid: None,
        error: None,
        unseen: None,
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A disk of its own that can be made to hang: whoever writes to it waits until it thaws.
pub(super) struct Freezer<'a>(&'a Path);

impl<'a> Freezer<'a> {
    /// `None`, with a word, where it cannot be had.
    #[expect(clippy::print_stderr, reason = "a test that needs root says that it was skipped")]
    pub(super) fn mount(at: &'a Path, image: &Path) -> Option<Self> {
        std::fs::File::create(image).and_then(|file| file.set_len(16 << 20)).unwrap();
        let made =
            done("mkfs.ext4", &["-q".as_ref(), image]) && done("mount", &["-o".as_ref(), "loop".as_ref(), image, at]);
        if !made {
            eprintln!("skipped: a disk that hangs needs root, mkfs.ext4 and loop devices");
        }
        made.then_some(Self(at))
    }

    pub(super) fn freeze(&self) {
        assert!(done("fsfreeze", &["-f".as_ref(), self.0]), "it freezes");
    }

    pub(super) fn thaw(&self) {
        done("fsfreeze", &["-u".as_ref(), self.0]);
    }
}

impl Drop for Freezer<'_> {
    fn drop(&mut self) {
        self.thaw();
        done("umount", &["-l".as_ref(), self.0]);
        let _ = std::fs::remove_dir(self.0);
    }
}

fn done(program: &str, args: &[&Path]) -> bool {
    Command::new(program).args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
