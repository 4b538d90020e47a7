//! The blanks about who asks: trusted proxies, the sticky cookie, the client's hash.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::allow;
use crate::render::RenderError;
use crate::settings::Settings;
use crate::template::Values;

pub(crate) fn fill(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    trusted(settings, values)?;
    sticky(settings, values)?;
    client(settings, values)
}

fn trusted(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let read = |text: &String| allow::cidr("spec.gateway.trustedProxies", text);
    let mut networks: BTreeSet<String> = settings.spec.trusted_proxies.iter().map(read).collect::<Result<_, _>>()?;
    networks.extend(bridge(settings, &networks));
    let mut real_ip: Vec<String> = networks.iter().map(|n| format!("set_real_ip_from {n};")).collect();
    if !real_ip.is_empty() {
        real_ip.extend(["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"].map(str::to_owned));
    }
    values.insert("trusted_geo", networks.iter().map(|n| format!("{n} 1;")).collect());
    values.insert("real_ip", real_ip);
    Ok(())
}

/// A proxy on this host reaches a published port through the bridge, whose own address NGINX then sees. Who trusts
/// 127.0.0.1 means that proxy; only where nobody else can come that way, so only if every address is a loopback one.
fn bridge(settings: &Settings, networks: &BTreeSet<String>) -> Option<String> {
    let local = settings.spec.listen.iter().all(|l| l.address.is_loopback());
    let meant = networks.iter().any(|n| n.starts_with("127.") || n == "::1/128");
    let network: Ipv4Addr = settings.relay_subnet.split_once('/')?.0.parse().ok()?;
    let first = IpAddr::V4(Ipv4Addr::from_bits(network.to_bits().checked_add(1)?));
    (local && meant).then(|| format!("{first}/32"))
}

fn sticky(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let Some(sticky) = &settings.spec.sticky else {
        values.insert("key", block("map $request_id $canaryd_key {", &["default $request_id;".to_owned()]));
        values.insert("set_cookie", vec![]);
        values.insert("add_cookie", vec![]);
        return Ok(());
    };
    let cookie = allow::name("spec.gateway.sticky.cookie", &sticky.cookie)?;
    let most = 10 * 366 * 86_400;
    let age = allow::number("spec.gateway.sticky.maxAge", sticky.max_age.as_secs(), most, "at most ten years")?;
    let key = [format!("default $cookie_{cookie};"), "\"\" $request_id;".to_owned()];
    let secure = ["default \"\";".to_owned(), "https \"; Secure\";".to_owned()];
    let text = format!("{cookie}=$request_id; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax$canaryd_secure");
    let given = ["default \"\";".to_owned(), format!("\"0:\" \"{text}\";")];
    let mut set = block("map $canaryd_proto $canaryd_secure {", &secure);
    set.extend(block(&format!("map \"$canaryd_ruled:$cookie_{cookie}\" $canaryd_set_cookie {{"), &given));
    values.insert("key", block(&format!("map $cookie_{cookie} $canaryd_key {{"), &key));
    values.insert("set_cookie", set);
    values.insert("add_cookie", vec!["add_header Set-Cookie $canaryd_set_cookie always;".to_owned()]);
    Ok(())
}

/// NGINX has no salted hash to log, but its draw is one: eight draws of 16 with a salt each are 32 bits. It is no
/// cryptographic hash (`MurmurHash2`); it keeps addresses out of the log, and nobody without the salt can look one up.
fn client(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let salt = allow::token("the client salt", &settings.client_salt)?;
    let who = if settings.spec.sticky.is_some() { "$canaryd_key" } else { "$remote_addr" };
    let mut digits: Vec<String> = (0..15).map(|d| format!("6.25% {d:x};")).collect();
    digits.push("* f;".to_owned());
    let draw = |i: usize| block(&format!("split_clients \"{salt}{i}:{who}\" $canaryd_client_{i} {{"), &digits);
    values.insert("client", (0..8).flat_map(draw).collect());
    values.insert("client_digits", vec![(0..8).map(|i| format!("$canaryd_client_{i}")).collect()]);
    Ok(())
}

fn block(head: &str, lines: &[String]) -> Vec<String> {
    let body = lines.iter().map(|line| format!("    {line}"));
    std::iter::once(head.to_owned()).chain(body).chain(["}".to_owned()]).collect()
}
