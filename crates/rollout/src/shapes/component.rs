//! Tables of the app and of workers.

use super::container::CONTAINER;
use super::patterns;
use crate::shape::{Field, Kind, Shape};

/// `spec.app`.
pub(crate) const APP: Shape = Shape {
    name: "app",
    doc: "The HTTP component behind the gateway.",
    groups: &[
        &[
            Field::new(
                "port",
                Kind::Whole(1, 65_535),
                "8000",
                "Port that the app listens on inside its container. Nothing is published on the host: users come through \
                 the gateway.",
            )
            .required(),
            Field::new("replicas", Kind::Whole(1, 1_000), "2", "Containers in production.").default("1"),
            Field::new(
                "canaryReplicas",
                CANARY_REPLICAS,
                "full",
                "Containers of the new version before it is promoted: auto = as many as its weight needs, full = all at \
                 once, or a number.",
            )
            .default("auto"),
        ],
        RUNNING,
        CONTAINER,
    ],
};

/// One of `spec.workers`.
pub(crate) const WORKER: Shape = Shape {
    name: "worker",
    doc: "A component without HTTP.",
    groups: &[
        &[
            Field::new("name", Kind::Name, "mailer", "Name of the worker, unique in the document; not `app`.")
                .required(),
            Field::new("replicas", Kind::Whole(0, 1_000), "4", "Containers in production.").default("1"),
            Field::new(
                "canaryReplicas",
                CANARY_REPLICAS,
                "1",
                "How many containers of the new version replace as many of the old one before the promotion: a number, or \
                 full. By default 1 where there are several replicas, else 0; the others follow at 100 %.",
            ),
            Field::new(
                "order",
                Kind::Choice(&["startFirst", "stopFirst"]),
                "startFirst",
                "Whether the new container starts before the old one stops.",
            )
            .default("startFirst"),
            Field::new("singleton", Kind::Flag, "true", "Never two at a time: one replica, replaced stopFirst.")
                .default("false"),
        ],
        RUNNING,
        CONTAINER,
    ],
};

const CANARY_REPLICAS: Kind = Kind::Any(&[Kind::Choice(&["auto", "full"]), Kind::Whole(0, 1_000)]);

/// What app and workers share beside the container itself.
static RUNNING: &[Field] = &[
    Field::new(
        "image",
        patterns::IMAGE,
        "\"shop:${version}\"",
        "Image reference. The tag is resolved to a content id once for each change of the manifest.",
    )
    .required(),
    Field::new(
        "pull",
        Kind::Choice(&["missing", "always", "never"]),
        "missing",
        "When the image is pulled: when it is not there, once for each change of the manifest, or never.",
    )
    .default("missing"),
    Field::new(
        "health",
        Kind::Any(&[Kind::Choice(&["image", "none"]), Kind::Object(&HEALTH)]),
        "{ http: /health }",
        "How a container proves that it is well. Required: { http: /path }, { exec: [command] }, image (the image's own \
         HEALTHCHECK) or an explicit none.",
    )
    .required(),
    Field::new("stop", Kind::Object(&STOP), "{ grace: 30s, drain: 30s }", "How a container ends.").default("{}"),
];

/// `health`.
pub(crate) const HEALTH: Shape = Shape {
    name: "health",
    doc: "How a container proves that it is well: exactly one of http, exec, image and none.",
    groups: &[&[
        Field::new("http", patterns::URL_PATH, "/health", "A GET of this path answers 200 to 399."),
        Field::new("port", Kind::Whole(1, 65_535), "9000", "Port for http, where it is not the component's own."),
        Field::new("exec", COMMAND, "[pg_isready, -q]", "A command inside that exits 0; no shell runs it."),
        Field::new("image", Kind::Flag, "true", "The image's own HEALTHCHECK."),
        Field::new(
            "none",
            Kind::Flag,
            "true",
            "No proof: a container that has run for `startup` counts as well, and everything waits for that; a shorter wait: { none: true, startup: 5s }.",
        ),
        Field::new("interval", Kind::Duration, "2s", "Between two probes.").default("2s"),
        Field::new("timeout", Kind::Duration, "1s", "For one probe; at most the interval.").default("1s"),
        Field::new("failures", Kind::Whole(1, 100), "3", "Failures in a row that make a healthy container unhealthy.")
            .default("3"),
        Field::new(
            "startup",
            Kind::Duration,
            "60s",
            "From start to the first success; one that needs longer counts as unhealthy, and `deadlines.start` begins.",
        )
        .default("60s"),
    ]],
};

/// `stop`.
pub(crate) const STOP: Shape = Shape {
    name: "stop",
    doc: "How a container ends.",
    groups: &[&[
        Field::new("grace", Kind::Duration, "30s", "From the stop signal to SIGKILL.").default("30s"),
        Field::new(
            "drain",
            Kind::Duration,
            "30s",
            "Before the stop signal, open requests and streams are waited for at most this long.",
        )
        .default("30s"),
    ]],
};

/// A command: words, or one text that is split into words as a shell would, without running one.
pub(crate) const COMMAND: Kind = Kind::Any(&[Kind::Text, Kind::List(&Kind::Text)]);
