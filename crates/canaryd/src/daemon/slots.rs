//! Who may move and who may start containers: at most `max_moving` rollouts move, and one starts at a time.

use std::collections::BTreeSet;
use std::sync::Mutex;

use canaryd_planner::Slots;
use canaryd_rollout::RolloutName;

use super::bells::lock;

/// The holders of the host's slots.
#[derive(Debug)]
pub(crate) struct SlotBook {
    max_moving: usize,
    holders: Mutex<Holders>,
}

#[derive(Debug, Default)]
struct Holders {
    moving: BTreeSet<RolloutName>,
    starting: BTreeSet<RolloutName>,
}

impl SlotBook {
    pub(crate) fn new(max_moving: usize) -> Self {
        Self { max_moving: max_moving.max(1), holders: Mutex::default() }
    }

    /// Takes what is free for the length of one plan; [`SlotBook::settle`] gives back what the plan did not use.
    pub(crate) fn offer(&self, name: &RolloutName) -> Slots {
        let mut holders = lock(&self.holders);
        let may_move = holders.moving.contains(name) || holders.moving.len() < self.max_moving;
        let may_start = holders.starting.is_empty() || holders.starting.contains(name);
        let ahead = holders.moving.union(&holders.starting).filter(|other| *other != name).cloned().collect();
        if may_move {
            holders.moving.insert(name.clone());
        }
        if may_start {
            holders.starting.insert(name.clone());
        }
        Slots { may_move, may_start, ahead }
    }

    /// Keeps or gives back the slots, as the plan's memory says. `true`: a slot became free for others.
    pub(crate) fn settle(&self, name: &RolloutName, moving: bool, starting: bool) -> bool {
        let mut holders = lock(&self.holders);
        let freed = (!moving && holders.moving.remove(name)) | (!starting && holders.starting.remove(name));
        if moving {
            holders.moving.insert(name.clone());
        }
        if starting {
            holders.starting.insert(name.clone());
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RolloutName {
        text.parse().expect("a legal name")
    }

    #[test]
    fn at_most_max_moving_rollouts_move_and_one_starts() {
        let book = SlotBook::new(2);
        for n in ["a", "b"] {
            let slots = book.offer(&name(n));
            assert!(slots.may_move);
            book.settle(&name(n), true, n == "a");
        }
        let third = book.offer(&name("c"));
        assert!(!third.may_move && !third.may_start);
        assert_eq!(third.ahead, [name("a"), name("b")]);
        book.settle(&name("c"), false, false);
        assert!(book.settle(&name("a"), false, false), "a slot became free");
        assert!(book.offer(&name("c")).may_move);
    }

    #[test]
    fn an_offer_that_is_not_used_is_given_back() {
        let book = SlotBook::new(1);
        assert!(book.offer(&name("a")).may_start);
        book.settle(&name("a"), false, false);
        assert!(book.offer(&name("b")).may_start);
    }
}
