//! What the daemon itself needs: the real program, with 1, 100 and 1,000 rollouts that rest, on an engine that only pretends. In a
//! network of its own (`unshare`), where every address is this host.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_cockpit::{Client, CommandRequest};
use canaryd_e2e::canaryd;
use canaryd_planner::Verb;
use rustix::process::{Pid, Resource, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::figure::{Figure, Figures, median};
use crate::multiply::{self, name};
use crate::pretence::{Pretence, pretend_applications};

/// The first argument of this program in that network.
pub(crate) const INSIDE: &str = "inside-idle";

const SIZES: [u32; 3] = [1, 100, 1000];
/// Until the start is over and done with.
const SETTLING: Duration = Duration::from_secs(35);
/// The processor's time is counted for so long.
const WATCHED: Duration = Duration::from_secs(60);
const INSTALLED: Duration = Duration::from_secs(180);
const QUESTIONS: u32 = 25;
/// The applications' port.
const PORT: u16 = 8000;

pub(crate) async fn measure(figures: &mut Figures) {
    for n in SIZES {
        match inside(n).await {
            Ok(seen) => tell(figures, n, &seen),
            Err(why) => figures.miss(format!("daemon-memory/{n}"), "MB", &why),
        }
    }
}

/// Measures in a network of its own.
async fn inside(n: u32) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let script =
        format!("ip link set lo up && ip route add local default dev lo && exec {} {INSIDE} {n}", program.display());
    let flags = if rustix::process::getuid().is_root() { "-n" } else { "-rn" };
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", &script]).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await.map_err(|e| format!("unshare: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).map_err(|_| format!("no network of its own can be made, or {}", output.status))
}

fn tell(figures: &mut Figures, n: u32, seen: &Value) {
    let value = |name: &str| seen[name].as_f64();
    let idle = |name: &str, unit| Figure::new(format!("{name}/{n}"), unit);
    figures.add(idle("daemon-memory", "MB").ours(value("memory")).note(format!("resident, {n} idle rollouts")));
    let note = format!(
        "of one processor over {} s, health asked every 2 s; {} wake-ups and {} Docker calls a second",
        WATCHED.as_secs(),
        seen["wakeups"],
        seen["calls"]
    );
    figures.add(idle("daemon-cpu", "%").ours(value("cpu")).note(note));
    let note = "a command, journalled, planned and answered, over the socket";
    figures.add(idle("daemon-reconcile", "ms").ours(value("reconcile")).note(note));
    figures.add(idle("daemon-start", "s").ours(value("start")).note("until it answers for every rollout"));
    figures.add(idle("daemon-journal", "MB").ours(value("journal")).note("on disk"));
    figures.add(idle("daemon-files", "files").ours(value("files")).note("open at once"));
}

/// Within that network: what was measured, as JSON on stdout.
pub(crate) async fn run_inside(n: u32) {
    let most = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, rustix::process::Rlimit { current: most.maximum, ..most });
    let site = Site::new();
    let pretence = Pretence::start(&site.path("docker.sock"));
    pretend_applications(PORT).await;
    let installing = site.run();
    site.until_all_serve(1).await;
    end(installing).await;
    multiply::state(&site.path("state"), n);
    pretence.multiply(n).await;
    site.ask_for(1..n);
    // The copies are not as they would have been rendered: they are made so, once.
    let settling = site.run();
    site.until_all_serve(n).await;
    tokio::time::sleep(SETTLING).await;
    end(settling).await;
    let began = Instant::now();
    let daemon = site.run();
    site.until_all_serve(n).await;
    let start = began.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLING).await;
    let pid = daemon.id().unwrap();
    let (cpu, wakeups, calls) = (cpu_time(pid), switches(pid), pretence.calls());
    tokio::time::sleep(WATCHED).await;
    let seconds = WATCHED.as_secs_f64();
    let per_second = |count: u64| to_f64(count) / seconds;
    let seen = json!({
        "cpu": (cpu_time(pid) - cpu) / seconds * 100.0,
        "wakeups": per_second(switches(pid) - wakeups).round(),
        "calls": per_second(pretence.calls() - calls).round(),
        "memory": resident(pid),
        "files": std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        "reconcile": site.reconcile(n).await,
        "start": start,
        "journal": site.journal(),
    });
    eprintln!("    {n} idle; all calls of the engine: {:?}", pretence.kinds());
    println!("{seen}");
    if let Some(kept) = std::env::var_os("CANARYD_BENCH_LOG") {
        let _ = std::fs::copy(site.path("daemon.log"), kept);
    }
    end(daemon).await;
}

