//! What a gateway in between costs: latency that it adds, and how many requests it forwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use canaryd_e2e::Bench;
use canaryd_e2e::http::until_steady;
use canaryd_gateway::Lane;
use canaryd_probe::{Load, LoadPlan, LoadReport};

use crate::figure::{Figure, Figures, median};
use crate::plain::{HAPROXY, Plain, direct, haproxy_beside};

const ROUNDS: u32 = 7;
/// Of one measurement.
const LASTS: Duration = Duration::from_secs(4);
/// A load that two processors carry with ease.
const RATE: f64 = 1000.0;
/// More than any of them can: as many requests as are answered are sent.
const FLOOD: f64 = 20_000.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Direct,
    Ours,
    Plain,
    Haproxy,
}

/// Of one path: p50 and p99 in ms, and requests per second under a flood.
#[derive(Default)]
struct Seen {
    p50: Vec<f64>,
    p99: Vec<f64>,
    rate: Vec<f64>,
}

pub(crate) async fn measure(figures: &mut Figures) {
    let mut bench = Bench::start(233, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.split(0.0).await;
    let mut ports = BTreeMap::from([(Path::Direct, direct(&bench, "v1")), (Path::Ours, bench.port)]);
    let plain = Plain::beside(&bench, "plain", "0", 0);
    ports.insert(Path::Plain, plain.port);
    if has_haproxy() {
        ports.insert(Path::Haproxy, haproxy_beside(&bench));
    }
    for port in ports.values() {
        until_steady(*port).await;
    }
    let mut seen: BTreeMap<Path, Seen> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (path, port) in &ports {
            let seen = seen.entry(*path).or_default();
            let calm = load(*port, RATE).await;
            seen.p50.push(calm.latency.p50_ms);
            seen.p99.push(calm.latency.p99_ms);
            let flood = load(*port, FLOOD).await;
            #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
            seen.rate.push(flood.ok as f64 * 1e3 / flood.ran_ms as f64);
        }
    }
    tell(figures, &seen);
}

fn has_haproxy() -> bool {
    let found = std::process::Command::new("docker").args(["image", "inspect", HAPROXY]).output();
    found.is_ok_and(|output| output.status.success())
}

async fn load(port: u16, rate: f64) -> LoadReport {
    let target = SocketAddr::from(([127, 0, 0, 1], port));
    let plan = LoadPlan { duration: Some(LASTS), connections: 32, ..LoadPlan::new(target, rate) };
    let load = Load::start(plan).unwrap();
    tokio::time::sleep(LASTS).await;
    load.stop().await
}

fn tell(figures: &mut Figures, seen: &BTreeMap<Path, Seen>) {
    let of = |path: Path, pick: fn(&Seen) -> &[f64]| seen.get(&path).map(|seen| median(pick(seen)));
    let p50: fn(&Seen) -> &[f64] = |s| &s.p50;
    let p99: fn(&Seen) -> &[f64] = |s| &s.p99;
    let rate: fn(&Seen) -> &[f64] = |s| &s.rate;
    for (their, name) in [(Path::Plain, "nginx"), (Path::Haproxy, "haproxy")] {
        for (quantile, pick) in [("p50", p50), ("p99", p99)] {
            let direct = of(Path::Direct, pick).unwrap_or_default();
            let added = |path: Path| of(path, pick).map(|latency| latency - direct);
            let note = format!("added to {direct:.2} ms without a gateway, at {RATE} requests/s");
            let figure = Figure::new(format!("gateway-added-{quantile}/{name}"), "ms").note(note);
            figures.add(figure.ours(added(Path::Ours)).theirs(added(their)));
        }
        let without = of(Path::Direct, rate).unwrap_or_default();
        let note =
            format!("more is better; {without:.0} without a gateway; generator and application share the processors");
        let figure = Figure::new(format!("gateway-requests/{name}"), "requests/s").note(note);
        figures.add(figure.ours(of(Path::Ours, rate)).theirs(of(their, rate)));
    }
}
