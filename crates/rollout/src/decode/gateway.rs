//! The gateway. Every value that reaches NGINX's configuration passes an allow-list here.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::component::image;
use super::container::docker_name;
use crate::directives;
use crate::fields::Fields;
use crate::shapes;
use crate::spec::{Expose, Force, Gateway, Limits, Listen, Snippets, Sticky};
use crate::walk::{At, Walk};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What counts when nothing is written.
pub(super) fn default_gateway() -> Gateway {
    Gateway {
        image: "nginx:stable".to_owned(),
        listen: vec![Listen { address: LOOPBACK, port: 8080 }],
        aliases: Vec::new(),
        networks: Vec::new(),
        expose: Expose::default(),
        sticky: None,
        // Loopback ports are reached by programs of this host only: what they say of their clients is believed.
        trusted_proxies: vec![LOOPBACK.to_string()],
        force: None,
        limits: default_limits(),
        snippets: Snippets::default(),
        workers: 2,
    }
}

fn default_limits() -> Limits {
    Limits {
        read_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_millis(500),
        body: 0,
        stream_timeout: Duration::from_secs(300),
    }
}

/// `spec.gateway`.
pub(super) fn gateway(walk: &mut Walk, at: &At) -> Option<Gateway> {
    let f = Fields::open(walk, at, &shapes::GATEWAY)?;
    let base = default_gateway();
    let gateway = Gateway {
        image: f.read(walk, "image", image).unwrap_or(base.image),
        listen: f.read(walk, "listen", listens).unwrap_or(base.listen),
        aliases: f.read(walk, "aliases", |w, at| w.list(at, alias)).unwrap_or_default(),
        networks: f.read(walk, "networks", |w, at| w.list(at, docker_name)).unwrap_or_default(),
        expose: f.read(walk, "expose", expose).unwrap_or_default(),
        sticky: f.read(walk, "sticky", sticky),
        trusted_proxies: f.read(walk, "trustedProxies", |w, at| w.list(at, cidr)).unwrap_or(base.trusted_proxies),
        force: f.read(walk, "force", |w, at| {
            let f = Fields::open(w, at, &shapes::FORCE)?;
            Some(Force { header: f.read(w, "header", header)? })
        }),
        limits: f.read(walk, "limits", limits).unwrap_or(base.limits),
        snippets: f.read(walk, "snippets", snippets).unwrap_or_default(),
        workers: f.read(walk, "workers", |w, at| w.count(at, 1, 64)).unwrap_or(base.workers),
    };
    refuse_equal_ports(walk, &f, &gateway);
    if !gateway.aliases.is_empty()
        && !f.has("networks")
        && let Some(at) = f.take(walk, "aliases")
    {
        walk.error_at_key(&at, "aliases need a network on which they are known")
            .label("gateway.networks is missing")
            .hint("add networks: [the callers' network]");
    }
    Some(gateway)
}

fn refuse_equal_ports(walk: &mut Walk, f: &Fields, gateway: &Gateway) {
    let expose = f.take(walk, "expose");
    let exposed = |name: &str, port: Option<u16>, walk: &mut Walk| {
        let at = expose.as_ref()?.clone();
        let node = at.node.get(name)?;
        Some((at.field(name, &node.span, node), Listen { address: LOOPBACK, port: port? }, walk.line(&node.span)))
    };
    let mut places = Vec::new();
    if let Some(at) = f.take(walk, "listen") {
        for item in at.items() {
            let line = walk.line(&item.spot());
            places.extend(read_listen(item.text()).map(|listen| (item, listen, line)));
        }
    }
    places.extend(exposed("production", gateway.expose.production, walk));
    places.extend(exposed("canary", gateway.expose.canary, walk));
    for (n, (at, listen, _)) in places.iter().enumerate() {
        let clash = places[..n].iter().find(|(_, earlier, _)| earlier.overlaps(*listen));
        if let Some((.., line)) = clash {
            walk.error(at, format!("port {} is used twice by this gateway", at.shown()))
                .label(format!("taken on line {line}"))
                .hint("listen, expose.production and expose.canary must differ");
        }
    }
    if expose.is_some() && !f.has("listen") {
        refuse_default_port(walk, &places, gateway);
    }
}

fn refuse_default_port(walk: &mut Walk, places: &[(At, Listen, usize)], gateway: &Gateway) {
    for (at, listen, _) in places {
        if gateway.listen.iter().any(|default| default.overlaps(*listen)) {
            walk.error(at, format!("port {} is used twice by this gateway", at.shown()))
                .label("listen has it by default")
                .hint("listen, expose.production and expose.canary must differ");
        }
    }
}

fn listens(walk: &mut Walk, at: &At) -> Option<Vec<Listen>> {
    let found: Vec<_> = at.items().iter().filter_map(|item| listen(walk, item)).collect();
    if found.is_empty() && at.items().is_empty() {
        walk.error(at, "listen names no port").label("at least one port, or drop it for 8080");
    }
    (!found.is_empty()).then_some(found)
}

