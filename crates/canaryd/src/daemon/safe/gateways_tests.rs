//! Lowering without a journal, on a gateway that is files, a fake engine, and a port that says what is live.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canaryd_engine::ObservedGateway;
use canaryd_gateway::{Endpoint, Intent, Lane, Traffic};
use canaryd_rollout::{SetId, Weight};
use tempfile::TempDir;

use super::{Gateways, Told};
use crate::daemon::bells::lock;
use crate::daemon::fake::{FakeEngine, gateway};

/// A state directory with the gateway of `shop`, which runs.
struct Place {
    state: TempDir,
    engine: Arc<FakeEngine>,
    gateways: Gateways,
}

impl Place {
    async fn with(live: &Intent) -> Self {
        let state = tempfile::tempdir().unwrap();
        lay_out(&state.path().join("gateways/shop"), live);
        Self::of(state).await
    }

    /// NGINX starts on what is there.
    async fn of(state: TempDir) -> Self {
        let engine = Arc::new(FakeEngine::default());
        let ops_port = Some(engine.nginx.start(state.path().join("gateways/shop")).await);
        lock(&engine.gateways).push(ObservedGateway { ops_port, ..gateway("shop") });
        let mut gateways = Gateways::of(state.path(), None);
        gateways.engine = Some(Arc::<FakeEngine>::clone(&engine));
        Self { state, engine, gateways }
    }

    fn current(&self) -> PathBuf {
        fs::read_link(self.state.path().join("gateways/shop/conf/current")).unwrap()
    }

    fn told(&self) -> Told {
        self.gateways.told().remove(0)
    }

    fn signals(&self) -> u32 {
        *lock(&self.engine.nginx.hups)
    }
}

/// Generation 1.1 with its twin, as a daemon leaves them.
fn lay_out(dir: &Path, live: &Intent) {
    for generation in ["1.1", "1.1t"] {
        let home = dir.join("conf/generations").join(generation);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("nginx.conf"), generation).unwrap();
    }
    fs::create_dir_all(dir.join("intents")).unwrap();
    fs::write(dir.join("intents/1.1.json"), serde_json::to_vec(live).unwrap()).unwrap();
    let secrets = r#"{ "ops_token": "a", "force_token": "b", "client_salt": "c", "instance": "one" }"#;
    fs::write(dir.join("secrets.json"), secrets).unwrap();
    symlink("generations/1.1", dir.join("conf/current")).unwrap();
    symlink("generations/1.1t", dir.join("conf/go-1.1t")).unwrap();
}

fn intent(percent: &str, lanes: &[Lane]) -> Intent {
    let endpoint = |n| vec![Endpoint { set: SetId::nth(n), ordinal: 1, addr: IpAddr::from([10, 0, 0, 1]), port: 80 }];
    let lanes: BTreeMap<Lane, Vec<Endpoint>> = lanes.iter().zip(1..).map(|(lane, n)| (*lane, endpoint(n))).collect();
    let canary: Weight = percent.parse().unwrap();
    Intent { seq: 1, traffic: Traffic::Split { canary }, lanes, precaution: false }
}

fn quarter() -> Intent {
    intent("25", &[Lane::Production, Lane::Canary])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_lowered_by_its_twin_at_once_and_the_signal_goes_through_docker_where_it_must() {
    let mut place = Place::with(&quarter()).await;
    place.gateways.lower();
    assert!(place.current().ends_with("1.1t"), "before anybody is asked");
    assert_eq!(place.signals(), 0);
    let told = place.told();
    assert!(!told.at_zero && told.text.contains("docker kill -s HUP shop-gateway"), "{told:?}");
    place.gateways.look().await;
    assert_eq!(place.signals(), 1, "no NGINX that this process can see has this directory");
    for _ in 0..3 {
        place.gateways.look().await;
        let told = place.told();
        assert!(told.at_zero && told.text.ends_with("its canary was taken to 0 %"), "{told:?}");
    }
    assert_eq!(place.signals(), 1, "what is proven is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_it_is_lowered_on_disk_and_proven_when_one_answers() {
    let mut place = Place::with(&quarter()).await;
    *lock(&place.engine.away) = true;
    for _ in 0..3 {
        place.gateways.look().await;
    }
    assert!(place.current().ends_with("1.1t") && !place.told().at_zero, "{:?}", place.told());
    *lock(&place.engine.away) = false;
    place.gateways.look().await;
    place.gateways.look().await;
    assert!(place.told().at_zero && place.signals() == 1, "{:?}", place.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_a_canary_nothing_is_not_touched() {
    let mut place = Place::with(&intent("0", &[Lane::Production, Lane::Canary])).await;
    place.gateways.look().await;
    assert!(place.current().ends_with("1.1") && place.signals() == 0);
    assert!(place.told().at_zero && place.told().text.contains("no canary had a share"), "{:?}", place.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_an_earlier_run_put_in_place_is_proven_and_not_signalled_again() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join("gateways/shop");
    lay_out(&dir, &quarter());
    fs::rename(dir.join("conf/go-1.1t"), dir.join("conf/current")).unwrap();
    let mut place = Place::of(state).await;
    place.gateways.look().await;
    assert!(place.told().at_zero && place.signals() == 0, "{:?}", place.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_answers_for_a_production_without_a_container_stays_and_that_is_said() {
    let mut lonely = quarter();
    lonely.traffic = Traffic::Split { canary: Weight::FULL };
    lonely.lanes.remove(&Lane::Production);
    let mut place = Place::with(&lonely).await;
    place.gateways.look().await;
    assert!(place.current().ends_with("1.1") && place.signals() == 0);
    let told = place.told();
    assert!(!told.at_zero && told.text.contains("nobody would be answered"), "{told:?}");
}
