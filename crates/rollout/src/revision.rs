//! The hash that names a revision, in formats that never change once released.

use crate::ids::RevisionId;
use crate::spec::Rollout;

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
    (format == FORMAT).then(|| rollout.revision.clone())
}
