//! A day of 200 rollouts that each release one version, by a simulated clock: containers, gateway and users of the planner's own
//! tests around the real planner and judge, and what the daemon would commit in a real journal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use canaryd_journal::{Journal, NewEvent, Opened};
use canaryd_planner::{Memory, Severity};
use tempfile::TempDir;

use crate::figure::{Figure, Figures};
use crate::sim::Sim;
use crate::sim::docker::Conduct;
use crate::sim::manifest::stage;

const ROLLOUTS: u32 = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// So often a rollout at rest is planned: when the daemon lists everything again.
const AT_REST: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Count {
    plans: u64,
    events: u64,
    commits: u64,
    spent: Duration,
    slowest: Duration,
    largest: usize,
    ends: BTreeMap<String, u32>,
}

pub(crate) async fn measure(figures: &mut Figures) {
    let dir = TempDir::with_prefix("canaryd-bench-").unwrap();
    let Opened { journal, .. } = Journal::open(dir.path()).await.unwrap();
    let mut count = Count::default();
    for n in 0..ROLLOUTS {
        live(n, &journal, &mut count).await;
    }
    journal.housekeeping(jiff::Timestamp::now()).await.unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum();
    tell(figures, &count, bytes);
}

/// Every eighth version crashes, every eighth answers a fifth of its requests with errors, the others are good.
fn conduct(n: u32) -> Conduct {
    match n % 8 {
        3 => Conduct { fails: Some(5), ..Conduct::default() },
        7 => Conduct { dies: Some(Duration::from_secs(1200)), ..Conduct::default() },
        _ => Conduct::default(),
    }
}

async fn live(n: u32, journal: &Journal, count: &mut Count) {
    let mut sim = Sim::installed(|manifest| {
        for one in &mut manifest.stages {
            *one = stage(one.weight, 900);
        }
    });
    let (name, begun) = (format!("shop-{n:03}"), sim.now);
    sim.docker.conduct.insert("v2".to_owned(), conduct(n));
    // Not all at the same time.
    let released = begun + DAY / ROLLOUTS * n / 2;
    while sim.now < begun + DAY {
        if sim.now >= released && sim.manifest.version == "v1" {
            sim.apply("v2");
        }
        let before = sim.memory.without_clock();
        if sim.is_idle() {
            sim.now += AT_REST;
        } else {
            sim.now += Duration::from_secs(1);
        }
        let turn = Instant::now();
        sim.turn();
        let spent = turn.elapsed();
        count.plans += 1;
        count.spent += spent;
        count.slowest = count.slowest.max(spent);
        commit(&sim, &name, &before, journal, count).await;
    }
    *count.ends.entry(sim.outcome().map_or_else(|| "none".to_owned(), |o| format!("{o:?}"))).or_default() += 1;
}

/// As the daemon does it, except for the observed time alone.
async fn commit(sim: &Sim, name: &str, before: &Memory, journal: &Journal, count: &mut Count) {
    let plan = sim.last.as_ref().unwrap();
    if plan.events.is_empty() && plan.memory.without_clock() == *before {
        return;
    }
    let told = plan.events.iter().map(|event| NewEvent {
        severity: match event.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Notify => "notify",
        }
        .to_owned(),
        kind: event.kind.clone(),
        message: event.message.clone(),
    });
    let json = serde_json::to_string(&plan.memory).unwrap();
    count.events += u64::try_from(plan.events.len()).unwrap();
    count.commits += 1;
    count.largest = count.largest.max(json.len());
    journal.commit_plan(name, json, told.collect(), sim.now).await.unwrap();
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn tell(figures: &mut Figures, count: &Count, journal: u64) {
    let share = count.spent.as_secs_f64() / DAY.as_secs_f64() * 100.0;
    let note = format!("of one processor, the simulated world included; {} plans; ends: {:?}", count.plans, count.ends);
    figures.add(Figure::new("day-of-200/cpu", "%").ours(share).note(note));
    let mean = count.spent.as_secs_f64() * 1e6 / count.plans as f64;
    let note = format!("mean of a turn; the slowest took {:.1} ms", count.slowest.as_secs_f64() * 1e3);
    figures.add(Figure::new("day-of-200/reconcile", "µs").ours(mean).note(note));
    let note =
        format!("{} commits, {} events; at most {} bytes for one rollout", count.commits, count.events, count.largest);
    figures.add(Figure::new("day-of-200/journal", "MB").ours(journal as f64 / 1e6).note(note));
}
