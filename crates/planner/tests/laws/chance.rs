//! Random histories: what people, versions, Docker, NGINX, disks and clocks do to a rollout.

use std::time::Duration;

use canaryd_planner::{Desired, ExitCause, Fault, Verb};
use canaryd_rollout::{CanaryReplicas, ImageState, OnInconclusive, Order, SetId, Weight};

use crate::sim::Sim;
use crate::sim::manifest::{component, errors, stage};

/// A seeded generator (xorshift): equal seeds give equal histories.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to n - 1.
    pub(crate) fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()].clone()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Wait(u64),
    /// Likewise, a plan every other second: the most that a plan counts at once.
    LongWait(u64),
    Apply(u64),
    Say(Verb),
    Exit {
        canary: bool,
        cause: ExitCause,
        oom: bool,
    },
    Vanish {
        canary: bool,
    },
    Ill {
        canary: bool,
    },
    /// Somebody pauses a container of it.
    Paused {
        canary: bool,
    },
    Well,
    /// A container of it cannot be inspected.
    Unseen {
        canary: bool,
    },
    /// Starts of this version fail, through this fault; `None`: they succeed.
    Refused(u64, Option<Fault>),
    Errors(u64, u64),
    /// Requests in a second.
    Rate(u32),
    Conduct(u64, Conduct),
    Image(ImageState),
    Replicas(u32),
    Stages(Vec<u16>),
    Checks(f64),
    OnInconclusive(OnInconclusive),
    Gone {
        confirmed: bool,
    },
    Unreadable,
    Silent(bool),
    Engine(bool),
    /// It goes away and takes all containers along; so many requests fail while it does.
    EngineStops(u64),
    /// It takes its time to answer.
    Asking(bool),
    Journal(bool),
    Gateway {
        refuses: bool,
        delay: u64,
    },
    OldWorkers(u32),
    LoweredOffline,
    Slots(bool),
    Kill(usize),
    Late,
    Clock(i64),
}

#[derive(Debug, Clone)]
pub(crate) enum Conduct {
    Good,
    Slow,
    Never,
    Dies,
    Fails,
}

/// v1 is in production; short stages, two replicas and a worker.
pub(crate) fn newborn() -> Sim {
    thread_local!(static NEWBORN: Sim = install());
    NEWBORN.with(Sim::clone)
}

fn install() -> Sim {
    let mut sim = Sim::installed(|m| {
        m.app.replicas = 2;
        m.workers = vec![component("mail", 2)];
        m.workers[0].canary_replicas = CanaryReplicas::Fixed(1);
        m.workers[0].order = Order::StopFirst;
        m.stages = stages(&[500, 2500, 10_000]);
        m.promotion.keep_previous = Duration::from_secs(15);
        m.promotion.keep_failed = Duration::from_secs(15);
        m.deadlines.start = Duration::from_secs(5);
        m.deadlines.pull = Duration::from_secs(10);
        m.app.health.startup = Duration::from_secs(5);
    });
    sim.users.rate = 200.0;
    sim.patience = 1500;
    sim.nginx.linger = Duration::from_secs(2);
    sim
}

fn stages(weights: &[u16]) -> Vec<canaryd_rollout::Stage> {
    weights.iter().map(|w| stage(Weight::from_basis_points(*w).unwrap(), 3)).collect()
}

pub(crate) fn history(seed: u64, events: usize) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    (0..events).map(|_| event(&mut dice)).collect()
}

fn event(dice: &mut Dice) -> Event {
    match dice.roll(32) {
        0..=8 => Event::Wait(1 + dice.roll(8)),
        9..=12 => Event::Apply(1 + dice.roll(4)),
        13..=16 => Event::Say(verb(dice)),
        17..=19 => happening(dice),
        20 => edit(dice),
        21 => Event::Gone { confirmed: dice.roll(3) == 0 },
        22 => dice.pick(&[Event::Unreadable, Event::Late, Event::LoweredOffline]),
        23 => Event::Silent(dice.roll(3) == 0),
        24 => match dice.roll(6) {
            0 => Event::EngineStops(dice.pick(&[0, 3, 60])),
            1 => Event::Asking(dice.roll(2) == 0),
            2 => Event::Engine(false),
            _ => Event::Engine(true),
        },
        25 => Event::Journal(dice.roll(3) > 0),
        26 => Event::Gateway { refuses: dice.roll(4) == 0, delay: dice.roll(3) },
        27 => Event::OldWorkers(dice.pick(&[0, 0, 3, 9])),
        28 => Event::Slots(dice.roll(4) > 0),
        29 => Event::Kill(usize::try_from(dice.roll(4)).unwrap()),
        30 => Event::Clock(dice.pick(&[3600, 90, -30, -3600])),
        _ => Event::Well,
    }
}

