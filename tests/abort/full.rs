//! A full disk: nothing can be written, neither journal nor access log, and a version is taken off as quickly as ever. When
//! there is room again, everything goes on and nothing is forgotten.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Scene, load, promised, remove_leftovers};
use canaryd_planner::{Outcome, Report, Verb, Waiting};
use canaryd_rollout::Weight;

use super::{expect_no_get_failed, is_at_a_quarter, now};

const NAME: &str = "abort-full";

fn says_that_it_cannot_write(report: &Report) -> bool {
    report.waiting.iter().any(|w| matches!(w, Waiting::Trouble { why } if why.contains("journal cannot be written")))
}

/// Notes when the configuration of the gateway becomes another one: its access log cannot tell while the disk is full.
pub(super) struct Symlink {
    changed: Arc<Mutex<Option<f64>>>,
    over: Arc<AtomicBool>,
}

impl Symlink {
    pub(super) fn watch(scene: &Scene) -> Self {
        let link = scene.gateway_dir().join("conf/current");
        let (changed, over) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let read = |link: &Path| std::fs::read_link(link).unwrap();
        let before = read(&link);
        let (note, end) = (Arc::clone(&changed), Arc::clone(&over));
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if link.exists() && read(&link) != before {
                    *note.lock().unwrap() = Some(now());
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { changed, over }
    }
    pub(super) fn changed(&self) -> Option<f64> {
        *self.changed.lock().unwrap()
    }
}

impl Drop for Symlink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The disk is filled while this version is at 25 %, and the daemon has noticed.
pub(super) async fn full_at_a_quarter(scene: &mut Scene, version: &str, environment: &[(&str, &str)]) {
    scene.release(version, environment);
    scene.until("a quarter", is_at_a_quarter).await;
    scene.host.disk().fill();
    scene.until("it says so", says_that_it_cannot_write).await;
    // Whatever became free meanwhile.
    scene.host.disk().fill();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_abort_and_crash_lower_within_a_second_and_with_room_again_everything_goes_on() {
    remove_leftovers(NAME);
    let Some(host) = Host::start_on_small_disk("24M").await else {
        eprintln!("skipped: a small disk can only be mounted as root");
        return;
    };
    let mut scene = Scene::begin_on(host, NAME, &[], |m| m.stages(&[(25.0, 3), (100.0, 1)])).await;
    an_abort_is_heeded_at_once(&mut scene).await;
    a_crash_is_heeded_at_once(&mut scene).await;
    a_good_version_waits_and_goes_on(&mut scene).await;
    let kinds = scene.kinds().await;
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("aborted"), told("reverted"), told("promoted")), (1, 1, 2), "{kinds:?}");
    expect_no_get_failed(&scene);
}

async fn an_abort_is_heeded_at_once(scene: &mut Scene) {
    full_at_a_quarter(scene, "v2", &[]).await;
    let asked = Instant::now();
    let answer = scene.host.command(NAME, Verb::Abort).await;
    assert!(answer.accepted && answer.message.contains("not recorded"), "{}", answer.message);
    scene.until("it is at 0 %", |r| r.live_weight == Weight::ZERO).await;
    println!("aborted on a full disk: at 0 % after {} ms", asked.elapsed().as_millis());
    assert!(asked.elapsed().as_secs_f64() < promised(1.0), "{:?}\n{}", asked.elapsed(), scene.host.log());
    scene.host.disk().free();
    scene.host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    scene.expect_production_untouched();
    scene.until("there is nothing to complain of", |r| !says_that_it_cannot_write(r)).await;
}

async fn a_crash_is_heeded_at_once(scene: &mut Scene) {
    // It has 25 requests a second and ends at the first second with 60.
    let fault = [("FAULT", "exit"), ("FAULT_FROM", "rate:60")];
    full_at_a_quarter(scene, "v3", &fault).await;
    let symlink = Symlink::watch(scene);
    let canary = scene.host.of_version(NAME, "app", "v3").remove(0).id;
    let port = scene.port();
    let rush = load(port, 400.0, false);
    let died = scene.deaths.of(&canary).await;
    scene.until("it is at 0 %", |r| r.live_weight == Weight::ZERO).await;
    let lowered = symlink.changed().expect("it was swapped") - died;
    println!("crashed on a full disk: lowered after {:.0} ms", lowered * 1e3);
    assert!(lowered < promised(1.0), "{lowered:.3} s\n{}", scene.host.log());
    let _ = rush.stop().await;
    scene.host.disk().free();
    let ended = scene.host.expect_outcome(NAME, "v3", Outcome::Reverted).await;
    assert!(ended.reason.contains("exit code 1"), "{ended:?}");
    scene.until("what it said is saved", |_| scene.bundles().len() == 1).await;
    scene.expect_production_untouched();
    scene.expect_it_stays_off().await;
}

async fn a_good_version_waits_and_goes_on(scene: &mut Scene) {
    full_at_a_quarter(scene, "v4", &[]).await;
    scene.stays(Duration::from_secs(5), "it gets no more while nothing can be written", is_at_a_quarter).await;
    scene.host.disk().free();
    scene.host.expect_outcome(NAME, "v4", Outcome::Promoted).await;
    scene.host.until_serving(NAME, "v4").await;
}
