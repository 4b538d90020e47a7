//! The hash that names a revision, in formats that never change once released.
//!
//! `h1`: SHA-256 over "h1" and every fact of class revision, sorted by component, field and key, each text with its length
//! before it; an image is its content id. The first 10 hexadecimal digits are the name.

use sha2::{Digest, Sha256};

use crate::diff::Class;
use crate::facts::{self, Fact};
use crate::ids::RevisionId;
use crate::spec::{ImageState, Rollout};

/// The format in which new revisions are named.
pub const FORMAT: &str = "h1";

/// Every format that this program can still compute, oldest first.
#[must_use]
pub fn known_formats() -> &'static [&'static str] {
    &[FORMAT]
}

/// The revision of a rollout in a stored format; `None` when this program does not know the format.
#[must_use]
pub fn revision_in(format: &str, rollout: &Rollout) -> Option<RevisionId> {
    (format == FORMAT).then(|| revision(rollout))
}

/// With image ids where all are known; else the provisional one.
pub(crate) fn revision(rollout: &Rollout) -> RevisionId {
    let mut ids = Vec::new();
    for component in rollout.components() {
        match rollout.images.get(&component.image) {
            Some(ImageState::Present { id }) => ids.push((&component.name, id)),
            Some(ImageState::Pending | ImageState::Missing { .. }) | None => return provisional(rollout),
        }
    }
    let mut found = facts::of(rollout);
    for fact in found.iter_mut().filter(|f| f.field == "image") {
        if let Some((_, id)) = ids.iter().find(|(name, _)| Some(*name) == fact.component.as_ref()) {
            fact.value.clone_from(id);
        }
    }
    h1(found)
}

/// With image references in place of ids.
pub(crate) fn provisional(rollout: &Rollout) -> RevisionId {
    h1(facts::of(rollout))
}

fn h1(found: Vec<Fact>) -> RevisionId {
    let mut found: Vec<_> = found.into_iter().filter(|f| f.class == Class::Revision).collect();
    found.sort_by(|a, b| (&a.component, a.field, &a.key).cmp(&(&b.component, b.field, &b.key)));
    let mut digest = Sha256::new();
    digest.update(FORMAT);
    for fact in &found {
        let component = fact.component.as_ref().map_or("", |c| c.as_str());
        for text in [component, fact.field, fact.key.as_deref().unwrap_or(""), &fact.value] {
            digest.update(format!("{}:", text.len()));
            digest.update(text);
        }
    }
    let bytes: [u8; 32] = digest.finalize().into();
    RevisionId::of_digest(&bytes)
}
