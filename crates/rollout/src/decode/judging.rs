//! Stages, analysis, checks, deadlines and promotion.

use std::collections::BTreeSet;
use std::time::Duration;

use super::gateway::{header, is_safe, is_word};
use crate::fields::Fields;
use crate::ids::Weight;
use crate::shapes;
use crate::spec::{Analysis, Check, CheckKind, Deadlines, ModeFrom, OnInconclusive, Promotion, Stage};
use crate::tree::Value;
use crate::walk::{At, Walk};

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// 1, 5, 25 and 100 %.
pub(super) fn default_stages(observe: Option<Duration>) -> Vec<Stage> {
    let points = [100, 500, 2_500, 10_000];
    points
        .into_iter()
        .filter_map(Weight::from_basis_points)
        .map(|w| stage_of(w, observe.unwrap_or(QUARTER), None))
        .collect()
}

fn stage_of(weight: Weight, observe: Duration, longest: Option<Duration>) -> Stage {
    Stage { weight, observe, max_duration: longest.unwrap_or(observe * 4) }
}

/// `spec.stages`.
pub(super) fn stages(walk: &mut Walk, at: &At, observe: Option<Duration>) -> Vec<Stage> {
    let mut places: Vec<(At, Stage)> = Vec::new();
    walk.list(at, |walk, item| {
        let (place, stage) = one_stage(walk, item, observe)?;
        places.push((place, stage));
        Some(())
    });
    for pair in places.windows(2) {
        let ((before, earlier), (place, later)) = (&pair[0], &pair[1]);
        if later.weight <= earlier.weight {
            let line = walk.line(&before.spot());
            walk.error(place, format!("stage weights must rise: {} after {}", place.shown(), before.shown()))
                .label(format!("must be more than {} (line {line})", before.shown()))
                .hint("reorder the stages, or drop this one");
        }
    }
    match places.last() {
        Some((place, last)) if last.weight != Weight::FULL => {
            walk.error(place, format!("the last stage must be 100, not {}", place.shown()))
                .label("must be 100")
                .hint("add a stage of 100");
        }
        None if at.items().is_empty() => {
            walk.error(at, "stages is empty")
                .label("at least one")
                .hint("drop the field for 1, 5, 25 and 100 %, or write [100]");
        }
        Some(_) | None => {}
    }
    places.into_iter().map(|(_, stage)| stage).collect()
}

fn one_stage<'t>(walk: &mut Walk, at: &At<'t>, observe: Option<Duration>) -> Option<(At<'t>, Stage)> {
    let observe = observe.unwrap_or(QUARTER);
    if !matches!(at.node.value, Value::Map(_)) {
        return weight(walk, at).map(|w| (at.clone(), stage_of(w, observe, None)));
    }
    let f = Fields::open(walk, at, &shapes::STAGE)?;
    let own = f.read(walk, "observe", Walk::some_time).unwrap_or(observe);
    let longest = f.read(walk, "maxDuration", Walk::some_time);
    if longest.is_some_and(|l| l < own)
        && let Some(place) = f.take(walk, "maxDuration")
    {
        let least = f.take(walk, "observe").map_or_else(|| crate::fmt::duration(own), |o| o.shown());
        walk.error(&place, "maxDuration is shorter than observe").label(format!("at least observe, {least}"));
    }
    let place = f.take(walk, "weight")?;
    weight(walk, &place).map(|w| (place, stage_of(w, own, longest)))
}

fn weight(walk: &mut Walk, at: &At) -> Option<Weight> {
    let expected = "a percentage from 0 to 100 with at most two decimals";
    let weight = walk.scalar(at, expected)?.parse();
    weight.map_err(|_| walk.wrong(at, expected).hint("such as 0.25, 5 or 12.5%")).ok()
}

