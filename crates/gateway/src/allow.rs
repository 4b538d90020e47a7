//! What may reach a configuration. Manifests were validated before; this is the second lock on the same door, because a
//! value that slips through here is a directive of somebody else.

use std::net::IpAddr;
use std::time::Duration;

use crate::render::RenderError;
use canaryd_rollout::directives;

/// Headers that the gateway itself sets or that frame a message: none of them can force a lane.
const RESERVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

fn check(field: &str, allowed: &'static str, legal: bool) -> Result<(), RenderError> {
    if legal { Ok(()) } else { Err(RenderError { field: field.to_owned(), allowed }) }
}

fn made_of(text: &str, longest: usize, also: &[u8]) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
}

/// A token: `map` ignores case, so one with capitals has a little less strength than it seems to.
pub(crate) fn token<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    let legal = text.len() >= 16 && made_of(text, 128, b"-_");
    check(field, "16 to 128 letters, digits, - and _", legal)?;
    Ok(text)
}

/// A version as people write them, for a response header.
pub(crate) fn version<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    check(field, "1 to 128 letters, digits and . _ + ~ : @ / -", made_of(text, 128, b"._+~:@/-"))?;
    Ok(text)
}

/// A header name; as a variable it is lower case with underscores.
pub(crate) fn header<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    let legal = made_of(text, 64, b"-") && text.starts_with(|c: char| c.is_ascii_alphabetic());
    check(field, "a header name: 1 to 64 letters, digits and hyphens, starting with a letter", legal)?;
    Ok(text)
}

/// A header name that nothing else depends on.
pub(crate) fn own_header<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    let lower = header(field, text)?.to_ascii_lowercase();
    let free = !RESERVED.contains(&lower.as_str()) && !lower.starts_with("x-forwarded-");
    check(field, "a header of your own, not one that HTTP or the gateway uses", free)?;
    Ok(text)
}

/// A cookie or query parameter that NGINX has as a variable.
pub(crate) fn name<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    check(field, "1 to 64 letters, digits and _", made_of(text, 64, b"_"))?;
    Ok(text)
}

/// The beginning of a path.
pub(crate) fn path<'a>(field: &str, text: &'a str) -> Result<&'a str, RenderError> {
    let legal = text.starts_with('/') && made_of(text, 256, b"/._~-");
    check(field, "a path of letters, digits and / . _ ~ -, starting with /", legal)?;
    Ok(text)
}

/// A network or a single address, in NGINX's spelling.
pub(crate) fn cidr(field: &str, text: &str) -> Result<String, RenderError> {
    let (addr, bits) = text.split_once('/').map_or((text, None), |(addr, bits)| (addr, Some(bits)));
    let addr: Option<IpAddr> = addr.parse().ok();
    let most = addr.map_or(0, |a| if a.is_ipv4() { 32 } else { 128 });
    let bits = bits.map_or(Some(most), |b| made_of(b, 3, b"").then(|| b.parse::<u32>().ok()).flatten());
    match (addr, bits) {
        (Some(addr), Some(bits)) if bits <= most => Ok(format!("{addr}/{bits}")),
        (Some(_), Some(_) | None) | (None, _) => {
            Err(RenderError { field: field.to_owned(), allowed: "an address or a network such as 10.0.0.0/8" })
        }
    }
}

/// A time of 1 ms to 30 days, as NGINX writes it.
pub(crate) fn duration(field: &str, time: Duration) -> Result<String, RenderError> {
    let millis = time.as_millis();
    check(field, "1 ms to 30 days", (1..=30 * 86_400_000).contains(&millis))?;
    Ok(format!("{millis}ms"))
}

/// A whole number in a range.
pub(crate) fn number(field: &str, n: u64, most: u64, allowed: &'static str) -> Result<u64, RenderError> {
    check(field, allowed, n <= most)?;
    Ok(n)
}

/// A user's own directives: any, but whole ones.
pub(crate) fn snippet(field: &str, text: Option<&str>) -> Result<String, RenderError> {
    let text = text.unwrap_or_default();
    let legal = text.len() <= 65_536 && !text.contains('\0') && directives::is_closed(text);
    check(field, "whole directives, each with its ; and with all its braces and quotes closed", legal)?;
    // A comment at the end must not swallow what follows.
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_snippet_may_not_set_is_what_the_template_sets() {
        let template = include_str!("../../../nginx/gateway.conf");
        let begins = |name: &&str| template.lines().any(|line| line.trim().trim_start_matches('{').starts_with(*name));
        let lists = [directives::IN_HTTP.as_slice(), &directives::IN_SERVER, &directives::IN_LOCATION];
        let strange: Vec<_> = lists.concat().into_iter().filter(|name| !begins(name)).collect();
        assert_eq!(strange, Vec::<&str>::new());
    }
}
