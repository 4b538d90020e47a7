//! Histories of restarts and undos whose new workers cannot be started, or do not get healthy, with kills in between.

use std::time::Duration;

use canaryd_planner::{Fault, RunState, Verb};
use canaryd_rollout::{CanaryReplicas, ComponentName};

use crate::chance::{Dice, heal};
use crate::sim::Sim;
use crate::sim::docker::{Conduct, of};
use crate::sim::manifest::component;

const R: usize = 3;

/// v2 is in production with three workers, v1 is kept.
pub(crate) fn promoted() -> Sim {
    let mut sim = Sim::installed(|m| {
        m.workers = vec![component("mail", 3)];
        m.workers[0].canary_replicas = CanaryReplicas::Fixed(1);
        m.promotion.keep_previous = Duration::from_secs(15);
        m.promotion.keep_failed = Duration::from_secs(15);
    });
    sim.users.rate = 200.0;
    sim.patience = 600;
    sim.apply("v2");
    sim.until("v2", |s| s.production().as_deref() == Some("v2") && s.is_idle());
    sim
}

/// Lives through one history; at every look R workers run, whatever of.
pub(crate) fn live(sim: &mut Sim, dice: &mut Dice) {
    let mail: ComponentName = "mail".parse().unwrap();
    for _ in 0..14 {
        let name = of(&mail, dice.pick(&["v1", "v2"]));
        match dice.roll(8) {
            0 | 1 => drop(sim.send(Verb::Restart, None)),
            2 => drop(sim.send(Verb::Undo, None)),
            3 => drop(sim.docker.refused.insert(name, (Fault::Host, "no such mount".to_owned()))),
            4 => drop(sim.docker.refused.remove(&name)),
            5 => {
                let boot = dice.pick(&[None, Some(Duration::from_secs(4))]);
                sim.docker.conduct.insert(name, Conduct { boot, ..Conduct::default() });
            }
            6 => sim.kill = Some(usize::try_from(dice.roll(4)).unwrap()),
            _ => drop(sim.docker.conduct.remove(&name)),
        }
        look(sim, 1 + dice.roll(25));
    }
    heal(sim);
    look(sim, 60);
    assert!(sim.memory.at_work().is_empty(), "old workers are not let go: {}", sim.why());
    let version = sim.production().unwrap();
    assert_eq!(sim.docker.running(&mail, &version).len(), R, "{}", sim.why());
    assert_eq!(running(sim), R, "workers of more than production run");
}

fn look(sim: &mut Sim, seconds: u64) {
    for _ in 0..seconds {
        sim.tick();
        assert!(running(sim) >= R, "{} of {R} workers run: {}", running(sim), sim.why());
    }
}

fn running(sim: &Sim) -> usize {
    let sets = sim.docker.sets.iter().filter(|set| !set.component.is_app());
    sets.flat_map(|set| &set.replicas).filter(|replica| replica.state == RunState::Running).count()
}