/// The first weight that users get begins with cold containers, whose latencies are not counted: said where nothing else of that
/// stage is left. Where a version is taken off for want of data before any could count, none gets through: that is refused.
pub(super) fn warn_of_warmup(walk: &mut Walk, f: &Fields, stages: &[Stage], analysis: &Analysis, checks: &[Check]) {
    let acts = |check: &&Check| matches!(check.kind, CheckKind::Latency { .. }) && !check.observe_only;
    let Some(check) = checks.iter().find(acts) else { return };
    let first = stages.iter().enumerate().find(|(_, stage)| stage.weight > Weight::ZERO);
    let Some((index, stage)) = first.filter(|(_, stage)| stage.observe <= analysis.warmup) else { return };
    let Some(whole) = f.take(walk, "stages").or_else(|| f.take(walk, "checks")) else { return };
    let items = if f.take(walk, "stages").is_some() { whole.items() } else { Vec::new() };
    let at = items.get(index).unwrap_or(&whole);
    let longest = stage.max_duration.max(stage.observe);
    let [observe, warmup, longest_shown] = [stage.observe, analysis.warmup, longest].map(crate::fmt::duration);
    let (number, name) = (index + 1, &check.name);
    let reverts = analysis.on_inconclusive == OnInconclusive::Revert;
    if reverts && longest <= analysis.warmup {
        walk.error(at, format!("onInconclusive: revert would take off every version in stage {number}"))
            .label(format!("{name} counts no request within its maxDuration, {longest_shown}"))
            .hint(format!(
                "latencies count after analysis.warmup ({warmup}): a longer maxDuration, a shorter analysis.warmup, or \
                 onInconclusive: pause"
            ));
        return;
    }
    let message = format!(
        "stage {number} ({observe}) is not longer than analysis.warmup ({warmup}): {name} counts no request of it"
    );
    let label = if reverts {
        let left = crate::fmt::duration(longest.saturating_sub(analysis.warmup));
        format!("{name} has {left} from there to maxDuration; with too few requests it is taken off (onInconclusive)")
    } else {
        format!("lasts until {name} has counted a request")
    };
    walk.warn(at, message)
        .label(label)
        .hint(format!("observe for more than {warmup}, or set a shorter analysis.warmup"));
}

/// What counts when nothing is written.
pub(super) fn default_analysis() -> Analysis {
    let on_inconclusive = OnInconclusive::Pause;
    Analysis { alpha: 0.05, beta: 0.05, on_inconclusive, warmup: Duration::from_secs(60), mode: None }
}

/// `spec.analysis`.
pub(super) fn analysis(walk: &mut Walk, at: &At) -> Option<Analysis> {
    let f = Fields::open(walk, at, &shapes::ANALYSIS)?;
    let base = default_analysis();
    let chance = |w: &mut Walk, at: &At<'_>| w.percent(at, "more than 0% and at most 50%", |v| v > 0.0 && v <= 0.5);
    let words =
        [("pause", OnInconclusive::Pause), ("revert", OnInconclusive::Revert), ("promote", OnInconclusive::Promote)];
    Some(Analysis {
        alpha: f.read(walk, "alpha", chance).unwrap_or(base.alpha),
        beta: f.read(walk, "beta", chance).unwrap_or(base.beta),
        on_inconclusive: f.read(walk, "onInconclusive", |w, at| w.choice(at, &words)).unwrap_or(base.on_inconclusive),
        warmup: f.read(walk, "warmup", Walk::duration).unwrap_or(base.warmup),
        mode: f.read(walk, "mode", mode_from),
    })
}

fn mode_from(walk: &mut Walk, at: &At) -> Option<ModeFrom> {
    let f = Fields::open(walk, at, &shapes::MODE)?;
    let path = |w: &mut Walk, at: &At<'_>| {
        w.text_that(at, "a path from / without spaces and quotes", |t| t.starts_with('/') && is_safe(t))
    };
    let query = |w: &mut Walk, at: &At<'_>| w.text_that(at, "letters, digits and _", is_word);
    let found = [
        f.read(walk, "header", header).map(ModeFrom::Header),
        f.read(walk, "responseHeader", header).map(ModeFrom::ResponseHeader),
        f.read(walk, "path", path).map(ModeFrom::Path),
        f.read(walk, "query", query).map(ModeFrom::Query),
    ];
    if ["header", "responseHeader", "path", "query"].iter().filter(|n| f.has(n)).count() != 1 {
        walk.error_at_key(at, "mode takes exactly one of header, responseHeader, path and query").label("exactly one");
    }
    found.into_iter().flatten().next()
}

/// "At most 1 % of the requests fail."
pub(super) fn default_checks() -> Vec<Check> {
    let kind = CheckKind::ErrorRate { max: 0.01 };
    vec![Check { name: "errors".to_owned(), mode: None, weight: 1.0, observe_only: false, kind }]
}

/// `spec.checks`.
pub(super) fn checks(walk: &mut Walk, at: &At, has_mode: bool) -> Vec<Check> {
    let mut names = BTreeSet::new();
    let found = walk.list(at, |walk, item| {
        let check = check(walk, item, has_mode);
        // Also of a check with other mistakes: all of them are said at once.
        let called = item.node.get("name").and_then(|name| name.text()).map(str::to_owned);
        let is_known = |called: String| !called.is_empty() && !names.insert(called);
        if called.is_some_and(is_known) {
            let name = item.node.get("name").map_or(item.key_span(), |name| name.span.clone());
            let message = format!("two checks are called {}", shown_name(item));
            walk.error_in(name, &item.path, message).label("used by an earlier check");
        }
        check
    });
    if at.items().is_empty() {
        walk.error(at, "checks is empty").label("at least one").hint("drop the field for one check: errors at most 1%");
    }
    found.unwrap_or_default()
}

