//! The words of the scripts.

use std::time::Duration;

use canaryd_planner::{Desired, ExitCause, Expected, Fault, Verb};
use canaryd_rollout::{
    CanaryReplicas, Check, CheckKind, ComponentName, ImageState, OnDelete, OnInconclusive, Order, SetId,
};

use crate::sim::Sim;
use crate::sim::manifest::{component, errors, percent, stage};

/// Does what one line says; returns what it shows.
pub(crate) fn obey(sim: &mut Sim, line: &str) -> Vec<String> {
    if let Some(wish) = line.strip_prefix("mina:") {
        mina(sim, wish.trim());
        return Vec::new();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["show"] => return sim.show(),
        ["mina", "looks"] => sim.seen = Some(Expected::of(sim.report())),
        ["tick"] => sim.tick(),
        ["advance", time] => sim.advance(seconds(time)),
        ["advance", time, "in", "steps", "of", step] => {
            for _ in 0..seconds(time) / seconds(step) {
                sim.now += Duration::from_secs(seconds(step) - 1);
                sim.tick();
            }
        }
        ["until", what @ ..] => until(sim, &what.join(" ")),
        ["manifest", rest @ ..] => manifest(sim, rest),
        ["apply", version] => sim.apply(version),
        ["apply", version, "as", content] => sim.apply_as(version, content),
        ["apply"] => sim.save(),
        ["image", rest @ ..] => image(sim, rest),
        ["version", version, rest @ ..] => conduct(sim, version, rest),
        ["canary", rest @ ..] => befall(sim, &lane(sim, "app", true), rest),
        ["production", rest @ ..] => befall(sim, &lane(sim, "app", false), rest),
        ["worker", name, "of", version, rest @ ..] => conduct(sim, &format!("{name} of {version}"), rest),
        ["worker", name, rest @ ..] => befall(sim, &lane(sim, name, true), rest),
        ["traffic", rate, "per", "second"] => sim.users.rate = rate.parse().unwrap(),
        ["kill", "canaryd"] => sim.kill = Some(0),
        ["kill", "canaryd", "after", actions, "actions"] => sim.kill = Some(actions.parse().unwrap()),
        _ => around(sim, &words),
    }
    Vec::new()
}

/// Faults of what is around the rollout.
fn around(sim: &mut Sim, words: &[&str]) {
    match words {
        ["engine", "stops", "with", "all", "containers"] => {
            sim.world.engine.unreachable = Some("connection refused".to_owned());
            sim.docker.end_with_engine(sim.now);
        }
        ["engine", "is", "being", "asked"] => sim.world.engine.asking = true,
        ["engine", "has", "answered"] => sim.world.engine.asking = false,
        ["engine", "gone"] => sim.world.engine.unreachable = Some("connection refused".to_owned()),
        ["host", "refuses", name, "of", version, "because", why @ ..] => {
            refuse(sim, &format!("{name} of {version}"), Fault::Host, why);
        }
        ["host", "refuses", version, "because", why @ ..] => refuse(sim, version, Fault::Host, why),
        ["engine", "fails", version, "because", why @ ..] => refuse(sim, version, Fault::Passing, why),
        ["engine", "refuses", version, "because", why @ ..] => refuse(sim, version, Fault::Version, why),
        ["host", "is", "mended"] => sim.docker.refused.clear(),
        ["engine", "back"] => sim.world.engine.unreachable = None,
        ["journal", "full"] => sim.world.journal_trouble = Some("no space left".to_owned()),
        ["journal", "writable"] => sim.world.journal_trouble = None,
        ["slots", "taken", "by", who] => {
            (sim.world.slots.may_move, sim.world.slots.may_start) = (false, false);
            sim.world.slots.ahead = vec![who.parse().unwrap()];
        }
        ["slots", "free"] => {
            (sim.world.slots.may_move, sim.world.slots.may_start) = (true, true);
            sim.world.slots.ahead.clear();
        }
        ["evidence", "silent"] => sim.users.silent = Some((sim.now, "the access log cannot be read".to_owned())),
        ["evidence", "back"] => sim.users.silent = None,
        ["gateway", "refuses"] => sim.nginx.problem = Some("nginx -t refused it".to_owned()),
        ["gateway", "takes", "settings"] => sim.nginx.refused = None,
        ["gateway", "refuses", "settings"] => sim.nginx.refused = Some("NGINX refuses \"x on;\"".to_owned()),
        ["gateway", "works"] => sim.nginx.problem = None,
        ["nobody", "is", "paused"] => sim.docker.unpause(),
        ["gateway", "hangs"] => sim.nginx.silent = Some("its gateway does not answer".to_owned()),
        ["gateway", "is", "stopped", "by", "somebody"] => sim.nginx.end(false, sim.now),
        ["gateway", "is", "removed", "by", "somebody"] => sim.nginx.end(true, sim.now),
        ["gateway", "is", "paused", "by", "somebody"] => sim.nginx.pause(true),
        ["gateway", "is", "unpaused"] => sim.nginx.pause(false),
        ["gateway", "answers"] => sim.nginx.silent = None,
        ["users", "see", bad, "of", all, "fail"] => {
            sim.users.production =
                canaryd_planner::Recent { requests: all.parse().unwrap(), failed: bad.parse().unwrap() };
        }
        ["gateway", "takes", time] => sim.nginx.delay = Duration::from_secs(seconds(time)),
        ["old", "workers", "stay", time] => sim.nginx.linger = Duration::from_secs(seconds(time)),
        ["old", "workers", n] => sim.nginx.old_workers = n.parse().unwrap(),
        ["somebody", "lowers", "offline"] => sim.nginx.lower_offline(),
        ["the", "journal", "is", "lost", "and", "rebuilt"] => sim.rebuild(true),
        ["the", "journal", "is", "lost", "and", "rebuilt", "without", "safe", "mode"] => sim.rebuild(false),
        ["clock", "jumps", "back", time] => sim.now -= Duration::from_secs(seconds(time)),
        ["clock", "jumps", time] => sim.now += Duration::from_secs(seconds(time)),
        _ => panic!("nobody knows what this means: {}", words.join(" ")),
    }
}

