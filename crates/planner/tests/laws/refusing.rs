//! Histories of a gateway that takes nothing over, for long.

use canaryd_planner::Verb;
use canaryd_rollout::OnInconclusive;

use crate::chance::{Dice, Event};

/// v2 comes; then mostly the gateway happens, and time.
pub(crate) fn history(seed: u64) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    let policy = dice.pick(&[OnInconclusive::Pause, OnInconclusive::Revert, OnInconclusive::Promote]);
    let mut events = vec![Event::OnInconclusive(policy), Event::Rate(dice.pick(&[0, 1, 200])), Event::Apply(2)];
    events.extend((0..6).map(|_| event(&mut dice)));
    events
}

fn event(dice: &mut Dice) -> Event {
    match dice.roll(12) {
        0..=4 => Event::Gateway { refuses: dice.roll(3) > 0, delay: dice.roll(3) },
        5 => Event::Silent(dice.roll(2) == 0),
        6 => Event::Kill(usize::try_from(dice.roll(4)).unwrap()),
        7 => Event::Say(dice.pick(&[Verb::Resume, Verb::Pause])),
        8 => Event::Wait(1 + dice.roll(4)),
        _ => Event::LongWait(2 + dice.roll(30)),
    }
}
