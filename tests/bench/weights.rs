//! How fast a weight change is: from the decision to the first answer by the new and to the last answer by the old weights.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use canaryd_e2e::Bench;
use canaryd_e2e::http::until_steady;
use canaryd_gateway::Lane;

use crate::clients::{Crew, Kind, Seen};
use crate::figure::{Figure, Figures, median};
use crate::master::ByEngine;
use crate::plain::Plain;

/// Changes of each sort.
const ROUNDS: u32 = 25;
/// An idle connection of the slowest clients is used again within it.
const WARM_UP: Duration = Duration::from_millis(900);
/// NGINX gives an idle connection a second to ask once more.
const SETTLING: Duration = Duration::from_millis(1400);

const KINDS: [Kind; 4] = [
    Kind { name: "new", kept: false, gap: Duration::from_millis(20), count: 6 },
    Kind { name: "20ms", kept: true, gap: Duration::from_millis(20), count: 4 },
    Kind { name: "200ms", kept: true, gap: Duration::from_millis(200), count: 20 },
    Kind { name: "800ms", kept: true, gap: Duration::from_millis(800), count: 40 },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Lower,
    Raise,
}

/// Milliseconds: the first new and the last old answer of one change, by kind of client.
type Times = Vec<(f64, f64)>;

pub(crate) async fn measure(figures: &mut Figures) {
    let mut bench = Bench::start(231, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    let master = ByEngine::of(&bench).await;
    let plain = Plain::beside(&bench, "plain", "1s", 100);
    bench.split(100.0).await;
    until_steady(bench.port).await;
    until_steady(plain.port).await;
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..ROUNDS {
        for way in [Way::Lower, Way::Raise] {
            let times = watch(bench.port, way, async || change(&bench, &master, way).await).await;
            ours.entry(way).or_insert_with(Vec::new).push(times);
            let share = if way == Way::Raise { 100 } else { 0 };
            let times = watch(plain.port, way, async || plain.change(share).await).await;
            theirs.entry(way).or_insert_with(Vec::new).push(times);
        }
    }
    for way in [Way::Lower, Way::Raise] {
        tell(figures, way, &ours[&way], &theirs[&way]);
    }
}

async fn change(bench: &Bench, master: &ByEngine, way: Way) {
    match way {
        Way::Lower => drop(bench.link.lower(master, canaryd_link::Why::Decided).await.unwrap()),
        Way::Raise => drop(bench.try_split_by(master, 100.0, true).await.unwrap()),
    }
}

/// One change under the eyes of all clients.
async fn watch(port: u16, way: Way, change: impl AsyncFnOnce()) -> Times {
    let crew = Crew::start(port, &KINDS);
    tokio::time::sleep(WARM_UP).await;
    let decided = Instant::now();
    change().await;
    tokio::time::sleep(SETTLING).await;
    let seen = crew.stop().await;
    let (old, new) = if way == Way::Lower { ("v2", "v1") } else { ("v1", "v2") };
    (0..KINDS.len()).map(|kind| times(&seen, kind, decided, old, new)).collect()
}

fn times(seen: &[Seen], kind: usize, decided: Instant, old: &str, new: &str) -> (f64, f64) {
    let after = |version: &str| {
        let of_it = seen.iter().filter(move |s| s.kind == kind && s.at >= decided && s.version == version);
        of_it.map(|s| (s.at - decided).as_secs_f64() * 1e3).collect::<Vec<_>>()
    };
    let first = after(new).into_iter().fold(f64::MAX, f64::min);
    let last = after(old).into_iter().fold(0.0, f64::max);
    (first, last)
}

/// `weights-live` and `weights-last-old` are those of new connections and of a lowering; others say what they are.
fn tell(figures: &mut Figures, way: Way, ours: &[Times], theirs: &[Times]) {
    for (kind, what) in KINDS.iter().enumerate() {
        let mut suffix = if way == Way::Raise { "/raise".to_owned() } else { String::new() };
        if what.kept {
            suffix += &format!("/{}", what.name);
        }
        let clients =
            if what.kept { format!("kept connections, idle for {}", what.name) } else { "new connections".into() };
        let does = if way == Way::Raise { "a raise, tested first" } else { "a lowering" };
        let note = format!("{does}; {clients}; theirs: render, docker cp, nginx -t, reload");
        let medians = |of: &[Times], pick: fn(&(f64, f64)) -> f64| {
            median(&of.iter().map(|times| pick(&times[kind])).collect::<Vec<_>>())
        };
        for (name, pick) in [("weights-live", (|t| t.0) as fn(&(f64, f64)) -> f64), ("weights-last-old", |t| t.1)] {
            let figure = Figure::new(format!("{name}{suffix}"), "ms").note(note.clone());
            figures.add(figure.ours(medians(ours, pick)).theirs(medians(theirs, pick)));
        }
    }
}
