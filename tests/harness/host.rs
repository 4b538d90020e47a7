//! A host under test: a daemon, its directories, and what is asked of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_cockpit::{Client, CommandRequest, EventLine};
use canaryd_planner::{Answer, Outcome, OutcomeView, Report, Verb};
use canaryd_probe::{Load, LoadPlan, RequestKind};
use canaryd_rollout::RolloutName;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::disk::SmallDisk;
use crate::docker::{Container, container_ids, containers, docker};
use crate::manifest::Manifest;

/// How long a condition is waited for before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A host under test. Dropping it stops the daemon and removes everything it started.
pub struct Host {
    /// Where the state is, if that has a disk of its own. Goes before the directory that it is mounted in.
    disk: Option<SmallDisk>,
    dir: TempDir,
    daemon: Option<Child>,
    args: Vec<String>,
    env: Vec<(String, PathBuf)>,
}

impl Host {
    /// Starts a daemon on an empty directory.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }
    /// Starts a daemon with further arguments.
    pub async fn start_with(args: &[&str]) -> Self {
        Self::start_in(args, &[]).await
    }
    /// Starts a daemon with further arguments and a changed environment.
    pub async fn start_in(args: &[&str], env: &[(&str, &Path)]) -> Self {
        let dir = TempDir::with_prefix("canaryd-e2e-").expect("a temporary directory");
        fs::create_dir(dir.path().join("manifests")).expect("a directory");
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.to_path_buf())).collect();
        let mut host = Self { disk: None, dir, daemon: None, args, env };
        host.run().await;
        host
    }

    /// Starts a daemon whose state lies on a disk of this size (`16M`); `None` where only root may mount one.
    pub async fn start_on_small_disk(size: &str) -> Option<Self> {
        let dir = TempDir::with_prefix("canaryd-e2e-").expect("a temporary directory");
        fs::create_dir(dir.path().join("manifests")).expect("a directory");
        let disk = Some(SmallDisk::mount(&dir.path().join("state"), size)?);
        let mut host = Self { disk, dir, daemon: None, args: Vec::new(), env: Vec::new() };
        host.run().await;
        Some(host)
    }

    /// The disk of its own.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("started on a small disk")
    }

    /// A host on which the first version of this manifest serves.
    pub async fn serving(manifest: &Manifest) -> Self {
        remove_leftovers(manifest.name());
        let host = Self::start().await;
        host.set(manifest);
        host.until_serving(manifest.name(), "v1").await;
        host
    }

    /// Starts the daemon and waits until it answers.
    pub async fn run(&mut self) {
        self.launch();
        let deadline = Instant::now() + PATIENCE;
        while Client::connect(self.socket()).await.is_err() {
            let ended = self.has_ended();
            assert!(!ended && Instant::now() < deadline, "the daemon does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the daemon; its process id.
    pub fn launch(&mut self) -> i32 {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.log")).expect("a log");
        let mut command = Command::new(canaryd());
        command.arg("--watch").arg(self.manifests()).arg("--state").arg(self.state());
        command.arg("--socket").arg(self.socket()).args(["--log", "text"]).args(&self.args);
        command.env("CANARYD_LOG", "info,canaryd=debug").envs(self.env.iter().cloned()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log).kill_on_drop(true);
        self.daemon = Some(command.spawn().expect("canaryd starts"));
        self.pid().expect("it was just started")
    }

    /// The daemon's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        i32::try_from(self.daemon.as_ref()?.id()?).ok()
    }

    /// Whether the daemon that was started last is no more.
    pub fn has_ended(&mut self) -> bool {
        self.daemon.as_mut().is_none_or(|d| d.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Other further arguments, from the next start on.
    pub fn args(&mut self, args: &[&str]) {
        self.args = args.iter().map(|a| (*a).to_owned()).collect();
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon runs");
        daemon.kill().await.expect("the daemon dies");
    }
    /// SIGTERM, and waits for the end; the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take().expect("a daemon runs");
        let pid = i32::try_from(daemon.id().expect("it runs")).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it may be signalled");
        daemon.wait().await.expect("it ends").code()
    }

    /// A path in the host's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// The watched directory.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        self.path("manifests")
    }
    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("sock")
    }
    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }
    /// The instance that its containers carry.
    #[must_use]
    pub fn instance(&self) -> String {
        fs::read_to_string(self.state().join("instance")).expect("the daemon made it").trim().to_owned()
    }
    /// Ids of the containers of a component, running or not.
    #[must_use]
    pub fn containers(&self, rollout: &str, component: &str) -> Vec<String> {
        container_ids(&self.instance(), rollout, component)
    }

    /// The containers of one version of a component, running or not.
    #[must_use]
    pub fn of_version(&self, rollout: &str, component: &str, version: &str) -> Vec<Container> {
        let all = containers(&self.instance(), rollout, component);
        all.into_iter().filter(|c| c.version == version).collect()
    }

    /// Writes a manifest whole: temporary file, then rename.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.manifests().join(file);
        let temporary = self.path("manifest.new");
        fs::write(&temporary, text).expect("writable");
        fs::rename(&temporary, &path).expect("same file system");
    }

    /// Puts a manifest in the place of the one before.
    pub fn set(&self, manifest: &Manifest) {
        self.write(&format!("{}.yaml", manifest.name()), &manifest.yaml());
    }

    /// The daemon's API.
    pub async fn client(&self) -> Client {
        Client::connect(self.socket()).await.expect("the daemon answers")
    }
    /// One rollout's state, if the daemon knows it.
    pub async fn report(&self, name: &str) -> Option<Report> {
        self.client().await.report(&rollout(name)).await.ok()
    }
    /// Waits for a condition on a rollout's state.
    pub async fn until(&self, name: &str, what: &str, done: impl Fn(&Report) -> bool) -> Report {
        self.until_within(PATIENCE, name, what, done).await
    }
    /// Waits for a condition, no longer than `patience`.
    pub async fn until_within(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        done: impl Fn(&Report) -> bool,
    ) -> Report {
        let deadline = Instant::now() + patience;
        loop {
            let report = self.report(name).await;
            if let Some(report) = report.as_ref().filter(|r| done(r)) {
                return report.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{name}: not within {patience:?}: {what}\nlast state: {report:#?}\ndaemon:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    /// Waits until the canary's share is proven live.
    pub async fn until_weight(&self, name: &str, percent: &str) -> Report {
        let weight = percent.parse().expect("a weight");
        self.until(name, &format!("{percent} % is live"), |r| r.live_weight == weight && r.wanted_weight == weight)
            .await
    }
    /// Waits until this version is in production and nothing moves.
    pub async fn until_serving(&self, name: &str, version: &str) -> Report {
        let what = format!("{version} serves");
        self.until(name, &what, |r| r.phase == "idle" && r.production.as_ref().is_some_and(|p| p.version == version))
            .await
    }
    /// Waits until this version's rollout has ended, and how.
    pub async fn until_ended(&self, name: &str, version: &str) -> OutcomeView {
        let ended = |r: &Report| {
            r.phase == "idle"
                && r.outcome.as_ref().is_some_and(|o| o.version == version)
                && r.canary.as_ref().is_none_or(|c| c.version != version)
        };
        let report = self.until_within(PATIENCE * 2, name, &format!("{version} has ended"), ended).await;
        report.outcome.expect("it has one")
    }
    /// Waits for an outcome and checks it.
    pub async fn expect_outcome(&self, name: &str, version: &str, outcome: Outcome) -> OutcomeView {
        let ended = self.until_ended(name, version).await;
        assert_eq!(ended.outcome, outcome, "{}\n{}", ended.reason, self.log());
        ended
    }
    /// Waits until a version of a component has no containers any more.
    pub async fn until_gone(&self, rollout: &str, component: &str, version: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.of_version(rollout, component, version);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{version} still has containers: {left:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    /// Runs a command of the command line that must succeed; what it says.
    pub async fn run_cli(&self, args: &[&str]) -> String {
        let (code, said, refused) = self.cli(args).await;
        assert_eq!(code, 0, "canaryd {args:?}: {said}{refused}\n{}", self.log());
        said
    }
    /// Waits until this version was undone.
    pub async fn until_undone(&self, name: &str, version: &str) {
        let undone = |r: &Report| {
            r.phase == "idle"
                && r.outcome.as_ref().is_some_and(|o| o.version == version && o.outcome == Outcome::Undone)
        };
        self.until(name, &format!("{version} was undone"), undone).await;
    }
    /// Sends a command.
    pub async fn command(&self, name: &str, verb: Verb) -> Answer {
        let request = CommandRequest { id: None, comment: Some("a test".to_owned()), expected: None, verb };
        self.client().await.command(&rollout(name), &request).await.expect("an answer")
    }
    /// The history of a rollout.
    pub async fn events(&self, name: &str) -> Vec<EventLine> {
        self.client().await.events(Some(&rollout(name)), 0, 1000).await.expect("the history")
    }

    /// Runs the command line against this daemon: exit code, stdout, stderr.
    pub async fn cli(&self, args: &[&str]) -> (i32, String, String) {
        self.cli_at(&self.socket(), args).await
    }
    /// The same, with another socket.
    pub async fn cli_at(&self, socket: &Path, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(canaryd())
            .args(args)
            .arg("--socket")
            .arg(socket)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("canaryd runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // Its end is waited for: it must not start a container after the others are removed.
            let _ = daemon.start_kill();
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(daemon.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or("unknown").replace("::", "-");
            let kept = std::env::temp_dir().join(format!("canaryd-e2e-{test}.log"));
            let _ = fs::write(&kept, self.log());
            if let Some(whole) = std::env::var_os("CANARYD_E2E_KEEP") {
                // For a look at journal, gateway and access log of the last failure.
                let _ = std::process::Command::new("cp").arg("-rT").arg(self.dir.path()).arg(whole).status();
            }
        }
        if !self.state().join("instance").exists() {
            return;
        }
        let label = format!("label=io.canaryd.instance={}", self.instance());
        for id in listed(&["ps", "-aq", "--filter", &label]).lines() {
            let _ = crate::docker::command().args(["rm", "-f", "-v", id]).output();
        }
        for id in listed(&["network", "ls", "-q", "--filter", &label]).lines() {
            let _ = crate::docker::command().args(["network", "rm", id]).output();
        }
    }
}

/// What docker lists; nothing, where the engine is no more: a test that failed must not fail once more at its end.
fn listed(args: &[&str]) -> String {
    let output = crate::docker::command().args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Removes what a killed run of the same test left: its containers and its network.
pub fn remove_leftovers(name: &str) {
    let label = format!("label=io.canaryd.rollout={name}");
    for id in docker(&["ps", "-aq", "--filter", &label]).lines() {
        let _ = crate::docker::command().args(["rm", "-f", "-v", id]).output();
    }
    let network = format!("canaryd-{name}");
    let _ = crate::docker::command().args(["network", "rm", &network]).output();
}

fn rollout(name: &str) -> RolloutName {
    name.parse().expect("a legal name")
}

/// The program under test, built beside the tests.
#[must_use]
pub fn canaryd() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let target = test.parent().and_then(Path::parent).expect("target/debug/deps");
    let program = target.join("canaryd");
    assert!(program.exists(), "{} is not built: run `cargo build` first", program.display());
    program
}

/// A steady load on a gateway: GET and POST, kept connections.
#[must_use]
pub fn load(port: u16, rate: f64, keep_alive: bool) -> Load {
    let plan = LoadPlan {
        target: SocketAddr::from(([127, 0, 0, 1], port)),
        rate,
        duration: Some(Duration::from_secs(300)),
        count: None,
        connections: 30,
        keep_alive,
        mix: RequestKind::of_many_clients(500, &[RequestKind::get("/"), RequestKind::post("/echo", "an order")]),
        timeout: Duration::from_secs(10),
        seed: 11,
    };
    Load::start(plan).expect("a legal load")
}
