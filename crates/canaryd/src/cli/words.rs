//! Numbers, times and states in words: one wording for one thing on every screen.

use std::time::Duration;

use canaryd_planner::{Report, StageView, VersionView, Waiting};
use canaryd_rollout::{RevisionId, RolloutName, Weight, fmt};
use jiff::Timestamp;

/// `6m12s`, `15m`, `2.5s`: seconds in words, to the second from ten seconds on.
pub(crate) fn span(seconds: f64) -> String {
    let digits = if seconds < 10.0 { 10.0 } else { 1.0 };
    let rounded = (seconds.max(0.0) * digits).round() / digits;
    Duration::try_from_secs_f64(rounded).map_or_else(|_| "a very long time".to_owned(), fmt::duration)
}

/// As [`span`], for whole seconds; above an hour to the minute.
pub(crate) fn about(seconds: u64) -> String {
    let seconds = if seconds >= 3_600 { seconds.div_ceil(60) * 60 } else { seconds };
    fmt::duration(Duration::from_secs(seconds))
}

/// `2026-11-23 12:19:41 UTC`.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `5 %`.
pub(crate) fn share(weight: Weight) -> String {
    format!("{weight} %")
}

/// `481ms`, `1.81s`: seconds of a latency.
pub(crate) fn latency(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0}ms", seconds * 1_000.0);
    }
    let text = format!("{seconds:.2}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `4,812`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 request`, `12 requests`.
pub(crate) fn several(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{} {what}s", count(n)) }
}

/// `a, b and c`.
pub(crate) fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whether a rollout is under way.
pub(crate) fn moves(report: &Report) -> bool {
    !matches!(report.phase.as_str(), "idle" | "stopped" | "orphaned" | "unknown" | "deleting")
}

/// Whether it has yet to begin, and cannot before others are through.
pub(crate) fn waits_for_turn(report: &Report) -> bool {
    let has_yet_to_begin = matches!(report.phase.as_str(), "preflight" | "installing" | "starting");
    has_yet_to_begin && report.waiting.iter().any(|w| matches!(w, Waiting::Slot { .. }))
}

/// Why a person may make it go on, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Why it stands.
    pub(crate) why: String,
    /// The one command that goes on.
    pub(crate) go_on: String,
    /// Nobody else does: what is missing does not come by itself.
    pub(crate) alone: bool,
}

/// Whether a person can make it go on, who was called for it.
pub(crate) fn held(report: &Report) -> Option<Held> {
    let name = &report.name;
    report.waiting.iter().find_map(|w| match w {
        Waiting::Resume { why, verb, by_itself, lacks: _ } => {
            Some(Held { why: why.clone(), go_on: command(verb, name), alone: !by_itself })
        }
        Waiting::Manual { why } => {
            let why = format!("its weight is set by hand: {why}");
            Some(Held { why, go_on: format!("canaryd resume {name}"), alone: true })
        }
        Waiting::Start { why } => {
            let why = format!("it is stopped for maintenance {why}");
            Some(Held { why, go_on: format!("canaryd start {name}"), alone: true })
        }
        Waiting::Deletion { seconds: 0, .. } => Some(Held {
            why: "its manifest is gone, as others are".to_owned(),
            go_on: format!("bring the file back, or canaryd delete {name}"),
            alone: true,
        }),
        Waiting::Settings { why } => Some(Held {
            why: why.clone(),
            go_on: format!("mend the manifest, or canaryd advance {name} with the settings before"),
            alone: true,
        }),
        Waiting::Deletion { .. }
        | Waiting::ImagePull { .. }
        | Waiting::Healthy { .. }
        | Waiting::GatewayLive { .. }
        | Waiting::Time { .. }
        | Waiting::Samples { .. }
        | Waiting::Evidence { .. }
        | Waiting::Sight { .. }
        | Waiting::Environment { .. }
        | Waiting::Drain { .. }
        | Waiting::Slot { .. }
        | Waiting::Workers { .. }
        | Waiting::Ending { .. }
        | Waiting::Trouble { .. } => None,
    })
}

