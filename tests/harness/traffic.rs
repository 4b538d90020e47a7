//! Constant traffic on a gateway, as different clients make it, and what became of every request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use canaryd_probe::{Failure, Load, LoadPlan, LoadReport, RequestKind};
use tokio::runtime::{Builder, Runtime};

use crate::host::PATIENCE;

/// Requests per second on connections that are used again, and how many of these. Each is idle for a tenth of a second
/// in between: NGINX keeps idle ones open for a second while it hands over, and a busy machine stalls at times.
const KEPT: (f64, usize) = (120.0, 12);
/// Requests per second on a new connection each.
const NEW: (f64, usize) = (60.0, 12);

/// GET and POST, on kept and on new connections, until it is stopped.
pub struct Traffic {
    kept: Option<Load>,
    new: Option<Load>,
    /// Of its own: a test that waits for Docker must not make its traffic stumble.
    runtime: Option<Runtime>,
}

/// Requests by the version that answered, and how often nobody did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Requests whose fate is known.
    pub sent: u64,
    /// Of these, without a good answer.
    pub failed: u64,
    /// Good answers by version.
    pub by_version: BTreeMap<String, u64>,
    /// The others by what happened, as [`LoadReport::by_class`] has it.
    pub by_class: BTreeMap<String, u64>,
    /// The first failures.
    pub failures: Vec<Failure>,
}

impl Traffic {
    /// Starts it.
    #[must_use]
    pub fn start(port: u16) -> Self {
        Self::at(port, KEPT, NEW)
    }

    /// Starts a third of it, for tests of which several run at a time.
    #[must_use]
    pub fn gentle(port: u16) -> Self {
        Self::at(port, (KEPT.0 / 3.0, KEPT.1 / 3), (NEW.0 / 3.0, NEW.1 / 3))
    }

    fn at(port: u16, kept: (f64, usize), new: (f64, usize)) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (kept, new) = {
            let _inside = runtime.enter();
            (load(port, kept, true), load(port, new, false))
        };
        Self { kept: Some(kept), new: Some(new), runtime: Some(runtime) }
    }

    /// What became of the requests so far.
    #[must_use]
    pub fn so_far(&self) -> Answers {
        let reports: Vec<LoadReport> = self.kept.iter().chain(&self.new).map(Load::snapshot).collect();
        Answers::of(&reports)
    }

    /// Waits until so many requests were sent.
    pub async fn until_sent(&self, requests: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.so_far().sent < requests {
            assert!(Instant::now() < deadline, "the traffic does not flow: {:#?}", self.so_far());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it; what became of every request.
    pub async fn stop(mut self) -> Answers {
        let (kept, new) = (self.kept.take().expect("it runs"), self.new.take().expect("it runs"));
        let (kept, new) = tokio::join!(kept.stop(), new.stop());
        Answers::of(&[kept, new])
    }

    /// Stops it, and fails unless every single request had a good answer.
    pub async fn flawless(self) -> Answers {
        let answers = self.stop().await;
        assert_eq!(answers.failed, 0, "requests were lost: {answers:#?}");
        assert!(answers.sent > 300, "too little traffic to prove anything: {answers:#?}");
        answers
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn load(port: u16, (rate, connections): (f64, usize), keep_alive: bool) -> Load {
    let mix = vec![RequestKind::get("/"), RequestKind::post("/echo", "an order")];
    let target = SocketAddr::from(([127, 0, 0, 1], port));
    let plan = LoadPlan { connections, keep_alive, mix, seed: 11, ..LoadPlan::new(target, rate) };
    Load::start(plan).expect("a legal load")
}

impl Answers {
    fn of(reports: &[LoadReport]) -> Self {
        let mut sum = Self::default();
        for report in reports {
            sum.sent += report.sent;
            sum.failed += report.failed;
            sum.failures.extend(report.failures.iter().take(20).cloned());
            for (class, count) in &report.by_class {
                *sum.by_class.entry(class.clone()).or_default() += count;
            }
            for (version, count) in &report.by_version {
                *sum.by_version.entry(version.clone()).or_default() += count.ok;
            }
        }
        sum
    }

    /// Good answers of one version.
    #[must_use]
    pub fn of_version(&self, version: &str) -> u64 {
        self.by_version.get(version).copied().unwrap_or_default()
    }
}
