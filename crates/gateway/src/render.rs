//! From settings and an intent to one self-contained `nginx.conf`. The text is in `nginx/gateway.conf`; here are its
//! blanks.

use canaryd_rollout::ModeFrom;

use crate::allow;
use crate::container::Ports;
use crate::generation::GenerationId;
use crate::lanes;
use crate::maintenance;
use crate::nginx::NginxVersion;
use crate::people;
use crate::settings::Settings;
use crate::template::{Values, fill};
use crate::traffic::{Intent, Traffic};

const TEMPLATE: &str = include_str!("../../../nginx/gateway.conf");

/// A configuration, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its number: also the name of its directory, in every log line, and the answer of the ops port.
    pub generation: GenerationId,
    /// The whole file. Holds secrets.
    pub nginx_conf: String,
}

/// A value that may not reach a configuration. The value itself is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be put into an NGINX configuration: allowed is {allowed}")]
pub struct RenderError {
    /// Path of the value as the user knows it: `spec.gateway.sticky.cookie`.
    pub field: String,
    /// What is allowed, in words.
    pub allowed: &'static str,
}

/// The configuration that fulfils `intent`. A lane without endpoints gets no traffic: the canary's share then goes to
/// production, production's share gets a 503.
///
/// # Errors
/// A value outside its allow-list: nothing of it is rendered.
pub fn render(settings: &Settings, intent: &Intent, generation: GenerationId) -> Result<Rendered, RenderError> {
    let mut values = Values::new();
    about_limits(settings, &mut values)?;
    about_ops(settings, generation, &mut values)?;
    about_mode(settings.mode.as_ref(), &mut values)?;
    about_snippets(settings, &mut values)?;
    people::fill(settings, &mut values)?;
    lanes::fill(settings, intent, &mut values)?;
    maintenance::fill(settings, intent, &mut values);
    Ok(Rendered { generation, nginx_conf: fill(TEMPLATE, &values) })
}

/// The all-production twin of [`render`]'s result: same lanes, but the split draws production only. Its number is
/// `generation.twin()`. Pinned and forced requests still reach the canary.
///
/// # Errors
/// As [`render`].
pub fn twin(settings: &Settings, intent: &Intent, generation: GenerationId) -> Result<Rendered, RenderError> {
    let traffic = match intent.traffic {
        unchanged @ (Traffic::Nobody | Traffic::Stopped { .. }) => unchanged,
        Traffic::Split { .. } => Traffic::PRODUCTION,
    };
    render(settings, &Intent { traffic, ..intent.clone() }, generation.twin())
}

fn about_limits(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let limits = &settings.spec.limits;
    let workers = u64::from(settings.spec.workers);
    let workers = allow::number("spec.gateway.workers", workers, 64, "1 to 64")?.max(1);
    let most = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    let body = allow::number("spec.gateway.limits.body", limits.body, most, "at most 8 EiB, 0 = any size")?;
    let read = allow::duration("spec.gateway.limits.readTimeout", limits.read_timeout)?;
    let connect = allow::duration("spec.gateway.limits.connectTimeout", limits.connect_timeout)?;
    let stream = allow::duration("spec.gateway.limits.streamTimeout", limits.stream_timeout)?;
    let linger = (settings.nginx >= NginxVersion::LOSSLESS).then(|| "keepalive_min_timeout 1s;".to_owned());
    values.insert("workers", vec![workers.to_string()]);
    values.insert("body", vec![body.to_string()]);
    values.insert("read_timeout", vec![read]);
    values.insert("connect_timeout", vec![connect]);
    values.insert("stream_timeout", vec![stream]);
    values.insert("keepalive_min_timeout", linger.into_iter().collect());
    Ok(())
}

fn about_ops(settings: &Settings, generation: GenerationId, values: &mut Values) -> Result<(), RenderError> {
    let ports = Ports::of(settings);
    let token = allow::token("the ops token", &settings.ops_token)?;
    let subnet = allow::cidr("the gateway's network", &settings.relay_subnet)?;
    values.insert("ops_token", vec![token.to_owned()]);
    values.insert("ops_port", vec![ports.ops.to_string()]);
    values.insert("relay_subnet", vec![subnet]);
    values.insert("generation", vec![generation.to_string()]);
    values.insert("rollout", vec![settings.rollout.to_string()]);
    Ok(())
}

/// The mode is logged as a variable of NGINX, except the path's: that one is found when the line is read.
fn about_mode(mode: Option<&ModeFrom>, values: &mut Values) -> Result<(), RenderError> {
    let variable = |header: &str| header.to_ascii_lowercase().replace('-', "_");
    let (mode, prefix) = match mode {
        None => (String::new(), ""),
        Some(ModeFrom::Header(name)) => {
            (format!("$http_{}", variable(allow::header("spec.analysis.mode.header", name)?)), "")
        }
        Some(ModeFrom::ResponseHeader(name)) => {
            (format!("$upstream_http_{}", variable(allow::header("spec.analysis.mode.responseHeader", name)?)), "")
        }
        Some(ModeFrom::Query(name)) => (format!("$arg_{}", allow::name("spec.analysis.mode.query", name)?), ""),
        Some(ModeFrom::Path(prefix)) => (String::new(), allow::path("spec.analysis.mode.path", prefix)?),
    };
    values.insert("mode", vec![mode]);
    values.insert("mode_prefix", vec![prefix.to_owned()]);
    Ok(())
}

fn about_snippets(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let snippets = &settings.spec.snippets;
    let each = [
        ("http_snippet", "spec.gateway.snippets.http", &snippets.http),
        ("server_snippet", "spec.gateway.snippets.server", &snippets.server),
        ("location_snippet", "spec.gateway.snippets.location", &snippets.location),
    ];
    for (blank, field, text) in each {
        let text = allow::snippet(field, text.as_deref())?;
        values.insert(blank, if text.is_empty() { vec![] } else { vec![text] });
    }
    Ok(())
}
