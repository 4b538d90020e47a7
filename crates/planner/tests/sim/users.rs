//! The users' requests, and the judge that counts them.

use canaryd_gateway::{Endpoint, Lane};
use canaryd_planner::{EvidenceView, Live, Memory, Recent, settings_of};
use canaryd_rollout::{Rollout, SetId};
use canaryd_verdict::{Arm, Judge, Sample};
use jiff::Timestamp;

use super::docker::Docker;

#[derive(Clone)]
pub struct Users {
    /// Requests per second.
    pub rate: f64,
    pub silent: Option<(Timestamp, String)>,
    pub judge: Option<(SetId, Judge)>,
    /// Under which number it began.
    number: u64,
    /// The part of a canary request that is still owed.
    owed: f64,
    sent: u64,
    extra: Vec<Sample>,
    /// What became of production's requests.
    pub production: Recent,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            rate: 50.0,
            silent: None,
            judge: None,
            number: 0,
            owed: 0.0,
            sent: 0,
            extra: Vec::new(),
            production: Recent::default(),
        }
    }
}

impl Users {
    /// One second of traffic; only the canary's requests are of interest to the checks used here.
    pub fn visit(&mut self, live: Option<&Live>, docker: &Docker, now: Timestamp) {
        let mut samples = std::mem::take(&mut self.extra);
        let weight = live.map_or(0.0, |l| l.intent.traffic.canary().share());
        self.owed += self.rate * weight;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            self.sent += 1;
            let endpoints = live.map(|l| l.intent.lane(Lane::Canary)).unwrap_or_default();
            samples.extend(endpoints.first().map(|e| self.answer(e, docker)));
        }
        if self.silent.is_some() {
            return;
        }
        if let Some((_, judge)) = self.judge.as_mut().filter(|_| !samples.is_empty()) {
            judge.tick(now.as_second(), &samples);
        }
    }

    fn answer(&self, endpoint: &Endpoint, docker: &Docker) -> Sample {
        let fails = docker.set(&endpoint.set).and_then(|s| docker.conduct(&s.revision).fails);
        sample(fails.is_some_and(|n| self.sent.is_multiple_of(n)), self.sent, endpoint.ordinal)
    }

    /// Besides the steady traffic.
    pub fn extra(&mut self, bad: u64, all: u64) {
        for n in 0..all {
            self.extra.push(sample(n < bad, 1_000_000 + n, 1));
        }
    }

    /// As the daemon does it: another set, another number or other checks begin with no evidence.
    pub fn attend(&mut self, memory: &Memory, manifest: &Rollout) {
        let Some(set) = memory.canary_set() else {
            self.judge = None;
            return;
        };
        let settings = settings_of(manifest);
        let number = memory.evidence_number();
        let is_other = |(of, judge): &(SetId, Judge)| *of != set || judge.settings() != &settings;
        if self.number != number || self.judge.as_ref().is_none_or(is_other) {
            self.number = number;
            self.judge = Some((set, Judge::new(settings)));
        }
    }

    pub fn view(&self, now: Timestamp) -> EvidenceView {
        EvidenceView {
            judge: self.judge.clone(),
            number: self.number,
            read_at: Some(now),
            silent: self.silent.clone(),
            requests_per_second: self.rate,
            production: self.production,
        }
    }
}

fn sample(failed: bool, client: u64, ordinal: u32) -> Sample {
    Sample { arm: Arm::Canary, ordinal, failed, latency: Some(0.02), mode: None, client }
}