fn verb(dice: &mut Dice) -> Verb {
    let weight = Weight::from_basis_points(dice.pick(&[0, 1, 500, 5000, 10_000])).unwrap();
    let reason = "chance".to_owned();
    dice.pick(&[
        Verb::Abort,
        Verb::Undo,
        Verb::Rollback,
        Verb::Retry,
        Verb::Restart,
        Verb::Stop { page: None, retry_after: None },
        Verb::Start,
        Verb::Start,
        Verb::Pause,
        Verb::Resume,
        Verb::Advance,
        Verb::Promote { reason },
        Verb::Traffic { weight },
        Verb::Traffic { weight: Weight::FULL },
        Verb::Delete,
    ])
}

fn happening(dice: &mut Dice) -> Event {
    let canary = dice.roll(3) > 0;
    let cause = dice.pick(&[
        ExitCause::Itself,
        ExitCause::Itself,
        ExitCause::Somebody,
        ExitCause::Neighbour,
        ExitCause::Engine,
    ]);
    match dice.roll(10) {
        8 | 9 => {
            let faults = [None, Some(Fault::Passing), Some(Fault::Host), Some(Fault::Host), Some(Fault::Version)];
            Event::Refused(1 + dice.roll(4), dice.pick(&faults))
        }
        0..=2 => Event::Exit { canary, cause, oom: dice.roll(6) == 0 },
        3 if dice.roll(3) == 0 => Event::Unseen { canary },
        3 if dice.roll(3) == 0 => Event::Paused { canary },
        3 => Event::Vanish { canary },
        4 => Event::Ill { canary },
        5 => dice.pick(&[Event::Errors(0, 500), Event::Errors(1, 5), Event::Errors(40, 60)]),
        _ => {
            let conduct = [Conduct::Good, Conduct::Good, Conduct::Slow, Conduct::Never, Conduct::Dies, Conduct::Fails];
            Event::Conduct(1 + dice.roll(4), dice.pick(&conduct))
        }
    }
}

fn edit(dice: &mut Dice) -> Event {
    match dice.roll(6) {
        0 => Event::Replicas(dice.pick(&[1, 2, 4])),
        1 => Event::Stages(dice.pick(&[
            vec![0, 1000, 10_000],
            vec![500, 2500, 10_000],
            vec![10_000],
            vec![5000, 10_000],
        ])),
        2 => Event::Checks(dice.pick(&[0.01, 0.05])),
        3 => {
            Event::OnInconclusive(dice.pick(&[OnInconclusive::Pause, OnInconclusive::Revert, OnInconclusive::Promote]))
        }
        _ => Event::Image(dice.pick(&[
            ImageState::Pending,
            ImageState::Present { id: "sha256:1".to_owned() },
            ImageState::Present { id: "sha256:1".to_owned() },
            ImageState::Missing { reason: "no such image".to_owned() },
        ])),
    }
}

