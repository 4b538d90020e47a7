//! An engine of the test's own, which may be killed, stopped, and lost with its host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::docker::{docker, docker_at, use_engine};

/// For a start, and for an end.
const PATIENCE: Duration = Duration::from_secs(40);
/// Storage that an engine can be told to use wherever another one does.
const STORAGE: [&str; 3] = ["overlay2", "fuse-overlayfs", "vfs"];

/// An engine of the test's own. From its start on, everything in this process that asks Docker asks this one. Dropping it
/// ends it with everything in it.
pub struct OwnEngine {
    dir: TempDir,
    namespace: String,
    storage: Option<String>,
    daemon: Option<Child>,
    way: Option<Way>,
}

impl OwnEngine {
    /// Starts it, with these images of the host's engine; `None` where only root may, or where there is no `dockerd`.
    pub async fn start(images: &[&str]) -> Option<Self> {
        let there = Command::new("dockerd").arg("--version").output().is_ok_and(|output| output.status.success());
        if !rustix::process::geteuid().is_root() || !there {
            return None;
        }
        let dir = TempDir::with_prefix("canaryd-e2e-dockerd-").expect("a temporary directory");
        fs::write(dir.path().join("daemon.json"), "{}").expect("writable");
        let namespace = format!("canaryd-e2e-{}", std::process::id());
        let storage = Some(docker(&["info", "--format", "{{.Driver}}"])).filter(|s| STORAGE.contains(&s.as_str()));
        let mut engine = Self { dir, namespace, storage, daemon: None, way: None };
        engine.run().await;
        engine.load(images);
        use_engine(&engine.socket());
        engine.way = Some(Way::open());
        Some(engine)
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// For a daemon's environment: what `DOCKER_HOST` is to be.
    #[must_use]
    pub fn docker_host(&self) -> PathBuf {
        format!("unix://{}", self.socket().display()).into()
    }

    fn load(&self, images: &[&str]) {
        let archive = self.dir.path().join("images.tar");
        let archive = archive.to_str().expect("a plain path");
        docker(&[&["save", "--output", archive], images].concat());
        docker_at(&self.socket(), &["load", "--quiet", "--input", archive]);
        fs::remove_file(archive).expect("it was written");
    }

    /// Starts it, also again.
    pub async fn run(&mut self) {
        let at = |name: &str| self.dir.path().join(name);
        let log = fs::OpenOptions::new().create(true).append(true).open(at("log")).expect("a log");
        let mut command = Command::new("dockerd");
        command.arg("--config-file").arg(at("daemon.json")).arg("--data-root").arg(at("data"));
        command.arg("--exec-root").arg(at("exec")).arg("--pidfile").arg(at("docker.pid"));
        command.arg("--host").arg(self.docker_host()).args(["--containerd-namespace", &self.namespace]);
        command.arg("--containerd-plugins-namespace").arg(format!("{}-plugins", self.namespace));
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
        command.args(self.storage.iter().flat_map(|storage| ["--storage-driver", storage]));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.daemon = Some(command.spawn().expect("dockerd starts"));
        let deadline = Instant::now() + PATIENCE;
        while !answers(&self.socket()) {
            let ended = self.daemon.as_mut().is_none_or(|d| d.try_wait().is_ok_and(|status| status.is_some()));
            assert!(!ended && Instant::now() < deadline, "dockerd does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// kill -9: its containers go on for now.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.kill().expect("it may be killed");
        daemon.wait().expect("it ends");
    }

    /// Ended as a service is: it stops its containers first.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        signal(daemon.id(), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while daemon.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
    }

    /// The host fails: the engine and every process in its containers are gone at once, and what lies in memory as well.
    pub fn lose_host(&mut self) {
        self.kill();
        self.end_containers();
        self.unmount();
        fs::remove_dir_all(self.dir.path().join("exec")).expect("nothing is mounted there");
    }

    fn end_containers(&self) {
        let shims = processes(|line| line.contains("containerd-shim") && line.contains(&self.namespace));
        for shim in shims {
            for inside in children(shim) {
                signal(inside, Signal::KILL);
            }
            signal(shim, Signal::KILL);
        }
    }

    fn unmount(&self) {
        let text = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let inside = self.dir.path().to_string_lossy().into_owned();
        let paths = text.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.starts_with(&inside));
        // The innermost first.
        for path in paths.collect::<Vec<_>>().into_iter().rev() {
            let _ = Command::new("umount").args(["-l", path]).output();
        }
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = fs::write(std::env::temp_dir().join("canaryd-e2e-dockerd.log"), self.log());
        }
        if self.daemon.is_some() {
            self.stop();
        }
        self.end_containers();
        self.unmount();
    }
}

/// Lets containers of the first network reach each other: this engine makes no rules of its own, lest it disturbs those of
/// the host's engine, and that one drops what it does not know.
struct Way {
    over: Arc<AtomicBool>,
    /// The bridge, in the end.
    opening: Option<JoinHandle<Option<String>>>,
}

impl Way {
    fn open() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let opening = Some(std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let networks = docker(&["network", "ls", "--quiet", "--filter", "driver=bridge"]);
                if let Some(network) = networks.lines().next() {
                    let bridge = format!("br-{network}");
                    rule("-I", &bridge);
                    return Some(bridge);
                }
            }
            None
        }));
        Self { over, opening }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(bridge) = self.opening.take().and_then(|opening| opening.join().ok().flatten()) {
            rule("-D", &bridge);
        }
    }
}

/// Where there is no such chain, nobody drops anything.
fn rule(change: &str, bridge: &str) {
    let rule = [change, "DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "ACCEPT"];
    let _ = Command::new("iptables").args(rule).output();
}

fn answers(socket: &Path) -> bool {
    let host = format!("unix://{}", socket.display());
    let asked = Command::new("docker").args(["--host", &host, "version"]).output();
    asked.is_ok_and(|output| output.status.success())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Processes by their command line.
fn processes(wanted: impl Fn(&str) -> bool) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("this is Linux").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|l| wanted(&String::from_utf8_lossy(&l))))
        .collect()
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
