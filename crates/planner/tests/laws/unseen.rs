//! Histories of a log that cannot be read, now and then, while everything else goes on and fails.

use canaryd_planner::{ExitCause, Fault, Verb};
use canaryd_rollout::Weight;

use crate::chance::{Dice, Event};

/// v2 is somewhere on its way; then sight comes and goes, people speak, and things fail.
pub(crate) fn history(seed: u64) -> Vec<Event> {
    told(seed, |dice| if dice.roll(3) == 0 { other(dice) } else { fault(dice) })
}

/// Likewise; nobody says a word, and nothing is wrong with the version.
pub(crate) fn faults(seed: u64) -> Vec<Event> {
    told(seed, fault)
}

fn told(seed: u64, event: fn(&mut Dice) -> Event) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    let mut events = vec![Event::Apply(2), Event::Wait(1 + dice.roll(12))];
    events.extend((0..14).map(|_| event(&mut dice)));
    events
}

fn fault(dice: &mut Dice) -> Event {
    match dice.roll(12) {
        0..=2 => Event::Silent(true),
        3 | 4 => Event::Silent(false),
        5 => Event::Journal(dice.roll(2) == 0),
        6 => Event::Kill(usize::try_from(dice.roll(4)).unwrap()),
        7 => Event::Gateway { refuses: false, delay: dice.roll(3) },
        8 => Event::LongWait(2 * dice.roll(30)),
        _ => Event::Wait(1 + dice.roll(45)),
    }
}

fn other(dice: &mut Dice) -> Event {
    let canary = true;
    let reason = "chance".to_owned();
    match dice.roll(12) {
        0 => {
            Event::Say(Verb::Traffic { weight: Weight::from_basis_points(dice.pick(&[0, 500, 5000, 10_000])).unwrap() })
        }
        1 => Event::Say(Verb::Resume),
        2 => Event::Say(dice.pick(&[Verb::Pause, Verb::Advance])),
        3 => Event::Say(dice.pick(&[Verb::Abort, Verb::Promote { reason }])),
        4 => Event::Refused(2, dice.pick(&[None, Some(Fault::Host), Some(Fault::Passing)])),
        5 => Event::Exit {
            canary: dice.roll(3) > 0,
            cause: dice.pick(&[ExitCause::Somebody, ExitCause::Engine]),
            oom: false,
        },
        6 => Event::Stages(dice.pick(&[vec![500, 2500, 10_000], vec![1000, 10_000], vec![0, 5000, 10_000]])),
        7 => dice.pick(&[Event::Engine(false), Event::Engine(true), Event::Late]),
        8 => Event::Vanish { canary },
        9 => Event::Apply(1 + dice.roll(3)),
        _ => Event::Errors(0, 200),
    }
}
