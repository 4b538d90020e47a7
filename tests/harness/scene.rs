//! A scene: v1 in production under constant load, and room for a version that goes wrong.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use canaryd_gateway::container::ACCESS_LOG;
use canaryd_gateway::{AccessLine, Lane, Route};
use canaryd_planner::Report;
use canaryd_probe::{Load, LoadReport};

use crate::deaths::Deaths;
use crate::docker::inspect;
use crate::host::{Host, PATIENCE, load, remove_leftovers};
use crate::http;
use crate::images::demo_image;
use crate::manifest::Manifest;

/// Requests per second, half of them on kept connections and half on new ones.
pub const RATE: f64 = 100.0;

/// v1 in production under constant load.
pub struct Scene {
    /// The host with its daemon.
    pub host: Host,
    /// The rollout's name.
    pub name: String,
    /// The manifest as it was written last.
    pub manifest: Manifest,
    /// Deaths of the rollout's containers, by Docker's own clock.
    pub deaths: Deaths,
    loads: Vec<Load>,
    production: Vec<Life>,
    port: u16,
}

/// One container in one of its lives.
#[derive(Debug, PartialEq, Eq)]
struct Life {
    id: String,
    started_at: String,
}

impl Life {
    fn of(id: &str) -> Self {
        Self { id: id.to_owned(), started_at: inspect(id, "{{.State.StartedAt}}") }
    }
}

/// When a request came, Unix time in seconds.
fn begun(line: &AccessLine) -> f64 {
    line.time - line.request_time
}

/// A promised time, in seconds, as it can be kept: on a host whose processors are wanted by many at once, three times of it.
#[must_use]
pub fn promised(seconds: f64) -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let busy = load > 2.0 * f64::from(u32::try_from(processors).unwrap_or(u32::MAX));
    if busy { 3.0 * seconds } else { seconds }
}

/// A port that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it has one").port()
}