/// `name` of an item, as a message may show it.
pub(super) fn shown_name(item: &At) -> String {
    item.node.get("name").map_or(String::new(), |name| item.field("name", &name.span, name).shown())
}

fn check(walk: &mut Walk, at: &At, has_mode: bool) -> Option<Check> {
    let f = Fields::open(walk, at, &shapes::CHECK)?;
    let name = f.read(walk, "name", |w, at| {
        w.text_that(at, "lower-case letters, digits and hyphens, starting with a letter, at most 40", |t| {
            t.parse::<crate::ids::RolloutName>().is_ok()
        })
    });
    let weight =
        f.read(walk, "weight", |w, at| w.number(at, "a number above 0 and below 1000", |v| v > 0.0 && v < 1_000.0));
    let observe_only = f.read(walk, "observe", Walk::flag).unwrap_or(false);
    let outer = f.read(walk, "mode", |w, at| mode(w, at, has_mode));
    let rate = f.read(walk, "errorRate", error_rate);
    let latency = f.read(walk, "latency", |w, at| latency(w, at, has_mode));
    if f.has("errorRate") == f.has("latency") {
        if f.has_unknown() && !f.has("latency") {
            return None;
        }
        let message = if f.has("latency") { "a check asks one question only" } else { "the check asks no question" };
        walk.error_at_key(at, message)
            .label("exactly one question")
            .hint("one of errorRate: { max: 0.5% } and latency: { quantile: 0.95, max: 2.5s }");
        return None;
    }
    let (kind, inner) = rate.map(|k| (k, None)).or(latency)?;
    if outer.is_some() && inner.is_some() && outer != inner {
        walk.error_at_key(at, "the check names two modes").label("one mode").hint("drop one of the two");
    }
    Some(Check { name: name?, mode: outer.or(inner), weight: weight.unwrap_or(1.0), observe_only, kind })
}

fn mode(walk: &mut Walk, at: &At, has_mode: bool) -> Option<String> {
    if !has_mode {
        walk.error(at, "nothing says where the mode of a request is read")
            .label("analysis.mode is missing")
            .hint("add analysis: { mode: { header: X-Mode } }");
    }
    walk.text_that(at, "letters, digits, _, . and -, at most 64", |t| {
        !t.is_empty()
            && t.len() <= 64
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    })
}

fn error_rate(walk: &mut Walk, at: &At) -> Option<CheckKind> {
    let f = Fields::open(walk, at, &shapes::ERROR_RATE)?;
    let max = f.read(walk, "max", |w, at| w.percent(at, "more than 0% and less than 98%", |v| v > 0.0 && v < 0.98))?;
    Some(CheckKind::ErrorRate { max })
}

fn latency(walk: &mut Walk, at: &At, has_mode: bool) -> Option<(CheckKind, Option<String>)> {
    let f = Fields::open(walk, at, &shapes::LATENCY)?;
    let quantile = f.read(walk, "quantile", |w, at| {
        w.number(at, "a number above 0.02 and below 1, such as 0.95", |q| q > 0.02 && q < 1.0)
    });
    let max = f.read(walk, "max", Walk::some_time);
    let mode = f.read(walk, "mode", |w, at| mode(w, at, has_mode));
    Some((CheckKind::Latency { quantile: quantile?, max: max? }, mode))
}

/// `spec.deadlines`.
pub(super) fn deadlines(walk: &mut Walk, at: &At) -> Option<Deadlines> {
    let f = Fields::open(walk, at, &shapes::DEADLINES)?;
    let base = default_deadlines();
    Some(Deadlines {
        pull: f.read(walk, "pull", Walk::some_time).unwrap_or(base.pull),
        start: f.read(walk, "start", Walk::some_time).unwrap_or(base.start),
    })
}

/// What counts when nothing is written.
pub(super) fn default_deadlines() -> Deadlines {
    Deadlines { pull: Duration::from_secs(600), start: Duration::from_secs(300) }
}

/// `spec.promotion`.
pub(super) fn promotion(walk: &mut Walk, at: &At) -> Option<Promotion> {
    let f = Fields::open(walk, at, &shapes::PROMOTION)?;
    let base = default_promotion();
    Some(Promotion {
        keep_previous: f.read(walk, "keepPrevious", Walk::duration).unwrap_or(base.keep_previous),
        keep_failed: f.read(walk, "keepFailed", Walk::duration).unwrap_or(base.keep_failed),
        rollback_window: f.read(walk, "rollbackWindow", Walk::duration),
    })
}

/// What counts when nothing is written.
pub(super) fn default_promotion() -> Promotion {
    let hour = Duration::from_secs(3_600);
    Promotion { keep_previous: hour, keep_failed: hour, rollback_window: None }
}
