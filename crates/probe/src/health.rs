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
        Health::Starting {
            last: Some(format!(
                "it has no health check and counts as healthy {} after its start",
                canaryd_rollout::fmt::duration(settings.startup)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: HealthSettings = HealthSettings {
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        failures: 3,
        startup: Duration::from_mins(1),
    };

    fn unwell() -> Look {
        Look::Unwell("status 503".to_owned())
    }

    fn looks() -> impl Strategy<Value = Vec<(Look, u64)>> {
        let look = prop_oneof![Just(Look::Well), Just(unwell()), Just(Look::Unseen("the relay is down".to_owned()))];
        proptest::collection::vec((look, 0..20u64), 0..60)
    }

    /// Feeds looks with the given gaps in seconds, and calls `see` after each.
    fn play(looks: Vec<(Look, u64)>, mut see: impl FnMut(&[Look], Duration, &Health, &Health)) {
        let mut state = HealthState::new(SETTINGS);
        let (mut past, mut age) = (Vec::new(), Duration::ZERO);
        for (look, gap) in looks {
            age += Duration::from_secs(gap);
            let before = state.health().clone();
            past.push(look.clone());
            let after = state.feed(look, age).clone();
            see(&past, age, &before, &after);
        }
    }

    fn failures_at_the_end(past: &[Look]) -> usize {
        let seen = past.iter().rev().filter(|look| !matches!(look, Look::Unseen(_)));
        seen.take_while(|look| matches!(look, Look::Unwell(_))).count()
    }

    proptest! {
        #[test]
        fn unhealthy_needs_the_whole_number_of_failures_in_a_row(looks in looks()) {
            play(looks, |past, _, _, after| {
                if matches!(after, Health::Unhealthy { .. }) {
                    assert!(failures_at_the_end(past) >= 3, "{past:?}");
                }
            });
        }

        #[test]
        fn a_success_is_always_healthy_and_nothing_else_makes_it_so(looks in looks()) {
            play(looks, |past, _, before, after| match past.last() {
                Some(Look::Well) => assert_eq!(after, &Health::Healthy),
                Some(Look::Unwell(_) | Look::Unseen(_)) | None => {
                    assert!(after != &Health::Healthy || before == &Health::Healthy);
                }
            });
        }

        #[test]
        fn the_startup_time_runs_from_the_start_whatever_was_seen_in_between(looks in looks()) {
            play(looks, |past, age, _, after| {
                let late = age >= SETTINGS.startup && failures_at_the_end(past) >= 3;
                if late && matches!(past.last(), Some(Look::Unwell(_))) {
                    assert!(matches!(after, Health::Unhealthy { .. }), "{past:?} at {age:?}: {after:?}");
                }
            });
        }

        #[test]
        fn a_replica_that_was_healthy_is_never_starting_again(looks in looks()) {
            play(looks, |past, _, _, after| {
                if past.contains(&Look::Well) {
                    assert!(!matches!(after, Health::Starting { .. }), "{past:?}");
                }
            });
        }

        #[test]
        fn a_look_that_saw_nothing_changes_no_state(looks in looks()) {
            play(looks, |past, _, before, after| {
                if matches!(past.last(), Some(Look::Unseen(_))) {
                    assert_eq!(std::mem::discriminant(before), std::mem::discriminant(after));
                }
            });
        }
    }

    #[test]
    fn a_starting_replica_is_looked_at_more_often() {
        let mut state = HealthState::new(SETTINGS);
        assert_eq!(state.next_look(), Duration::from_millis(500));
        state.feed(Look::Well, Duration::from_secs(1));
        assert_eq!(state.next_look(), SETTINGS.interval);
    }

    #[test]
    fn docker_says_unhealthy_only_after_the_startup_time() {
        let at = |status, seconds| from_docker(status, Duration::from_secs(seconds), &SETTINGS);
        assert_eq!(at(DockerHealth::Starting, 1), Health::Starting { last: None });
        assert!(matches!(at(DockerHealth::Unhealthy, 1), Health::Starting { last: Some(_) }));
        assert_eq!(at(DockerHealth::Healthy, 1), Health::Healthy);
        assert_eq!(at(DockerHealth::Healthy, 100), Health::Healthy);
        assert!(matches!(at(DockerHealth::Starting, 60), Health::Unhealthy { .. }));
        assert!(matches!(at(DockerHealth::Unhealthy, 60), Health::Unhealthy { .. }));
        assert!(matches!(at(DockerHealth::Absent, 1), Health::Unhealthy { .. }));
    }

    #[test]
    fn without_a_check_running_for_the_startup_time_counts_as_well() {
        assert!(matches!(from_running(Duration::from_secs(59), &SETTINGS), Health::Starting { .. }));
        assert_eq!(from_running(Duration::from_mins(1), &SETTINGS), Health::Healthy);
    }
}
