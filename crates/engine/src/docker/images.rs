//! Images: looking them up, pulling them, and giving them a name of ours.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::{CreateImageOptions, RemoveImageOptions, TagImageOptions};
use futures::StreamExt;
use tokio::sync::watch;

use super::{Inner, auth, call};
use crate::endpoint::Surroundings;
use crate::error::{EngineError, Result};
use crate::image::Image;

/// A pull that says nothing for this long is given up.
const SILENCE: Duration = Duration::from_mins(1);

impl Inner {
    pub(super) async fn image(&self, reference: &str) -> Result<Option<Image>> {
        match self.call(&format!("looking up image {reference}"), self.docker.inspect_image(reference)).await {
            Ok(found) => Ok(Some(describe(found))),
            Err(EngineError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A pull can end in an error although the image is complete (fussybeaver/bollard#560), so what counts is the image.
    pub(super) async fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        progress: &watch::Sender<String>,
    ) -> Result<Image> {
        let before = self.image(reference).await?.map(|i| i.id);
        let registry = auth::registry(reference);
        let found = auth::find(Surroundings::of_this_process().config_dir.as_deref(), registry).await;
        if let Some(trouble) = &found.trouble {
            tracing::warn!(registry, trouble, "pulling without credentials");
        }
        let options = CreateImageOptions {
            from_image: Some(tagged(reference)),
            platform: platform.unwrap_or_default().to_owned(),
            ..CreateImageOptions::default()
        };
        let stream = self.docker.create_image(Some(options), None, found.credentials);
        let outcome = self.drain_pull(reference, stream, progress).await;
        match (outcome, self.image(reference).await?) {
            (Ok(()), Some(image)) => Ok(image),
            (Err(_), Some(image)) if before.as_ref() != Some(&image.id) => Ok(image),
            (Ok(()), None) => Err(EngineError::PullFailed {
                reference: reference.to_owned(),
                why: "it is not there after the pull".to_owned(),
            }),
            (Err(error), _) => Err(with_hint(error, found.trouble)),
        }
    }

    async fn drain_pull(
        &self,
        reference: &str,
        mut stream: impl futures::Stream<Item = Result<CreateImageInfo, Bollard>> + Unpin,
        progress: &watch::Sender<String>,
    ) -> Result<()> {
        let mut layers = Layers::default();
        loop {
            let doing = || format!("pulling {reference}");
            let next = tokio::time::timeout(SILENCE, stream.next()).await;
            let Some(message) = next.map_err(|_| EngineError::Timeout { doing: doing(), after: SILENCE })? else {
                return Ok(());
            };
            match message {
                Ok(info) => {
                    if let Some(why) = info.error_detail.as_ref().and_then(|e| e.message.clone()) {
                        return Err(pull_error(reference, &why));
                    }
                    progress.send_replace(layers.note(&info));
                }
                Err(Bollard::IOError { err }) if err.to_string().contains("bytes remaining on stream") => return Ok(()),
                Err(Bollard::DockerStreamError { error }) => return Err(pull_error(reference, &error)),
                Err(error) => match call::answer(&error) {
                    Some((_, why)) => return Err(pull_error(reference, why)),
                    None => return Err(call::explain(&self.endpoint, &doing(), &error)),
                },
            }
        }
    }

    pub(super) async fn tag_image(&self, id: &str, repo: &str, tag: &str) -> Result<()> {
        let options = TagImageOptions { repo: Some(repo.to_owned()), tag: Some(tag.to_owned()) };
        match self.call(&format!("naming image {repo}:{tag}"), self.docker.tag_image(id, Some(options))).await {
            Err(EngineError::Gone { .. }) => Err(EngineError::NoSuchImage { reference: id.to_owned() }),
            other => other,
        }
    }

    /// An image that a container still uses keeps its name: it would be refused otherwise, and goes with the container's next prune.
    pub(super) async fn untag_image(&self, repo: &str, tag: &str) -> Result<()> {
        let doing = format!("taking the name {repo}:{tag} away");
        let options = RemoveImageOptions { force: false, noprune: false, platforms: None };
        let limit = self.options.call_timeout * super::SLOW;
        match tokio::time::timeout(limit, self.docker.remove_image(&format!("{repo}:{tag}"), Some(options), None)).await
        {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => match call::answer(&error) {
                Some((404, _)) => Ok(()),
                Some(_) | None => Err(call::explain(&self.endpoint, &doing, &error)),
            },
            Err(_) => Err(EngineError::Timeout { doing, after: limit }),
        }
    }
}

/// Without a tag Docker would pull all tags of the repository.
fn tagged(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

/// What a registry says: it does not have it, not for us, or not now.
fn pull_error(reference: &str, why: &str) -> EngineError {
    let lower = why.to_lowercase();
    let refused = [
        "manifest unknown",
        "not found",
        "pull access denied",
        "does not exist",
        "no matching manifest",
        "unauthorized",
        "no basic auth credentials",
        "authentication required",
        "invalid reference format",
        "denied:",
        "forbidden",
    ];
    let (reference, why) = (reference.to_owned(), why.trim().to_owned());
    if refused.iter().any(|r| lower.contains(r)) {
        let registry = auth::registry(&reference).to_owned();
        EngineError::PullRefused { reference, registry, why }
    } else {
        EngineError::PullFailed { reference, why }
    }
}

/// Why no credentials were sent matters when the registry refuses.
fn with_hint(error: EngineError, trouble: Option<String>) -> EngineError {
    match (error, trouble) {
        (EngineError::PullRefused { reference, registry, why }, Some(trouble)) => EngineError::PullRefused {
            reference,
            registry,
            why: format!("{why} (asked without credentials: {trouble})"),
        },
        (error, _) => error,
    }
}

/// Layers of one pull, summed up to a line.
#[derive(Debug, Default)]
struct Layers {
    /// By layer: bytes there, bytes in all.
    bytes: BTreeMap<String, (i64, i64)>,
    done: usize,
}

impl Layers {
    fn note(&mut self, info: &CreateImageInfo) -> String {
        let status = info.status.clone().unwrap_or_default();
        let Some(id) = info.id.clone() else { return status };
        let layer = self.bytes.entry(id).or_default();
        let detail = info.progress_detail.clone().unwrap_or_default();
        match status.as_str() {
            "Downloading" => *layer = (detail.current.unwrap_or(layer.0), detail.total.unwrap_or(layer.1)),
            "Download complete" => layer.0 = layer.1,
            "Pull complete" | "Already exists" => {
                layer.0 = layer.1;
                self.done += 1;
            }
            _ => {}
        }
        let (have, all) = self.bytes.values().fold((0, 0), |sum, l| (sum.0 + l.0, sum.1 + l.1));
        let layers = self.bytes.len();
        if all > 0 {
            format!("{} of {layers} layers, {} of {} MB", self.done.min(layers), have / 1_000_000, all / 1_000_000)
        } else {
            format!("{} of {layers} layers", self.done.min(layers))
        }
    }
}

fn describe(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let check = config.healthcheck.and_then(|h| h.test).unwrap_or_default();
    let ports = config.exposed_ports.unwrap_or_default();
    let mut ports: Vec<u16> = ports.iter().filter_map(|p| p.strip_suffix("/tcp").unwrap_or(p).parse().ok()).collect();
    ports.sort_unstable();
    Image {
        id: found.id.unwrap_or_default(),
        size: found.size.and_then(|s| u64::try_from(s).ok()).unwrap_or_default(),
        has_healthcheck: check.first().is_some_and(|kind| kind != "NONE"),
        stop_signal: config.stop_signal.filter(|s| !s.is_empty()),
        exposed_ports: ports,
        architecture: found.architecture.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_names_exactly_one_tag() {
        for (reference, pulled) in [
            ("shop", "shop:latest"),
            ("localhost:5000/shop", "localhost:5000/shop:latest"),
            ("shop:v1", "shop:v1"),
            ("shop@sha256:ab", "shop@sha256:ab"),
        ] {
            assert_eq!(tagged(reference), pulled);
        }
    }

    #[test]
    fn what_a_registry_refuses_is_final_and_what_the_network_breaks_is_not() {
        for refused in [
            "manifest for shop:v9 not found: manifest unknown",
            "pull access denied for shop, repository does not exist or may require 'docker login'",
            "unauthorized: bad token",
        ] {
            assert!(pull_error("shop:v9", refused).is_final(), "{refused}");
        }
        for broken in [
            "Get \"https://r/v2/\": dial tcp: i/o timeout",
            "unexpected EOF",
            "received unexpected HTTP status: 503 Service Unavailable",
        ] {
            assert!(!pull_error("shop:v9", broken).is_final(), "{broken}");
        }
    }

    #[test]
    fn progress_is_one_readable_line() {
        let mut layers = Layers::default();
        let info = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: Some(bollard::models::ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        };
        layers.note(&info("a", "Pulling fs layer", 0, 0));
        layers.note(&info("b", "Downloading", 10_000_000, 40_000_000));
        assert_eq!(layers.note(&info("a", "Downloading", 5_000_000, 20_000_000)), "0 of 2 layers, 15 of 60 MB");
        assert_eq!(layers.note(&info("a", "Pull complete", 0, 0)), "1 of 2 layers, 30 of 60 MB");
    }
}