fn refuse(sim: &mut Sim, version: &str, fault: Fault, why: &[&str]) {
    sim.docker.refused.insert(version.to_owned(), (fault, why.join(" ")));
}

/// "90s", "5m", "2h".
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        _ => panic!("{text} is no time"),
    }
}

fn until(sim: &mut Sim, what: &str) {
    match what {
        "idle" => {
            sim.tick();
            sim.until("idle", Sim::is_idle);
        }
        what if what.ends_with('%') => {
            let weight = percent(what);
            sim.until(what, |s| s.weight() == weight);
        }
        what if what.starts_with("paused") => {
            sim.until(what, |s| s.last.as_ref().is_some_and(|p| p.report.as_ref().is_some_and(|r| r.paused.is_some())));
        }
        phase => sim.until(phase, |s| s.memory.phase_name() == phase),
    }
}

fn manifest(sim: &mut Sim, words: &[&str]) {
    let m = &mut sim.manifest;
    match words {
        ["replicas", n] => m.app.replicas = n.parse().unwrap(),
        ["canaryReplicas", "full"] => m.app.canary_replicas = CanaryReplicas::Full,
        ["stages", weights @ .., "each", time] => {
            m.stages = weights.iter().map(|w| stage(percent(w), seconds(time))).collect();
        }
        ["latency", "p95", max, "after", warmup] => {
            m.analysis.warmup = Duration::from_secs(seconds(warmup));
            let kind = CheckKind::Latency { quantile: 0.95, max: Duration::from_secs(seconds(max)) };
            m.checks.push(Check { name: "lat".to_owned(), kind, ..errors(0.01) });
        }
        ["errors", max] => m.checks = vec![errors(percent(max).share())],
        ["worker", name, n, rest @ ..] => {
            let mut worker = component(name, n.parse().unwrap());
            worker.canary_replicas = CanaryReplicas::Fixed(1);
            for word in rest {
                match *word {
                    "stopFirst" => worker.order = Order::StopFirst,
                    "none" => worker.canary_replicas = CanaryReplicas::Fixed(0),
                    _ => panic!("unknown: {word}"),
                }
            }
            m.workers.push(worker);
        }
        ["onInconclusive", "pause"] => m.analysis.on_inconclusive = OnInconclusive::Pause,
        ["onInconclusive", "revert"] => m.analysis.on_inconclusive = OnInconclusive::Revert,
        ["onInconclusive", "promote"] => m.analysis.on_inconclusive = OnInconclusive::Promote,
        ["keepPrevious", time] => m.promotion.keep_previous = Duration::from_secs(seconds(time)),
        ["rollbackWindow", time] => m.promotion.rollback_window = Some(Duration::from_secs(seconds(time))),
        ["onDelete", "remove"] => m.on_delete = OnDelete::Remove,
        ["is", "gone"] => sim.world.desired = Desired::Gone { since: sim.now, confirmed: false },
        ["is", "gone", "for", "good"] => sim.world.desired = Desired::Gone { since: sim.now, confirmed: true },
        ["unreadable"] => sim.world.desired = Desired::Unknown,
        _ => panic!("no such field: {}", words.join(" ")),
    }
}

