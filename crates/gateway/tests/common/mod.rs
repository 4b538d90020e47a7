//! Settings and intents that several tests start from.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use canaryd_gateway::{Endpoint, Intent, Lane, NginxVersion, Settings, Traffic};
use canaryd_rollout::{Expose, Force, Gateway, Limits, Listen, ModeFrom, SetId, Snippets, Sticky, Weight};

pub fn bare() -> Settings {
    let limits = Limits {
        read_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_millis(500),
        body: 0,
        stream_timeout: Duration::from_secs(300),
    };
    let spec = Gateway {
        image: "nginx:stable".into(),
        listen: vec![Listen { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8080 }],
        aliases: vec![],
        networks: vec![],
        expose: Expose::default(),
        sticky: None,
        trusted_proxies: vec![],
        force: None,
        limits,
        snippets: Snippets::default(),
        workers: 2,
    };
    Settings {
        rollout: "shop".parse().expect("a legal name"),
        spec,
        app_port: 8000,
        mode: None,
        versions: BTreeMap::from([(Lane::Production, "v1".into()), (Lane::Canary, "v2".into())]),
        ops_token: "ops-token-0123456789".into(),
        force_token: None,
        client_salt: "salt-0123456789abcdef".into(),
        nginx: NginxVersion::new(1, 30, 4),
        relay_subnet: "10.77.0.0/24".into(),
        page: None,
    }
}

pub fn full() -> Settings {
    let mut settings = bare();
    settings.spec.aliases = vec!["app".into()];
    settings.spec.expose = Expose { production: Some(8000), canary: Some(8001) };
    settings.spec.sticky = Some(Sticky { cookie: "canary_id".into(), max_age: Duration::from_secs(86_400) });
    settings.spec.trusted_proxies = vec!["127.0.0.1".into(), "192.168.0.0/16".into(), "fd00::/8".into()];
    settings.spec.force = Some(Force { header: "X-Canary".into() });
    settings.force_token = Some("force-token-0123456789".into());
    settings.spec.snippets = Snippets {
        http: Some("map $uri $mine {\n    default 0;\n}".into()),
        server: Some("location = /robots.txt {\n    return 200 \"none\";\n}".into()),
        location: Some("add_header X-Mine $mine; # mine".into()),
    };
    settings.mode = Some(ModeFrom::Header("X-LLM-Mode".into()));
    settings
}

pub fn endpoint(set: u64, last: u8) -> Endpoint {
    Endpoint { set: SetId::nth(set), ordinal: u32::from(last), addr: Ipv4Addr::new(10, 77, 0, last).into(), port: 8000 }
}

pub fn intent(percent: f64, production: &[u8], canary: &[u8]) -> Intent {
    let lane = |set, list: &[u8]| list.iter().map(|last| endpoint(set, *last)).collect();
    let lanes = BTreeMap::from([(Lane::Production, lane(1, production)), (Lane::Canary, lane(2, canary))]);
    Intent {
        seq: 1,
        traffic: Traffic::Split { canary: Weight::try_from(percent).expect("legal") },
        lanes,
        precaution: false,
    }
}
