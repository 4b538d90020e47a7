//! A manifest as its author could have written it.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_rollout::{
    Analysis, CanaryReplicas, Check, CheckKind, Component, ComponentName, Container, Deadlines, Expose, Gateway,
    Health, ImageState, Limits, Listen, OnDelete, OnInconclusive, Order, Probe, Promotion, PullPolicy, RevisionId,
    Rollout, Snippets, Stage, Stop, Weight,
};

pub fn percent(text: &str) -> Weight {
    let number: f64 = text.trim_end_matches('%').parse().unwrap();
    Weight::try_from(number).unwrap()
}

pub fn stage(weight: Weight, observe: u64) -> Stage {
    Stage { weight, observe: Duration::from_secs(observe), max_duration: Duration::from_secs(4 * observe) }
}

pub fn errors(max: f64) -> Check {
    Check {
        name: "errors".to_owned(),
        mode: None,
        weight: 1.0,
        observe_only: false,
        kind: CheckKind::ErrorRate { max },
    }
}

/// Content and version go together here: "v2" always has the same revision.
pub fn revision(version: &str) -> RevisionId {
    let hash =
        version.bytes().fold(0x811c_9dc5_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0193) & 0xff_ffff_ffff);
    format!("{hash:010x}").parse().unwrap()
}

pub fn component(name: &str, replicas: u32) -> Component {
    Component {
        name: name.parse::<ComponentName>().unwrap(),
        image: "shop".to_owned(),
        pull: PullPolicy::Missing,
        replicas,
        canary_replicas: CanaryReplicas::Auto,
        port: (name == "app").then_some(8000),
        container: Container::default(),
        health: Health {
            probe: Probe::None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 3,
            startup: Duration::from_secs(10),
        },
        stop: Stop { grace: Duration::from_secs(1), drain: Duration::from_secs(3) },
        order: Order::StartFirst,
    }
}

/// Eight lines and the defaults, with stages of a minute.
pub fn rollout() -> Rollout {
    let listen = Listen { address: "127.0.0.1".parse().unwrap(), port: 8080 };
    Rollout {
        name: "shop".parse().unwrap(),
        origin: "shop.yaml:1".to_owned(),
        version: "v1".to_owned(),
        revision: revision("v1"),
        provisional: revision("v1"),
        images: BTreeMap::from([("shop".to_owned(), ImageState::Present { id: "sha256:1".to_owned() })]),
        app: component("app", 1),
        workers: Vec::new(),
        gateway: gateway(listen),
        stages: [1.0, 5.0, 25.0, 100.0].map(|w| stage(Weight::try_from(w).unwrap(), 60)).to_vec(),
        analysis: Analysis {
            alpha: 0.05,
            beta: 0.05,
            on_inconclusive: OnInconclusive::Pause,
            warmup: Duration::ZERO,
            mode: None,
        },
        checks: vec![errors(0.01)],
        deadlines: Deadlines { pull: Duration::from_secs(60), start: Duration::from_secs(20) },
        promotion: Promotion {
            keep_previous: Duration::from_secs(600),
            keep_failed: Duration::from_secs(600),
            rollback_window: None,
        },
        on_delete: OnDelete::Keep,
    }
}

fn gateway(listen: Listen) -> Gateway {
    Gateway {
        image: "nginx".to_owned(),
        listen: vec![listen],
        aliases: Vec::new(),
        networks: Vec::new(),
        expose: Expose::default(),
        sticky: None,
        trusted_proxies: Vec::new(),
        force: None,
        limits: Limits {
            read_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_millis(500),
            body: 0,
            stream_timeout: Duration::from_secs(300),
        },
        snippets: Snippets::default(),
        workers: 1,
    }
}