/// The stage after the one under observation.
pub(crate) fn next_stage(report: &Report) -> Option<&StageView> {
    report.stages.get(report.stage? + 1)
}

/// The version on trial, for a sentence.
pub(crate) fn canary_version(report: &Report) -> String {
    let named = |v: &VersionView| told_apart(report, &v.version, &v.revision);
    report.canary.as_ref().map_or_else(|| "the new version".to_owned(), named)
}

/// A version, with its revision where another content on the same screen has its name too.
pub(crate) fn told_apart(report: &Report, version: &str, revision: &RevisionId) -> String {
    let places = [&report.production, &report.canary, &report.previous].into_iter().flatten();
    let ended = report.outcome.as_ref().map(|end| (&end.version, &end.revision));
    let mut shown = places.map(|v| (&v.version, &v.revision)).chain(ended);
    let same = shown.any(|(v, r)| v == version && r != revision);
    if same { format!("{version} ({revision})") } else { version.to_owned() }
}

/// What it waits for, to stand after "waits for".
pub(crate) fn waiting(report: &Report, waiting: &Waiting) -> String {
    let name = &report.name;
    match waiting {
        Waiting::ImagePull { image, progress } => match progress {
            Some(progress) => format!("image {image}: {progress}"),
            None => format!("image {image}"),
        },
        Waiting::Healthy { component, ordinal, last } => match last {
            Some(last) => format!("{component} {ordinal} to be healthy: {last}"),
            None => format!("{component} {ordinal} to be healthy; no answer yet"),
        },
        Waiting::GatewayLive { problem } => match problem {
            Some(problem) => format!("the gateway, which is not as asked yet: {problem}"),
            None => "the gateway to prove the new split".to_owned(),
        },
        Waiting::Settings { why } => format!("settings that NGINX takes: {why}"),
        Waiting::Time { seconds } => format!("{} more at this weight", about(*seconds)),
        Waiting::Samples { check, have, need, eta } => samples(check, *have, *need, *eta),
        Waiting::Evidence { why } => format!("numbers: {why}; without them it gets no more traffic"),
        Waiting::Sight { why, seconds } => {
            format!("sight, for {} in one go: it is off as a precaution ({why})", about(*seconds))
        }
        Waiting::Environment { why } => {
            format!("what is around it to recover: {why}; {} is not blamed for it", canary_version(report))
        }
        Waiting::Drain { workers: 0, seconds } => {
            format!("requests under way to finish, at most {}", about(*seconds))
        }
        Waiting::Drain { workers, seconds } => {
            format!("{} to finish, at most {}", several(u64::from(*workers), "old NGINX worker"), about(*seconds))
        }
        Waiting::Slot { ahead } if ahead.is_empty() => "its turn".to_owned(),
        Waiting::Slot { ahead } => {
            let names: Vec<String> = ahead.iter().map(ToString::to_string).collect();
            format!("its turn; ahead of it: {}", and(&names))
        }
        Waiting::Resume { why, verb, lacks, .. } => {
            format!("{} ({why})", end_of_pause(verb, lacks.as_deref(), name))
        }
        Waiting::Manual { why } => format!("{} ({why})", end_of_hand(name)),
        Waiting::Workers { component, done, of } => format!("{component}: {done} of {of} replaced"),
        Waiting::Ending { containers } => format!("{} to end", several(u64::from(*containers), "container")),
        Waiting::Start { why } => format!("canaryd start {name} (stopped {why})"),
        Waiting::Trouble { why } => why.clone(),
        Waiting::Deletion { seconds: 0, .. } => {
            format!("you: its manifest is gone, as others are; bring the file back, or canaryd delete {name}")
        }
        Waiting::Deletion { seconds, all } => {
            let then = match (all, &report.canary, &report.production) {
                (true, ..) | (false, _, None) => "all of it is removed",
                (false, Some(_), Some(_)) => "what is on trial goes, production stays",
                (false, None, Some(_)) => "it counts as deleted, production stays",
            };
            format!("its manifest, which is gone: in {} {then}", about(*seconds))
        }
    }
}