fn image(sim: &mut Sim, words: &[&str]) {
    match words {
        ["pending"] => sim.image(ImageState::Pending),
        ["there"] => sim.image(ImageState::Present { id: "sha256:2".to_owned() }),
        ["missing", why @ ..] => sim.image(ImageState::Missing { reason: why.join(" ") }),
        _ => panic!("no such image: {}", words.join(" ")),
    }
}

fn conduct(sim: &mut Sim, version: &str, words: &[&str]) {
    let conduct = sim.docker.conduct.entry(version.to_owned()).or_default();
    match words {
        ["boots", "in", time] => conduct.boot = Some(Duration::from_secs(seconds(time))),
        ["is", "never", "healthy"] => conduct.boot = None,
        ["is", "good"] => *conduct = crate::sim::docker::Conduct::default(),
        ["ends", "after", time] => conduct.dies = Some(Duration::from_secs(seconds(time))),
        ["fails", "one", "of", n] => conduct.fails = Some(n.parse().unwrap()),
        _ => panic!("no such version: {}", words.join(" ")),
    }
}

/// The running replicas of one lane.
fn lane(sim: &Sim, component: &str, canary: bool) -> Vec<(SetId, u32)> {
    let component: ComponentName = component.parse().unwrap();
    let report = sim.report();
    let view = if canary { &report.canary } else { &report.production };
    view.as_ref().map(|v| sim.docker.running(&component, &v.version)).unwrap_or_default()
}

fn befall(sim: &mut Sim, lane: &[(SetId, u32)], words: &[&str]) {
    let now = sim.now;
    let (set, ordinal) = lane.first().expect("nothing of it runs").clone();
    let mut exit = |cause, oom| sim.docker.exit(&set, ordinal, cause, oom, now);
    match words {
        ["ends"] => exit(ExitCause::Itself, false),
        ["ends", "for", "memory"] => exit(ExitCause::Itself, true),
        ["is", "stopped", "by", "somebody"] => exit(ExitCause::Somebody, false),
        ["ends", "with", "a", "neighbour"] => exit(ExitCause::Neighbour, false),
        ["ends", "with", "the", "engine"] => {
            for (set, ordinal) in lane {
                sim.docker.exit(set, *ordinal, ExitCause::Engine, false, now);
            }
        }
        ["is", "removed", "by", "somebody"] => sim.docker.vanish(&set, ordinal),
        ["is", "paused", "by", "somebody"] => sim.docker.pause(&set, ordinal),
        ["one", "is", "ill"] => drop(sim.docker.ill.insert((set, ordinal))),
        ["is", "ill"] => sim.docker.ill.extend(lane.iter().cloned()),
        ["cannot", "be", "inspected"] => drop(sim.docker.unseen.insert(set)),
        ["can", "be", "inspected"] => sim.docker.unseen.clear(),
        ["is", "well"] => sim.docker.ill.clear(),
        ["errors", bad, "of", all] => sim.users.extra(bad.parse().unwrap(), all.parse().unwrap()),
        _ => panic!("this cannot happen: {}", words.join(" ")),
    }
}

/// What a person says; canaryd answers in its next turn.
fn mina(sim: &mut Sim, wish: &str) {
    let (wish, expected) = wish.strip_suffix(" as seen").map_or((wish, None), |wish| (wish, sim.seen.clone()));
    let (wish, comment) = wish.split_once(" because ").map_or((wish, None), |(w, c)| (w, Some(c.to_owned())));
    let words: Vec<&str> = wish.split_whitespace().collect();
    let verb = match words.as_slice() {
        ["advance"] => Verb::Advance,
        ["promote"] => Verb::Promote { reason: comment.clone().unwrap_or_default() },
        ["pause"] => Verb::Pause,
        ["resume"] => Verb::Resume,
        ["abort"] => Verb::Abort,
        ["undo"] => Verb::Undo,
        ["rollback"] => Verb::Rollback,
        ["retry"] => Verb::Retry,
        ["restart"] => Verb::Restart,
        ["stop"] => Verb::Stop { page: None, retry_after: None },
        ["stop", "with", page] => Verb::Stop { page: Some(page.parse().unwrap()), retry_after: None },
        ["stop", "for", time] => Verb::Stop { page: None, retry_after: u32::try_from(seconds(time)).ok() },
        ["start"] => Verb::Start,
        ["delete"] => Verb::Delete,
        ["traffic", weight] => Verb::Traffic { weight: percent(weight) },
        _ => panic!("nobody can say {wish}"),
    };
    sim.send(verb, comment);
    if let Some(command) = sim.memory.inbox.last_mut() {
        command.expected = expected;
    }
    sim.tick();
}
