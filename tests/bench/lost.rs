//! What a hundred weight changes cost the users: requests lost under a constant load.

use std::net::SocketAddr;
use std::time::Duration;

use canaryd_e2e::Bench;
use canaryd_e2e::http::until_steady;
use canaryd_gateway::Lane;
use canaryd_link::{Master, Why};
use canaryd_probe::{Load, LoadPlan, LoadReport, RequestKind};

use crate::figure::{Figure, Figures};
use crate::master::ByEngine;
use crate::plain::Plain;

const CHANGES: u32 = 100;
/// Changes before it is the other's turn.
const TURN: u32 = 25;
/// From one change to the next.
const PACE: Duration = Duration::from_millis(500);
/// Requests per second on connections that are used again, and on new ones.
const KEPT: f64 = 1500.0;
const NEW: f64 = 500.0;
/// The daemon raises no weight while more old workers than this live.
const OLD_WORKERS: u32 = 8;

#[derive(Default)]
struct Sum {
    sent: u64,
    failed: u64,
    unsent: u64,
}

pub(crate) async fn measure(figures: &mut Figures) {
    let mut bench = Bench::start(232, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    let master = ByEngine::of(&bench).await;
    // What a configuration has that says nothing of it.
    let plain = Plain::beside(&bench, "plain", "0", 0);
    bench.split(0.0).await;
    until_steady(bench.port).await;
    until_steady(plain.port).await;
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    for turn in 0..CHANGES / TURN {
        let changes = turn * TURN..(turn + 1) * TURN;
        ours.add(&under_load(bench.port, changes.clone(), async |n| change(&bench, &master, n).await).await);
        theirs.add(&under_load(plain.port, changes, async |n| plain.change(share(n)).await).await);
    }
    let note = format!(
        "of {} and {} requests at {}/s, {} and {} of them late by the generator; theirs: plain NGINX, reload",
        ours.sent,
        theirs.sent,
        KEPT + NEW,
        ours.unsent,
        theirs.unsent
    );
    let figure = Figure::new("lost-per-100-changes", "requests").note(note);
    figures.add(figure.ours(per_hundred(ours.failed)).theirs(per_hundred(theirs.failed)));
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn per_hundred(failed: u64) -> f64 {
    failed as f64 * 100.0 / f64::from(CHANGES)
}

fn share(n: u32) -> u32 {
    if n.is_multiple_of(2) { 50 } else { 0 }
}

/// Up by a tested generation, down by the prepared twin: what a rollout does.
async fn change(bench: &Bench, master: &ByEngine, n: u32) {
    if share(n) == 0 {
        bench.link.lower(master, Why::Decided).await.unwrap();
        return;
    }
    while master.old_workers().await.unwrap() > OLD_WORKERS {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.try_split_by(master, 50.0, true).await.unwrap();
    bench.link.sweep(20).unwrap();
}

async fn under_load(port: u16, changes: std::ops::Range<u32>, change: impl AsyncFn(u32)) -> [LoadReport; 2] {
    let target = SocketAddr::from(([127, 0, 0, 1], port));
    let mix = vec![RequestKind::get("/"), RequestKind::post("/echo", "an order")];
    let start = |rate: f64, keep_alive: bool| {
        let plan = LoadPlan { connections: 50, keep_alive, mix: mix.clone(), ..LoadPlan::new(target, rate) };
        Load::start(plan).unwrap()
    };
    let (kept, new) = (start(KEPT, true), start(NEW, false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in changes {
        let next = tokio::time::Instant::now() + PACE;
        change(n).await;
        tokio::time::sleep_until(next).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    [kept.stop().await, new.stop().await]
}

impl Sum {
    fn add(&mut self, reports: &[LoadReport]) {
        for report in reports {
            self.sent += report.sent;
            self.failed += report.failed;
            self.unsent += report.unsent;
            if report.failed > 0 {
                eprintln!("    {:?}", report.by_class);
            }
        }
    }
}
