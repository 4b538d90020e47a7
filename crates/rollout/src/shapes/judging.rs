//! Tables of stages, checks and what surrounds them.

use super::patterns;
use crate::shape::{Field, Kind, Shape};

/// One of `spec.stages` as an object.
pub(crate) const STAGE: Shape = Shape {
    name: "stage",
    doc: "One step of a rollout.",
    groups: &[&[
        Field::new(
            "weight",
            Kind::Weight,
            "5",
            "The canary's share of the traffic in percent, at most two decimals; 0 is a rehearsal.",
        )
        .required(),
        Field::new("observe", Kind::Duration, "15m", "Least observed time at this weight; spec.observe by default."),
        Field::new(
            "maxDuration",
            Kind::Duration,
            "1h",
            "Most time with this weight live, pauses not counted; then analysis.onInconclusive decides. 4 × observe by default.",
        ),
    ]],
};

/// `spec.analysis`.
pub(crate) const ANALYSIS: Shape = Shape {
    name: "analysis",
    doc: "How the numbers are judged.",
    groups: &[&[
        Field::new(
            "alpha",
            Kind::Percent,
            "5%",
            "Chance that a version within tolerance is reverted by chance, over the whole rollout; above 0, at most 50%.",
        )
        .default("5%"),
        Field::new(
            "beta",
            Kind::Percent,
            "5%",
            "Chance, at each raise, that an unacceptable version gets more traffic; above 0, at most 50%.",
        )
        .default("5%"),
        Field::new(
            "onInconclusive",
            Kind::Choice(&["pause", "revert", "promote"]),
            "pause",
            "What a stage does when it has not enough data by its maxDuration.",
        )
        .default("pause"),
        Field::new("warmup", Kind::Duration, "60s", "Latencies of a new container that are left out at first.")
            .default("60s"),
        Field::new(
            "mode",
            Kind::Object(&MODE),
            "{ header: X-LLM-Mode }",
            "Where the mode of a request is read, for checks of one mode.",
        ),
    ]],
};

/// `analysis.mode`.
pub(crate) const MODE: Shape = Shape {
    name: "mode",
    doc: "Where the mode of a request is read: exactly one of these.",
    groups: &[&[
        Field::new("header", patterns::HEADER, "X-LLM-Mode", "A request header."),
        Field::new("responseHeader", patterns::HEADER, "X-LLM-Mode", "A response header."),
        Field::new("path", patterns::URL_PATH, "/api/", "The first path segment after this prefix."),
        Field::new("query", patterns::COOKIE, "mode", "A query parameter."),
    ]],
};

/// One of `spec.checks`.
pub(crate) const CHECK: Shape = Shape {
    name: "check",
    doc: "One question asked of the numbers: exactly one of errorRate and latency.",
    groups: &[&[
        Field::new("name", Kind::Name, "errors", "Name of the check, unique in the document.").required(),
        Field::new("mode", patterns::MODE, "fast", "Only requests of this mode (see analysis.mode)."),
        Field::new(
            "weight",
            Kind::Number(0.0, 1_000.0),
            "2",
            "Its share of alpha relative to other checks of its kind.",
        )
        .default("1"),
        Field::new("observe", Kind::Flag, "true", "Reported, never acted upon.").default("false"),
        Field::new(
            "errorRate",
            Kind::Object(&ERROR_RATE),
            "{ max: 0.5% }",
            "How many of the canary's requests fail: 5xx, no answer, timeout.",
        ),
        Field::new(
            "latency",
            Kind::Object(&LATENCY),
            "{ quantile: 0.95, max: 2.5s }",
            "How long the canary's answers take.",
        ),
    ]],
};

/// `errorRate` of a check.
pub(crate) const ERROR_RATE: Shape = Shape {
    name: "errorRate",
    doc: "How many of the canary's requests fail.",
    groups: &[&[Field::new(
        "max",
        Kind::Percent,
        "0.5%",
        "At most this share of the requests; always with the percent sign, above 0% and below 98%.",
    )
    .required()]],
};

/// `latency` of a check.
pub(crate) const LATENCY: Shape = Shape {
    name: "latency",
    doc: "How long the canary's answers take.",
    groups: &[&[
        Field::new(
            "quantile",
            Kind::Number(0.02, 1.0),
            "0.95",
            "0.95 for the 95th percentile; above 0.02 and below 1.",
        )
        .required(),
        Field::new("max", Kind::Duration, "2.5s", "The bound on that quantile.").required(),
        Field::new("mode", patterns::MODE, "fast", "Only requests of this mode; the same as `mode` of the check."),
    ]],
};

/// `spec.deadlines`.
pub(crate) const DEADLINES: Shape = Shape {
    name: "deadlines",
    doc: "How long things may take.",
    groups: &[&[
        Field::new("pull", Kind::Duration, "10m", "The pull of the images.").default("10m"),
        Field::new(
            "start",
            Kind::Duration,
            "5m",
            "How much longer than `health.startup` a version may take until all its containers are healthy; then it is taken off.",
        )
        .default("5m"),
    ]],
};

/// `spec.promotion`.
pub(crate) const PROMOTION: Shape = Shape {
    name: "promotion",
    doc: "What happens at and after the end.",
    groups: &[&[
        Field::new("keepPrevious", Kind::Duration, "1h", "How long the previous app keeps running without traffic.")
            .default("1h"),
        Field::new(
            "keepFailed",
            Kind::Duration,
            "1h",
            "How long a failed version is kept, stopped, for inspection; at most until the next one fails.",
        )
        .default("1h"),
        Field::new(
            "rollbackWindow",
            Kind::Duration,
            "7d",
            "How long going back to the previous version skips the stages; as long as it is kept by default.",
        ),
    ]],
};
