//! canaryd: the real daemon, with stages of seconds.

use std::time::Duration;

use canaryd_e2e::{Scene, load};
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
    Harm::of(&[kept.stop().await, new.stop().await])
}
