//! An open-loop load generator: requests start by the clock whether or not the last ones were answered, latency runs
//! from the *scheduled* start, nothing is ever retried, and every failure is classified. It is bounded in rate, time,
//! count and connections, and refuses to talk to any other host than this one.

mod line;
mod plan;
mod record;
mod report;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use line::{Line, Loss};
pub use plan::{LoadPlan, LoadRefused, Method, RequestKind};
use record::{Record, Times};
pub use report::{Failure, Latencies, LoadReport, SecondOf, VERSION_HEADER, VersionCount};

/// A running load. Dropped, it starts no further requests.
#[derive(Debug)]
pub struct Load {
    course: Arc<Course>,
    workers: TaskTracker,
}

/// What all connections of a load share.
#[derive(Debug)]
struct Course {
    plan: LoadPlan,
    requests: Vec<Request<Full<Bytes>>>,
    began: Instant,
    next: AtomicU64,
    halt: CancellationToken,
    record: Mutex<Record>,
}

impl Load {
    /// Starts it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The plan asks for more than is allowed; nothing was sent.
    pub fn start(plan: LoadPlan) -> Result<Self, LoadRefused> {
        let requests = plan.prepare()?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let course = Arc::new(Course {
            plan,
            requests,
            began: Instant::now(),
            next: AtomicU64::new(0),
            halt: CancellationToken::new(),
            record: Mutex::new(Record::new(started_unix_ms)),
        });
        let workers = TaskTracker::new();
        for _ in 0..course.plan.connections {
            workers.spawn(work(Arc::clone(&course)));
        }
        workers.close();
        Ok(Self { course, workers })
    }

    /// The report so far.
    #[must_use]
    pub fn snapshot(&self) -> LoadReport {
        self.course.record(|record| record.report(self.course.began.elapsed()))
    }

    /// Waits until the plan's duration or count is over and the last answer is there. Cancel-safe.
    pub async fn finished(&self) {
        self.workers.wait().await;
    }

    /// Starts no further requests, waits for those under way (each has its timeout), and reports.
    pub async fn stop(self) -> LoadReport {
        self.course.halt.cancel();
        self.workers.wait().await;
        self.snapshot()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.course.halt.cancel();
    }
}

impl Course {
    /// The next request's number and when it is due, since the start.
    fn draw(&self) -> Option<(u64, Duration)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred million: exact in 52 bits")]
        let due = Duration::from_secs_f64(number.min(self.plan.requests()) as f64 / self.plan.rate);
        (number < self.plan.requests() && due < self.plan.lasts()).then_some((number, due))
    }

    fn record<T>(&self, take: impl FnOnce(&mut Record) -> T) -> T {
        take(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One connection's life: draw the next number, wait until it is due, send.
async fn work(course: Arc<Course>) {
    let mut line = Line::new(course.plan.target, course.plan.keep_alive);
    while let Some((number, due)) = course.draw() {
        tokio::select! {
            biased;
            () = course.halt.cancelled() => return,
            () = tokio::time::sleep_until(course.began + due) => {}
        }
        if course.began.elapsed() > due + course.plan.timeout {
            course.record(Record::take_unsent);
        } else {
            send(&course, &mut line, number, due).await;
        }
    }
}

async fn send(course: &Course, line: &mut Line, number: u64, due: Duration) {
    let kind = pick(course.plan.seed, number, course.requests.len());
    let sent = course.began.elapsed();
    let answer = tokio::time::timeout(course.plan.timeout, line.send(course.requests[kind].clone())).await;
    let fate = answer.unwrap_or_else(|_| Err(timed_out(course.plan.timeout)));
    let times = Times { due, sent, done: course.began.elapsed() };
    course.record(|record| record.take(&course.plan.mix[kind].to_string(), times, fate));
}

fn timed_out(timeout: Duration) -> Loss {
    Loss::new("timeout", format!("no whole answer within {} ms", timeout.as_millis()))
}

/// Which of `kinds` the request of this number is: splitmix64 (Steele, Lea, Flood 2014) over seed and number.
fn pick(seed: u64, number: u64, kinds: usize) -> usize {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    usize::try_from(z % kinds as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