/// Lets one thing happen.
pub(crate) fn befall(sim: &mut Sim, event: &Event) {
    match event {
        Event::Wait(seconds) => sim.advance(*seconds),
        Event::LongWait(seconds) => (0..seconds / 2).for_each(|_| sim.step(Duration::from_secs(2))),
        Event::Apply(n) => sim.apply(&format!("v{n}")),
        Event::Say(verb) => drop(sim.say(verb.clone())),
        Event::Exit { canary, cause, oom } => {
            let now = sim.now;
            if let Some((set, ordinal)) = some_replica(sim, *canary) {
                sim.docker.exit(&set, ordinal, *cause, *oom, now);
            }
        }
        Event::Vanish { canary } => {
            if let Some((set, ordinal)) = some_replica(sim, *canary) {
                sim.docker.vanish(&set, ordinal);
            }
        }
        Event::Ill { canary } => {
            let ill = replicas(sim, *canary);
            sim.docker.ill.extend(ill);
        }
        Event::Unseen { canary } => {
            if let Some((set, _)) = some_replica(sim, *canary) {
                sim.docker.unseen.insert(set);
            }
        }
        Event::Paused { canary } => {
            if let Some((set, ordinal)) = some_replica(sim, *canary) {
                sim.docker.pause(&set, ordinal);
            }
        }
        Event::Well => {
            sim.docker.unpause();
            sim.docker.ill.clear();
            sim.docker.unseen.clear();
        }
        Event::Refused(n, fault) => refuse(sim, &format!("v{n}"), *fault),
        Event::Errors(bad, all) => sim.users.extra(*bad, *all),
        Event::Rate(rate) => sim.users.rate = f64::from(*rate),
        Event::Conduct(n, conduct) => drop(sim.docker.conduct.insert(format!("v{n}"), conduct_of(conduct))),
        Event::Image(state) => sim.image(state.clone()),
        Event::Replicas(n) => edit_and_save(sim, |m| m.app.replicas = *n),
        Event::Stages(weights) => edit_and_save(sim, |m| m.stages = stages(weights)),
        Event::Checks(max) => edit_and_save(sim, |m| m.checks = vec![errors(*max)]),
        Event::OnInconclusive(what) => edit_and_save(sim, |m| m.analysis.on_inconclusive = *what),
        Event::Gone { confirmed } => sim.world.desired = Desired::Gone { since: sim.now, confirmed: *confirmed },
        Event::Unreadable => sim.world.desired = Desired::Unknown,
        Event::Silent(silent) => sim.users.silent = silent.then(|| (sim.now, "unreadable".to_owned())),
        Event::Engine(answers) => {
            sim.world.engine.unreachable = (!answers).then(|| "gone".to_owned());
            sim.world.engine.asking = false;
        }
        Event::EngineStops(errors) => {
            sim.world.engine.unreachable = Some("gone".to_owned());
            sim.users.extra(*errors, *errors);
            sim.docker.end_with_engine(sim.now);
        }
        Event::Asking(asking) => sim.world.engine.asking = *asking,
        Event::Journal(writable) => sim.world.journal_trouble = (!writable).then(|| "no space left".to_owned()),
        Event::Gateway { refuses, delay } => {
            sim.nginx.problem = refuses.then(|| "refused".to_owned());
            sim.nginx.delay = Duration::from_secs(*delay);
        }
        Event::OldWorkers(n) => sim.nginx.old_workers = *n,
        Event::LoweredOffline => sim.nginx.lower_offline(),
        Event::Slots(free) => (sim.world.slots.may_move, sim.world.slots.may_start) = (*free, *free),
        Event::Kill(spared) => sim.kill = Some(*spared),
        Event::Late => sim.late = true,
        Event::Clock(seconds) => sim.now += jiff::SignedDuration::from_secs(*seconds),
    }
}

fn refuse(sim: &mut Sim, version: &str, fault: Option<Fault>) {
    match fault {
        Some(fault) => {
            let what = format!("{fault:?} fault of {version}");
            sim.docker.refused.insert(version.to_owned(), (fault, what));
        }
        None => drop(sim.docker.refused.remove(version)),
    }
}

fn edit_and_save(sim: &mut Sim, edit: impl Fn(&mut canaryd_rollout::Rollout)) {
    edit(&mut sim.manifest);
    if let Desired::Ready(_) = sim.world.desired {
        sim.save();
    }
}

fn conduct_of(conduct: &Conduct) -> crate::sim::docker::Conduct {
    let good = crate::sim::docker::Conduct::default();
    match conduct {
        Conduct::Good => good,
        Conduct::Slow => crate::sim::docker::Conduct { boot: Some(Duration::from_secs(4)), ..good },
        Conduct::Never => crate::sim::docker::Conduct { boot: None, ..good },
        Conduct::Dies => crate::sim::docker::Conduct { dies: Some(Duration::from_secs(2)), ..good },
        Conduct::Fails => crate::sim::docker::Conduct { fails: Some(3), ..good },
    }
}

/// Running replicas of the app's lane.
fn replicas(sim: &Sim, canary: bool) -> Vec<(SetId, u32)> {
    let set = if canary { sim.memory.canary_set() } else { sim.memory.production_app_set() };
    let view = set.and_then(|set| sim.docker.set(&set).cloned());
    view.into_iter().flat_map(|v| v.replicas.iter().map(|r| (v.id.clone(), r.ordinal)).collect::<Vec<_>>()).collect()
}

fn some_replica(sim: &Sim, canary: bool) -> Option<(SetId, u32)> {
    replicas(sim, canary).into_iter().next()
}

/// Everything around is well again.
pub(crate) fn heal(sim: &mut Sim) {
    sim.docker.conduct.clear();
    sim.docker.unpause();
    sim.docker.ill.clear();
    sim.docker.refused.clear();
    sim.docker.unseen.clear();
    sim.users.silent = None;
    (sim.world.engine.unreachable, sim.world.engine.asking) = (None, false);
    sim.world.journal_trouble = None;
    (sim.world.slots.may_move, sim.world.slots.may_start) = (true, true);
    (sim.nginx.problem, sim.nginx.delay, sim.nginx.old_workers) = (None, Duration::ZERO, 0);
    sim.image(ImageState::Present { id: "sha256:1".to_owned() });
}
