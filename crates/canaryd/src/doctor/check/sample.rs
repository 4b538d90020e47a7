//! A host on which all is well, for tests to spoil.

use std::net::SocketAddr;

use canaryd_engine::{Checkup, EngineInfo, GatewayCheck, NetworkCheck, RunState};
use canaryd_gateway::NginxVersion;
use canaryd_journal::{Examined, Soundness};
use canaryd_link::OnDisk;
use jiff::Timestamp;

use super::super::facts::{
    Answer, Dir, Disk, Docker, Facts, Gateway, Journal, Kernel, NginxImage, Page, Process, Socket, SocketFile, State,
    Watched,
};
use super::super::{Finding, Level};

pub(super) fn healthy() -> Facts {
    let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let root = Process { pid: 1, uids: [0; 3], may_kill: true, files: Some((1_024, Some(12))) };
    Facts {
        version: "0.1.0".into(),
        now,
        me: root.clone(),
        socket: Socket {
            path: "/run/canaryd/canaryd.sock".into(),
            file: Some(SocketFile {
                is_socket: true,
                uid: 0,
                owner: "root".into(),
                group: "canaryd".into(),
                mode: 0o660,
            }),
            answer: Answer::Page(page()),
        },
        state: Some(state(&root, now)),
        docker: Ok(docker(now)),
        gateways: vec![gateway()],
        watch: vec![Watched { path: "/etc/canaryd/manifests".into(), directories: Ok(1), manifests: 1 }],
        kernel: Kernel {
            inotify_watches: Some(65_536),
            inotify_instances: Some(128),
            memory: Some((8 << 30, 4 << 30)),
        },
    }
}

/// The same host, after one thing was made worse.
pub(super) fn spoiled(spoil: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = healthy();
    spoil(&mut facts);
    facts
}

fn page() -> Page {
    Page {
        version: "0.1.0".into(),
        since: "2026-11-27T10:00:00Z".parse().unwrap(),
        instance: "0123456789abcdef".into(),
        state: Some("/var/lib/canaryd".into()),
        watch: vec!["/etc/canaryd/manifests".into()],
        dry_run: false,
        rollouts: 1,
        errors: 0,
        warnings: 0,
        safe_mode: None,
    }
}

fn state(root: &Process, now: Timestamp) -> State {
    State {
        path: "/var/lib/canaryd".into(),
        dir: Some(Dir { is_directory: true, uid: 0, owner: "root".into(), mode: 0o700, readable: true }),
        disk: Some(Disk { free: 20 << 30, total: 50 << 30, inodes_free: 900_000, inodes: 1_000_000, read_only: false }),
        holder: Some(Process { pid: 77, ..root.clone() }),
        journal: Journal::Found(Box::new(Examined {
            size: 1 << 20,
            wal: 1 << 20,
            format: 1,
            known: 1,
            instance: "0123456789abcdef".into(),
            plain: Some("0123456789abcdef".into()),
            soundness: Soundness::Sound,
            newest_event: Some(now),
            memories: vec![("shop".into(), serde_json::to_string(&canaryd_planner::Memory::default()).unwrap())],
        })),
    }
}

fn docker(now: Timestamp) -> Docker {
    let check =
        NetworkCheck { name: "canaryd-shop".into(), subnet: "172.31.0.0/24".parse().unwrap(), collisions: Vec::new() };
    Docker {
        info: EngineInfo {
            name: "vm".into(),
            version: "29.1.0".into(),
            api: "1.52".into(),
            endpoint: "unix:///var/run/docker.sock".into(),
            memory_total: 8 << 30,
            cpus: 2,
            storage: "overlay2".into(),
            os: "Debian".into(),
            architecture: "x86_64".into(),
            cgroup: "2".into(),
            rootless: false,
            virtual_machine: false,
            live_restore: true,
        },
        from: "the default".into(),
        checkup: Ok(Checkup {
            clock: Some(now),
            our_clock: now,
            networks: vec![check],
            free_subnets: Checkup::ENOUGH_SUBNETS,
            gateways: Vec::new(),
            killed_for_memory: Vec::new(),
        }),
        images: vec![NginxImage {
            reference: "nginx:stable".into(),
            wanted_by: Some("shop".into()),
            present: true,
            version: Some(NginxVersion::new(1, 30, 4)),
        }],
    }
}

fn gateway() -> Gateway {
    let place: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    Gateway {
        rollout: "shop".parse().unwrap(),
        container: Some(GatewayCheck {
            rollout: "shop".parse().unwrap(),
            name: "shop-gateway".into(),
            id: "abc".into(),
            state: RunState::Running,
            pid: Some(99),
            addr: "172.31.0.2".parse().ok(),
            ops_port: Some(32_768),
            published: vec![place],
            old_workers: Some(0),
        }),
        disk: Some(OnDisk { current: "1.4".parse().ok(), twin: true }),
        live: Some(Ok("1.4".parse().unwrap())),
        as_asked: Some(true),
        stopped: false,
        silent: Vec::new(),
        taken: Vec::new(),
        master: Some(Process { pid: 99, uids: [10_001; 3], may_kill: false, files: None }),
        routed: Some(true),
    }
}

/// That finding is the only one that is not good, with this level and these words; it says what it means or how it is
/// mended.
pub(super) fn only(facts: &Facts, item: &str, level: Level, words: &[&str]) {
    let findings = super::check(facts);
    let bad: Vec<&Finding> = findings.iter().filter(|f| f.level != Level::Ok).collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    found(facts, item, level, words);
}

/// There is such a finding.
pub(super) fn found(facts: &Facts, item: &str, level: Level, words: &[&str]) {
    let findings = super::check(facts);
    let text = |f: &Finding| {
        let parts = [Some(&f.said), f.means.as_ref(), f.mend.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" | ")
    };
    let fits = |f: &&Finding| f.item == item && f.level == level && words.iter().all(|word| text(f).contains(word));
    let fit = findings.iter().find(fits).unwrap_or_else(|| panic!("no {item} {level:?} {words:?}: {findings:#?}"));
    assert!(level == Level::Ok || fit.means.is_some() || fit.mend.is_some(), "{fit:?}");
}