/// Manifests, state and socket of one daemon.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(TempDir::with_prefix("canaryd-bench-").unwrap());
        std::fs::create_dir(site.path("manifests")).unwrap();
        site.ask_for(0..1);
        site
    }

    /// Manifests of eight lines.
    fn ask_for(&self, which: std::ops::Range<u32>) {
        for one in which {
            let text = format!(
                "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: {} }}\nspec:\n  version: v1\n  app:\n    \
                 image: shop:${{version}}\n    port: {PORT}\n    health: {{ http: /health }}\n  gateway:\n    listen: {}\n",
                name(one),
                multiply::PORT + one
            );
            std::fs::write(self.path("manifests").join(format!("{}.yaml", name(one))), text).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self) -> Child {
        let log = std::fs::File::create(self.path("daemon.log")).unwrap();
        let mut command = Command::new(canaryd());
        command.arg("--watch").arg(self.path("manifests")).arg("--state").arg(self.path("state"));
        command.arg("--socket").arg(self.path("sock")).args(["--reach", "direct", "--docker-host"]);
        command.arg(format!("unix://{}", self.path("docker.sock").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        command.spawn().unwrap()
    }

    async fn until_all_serve(&self, n: u32) {
        let deadline = Instant::now() + INSTALLED;
        loop {
            let serving = match Client::connect(self.path("sock")).await {
                Ok(client) => client.status().await.map_or(0, |page| {
                    page.rollouts.iter().filter(|r| r.phase == "idle" && r.production.is_some()).count()
                }),
                Err(_) => 0,
            };
            if serving == usize::try_from(n).unwrap() {
                return;
            }
            let log = || std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{serving} of {n} serve; the daemon's log:\n{}", tail(&log()));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// From a command to its answer, in ms; nothing moves, so that it changes nothing.
    async fn reconcile(&self, n: u32) -> f64 {
        let client = Client::connect(self.path("sock")).await.unwrap();
        let mut times = Vec::new();
        for one in 0..QUESTIONS {
            let name = name(one * 37 % n).parse().unwrap();
            let request = CommandRequest { id: None, comment: None, expected: None, verb: Verb::Abort };
            let began = Instant::now();
            let _ = client.command(&name, &request).await.unwrap();
            times.push(began.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        median(&times)
    }

    /// MB of the journal with its write-ahead log.
    fn journal(&self) -> f64 {
        let files = std::fs::read_dir(self.path("state")).unwrap().flatten();
        let journal = files.filter(|f| f.file_name().to_string_lossy().starts_with("journal"));
        to_f64(journal.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()) / 1e6
    }
}

fn tail(text: &str) -> &str {
    let from = text.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
    &text[from..]
}

async fn end(mut daemon: Child) {
    let pid = Pid::from_raw(i32::try_from(daemon.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    daemon.wait().await.unwrap();
}

/// Seconds of processor time so far.
fn cpu_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name, which may contain anything: utime and stime are the 12th and 13th.
    let rest: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = rest[11].parse::<u64>().unwrap() + rest[12].parse::<u64>().unwrap();
    to_f64(ticks) / to_f64(rustix::param::clock_ticks_per_second())
}

/// How often its threads were put to sleep and woken.
fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks.map(|task| number(&task.path().join("status"), "voluntary_ctxt_switches:")).sum()
}

/// MB in memory.
fn resident(pid: u32) -> f64 {
    to_f64(number(Path::new(&format!("/proc/{pid}/status")), "VmRSS:")) / 1e3
}

fn number(file: &Path, field: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn to_f64(n: u64) -> f64 {
    n as f64
}