/// NGINX's old workers, which know of no production yet, accept connections for a moment longer.
async fn until_all_workers_serve(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let ok = http::ask(port, "GET /", &[], b"").await.is_ok_and(|answer| answer.status == 200);
        in_a_row = if ok { in_a_row + 1 } else { 0 };
        assert!(Instant::now() < deadline, "v1 does not serve");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Scene {
    /// v1 serves under load; `shape` gives the manifest what the story needs.
    pub async fn begin(name: &str, shape: impl FnOnce(Manifest) -> Manifest) -> Self {
        Self::begin_as(name, &[], shape).await
    }
    /// Likewise; v1 is the demo application with this environment.
    pub async fn begin_as(name: &str, v1: &[(&str, &str)], shape: impl FnOnce(Manifest) -> Manifest) -> Self {
        remove_leftovers(name);
        Self::begin_on(Host::start().await, name, v1, shape).await
    }
    /// Likewise, on this host.
    pub async fn begin_on(
        host: Host,
        name: &str,
        v1: &[(&str, &str)],
        shape: impl FnOnce(Manifest) -> Manifest,
    ) -> Self {
        let port = free_port();
        let manifest = shape(Manifest::new(name, &demo_image(name, "v1", v1), "v1", port));
        host.write("rollout.yaml", &manifest.yaml());
        host.until_serving(name, "v1").await;
        until_all_workers_serve(port).await;
        let production = host.containers(name, "app").iter().map(|id| Life::of(id)).collect();
        let loads = [true, false].map(|keep_alive| load(port, RATE / 2.0, keep_alive)).into();
        let deaths = Deaths::watch(&host.instance());
        Self { host, name: name.to_owned(), manifest, deaths, loads, production, port }
    }

    /// Where users are served, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Asks for a version: the demo application with this environment.
    pub fn release(&mut self, version: &str, environment: &[(&str, &str)]) {
        demo_image(&self.name, version, environment);
        self.apply(self.manifest.clone().version(version));
    }
    /// Writes another manifest.
    pub fn apply(&mut self, manifest: Manifest) {
        self.manifest = manifest;
        self.host.write("rollout.yaml", &self.manifest.yaml());
    }
    /// Waits for a condition on the rollout's state.
    pub async fn until(&self, what: &str, done: impl Fn(&Report) -> bool) -> Report {
        self.host.until(&self.name, what, done).await
    }
    /// Watches for a while that something stays as it is.
    pub async fn stays(&self, duration: Duration, what: &str, holds: impl Fn(&Report) -> bool) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let report = self.host.report(&self.name).await.expect("the daemon knows it");
            assert!(holds(&report), "it did not stay so: {what}\n{report:#?}\n{}", self.host.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Panics if a container that was in production at the beginning was replaced, restarted or removed.
    pub fn expect_production_untouched(&self) {
        for life in &self.production {
            assert_eq!(&Life::of(&life.id), life, "a production container was restarted");
            assert_eq!(inspect(&life.id, "{{.State.Running}}"), "true", "a production container does not run");
        }
    }
    /// Ids of the app's containers that are not of v1, running or not.
    #[must_use]
    pub fn canaries(&self) -> Vec<String> {
        let mut ids = self.host.containers(&self.name, "app");
        ids.retain(|id| self.production.iter().all(|life| &life.id != id));
        ids
    }

    /// What users saw so far, of both loads.
    #[must_use]
    pub fn users(&self) -> LoadReport {
        let mut reports = self.loads.iter().map(Load::snapshot);
        let mut sum = reports.next().expect("two loads");
        for report in reports {
            sum.sent += report.sent;
            sum.ok += report.ok;
            sum.failed += report.failed;
            sum.unsent += report.unsent;
            sum.failures.extend(report.failures);
            for (class, count) in report.by_class {
                *sum.by_class.entry(class).or_default() += count;
            }
        }
        sum
    }
    /// Whole lines of the gateway's access log, canaryd's own requests left out.
    #[must_use]
    pub fn access(&self) -> Vec<AccessLine> {
        let log = self.gateway_dir().join("log").join(ACCESS_LOG);
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().filter_map(|line| AccessLine::parse(line).ok()).filter(|l| l.route != Route::Ops).collect()
    }
    /// Requests that the split gave to the canary.
    #[must_use]
    pub fn drawn_for_canary(&self) -> Vec<AccessLine> {
        let mut lines = self.access();
        lines.retain(|line| line.route == Route::Drawn(Lane::Canary));
        lines
    }
    /// The canary died at `died`, Unix time: a second later at most the gateway works by a configuration that gives it
    /// nothing, and a keep-alive timeout after that the last kept connection has noticed. Only what came before `until`
    /// counts.
    pub fn expect_off_within_a_second(&self, died: f64, until: f64) {
        let mut lines = self.access();
        lines.retain(|line| begun(line) < until);
        let before = lines.iter().filter(|line| line.time < died).map(|line| line.generation).max();
        let lowered = lines.iter().filter(|line| Some(line.generation) > before);
        let live = lowered.map(begun).fold(f64::MAX, f64::min) - died;
        let drawn = lines.iter().filter(|line| line.route == Route::Drawn(Lane::Canary));
        let last = drawn.map(begun).fold(0.0, f64::max) - died;
        println!("died: 0 % is live after {:.0} ms, the last request came after {:.0} ms", live * 1e3, last * 1e3);
        let (limit, last_limit) = (promised(1.0), promised(2.5));
        assert!(live < limit && last < last_limit, "live after {live:.3} s, last request after {last:.3} s");
    }
    /// The gateway's directory.
    #[must_use]
    pub fn gateway_dir(&self) -> PathBuf {
        self.host.state().join("gateways").join(&self.name)
    }
    /// The whole failure bundles, by name.
    #[must_use]
    pub fn bundles(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.host.state().join("failures")).expect("the daemon made it");
        let dirs = entries.map(|entry| entry.expect("readable").path());
        let mut whole: Vec<PathBuf> = dirs.filter(|dir| dir.join("report.md").exists()).collect();
        whole.sort();
        whole
    }
    /// Waits until the history has told something so many times; when it did so last, Unix time in seconds.
    pub async fn until_told(&self, kind: &str, times: usize) -> f64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut told = self.host.events(&self.name).await;
            told.retain(|event| event.kind == kind);
            if let Some(event) = told.get(times - 1) {
                return Duration::try_from(event.at.duration_since(jiff::Timestamp::UNIX_EPOCH))
                    .expect("after 1970")
                    .as_secs_f64();
            }
            assert!(Instant::now() < deadline, "not told {times} times: {kind}\n{}", self.host.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    /// Kinds of the rollout's events, oldest first.
    pub async fn kinds(&self) -> Vec<String> {
        self.host.events(&self.name).await.into_iter().map(|event| event.kind).collect()
    }
}
