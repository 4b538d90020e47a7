//! What becomes of the users when a version is released: a good one, one that answers with errors as soon as it has users, and one
//! that crashes. canaryd, `docker compose up -d` and Swarm's start-first update do it with the same application under the same load.

mod compose;
mod ours;
mod swarm;

use std::time::Duration;

use canaryd_probe::LoadReport;

use crate::figure::{Figure, Figures};

/// A bad version that nobody has taken off so long after its release is there to stay.
const WATCHED: Duration = Duration::from_secs(45);
/// How long the application takes until it listens.
const BOOT: (&str, &str) = ("STARTUP_MS", "300");

/// What is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    Good,
    /// Healthy, and every answer to a user is a 500.
    Errors,
    /// Dies two seconds after its first user, again after every restart.
    Crash,
}

impl Release {
    const ALL: [Self; 3] = [Self::Good, Self::Errors, Self::Crash];

    /// The environment of the new version.
    fn env(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Good => &[BOOT],
            Self::Errors => &[BOOT, ("FAULT", "errors"), ("HEALTH_LIES", "well")],
            Self::Crash => &[BOOT, ("FAULT", "exit"), ("FAULT_FROM", "first-request"), ("FAULT_AFTER_S", "2")],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Errors => "errors",
            Self::Crash => "crash",
        }
    }
}

/// What the users had of it.
#[derive(Debug, Default)]
struct Harm {
    sent: u64,
    failed: u64,
    /// How long the bad version had users: from the first failure to the last; `None`: they were still failing when it was watched
    /// no more.
    lasted: Option<Duration>,
}

impl Harm {
    /// Of loads that were started together and have been stopped.
    fn of(reports: &[LoadReport]) -> Self {
        let sent = reports.iter().map(|r| r.sent).sum();
        let failed = reports.iter().map(|r| r.failed).sum();
        let end = reports.iter().map(|r| r.ran_ms).max().unwrap_or(0);
        // The first failures are known to the millisecond, the last ones, where there are many, to the second.
        let first = reports.iter().flat_map(|r| &r.failures).map(|f| f.at_ms).min();
        let exact = reports.iter().flat_map(|r| &r.failures).map(|f| f.at_ms).max();
        let seconds = reports.iter().flat_map(|r| &r.seconds).filter(|s| s.failed > 0);
        let last = exact.max(seconds.map(|s| s.second * 1000).max());
        let over = last.is_none_or(|last| last + 5000 < end);
        let lasted = Duration::from_millis(last.unwrap_or(0).saturating_sub(first.unwrap_or(0)));
        Self { sent, failed, lasted: over.then_some(lasted) }
    }
}

pub(crate) async fn measure(figures: &mut Figures) {
    for release in Release::ALL {
        let ours = ours::release(release).await;
        eprintln!("    canaryd: {ours:?}");
        let theirs = [("compose", compose::release(release).await), ("swarm", swarm::release(release).await)];
        for (name, theirs) in theirs {
            eprintln!("    {name}: {theirs:?}");
            tell(figures, release, &ours, name, theirs);
        }
    }
}

fn tell(figures: &mut Figures, release: Release, ours: &Harm, name: &str, theirs: Result<Harm, String>) {
    let (harm, note) = match theirs {
        Ok(harm) => (Some(harm), String::new()),
        Err(why) => (None, format!("theirs not measured: {why}")),
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let failed = |harm: &Harm| harm.failed as f64;
    let of = match &harm {
        Some(theirs) => format!("of {} and {} requests", ours.sent, theirs.sent),
        None => format!("of {} requests; {note}", ours.sent),
    };
    let figure = Figure::new(format!("switch-{}-failed/{name}", release.name()), "requests").note(of);
    figures.add(figure.ours(failed(ours)).theirs(harm.as_ref().map(failed)));
    if release == Release::Good {
        return;
    }
    let never = |whose: &str| format!("{whose} never, watched for {} s", WATCHED.as_secs());
    let note = match (&harm, ours.lasted) {
        (_, None) => never("ours"),
        (Some(Harm { lasted: None, .. }), _) => never("theirs"),
        (Some(_), _) => {
            "ours: from the first bad answer, or the death, to 0 %; theirs: from the first failed request to the last"
                .to_owned()
        }
        (None, _) => note,
    };
    let seconds = |harm: &Harm| harm.lasted.map(|t| t.as_secs_f64());
    let figure = Figure::new(format!("switch-{}-off-after/{name}", release.name()), "s").note(note);
    figures.add(figure.ours(seconds(ours)).theirs(harm.as_ref().and_then(seconds)));
}
