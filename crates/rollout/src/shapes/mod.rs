//! The tables of every object of the manifest.

mod component;
mod container;
mod gateway;
mod judging;
mod patterns;

pub(crate) use component::{APP, HEALTH, STOP, WORKER};
pub(crate) use container::{FILE, GPUS, LOGGING, MOUNT, RESOURCES, ULIMIT, VOLUME};
pub(crate) use gateway::{EXPOSE, FORCE, GATEWAY, LIMITS, SNIPPETS, STICKY};
pub(crate) use judging::{ANALYSIS, CHECK, DEADLINES, ERROR_RATE, LATENCY, MODE, PROMOTION, STAGE};

use std::collections::BTreeSet;

use crate::shape::{Field, Kind, Shape};

/// The name of every field of every object.
pub(crate) fn names() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let mut open = vec![&DOCUMENT];
    let mut seen = BTreeSet::new();
    while let Some(shape) = open.pop() {
        if seen.insert(shape.name) {
            names.extend(shape.fields().map(|f| f.name));
            shape.fields().for_each(|f| f.kind.objects(&mut open));
        }
    }
    names
}

/// Whether some object has a field of that name.
pub(crate) fn is_field(name: &str) -> bool {
    names().contains(name)
}

/// `apiVersion` of every document.
pub(crate) const API_VERSION: &str = "canaryd.io/v1";

/// One document.
pub(crate) const DOCUMENT: Shape = Shape {
    name: "rollout",
    doc: "A Rollout: which version should serve, and how to get there.",
    groups: &[&[
        Field::new("apiVersion", Kind::Exactly(API_VERSION), "canaryd.io/v1", "Always canaryd.io/v1.").required(),
        Field::new("kind", Kind::Exactly("Rollout"), "Rollout", "Always Rollout.").required(),
        Field::new("metadata", Kind::Object(&METADATA), "{ name: shop }", "Who it is.").required(),
        Field::new(
            "spec",
            Kind::Object(&SPEC),
            "{ version: v1, app: { image: \"shop:${version}\", port: 8000, health: { http: /health } } }",
            "What should run and how to get there.",
        )
        .required(),
    ]],
};

/// `metadata`.
pub(crate) const METADATA: Shape = Shape {
    name: "metadata",
    doc: "Identity of the rollout.",
    groups: &[&[Field::new(
        "name",
        Kind::Name,
        "shop",
        "Name of the rollout: its identity, whatever the file is called. Lower-case letters, digits and hyphens, \
         starting with a letter, at most 40 characters.",
    )
    .required()]],
};

/// `spec`.
pub(crate) const SPEC: Shape = Shape {
    name: "rollout-spec",
    doc: "What should run and how to get there.",
    groups: &[&[
        Field::new(
            "version",
            patterns::VERSION,
            "v1.4.2",
            "The version; ${version} stands for it everywhere else. Change this line and commit: the rollout starts. \
             Letters, digits and . _ + -, at most 128 characters.",
        )
        .required(),
        Field::new(
            "vars",
            Kind::Texts,
            "{ REGISTRY: ghcr.io/acme }",
            "Variables for ${NAME} in this document. --var of the daemon wins over these, these win over envFiles.",
        ),
        Field::new(
            "app",
            Kind::Object(&APP),
            "{ image: \"shop:${version}\", port: 8000, health: { http: /health } }",
            "The HTTP component behind the gateway.",
        )
        .required(),
        Field::new(
            "workers",
            Kind::List(&Kind::Object(&WORKER)),
            "[{ name: mailer, image: \"mailer:${version}\", health: none }]",
            "Components without HTTP: n of m containers run the new version.",
        )
        .default("[]"),
        Field::new("gateway", Kind::Object(&GATEWAY), "{ listen: 8080 }", "The NGINX in front of the app.").default("{}"),
        Field::new(
            "stages",
            Kind::List(&Kind::Any(&[Kind::Weight, Kind::Object(&STAGE)])),
            "[1, 5, 25, 100]",
            "The canary's shares of the traffic in percent, one after the other: they rise, the last is 100. A stage is \
             a weight, or an object with its own times. 0 is a rehearsal.",
        )
        .default("[1, 5, 25, 100]"),
        Field::new(
            "observe",
            Kind::Duration,
            "15m",
            "How long each stage observes, where the stage does not say it itself.",
        )
        .default("15m"),
        Field::new("analysis", Kind::Object(&ANALYSIS), "{ alpha: 5% }", "How the numbers are judged.").default("{}"),
        Field::new(
            "checks",
            Kind::List(&Kind::Object(&CHECK)),
            "[{ name: errors, errorRate: { max: 0.5% } }]",
            "The questions asked of the numbers.",
        )
        .default("[{ name: errors, errorRate: { max: 1% } }]"),
        Field::new("deadlines", Kind::Object(&DEADLINES), "{ pull: 10m }", "How long things may take.").default("{}"),
        Field::new(
            "promotion",
            Kind::Object(&PROMOTION),
            "{ keepPrevious: 1h }",
            "What happens at and after the end.",
        )
        .default("{}"),
        Field::new(
            "onDelete",
            Kind::Choice(&["keep", "remove"]),
            "keep",
            "What it means when this document disappears: keep = production and gateway go on serving; remove = \
             everything is stopped.",
        )
        .default("keep"),
    ]],
};
