//! Histories of people who take the weight into their hands and give it back, while the host refuses things and canaryd is
//! killed.

use canaryd_planner::{ExitCause, Fault, Verb};
use canaryd_rollout::Weight;

use crate::chance::{Dice, Event};

/// v2 is somewhere on its way; then hands, refusals and kills happen, and time.
pub(crate) fn history(seed: u64) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    let mut events = vec![Event::Apply(2), Event::Wait(1 + dice.roll(12))];
    events.extend((0..14).map(|_| event(&mut dice)));
    events
}

fn event(dice: &mut Dice) -> Event {
    let canary = true;
    match dice.roll(16) {
        0 | 1 => Event::Say(Verb::Traffic { weight: Weight::FULL }),
        2 => Event::Say(Verb::Traffic { weight: Weight::from_basis_points(dice.pick(&[0, 500, 5000])).unwrap() }),
        3 | 4 => Event::Say(Verb::Resume),
        5 => Event::Say(dice.pick(&[Verb::Pause, Verb::Advance])),
        6 => Event::Refused(2, Some(dice.pick(&[Fault::Host, Fault::Passing]))),
        7 => Event::Refused(2, None),
        8 => Event::Vanish { canary },
        9 => Event::Exit { canary, cause: dice.pick(&[ExitCause::Somebody, ExitCause::Engine]), oom: false },
        10 => Event::Kill(usize::try_from(dice.roll(4)).unwrap()),
        11 => dice.pick(&[Event::Engine(false), Event::Engine(true), Event::Late]),
        _ => Event::Wait(1 + dice.roll(5)),
    }
}
