//! How much memory the limits allow at the worst moment of a rollout.

use crate::spec::{CanaryReplicas, Component, Order, Rollout};

/// Bytes that both versions together may use, where limits are set; `None` when no container has a limit.
///
/// The app runs in full in both versions before 100 %. Workers replace one another, one more at a time at most
/// (`startFirst`).
#[must_use]
pub fn peak_memory(production: Option<&Rollout>, new: &Rollout) -> Option<u64> {
    let mut peak = None;
    for component in new.components() {
        let old = production.and_then(|p| p.component(&component.name));
        add(&mut peak, of_component(old, component));
    }
    let gone = production.into_iter().flat_map(Rollout::components).filter(|c| new.component(&c.name).is_none());
    for component in gone {
        add(&mut peak, total(component, component.replicas));
    }
    peak
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

fn total(component: &Component, count: u32) -> Option<u64> {
    component.container.resources.memory.map(|m| m.saturating_mul(u64::from(count)))
}

fn of_component(old: Option<&Component>, new: &Component) -> Option<u64> {
    let Some(old) = old else { return total(new, new.replicas) };
    let mut sum = None;
    if new.name.is_app() {
        let count = match new.canary_replicas {
            CanaryReplicas::Auto | CanaryReplicas::Full | CanaryReplicas::Fixed(_) => old.replicas.max(new.replicas),
        };
        add(&mut sum, total(old, old.replicas));
        add(&mut sum, total(new, count));
        return sum;
    }
    let extra = match new.order {
        Order::StartFirst => 1,
        Order::StopFirst => 0,
    };
    add(&mut sum, total(old, old.replicas).max(total(new, new.replicas)));
    add(&mut sum, total(new, extra));
    sum
}
