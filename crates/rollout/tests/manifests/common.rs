//! Reading and resolving manifests in a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use canaryd_rollout::{Diagnostic, Draft, ImageState, Inputs, Parsed, Resolved, SourceText, parse, resolve};

/// Eight lines that are enough, and the health path.
pub(crate) const MINIMAL: &str = "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: { name: shop }\nspec:\n  version: v1\n  app:\n    image: shop:${version}\n    port: 8000\n    health: { http: /health }\n";

/// The minimal manifest with more lines.
pub(crate) fn with(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

/// A text, parsed without variables of the daemon.
pub(crate) fn read(text: &str) -> Parsed {
    parse(&SourceText { name: "shop.yaml".to_owned(), text: text.to_owned() }, &BTreeMap::new())
}

/// Everything that is said about a text, as people read it.
pub(crate) fn said(problems: &[Diagnostic]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// A draft with its files from that directory; every image is there, its id made from its name.
pub(crate) fn resolved(draft: &Draft, directory: &Path) -> Result<Resolved, Vec<Diagnostic>> {
    let content = |name: &String| std::fs::read(directory.join(name)).map_err(|_| "no such file".to_owned());
    let files = draft.needs().files.iter().map(|name| (name.clone(), content(name))).collect();
    let present = |image: String| (image.clone(), ImageState::Present { id: format!("sha256:{image}") });
    let images = draft.images(&files).into_keys().map(present).collect();
    resolve(draft, &Inputs { files, images })
}

/// The only rollout of a text that must be without error; it names no files.
pub(crate) fn rollout(text: &str) -> canaryd_rollout::Rollout {
    let parsed = read(text);
    assert!(parsed.broken.is_empty() && parsed.drafts.len() == 1, "{text}\n{}", said(&parsed.problems));
    resolved(&parsed.drafts[0], Path::new("/nonexistent")).map_err(|p| said(&p)).unwrap().rollout
}

/// A directory of this crate's tests.
pub(crate) fn tests(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory)
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
