//! canaryd: the real daemon, with stages of seconds.

use std::time::Duration;

use canaryd_e2e::{Scene, load};
use canaryd_gateway::{AccessLine, Lane, Route};
use canaryd_planner::Outcome;

use super::{BOOT, Harm, Release};

pub(super) async fn release(release: Release) -> Harm {
    let stages = [(1.0, 3), (5.0, 3), (25.0, 3), (100.0, 3)];
    let name = format!("bench-{}", release.name());
    let mut scene = Scene::begin_as(&name, &[BOOT], |manifest| manifest.stages(&stages)).await;
    let loads = [load(scene.port(), 50.0, true), load(scene.port(), 50.0, false)];
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.release("v2", release.env());
    let wanted = if release == Release::Good { Outcome::Promoted } else { Outcome::Reverted };
    let ended = scene.host.until_ended(&name, "v2").await;
    if ended.outcome != wanted {
        eprintln!("    the end was {:?}: {}", ended.outcome, ended.reason);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let [kept, new] = loads;
    let harm = Harm::of(&[kept.stop().await, new.stop().await]);
    let off = off_after(&scene, release).await;
    Harm { lasted: off.or(harm.lasted), ..harm }
}

/// From the first answer of the bad version that was none, or from its death, to the first request that was routed by the
/// configuration without it: the access log and Docker's clock know better than users, who may have noticed nothing.
async fn off_after(scene: &Scene, release: Release) -> Option<Duration> {
    let lines = scene.access();
    let bad = |line: &&AccessLine| {
        let failed = line.attempts.iter().any(|attempt| attempt.status.is_none_or(|status| status >= 500));
        line.route == Route::Drawn(Lane::Canary) && failed
    };
    let began = match release {
        Release::Good => return None,
        Release::Errors => lines.iter().find(bad)?.time,
        Release::Crash => scene.deaths.of(scene.canaries().first()?).await,
    };
    let without = lines.iter().filter(|line| line.generation.is_twin()).map(|line| line.time - line.request_time);
    let off = without.filter(|at| *at >= began).fold(f64::MAX, f64::min);
    Duration::try_from_secs_f64(off - began).ok()
}
