//! Whether one replica is well: a state machine without I/O or clock.
//!
//! The startup time runs from the container's start and nothing resets it: a check that flaps gains no time.

use std::time::Duration;

use canaryd_rollout::Health as HealthSpec;

/// The thresholds of one component's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSettings {
    /// Between two probes of a replica that is no longer starting.
    pub interval: Duration,
    /// For one probe.
    pub timeout: Duration,
    /// Failures in a row that make a healthy replica unhealthy; at least 1.
    pub failures: u32,
    /// From the container's start to its first success.
    pub startup: Duration,
}

impl From<&HealthSpec> for HealthSettings {
    fn from(health: &HealthSpec) -> Self {
        Self {
            interval: health.interval,
            timeout: health.timeout,
            failures: health.failures.max(1),
            startup: health.startup,
        }
    }
}

/// What is known about one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not well yet, and there is still time.
    Starting {
        /// What the last look found; `None` before the first.
        last: Option<String>,
    },
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy {
        /// One sentence without a full stop.
        why: String,
    },
}

/// What one look at a replica found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It answered as it should.
    Well,
    /// It did not; the text says what came instead.
    Unwell(String),
    /// Nobody could look (the relay is down): says nothing about the replica.
    Unseen(String),
}

/// The health of one replica, fed with looks. Pure: time is a parameter.
#[derive(Debug, Clone)]
pub struct HealthState {
    settings: HealthSettings,
    now: Health,
    ever_well: bool,
    failures_in_a_row: u32,
}

impl HealthState {
    /// Before the first look.
    #[must_use]
    pub fn new(settings: HealthSettings) -> Self {
        Self { settings, now: Health::Starting { last: None }, ever_well: false, failures_in_a_row: 0 }
    }

    /// What is known.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.now
    }

    /// Takes in one look, made when the container had been running for `age`.
    ///
    /// One success makes a replica healthy. `failures` failures in a row make a healthy one unhealthy, and one that was
    /// never healthy as soon as its startup time is over. A look that saw nothing changes nothing.
    pub fn feed(&mut self, look: Look, age: Duration) -> &Health {
        match look {
            Look::Well => self.heed_success(),
            Look::Unwell(what) => self.heed_failure(what, age),
            Look::Unseen(why) => self.heed_nothing(why),
        }
        &self.now
    }

    /// How long to wait until the next look: a starting replica is looked at at least twice a second.
    #[must_use]
    pub fn next_look(&self) -> Duration {
        match self.now {
            Health::Starting { .. } => self.settings.interval.min(Duration::from_millis(500)),
            Health::Healthy | Health::Unhealthy { .. } => self.settings.interval,
        }
    }

    fn heed_success(&mut self) {
        self.ever_well = true;
        self.failures_in_a_row = 0;
        self.now = Health::Healthy;
    }

    fn heed_failure(&mut self, what: String, age: Duration) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let enough = self.failures_in_a_row >= self.settings.failures;
        let in_time = !self.ever_well && age < self.settings.startup;
        if in_time {
            self.now = Health::Starting { last: Some(what) };
        } else if enough {
            self.now = Health::Unhealthy { why: self.why(&what) };
        } else if matches!(self.now, Health::Starting { .. }) {
            self.now = Health::Starting { last: Some(what) };
        }
    }

    fn heed_nothing(&mut self, why: String) {
        if let Health::Starting { last } = &mut self.now {
            *last = Some(why);
        }
    }

    fn why(&self, what: &str) -> String {
        if self.ever_well {
            format!("{} health checks in a row failed, the last one: {what}", self.failures_in_a_row)
        } else {
            format!("not healthy within {:?} of its start, the last check: {what}", self.settings.startup)
        }
    }
}

/// What Docker says about a container's own health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerHealth {
    /// The container has none.
    Absent,
    /// No success yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// Docker's own count of failures in a row was reached.
    Unhealthy,
}

/// Health of kinds `exec` and `image`: Docker's word, with our startup time. `age`: since the container's start.
#[must_use]
pub fn from_docker(status: DockerHealth, age: Duration, settings: &HealthSettings) -> Health {
    let late = age >= settings.startup;
    match status {
        DockerHealth::Healthy => Health::Healthy,
        DockerHealth::Starting if late => Health::Unhealthy {
            why: format!("Docker's health check did not pass within {:?} of its start", settings.startup),
        },
        DockerHealth::Unhealthy if late => Health::Unhealthy { why: "Docker's health check fails".to_owned() },
        DockerHealth::Starting => Health::Starting { last: None },
        DockerHealth::Unhealthy => Health::Starting { last: Some("Docker's health check fails".to_owned()) },
        DockerHealth::Absent => Health::Unhealthy { why: "its image has no HEALTHCHECK".to_owned() },
    }
}

/// Health of kind `none`: running for the whole startup time counts as well.
#[must_use]
pub fn from_running(age: Duration, settings: &HealthSettings) -> Health {
    if age >= settings.startup {
        Health::Healthy
    } else {
        Health::Starting { last: Some(format!("has no health check: counts as healthy after {:?}", settings.startup)) }
    }
}
