//! The judge as its users see it: seconds of samples in, verdicts out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod properties;
mod simulations;
mod stories;

use canaryd_verdict::{Arm, Bad, Question, Sample, Settings};

/// Usual prices for these checks, without warm-up time.
fn settings(checks: Vec<Question>) -> Settings {
    Settings { alpha: 0.05, beta: 0.05, planned_minutes: 45.0, warmup: 0.0, checks }
}

fn check(name: &str, bad: Bad) -> Question {
    Question { name: name.to_owned(), mode: None, weight: 1.0, observe_only: false, bad }
}

fn errors(max: f64) -> Question {
    check("errors", Bad::Failed { max })
}

fn p95(max: f64) -> Question {
    check("latency", Bad::Slower { quantile: 0.95, max })
}

/// A good, fast canary request of a client of its own.
fn good(client: u64) -> Sample {
    Sample { arm: Arm::Canary, ordinal: 1, failed: false, latency: Some(0.2), mode: None, client }
}

fn failed(client: u64) -> Sample {
    Sample { failed: true, ..good(client) }
}

fn slow(client: u64) -> Sample {
    Sample { latency: Some(9.0), ..good(client) }
}

/// A small generator of pseudo-random numbers (`SplitMix64`: Steele, Lea, Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0.0 .. 1.0.
    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 4_294_967_296.0
    }

    fn hits(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A canary request that fails, and that is slow, with these probabilities; every one of a client of its own.
    fn request(&mut self, failing: f64, slow: f64) -> Sample {
        Sample {
            failed: self.hits(failing),
            latency: Some(if self.hits(slow) { 9.0 } else { 0.2 }),
            ..good(self.next())
        }
    }
}