/// As [`waiting`], below a sentence that says why.
pub(crate) fn waiting_below(report: &Report, waits: &Waiting) -> String {
    match waits {
        Waiting::Resume { verb, lacks, .. } => end_of_pause(verb, lacks.as_deref(), &report.name),
        Waiting::Manual { .. } => end_of_hand(&report.name),
        Waiting::Start { .. } => format!("canaryd start {}", report.name),
        Waiting::ImagePull { .. }
        | Waiting::Healthy { .. }
        | Waiting::GatewayLive { .. }
        | Waiting::Settings { .. }
        | Waiting::Time { .. }
        | Waiting::Samples { .. }
        | Waiting::Evidence { .. }
        | Waiting::Sight { .. }
        | Waiting::Environment { .. }
        | Waiting::Drain { .. }
        | Waiting::Slot { .. }
        | Waiting::Workers { .. }
        | Waiting::Ending { .. }
        | Waiting::Trouble { .. }
        | Waiting::Deletion { .. } => waiting(report, waits),
    }
}

/// A verb as it is typed.
pub(crate) fn command(verb: &str, name: &RolloutName) -> String {
    match verb {
        "promote" => format!("canaryd promote {name} --reason WHY"),
        "traffic" => format!("canaryd traffic {name} PERCENT"),
        verb => format!("canaryd {verb} {name}"),
    }
}

fn end_of_pause(verb: &str, lacks: Option<&str>, name: &RolloutName) -> String {
    let command = command(verb, name);
    lacks.map_or(command.clone(), |lacks| format!("{lacks}, or {command}"))
}

fn end_of_hand(name: &RolloutName) -> String {
    format!("canaryd resume {name}, which gives the weight back")
}

fn samples(check: &str, have: u64, need: u64, eta: Option<u64>) -> String {
    let when = match eta {
        Some(seconds) => format!("about {}", about(seconds)),
        None => "at the present traffic nobody can say when".to_owned(),
    };
    format!("{} more for {check} (has {}), {when}", several(need, "canary request"), count(have))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_canaryd_itself_names_the_command_that_goes_on_and_a_moving_rollout_waits_for_nobody() {
        let mut report: Report = serde_json::from_value(serde_json::json!({
            "name": "shop", "phase": "observing", "sentence": "", "liveWeight": 0, "wantedWeight": 0, "stages": [],
            "checks": [], "waiting": [], "notes": [], "can": [], "undo": { "is": "cold", "version": "v1" },
            "replicas": {}
        }))
        .unwrap();
        assert_eq!(held(&report), None);
        let why = "no numbers".to_owned();
        report.waiting.push(Waiting::Time { seconds: 3 });
        report.waiting.push(Waiting::Resume {
            why: why.clone(),
            verb: "advance".to_owned(),
            by_itself: false,
            lacks: None,
        });
        assert_eq!(held(&report), Some(Held { why, go_on: "canaryd advance shop".to_owned(), alone: true }));
        report.waiting = vec![Waiting::Manual { why: "20 % by mina".to_owned() }];
        let by_hand = held(&report).unwrap();
        assert_eq!((by_hand.go_on.as_str(), by_hand.why.contains("mina")), ("canaryd resume shop", true));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(4_812), count(1_000_000)], ["0", "999", "4,812", "1,000,000"]);
        assert_eq!([several(1, "request"), several(1_200, "request")], ["1 request", "1,200 requests"]);
        assert_eq!(
            [span(2.54), span(372.4), span(900.0), span(f64::MAX)],
            ["2.5s", "6m12s", "15m", "a very long time"]
        );
        assert_eq!([about(59), about(3_601), about(7_200)], ["59s", "1h1m", "2h"]);
        assert_eq!([latency(0.4811), latency(1.806), latency(2.5), latency(4.0)], ["481ms", "1.81s", "2.5s", "4s"]);
        assert_eq!(and(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
