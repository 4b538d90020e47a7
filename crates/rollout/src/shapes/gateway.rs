//! Tables of the gateway.

use super::patterns;
use crate::shape::{Field, Kind, Shape};

/// `spec.gateway`.
pub(crate) const GATEWAY: Shape = Shape {
    name: "gateway",
    doc: "The NGINX in front of the app.",
    groups: &[&[
        Field::new("image", patterns::IMAGE, "nginx:stable", "Image of NGINX, at least 1.27.4; fixed at creation.")
            .default("nginx:stable"),
        Field::new(
            "listen",
            Kind::OneOrMany(&patterns::LISTEN),
            "8080",
            "Where users, or your TLS proxy, reach it: a port on 127.0.0.1, address:port, or a list of these. Fixed at \
             creation.",
        )
        .default("8080"),
        Field::new(
            "aliases",
            Kind::List(&patterns::LABEL),
            "[app]",
            "Names on your networks under which internal callers reach the app, split like everybody else, on the app's \
             port.",
        )
        .default("[]"),
        Field::new("networks", Kind::List(&patterns::DOCKER_NAME), "[backend]", "Existing networks that the gateway joins.")
            .default("[]"),
        Field::new("expose", Kind::Object(&EXPOSE), "{ canary: 8001 }", "Ports on 127.0.0.1 that lead to one lane only.")
            .default("{}"),
        Field::new(
            "sticky",
            Kind::Object(&STICKY),
            "{ cookie: canary_id }",
            "Keep a user on a lane by a cookie. Without it each request is drawn.",
        ),
        Field::new(
            "trustedProxies",
            Kind::List(&patterns::NETWORK),
            "[10.0.0.0/8]",
            "Networks (CIDR) of proxies in front whose X-Forwarded-* is believed. 127.0.0.1 means a proxy on this host, and counts \
             while every address of `listen` is a loopback one.",
        )
        .default("[127.0.0.1]"),
        Field::new(
            "force",
            Kind::Object(&FORCE),
            "{ header: X-Canary }",
            "A request header that forces a lane; its value is a secret that canaryd makes and `canaryd header NAME` shows.",
        ),
        Field::new("limits", Kind::Object(&LIMITS), "{ readTimeout: 60s }", "Limits and timeouts.").default("{}"),
        Field::new(
            "snippets",
            Kind::Object(&SNIPPETS),
            "{ location: \"proxy_hide_header X-Powered-By;\" }",
            "NGINX directives of your own, tested before they are used. Variables are not filled in here.",
        )
        .default("{}"),
        Field::new("workers", Kind::Whole(1, 64), "2", "Worker processes.").default("2"),
    ]],
};

/// `gateway.expose`.
pub(crate) const EXPOSE: Shape = Shape {
    name: "expose",
    doc: "Ports on 127.0.0.1 that lead to one lane only.",
    groups: &[&[
        Field::new("production", Kind::Whole(1, 65_535), "8000", "Always production."),
        Field::new("canary", Kind::Whole(1, 65_535), "8001", "Always the canary; 503 while there is none."),
    ]],
};

/// `gateway.sticky`.
pub(crate) const STICKY: Shape = Shape {
    name: "sticky",
    doc: "Keep a user on a lane by a cookie.",
    groups: &[&[
        Field::new(
            "cookie",
            patterns::COOKIE,
            "canary_id",
            "Name of the cookie: letters, digits and _, starting with a letter.",
        )
        .required(),
        Field::new("maxAge", Kind::Duration, "30d", "How long a browser keeps it.").default("30d"),
    ]],
};

/// `gateway.force`.
pub(crate) const FORCE: Shape = Shape {
    name: "force",
    doc: "A request header that forces a lane, for tests by hand. Its value is `canary:` or `production:` and a secret; \
          `canaryd header NAME` prints the whole line. 503 while that lane has no container. The application does not see it.",
    groups: &[&[Field::new("header", patterns::HEADER, "X-Canary", "Name of the header.").required()]],
};

/// `gateway.limits`.
pub(crate) const LIMITS: Shape = Shape {
    name: "limits",
    doc: "Limits and timeouts of the gateway.",
    groups: &[&[
        Field::new("readTimeout", Kind::Duration, "60s", "Longest pause within an answer.").default("60s"),
        Field::new("connectTimeout", Kind::Duration, "500ms", "Longest time to connect to a container.")
            .default("500ms"),
        Field::new("body", Kind::Any(&[Kind::Exactly("0"), Kind::Size]), "100m", "Largest request body; 0 = any.")
            .default("0"),
        Field::new(
            "streamTimeout",
            Kind::Duration,
            "300s",
            "How long open streams and WebSockets outlive a change of the weights.",
        )
        .default("300s"),
    ]],
};

/// `gateway.snippets`.
pub(crate) const SNIPPETS: Shape = Shape {
    name: "snippets",
    doc: "NGINX directives of your own.",
    groups: &[&[
        Field::new(
            "http",
            Kind::Text,
            "\"limit_req_zone $binary_remote_addr zone=each:1m rate=10r/s;\"",
            "In http { }.",
        ),
        Field::new("server", Kind::Text, "\"client_header_timeout 30s;\"", "In the server { } of the traffic."),
        Field::new("location", Kind::Text, "\"proxy_hide_header X-Powered-By;\"", "In location / { }."),
    ]],
};
