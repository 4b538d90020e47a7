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
    /// Those whose last plan was made without a slot to move in.
    refused_to_move: BTreeSet<RolloutName>,
    /// Those whose last plan was made without the slot to start in.
    refused_to_start: BTreeSet<RolloutName>,
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
        let Holders { moving, starting, refused_to_move, refused_to_start } = &mut *holders;
        take(may_move, name, moving, refused_to_move);
        take(may_start, name, starting, refused_to_start);
        Slots { may_move, may_start, ahead }
    }

    /// Keeps or gives back the slots, as the plan's memory says. Answers those who were refused a slot and should ask
    /// again: each once, for a plan that nobody waits for must not wake anybody, least of all itself.
    pub(crate) fn settle(&self, name: &RolloutName, moving: bool, starting: bool) -> BTreeSet<RolloutName> {
        let mut holders = lock(&self.holders);
        let Holders { moving: movers, starting: starters, refused_to_move, refused_to_start } = &mut *holders;
        let mut others = give_back(moving, name, movers, refused_to_move);
        others.extend(give_back(starting, name, starters, refused_to_start));
        others
    }
}

fn take(may: bool, name: &RolloutName, holders: &mut BTreeSet<RolloutName>, refused: &mut BTreeSet<RolloutName>) {
    if may {
        holders.insert(name.clone());
        refused.remove(name);
    } else {
        refused.insert(name.clone());
    }
}

/// Those who were refused, if a slot became free.
fn give_back(
    keeps: bool,
    name: &RolloutName,
    holders: &mut BTreeSet<RolloutName>,
    refused: &mut BTreeSet<RolloutName>,
) -> BTreeSet<RolloutName> {
    if keeps {
        holders.insert(name.clone());
        return BTreeSet::new();
    }
    if holders.remove(name) { std::mem::take(refused) } else { BTreeSet::new() }
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
        let wakes = book.settle(&name("a"), false, false);
        assert_eq!(wakes, BTreeSet::from([name("b"), name("c")]), "b was refused to start, c to move as well");
        assert!(book.offer(&name("c")).may_move);
    }

    #[test]
    fn a_plan_that_needs_no_slot_wakes_nobody() {
        let book = SlotBook::new(1);
        for _ in 0..3 {
            assert!(book.offer(&name("a")).may_start);
            assert!(book.settle(&name("a"), false, false).is_empty(), "nobody waits");
        }
        book.offer(&name("a"));
        assert!(!book.offer(&name("b")).may_start, "a is planning");
        assert_eq!(book.settle(&name("a"), false, false), BTreeSet::from([name("b")]));
        assert!(book.settle(&name("b"), false, false).is_empty());
    }

    #[test]
    fn two_that_wait_for_a_third_do_not_wake_each_other() {
        let book = SlotBook::new(3);
        book.offer(&name("a"));
        book.settle(&name("a"), true, true);
        for n in ["b", "c", "b", "c"] {
            assert!(!book.offer(&name(n)).may_start);
            assert!(book.settle(&name(n), false, false).is_empty(), "{n} frees nothing that another waits for");
        }
        book.offer(&name("a"));
        assert_eq!(book.settle(&name("a"), true, false), BTreeSet::from([name("b"), name("c")]));
    }

    #[test]
    fn an_offer_that_is_not_used_is_given_back() {
        let book = SlotBook::new(1);
        assert!(book.offer(&name("a")).may_start);
        book.settle(&name("a"), false, false);
        assert!(book.offer(&name("b")).may_start);
    }
}
