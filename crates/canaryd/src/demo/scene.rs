//! One version of the demo, from the changed version line to its outcome.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use canaryd_cockpit::Followed;
use canaryd_engine::{Engine, EventKind};
use canaryd_planner::{Outcome, OutcomeView, Report};
use canaryd_probe::{Load, LoadReport};
use canaryd_rollout::Weight;
use futures::StreamExt;
use jiff::Timestamp;

use super::NAME;
use super::house::DemoHouse;
use super::report::Run;
use crate::cli::Live;

/// How long a scene may take.
const LONGEST: Duration = Duration::from_secs(120);

/// A version of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// Good: goes through all stages.
    Good,
    /// Healthy at boot, 5xx after twenty seconds.
    Errors,
    /// Exits at 25 %.
    Crash,
}

impl Scene {
    pub(super) const ALL: [Self; 3] = [Self::Good, Self::Errors, Self::Crash];

    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Good => "v2",
            Self::Errors => "v3",
            Self::Crash => "v4",
        }
    }
    pub(super) fn introduction(self) -> &'static str {
        match self {
            Self::Good => "── v2 is good. The version line of the manifest changes; that is all anybody does.",
            Self::Errors => "── v3 is healthy at boot and answers 500 twenty seconds later.",
            Self::Crash => "── v4 works until a quarter of the users have it, then its process exits.",
        }
    }
    pub(super) fn expected(self) -> Outcome {
        match self {
            Self::Good => Outcome::Promoted,
            Self::Errors | Self::Crash => Outcome::Reverted,
        }
    }
}

/// Plays one scene on the running load.
pub(super) async fn play(house: &mut DemoHouse, load: &Load, scene: Scene) -> Result<Run> {
    let ear = Ear::open(house).await?;
    let before = load.snapshot();
    house.set_version(scene.version())?;
    let (outcome, zero_at) = watch(house, load, scene).await?;
    // What was under way when the weights changed ends within moments.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = load.snapshot();
    // A process that ends may break answers before and after Docker has seen it go: the fault is whatever came first.
    let exit = ear.heard(&after).await;
    let fault_at = first_failure(&after, scene).into_iter().chain(exit).min();
    let fault_to_zero = fault_at.zip(zero_at).map(|(fault, zero)| zero.saturating_sub(fault));
    Ok(Run::of(scene, &before, &after, &outcome, fault_to_zero))
}

/// Follows the rollout live until the scene's version has an outcome. Also: when the canary's weight was seen to be 0
/// after having been above, in milliseconds of the load's clock.
async fn watch(house: &mut DemoHouse, load: &Load, scene: Scene) -> Result<(OutcomeView, Option<u64>)> {
    let client = house.client().await?;
    let name = NAME.parse().context("a legal name")?;
    let newest = client.events(Some(&name), 0, 1).await?.last().map(|e| e.seq);
    let mut stream = client.follow(&name, newest).await?;
    let mut screen = Live::on_stdout();
    let deadline = Instant::now() + LONGEST;
    let mut had_traffic = false;
    let mut zero_at = None;
    loop {
        let next = tokio::time::timeout_at(deadline.into(), stream.next()).await;
        let Ok(Some(next)) = next else {
            bail!("{} did not end within {LONGEST:?}; the daemon said: {}", scene.version(), house.last_words());
        };
        match next? {
            Followed::Report { host, report } => {
                let on_trial = report.canary.as_ref().is_some_and(|c| c.version == scene.version());
                had_traffic |= on_trial && report.live_weight > Weight::ZERO;
                if had_traffic && zero_at.is_none() && report.live_weight == Weight::ZERO {
                    zero_at = Some(load.snapshot().ran_ms);
                }
                screen.report(&host, &report);
                if let Some(outcome) = ended(&report, scene) {
                    screen.end(&host, &report);
                    return Ok((outcome, zero_at));
                }
            }
            Followed::Event { event } => screen.event(&event),
            Followed::End { why, stops: _ } => bail!("the daemon ended: {why}"),
        }
    }
}

fn ended(report: &Report, scene: Scene) -> Option<OutcomeView> {
    let outcome = report.outcome.clone()?;
    (outcome.version == scene.version() && report.phase == "idle").then_some(outcome)
}

fn first_failure(report: &LoadReport, scene: Scene) -> Option<u64> {
    report.failures.iter().find(|f| f.version.as_deref() == Some(scene.version())).map(|f| f.at_ms)
}

/// Hears which process of an app ends by itself first, until it is dropped.
struct Ear(tokio::task::JoinHandle<Option<Timestamp>>);

impl Ear {
    async fn open(house: &DemoHouse) -> Result<Self> {
        let engine = house.engine().await?.context("the demo's daemon has no state")?;
        Ok(Self(tokio::spawn(async move {
            let mut events = engine.events();
            while let Some(Ok(event)) = events.next().await {
                match event.kind {
                    EventKind::Died { code } if code != 0 && event.component.is_some() => return Some(event.at),
                    _ => {}
                }
            }
            None
        })))
    }

    /// When that was, on the load's clock.
    async fn heard(self, report: &LoadReport) -> Option<u64> {
        if !self.0.is_finished() {
            self.0.abort();
            return None;
        }
        let at = self.0.await.ok().flatten()?.as_millisecond();
        u64::try_from(at - i64::try_from(report.started_unix_ms).ok()?).ok()
    }
}
