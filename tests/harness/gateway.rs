//! What a gateway was told and what it did, read from its own directory: generations and access log.

use std::collections::BTreeMap;
use std::fs;

use canaryd_gateway::{AccessLine, GenerationId, Intent, Lane, Route};
use canaryd_rollout::Weight;

use crate::host::Host;

/// One configuration that the gateway got.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its number.
    pub id: GenerationId,
    /// What it does.
    pub intent: Intent,
}

impl Generation {
    /// The canary's share.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.intent.traffic.canary()
    }
    /// How many replicas a lane has in it.
    #[must_use]
    pub fn replicas(&self, lane: Lane) -> usize {
        self.intent.lane(lane).len()
    }
}

/// Requests that the split drew under one weight, and of these the canary's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drawn {
    /// All.
    pub all: u64,
    /// The canary's.
    pub canary: u64,
}

impl Host {
    /// Every configuration that is still on disk (the last twenty), oldest first. Twins are not listed.
    #[must_use]
    pub fn generations(&self, rollout: &str) -> Vec<Generation> {
        let dir = self.state().join("gateways").join(rollout).join("intents");
        let mut generations: Vec<Generation> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let id = path.file_stem()?.to_str()?.parse().ok()?;
                let intent = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
                Some(Generation { id, intent })
            })
            .collect();
        generations.sort_by_key(|g| g.id);
        generations
    }

    /// The configuration that the symlink names now.
    #[must_use]
    pub fn live_generation(&self, rollout: &str) -> String {
        let conf = self.state().join("gateways").join(rollout).join("conf/current");
        let target = fs::read_link(&conf).expect("the gateway has a configuration");
        target.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// Every request in the gateway's log.
    #[must_use]
    pub fn access(&self, rollout: &str) -> Vec<AccessLine> {
        let log = self.state().join("gateways").join(rollout).join("log").join("access.log");
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().filter_map(|line| AccessLine::parse(line).ok()).collect()
    }

    /// What the split drew, by the weight in force. A twin counts as weight 0.
    #[must_use]
    pub fn drawn(&self, rollout: &str) -> BTreeMap<Weight, Drawn> {
        let weights: BTreeMap<GenerationId, Weight> =
            self.generations(rollout).iter().map(|g| (g.id, g.weight())).collect();
        let mut drawn: BTreeMap<Weight, Drawn> = BTreeMap::new();
        for line in self.access(rollout) {
            let Route::Drawn(lane) = line.route else { continue };
            let Some(weight) = weights.get(&line.generation.original()) else { continue };
            let weight = if line.generation.is_twin() { Weight::ZERO } else { *weight };
            let count = drawn.entry(weight).or_default();
            count.all += 1;
            count.canary += u64::from(lane == Lane::Canary);
        }
        drawn
    }
}

/// The weights that a gateway went through, in percent, without repetitions.
#[must_use]
pub fn weights(generations: &[Generation]) -> Vec<String> {
    let mut weights: Vec<String> = generations.iter().map(|g| g.weight().to_string()).collect();
    weights.dedup();
    weights
}

/// Fails unless `drawn` is within chance's reach of `weight`. Bernstein's inequality, one in a thousand million: so many
/// draws of so small a share stay within it, whatever the machine does.
pub fn assert_fair(weight: Weight, drawn: Drawn) {
    let (n, k, p) = (to_f64(drawn.all), to_f64(drawn.canary), weight.share());
    let odds = (2.0_f64 / 1e-9).ln();
    let reach = odds / 3.0 + ((odds / 3.0).powi(2) + 2.0 * odds * n * p * (1.0 - p)).sqrt();
    assert!((k - n * p).abs() <= reach, "{k} of {n} at {weight} %: more than {reach:.0} from the plan");
}

fn to_f64(n: u64) -> f64 {
    f64::from(u32::try_from(n).expect("fewer than four thousand million requests"))
}
