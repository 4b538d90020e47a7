//! Walks a journey and kills the daemon on the way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use canaryd_e2e::{Answers, Moment};
use canaryd_gateway::{Lane, Route};
use rustix::process::{Pid, Signal, kill_process};

use crate::journey::{Bench, End, Journey};

/// More lives than any journey has steps.
const LIVES: usize = 80;
/// For one journey, however often it is interrupted.
const PATIENCE: Duration = Duration::from_secs(150);

/// Where the daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kills {
    /// Nowhere: what is to be expected.
    Never,
    /// At one change that is asked of the engine, counted from 1.
    Change(usize, Moment),
    /// At one swap of the gateway's configuration, counted from 1.
    Swap(usize),
    /// Each change once before it is made and once after it, and at each swap.
    Everywhere,
}

/// What came of a walk.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) end: End,
    /// What was asked of the engine.
    pub(crate) changes: Vec<String>,
    /// Swaps of the gateway's configuration.
    pub(crate) swaps: usize,
    /// How often the daemon was killed.
    pub(crate) kills: usize,
    /// Users' requests.
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) took: Duration,
}

/// Kills whatever is the daemon now.
#[derive(Clone, Default)]
struct Killer(Arc<Alive>);

#[derive(Default)]
struct Alive {
    pid: AtomicI32,
    kills: AtomicUsize,
}

impl Killer {
    fn aim(&self, pid: i32) {
        self.0.pid.store(pid, Ordering::SeqCst);
    }

    /// Once for each life; `true`: it was alive.
    fn kill(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.0.pid.swap(0, Ordering::SeqCst)) else { return false };
        let killed = kill_process(pid, Signal::KILL).is_ok();
        self.0.kills.fetch_add(usize::from(killed), Ordering::SeqCst);
        killed
    }

    fn kills(&self) -> usize {
        self.0.kills.load(Ordering::SeqCst)
    }
}

/// Looks at the symlink that names the live configuration, all the time.
struct Swaps {
    seen: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swaps {
    fn watch(current: PathBuf, mut at: impl FnMut(usize) + Send + 'static) -> Self {
        let (seen, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&seen), Arc::clone(&over));
        let read = |path: &Path| fs::read_link(path).ok();
        let mut before = read(&current);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let now = read(&current);
                if now != before && now.is_some() {
                    at(count.fetch_add(1, Ordering::SeqCst) + 1);
                }
                before = now;
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Self { seen, over, thread: Some(thread) }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Swaps {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// From the beginning of a journey to its end.
pub(crate) async fn walk(journey: Journey, name: &str, kills: Kills) -> Walk {
    let mut bench = Bench::begin(journey, name).await;
    let killer = Killer::default();
    killer.aim(bench.host.pid().expect("it runs"));
    let changes = arm(&bench, kills, &killer);
    let current = bench.host.state().join("gateways").join(name).join("conf/current");
    let swaps = {
        let killer = killer.clone();
        Swaps::watch(current, move |n| {
            if kills == Kills::Swap(n) || kills == Kills::Everywhere {
                killer.kill();
            }
        })
    };
    if journey == Journey::Delete {
        bench.traffic.take().expect("v2 serves").flawless().await;
    }
    let began = Instant::now();
    bench.ask();
    arrive(&mut bench, &killer, began).await;
    let took = began.elapsed();
    let kills = killer.kills();
    killer.aim(0);
    bench.proxy.unhook();
    expect_counted(&bench, journey).await;
    let end = bench.end().await;
    let answers = match bench.traffic.take() {
        Some(traffic) => traffic.stop().await,
        None => Answers::default(),
    };
    if journey.loses_nothing() {
        assert!(answers.failed == 0 && answers.sent > 50, "{answers:#?}\n{}", bench.host.log());
    }
    let changes = changes.lock().expect("not poisoned").clone();
    Walk { end, changes, swaps: swaps.seen(), kills, sent: answers.sent, failed: answers.failed, took }
}

/// Kills at changes; what was asked of the engine is written down.
fn arm(bench: &Bench, kills: Kills, killer: &Killer) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (list, killer) = (Arc::clone(&told), killer.clone());
    let mut interrupted: BTreeSet<(String, bool)> = BTreeSet::new();
    bench.proxy.hook(move |change| {
        if change.moment == Moment::Before {
            list.lock().expect("not poisoned").push(change.what.clone());
        }
        let due = match kills {
            Kills::Never | Kills::Swap(_) => false,
            Kills::Change(n, moment) => (change.n, change.moment) == (n, moment),
            Kills::Everywhere => interrupted.insert((change.what.clone(), change.moment == Moment::Before)),
        };
        due && killer.kill()
    });
    told
}

/// Starts the daemon again whenever it was killed, until the journey is over.
async fn arrive(bench: &mut Bench, killer: &Killer, began: Instant) {
    let mut lives = 1;
    loop {
        if bench.host.has_ended() {
            lives += 1;
            killer.aim(bench.host.launch());
        }
        bench.press_on().await;
        if bench.has_arrived().await {
            // The last step may have been its last: only a life that nobody ended, and nobody ends any more, has arrived.
            killer.aim(0);
            if killer.kills() < lives {
                return;
            }
        }
        let late = began.elapsed() > PATIENCE || lives > LIVES;
        assert!(
            !late,
            "{} did not arrive after {lives} lives: {:#?}\n{}",
            bench.name,
            bench.report().await,
            bench.host.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// No request of the canary was counted twice, and none was forgotten: what the journey's end says is what the access
/// log says, the last moments excepted.
async fn expect_counted(bench: &Bench, journey: Journey) {
    if journey.stages() == 0 {
        return;
    }
    let ended = bench.report().await.and_then(|r| r.outcome).expect("it has ended");
    let at = ended.at.as_duration().as_secs_f64();
    let lines = bench.host.access(&bench.name);
    let drawn: Vec<f64> = lines.iter().filter(|l| l.route == Route::Drawn(Lane::Canary)).map(|l| l.time).collect();
    let surely = drawn.iter().filter(|time| **time < at - 2.5).count() as u64;
    let (all, counted) = (drawn.len() as u64, ended.requests);
    assert!(
        counted <= all && counted >= surely,
        "{counted} requests were counted; the log has {all}, and {surely} long before the end\n{}",
        bench.host.log()
    );
}