fn listen(walk: &mut Walk, at: &At) -> Option<Listen> {
    let text = walk.text(at)?;
    let listen = read_listen(Some(&text));
    if listen.is_none() {
        walk.wrong(at, "a port from 1 to 65535, or address:port")
            .hint("8080 means 127.0.0.1:8080; everybody: 0.0.0.0:8080");
    }
    listen
}

/// `8080`, `0.0.0.0:80`, `[::1]:80`.
fn read_listen(text: Option<&str>) -> Option<Listen> {
    let (address, port) = match text?.rsplit_once(':') {
        None => (LOOPBACK, text?),
        Some((host, port)) => match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(host) => (IpAddr::V6(host.parse().ok()?), port),
            None => (IpAddr::V4(host.parse().ok()?), port),
        },
    };
    let port = Some(port).filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    (port > 0).then_some(Listen { address, port })
}

fn alias(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "a DNS label: lower-case letters, digits and hyphens, at most 63", |t| {
        t.len() <= 63
            && !t.is_empty()
            && !t.starts_with('-')
            && !t.ends_with('-')
            && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

/// The name of a header.
pub(super) fn header(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "the name of a header: letters, digits and -", |t| {
        !t.is_empty() && t.len() <= 64 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn cidr(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "an address or a network such as 10.0.0.0/8", |t| {
        let (address, bits) = t.split_once('/').map_or((t, None), |(a, b)| (a, Some(b)));
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.is_none_or(|b| {
            b.len() <= 3 && b.bytes().all(|c| c.is_ascii_digit()) && b.parse::<u8>().is_ok_and(|n| n <= most)
        })
    })
}

fn expose(walk: &mut Walk, at: &At) -> Option<Expose> {
    let f = Fields::open(walk, at, &shapes::EXPOSE)?;
    Some(Expose { production: f.read(walk, "production", Walk::port), canary: f.read(walk, "canary", Walk::port) })
}

fn sticky(walk: &mut Walk, at: &At) -> Option<Sticky> {
    let f = Fields::open(walk, at, &shapes::STICKY)?;
    let max_age = f.read(walk, "maxAge", Walk::some_time).unwrap_or(Duration::from_secs(30 * 86_400));
    let cookie =
        f.read(walk, "cookie", |w, at| w.text_that(at, "letters, digits and _, starting with a letter", is_word))?;
    Some(Sticky { cookie, max_age })
}

/// Letters, digits and `_`: what NGINX takes in `$cookie_…` and `$arg_…`.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Nothing that could end a directive or start a variable of NGINX.
pub(super) fn is_safe(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 1_024
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b'{' | b'}' | b'"' | b'\'' | b'\\' | b'$' | b'#'))
}

fn limits(walk: &mut Walk, at: &At) -> Option<Limits> {
    let f = Fields::open(walk, at, &shapes::LIMITS)?;
    let base = default_limits();
    Some(Limits {
        read_timeout: f.read(walk, "readTimeout", Walk::some_time).unwrap_or(base.read_timeout),
        connect_timeout: f.read(walk, "connectTimeout", Walk::some_time).unwrap_or(base.connect_timeout),
        body: f.read(walk, "body", |w, at| if w.text(at)? == "0" { Some(0) } else { w.size(at) }).unwrap_or(base.body),
        stream_timeout: f.read(walk, "streamTimeout", Walk::some_time).unwrap_or(base.stream_timeout),
    })
}

fn snippets(walk: &mut Walk, at: &At) -> Option<Snippets> {
    let f = Fields::open(walk, at, &shapes::SNIPPETS)?;
    Some(Snippets {
        http: f.read(walk, "http", |w, at| snippet(w, at, &directives::IN_HTTP)),
        server: f.read(walk, "server", |w, at| snippet(w, at, &directives::IN_SERVER)),
        location: f.read(walk, "location", |w, at| snippet(w, at, &directives::IN_LOCATION)),
    })
}

/// Any directives but those that NGINX takes once and canaryd has set there already.
fn snippet(walk: &mut Walk, at: &At, taken: &[&'static str]) -> Option<String> {
    let text = walk.text_that(at, "whole directives: each ends with ; and all braces and quotes are closed", |t| {
        t.len() <= 65_536 && !t.contains('\0') && directives::is_closed(t)
    })?;
    let Some(name) = directives::first_of(&text, taken) else { return Some(text) };
    let message = format!("{} sets {name}, which canaryd sets there itself: NGINX takes it once", at.name());
    let field = match name {
        "proxy_read_timeout" | "proxy_send_timeout" => Some("readTimeout"),
        "proxy_connect_timeout" => Some("connectTimeout"),
        "client_max_body_size" => Some("body"),
        _ => None,
    };
    walk.error(at, message).hint(match field {
        Some(field) => format!("set gateway.limits.{field} instead"),
        None => format!("leave {name} out"),
    });
    None
}
