//! Everything that the environment says, read once.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::faults::{FaultKind, FaultPlan, Trigger};

/// What `HEALTH_LIES` makes of `/health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthAnswers {
    /// As it is.
    Truth,
    /// Always 200, also while every request fails.
    AlwaysWell,
    /// Always 503, also while every request succeeds.
    AlwaysUnwell,
}

/// Everything that the environment says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one variable of the environment")]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) version: String,
    pub(crate) host: String,
    pub(crate) latency: Duration,
    pub(crate) latency_jitter: Duration,
    /// Further latency of requests of a mode.
    pub(crate) mode_latency: Vec<(String, Duration)>,
    /// Share of requests that are answered 500; 0 to 1.
    pub(crate) error_rate: f64,
    pub(crate) fault: FaultPlan,
    pub(crate) startup: Duration,
    pub(crate) crash_at_start: bool,
    pub(crate) never_listen: bool,
    pub(crate) health: HealthAnswers,
    pub(crate) grace: Duration,
    pub(crate) ignore_term: bool,
    pub(crate) worker: bool,
    pub(crate) seed: Option<u64>,
}

impl Settings {
    /// Reads all settings through `var`.
    pub(crate) fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let env = Env(&var);
        Ok(Self {
            port: env.parse("PORT", 8000)?,
            version: env.text("VERSION", "v0"),
            host: env.text("HOSTNAME", "unknown"),
            latency: env.millis("LATENCY_MS", 0)?,
            latency_jitter: env.millis("LATENCY_JITTER_MS", 0)?,
            mode_latency: mode_latency(&env.text("MODE_LATENCY_MS", ""))?,
            error_rate: env.share("ERROR_RATE", 0.0)?,
            fault: fault(&env)?,
            startup: env.millis("STARTUP_MS", 0)?,
            crash_at_start: env.flag("CRASH_AT_START")?,
            never_listen: env.flag("NEVER_LISTEN")?,
            health: health(&env.text("HEALTH_LIES", ""))?,
            grace: env.millis("GRACE_MS", 10_000)?,
            ignore_term: env.flag("IGNORE_TERM")?,
            worker: env.flag("WORKER")?,
            seed: var("SEED").map(|_| env.parse("SEED", 0)).transpose()?,
        })
    }
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn text(&self, name: &str, default: &str) -> String {
        (self.0)(name).unwrap_or_else(|| default.to_owned())
    }

    fn parse<T: FromStr>(&self, name: &str, default: T) -> Result<T, String>
    where
        T::Err: Display,
    {
        match (self.0)(name) {
            None => Ok(default),
            Some(text) => text.trim().parse().map_err(|error| format!("{name}={text:?}: {error}")),
        }
    }

    fn millis(&self, name: &str, default: u64) -> Result<Duration, String> {
        self.parse(name, default).map(Duration::from_millis)
    }

    fn share(&self, name: &str, default: f64) -> Result<f64, String> {
        let share = self.parse(name, default)?;
        if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(format!("{name}={share}: must be 0 to 1")) }
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.text(name, "0").as_str() {
            "1" | "true" | "yes" => Ok(true),
            "" | "0" | "false" | "no" => Ok(false),
            other => Err(format!("{name}={other:?}: must be 1 or 0")),
        }
    }
}

fn fault(env: &Env<'_>) -> Result<FaultPlan, String> {
    let kind = match env.text("FAULT", "").as_str() {
        "" | "none" => None,
        "errors" => Some(FaultKind::Errors),
        "slow" => Some(FaultKind::Slow),
        "hang" => Some(FaultKind::Hang),
        "abort" => Some(FaultKind::Abort),
        "exit" => Some(FaultKind::Exit),
        "oom" => Some(FaultKind::Oom),
        "unhealthy" => Some(FaultKind::Unhealthy),
        other => {
            let allowed = "errors, slow, hang, abort, exit, oom or unhealthy";
            return Err(format!("FAULT={other:?}: must be {allowed}"));
        }
    };
    Ok(FaultPlan {
        kind,
        from: trigger(&env.text("FAULT_FROM", "start"))?,
        after: Duration::from_secs_f64(env.parse("FAULT_AFTER_S", 0.0_f64)?.max(0.0)),
        share: env.share("FAULT_RATE", 1.0)?,
        slowness: env.millis("FAULT_SLOW_MS", 2_000)?,
        oom_megabytes: env.parse("FAULT_OOM_MB", 1_024)?,
    })
}

fn trigger(text: &str) -> Result<Trigger, String> {
    let number = |n: &str| n.parse().map_err(|error| format!("FAULT_FROM={text:?}: {error}"));
    match text.split_once(':') {
        None if text == "start" => Ok(Trigger::Start),
        None if text == "first-request" => Ok(Trigger::Request(1)),
        Some(("request", n)) => number(n).map(Trigger::Request),
        Some(("rate", n)) => number(n).map(Trigger::Rate),
        None | Some(_) => Err(format!("FAULT_FROM={text:?}: must be start, first-request, request:N or rate:N")),
    }
}

fn health(text: &str) -> Result<HealthAnswers, String> {
    match text {
        "" | "no" => Ok(HealthAnswers::Truth),
        "well" => Ok(HealthAnswers::AlwaysWell),
        "unwell" => Ok(HealthAnswers::AlwaysUnwell),
        other => Err(format!("HEALTH_LIES={other:?}: must be well or unwell")),
    }
}

/// `fast=20,creative=300`.
fn mode_latency(text: &str) -> Result<Vec<(String, Duration)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| -> Option<(String, Duration)> {
        let (mode, millis) = pair.split_once('=')?;
        Some((mode.to_owned(), Duration::from_millis(millis.parse().ok()?)))
    };
    pairs.map(|pair| read(pair).ok_or(format!("MODE_LATENCY_MS: {pair:?} is not mode=milliseconds"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_env(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn an_empty_environment_is_a_well_app_on_port_8000() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.port, settings.fault.kind, settings.health), (8000, None, HealthAnswers::Truth));
    }

    #[test]
    fn each_setting_is_read() {
        let settings = read(&[
            ("VERSION", "v3"),
            ("FAULT", "errors"),
            ("FAULT_FROM", "rate:20"),
            ("FAULT_AFTER_S", "1.5"),
            ("HEALTH_LIES", "well"),
            ("MODE_LATENCY_MS", "fast=20, creative=300"),
        ])
        .unwrap();
        assert_eq!(settings.version, "v3");
        assert_eq!(settings.fault.kind, Some(FaultKind::Errors));
        assert_eq!(settings.fault.from, Trigger::Rate(20));
        assert_eq!(settings.fault.after, Duration::from_millis(1_500));
        assert_eq!(settings.health, HealthAnswers::AlwaysWell);
        assert_eq!(settings.mode_latency[1], ("creative".to_owned(), Duration::from_millis(300)));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let wrong = [("FAULT", "erors"), ("PORT", "x"), ("ERROR_RATE", "1.5"), ("FAULT_FROM", "later")];
        for (name, value) in wrong {
            let problem = read(&[(name, value)]).unwrap_err();
            assert!(problem.starts_with(name), "{problem}");
        }
    }
}
