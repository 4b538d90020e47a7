//! Commands that only look.

use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, canaryd, demo_image, docker, load};
use canaryd_rollout::Weight;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{json, no, yes};

const SLOW: [(f64, u64); 3] = [(10.0, 300), (50.0, 300), (100.0, 300)];

/// A command that goes on; its lines.
async fn first_lines(host: &Host, args: &[&str], done: impl Fn(&str) -> bool) -> String {
    let mut child = Command::new(canaryd())
        .args(args)
        .arg("--socket")
        .arg(host.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = String::new();
    let read = async {
        while !done(&seen) {
            let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("{args:?} ended: {seen}"));
            seen.push_str(&(line + "\n"));
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), read).await;
    assert!(in_time.is_ok(), "{args:?}: {seen}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_true_readable_in_a_pipe_and_json_where_asked() {
    let app = demo_image("gate-look", "v1", &[]);
    demo_image("gate-look", "v2", &[]);
    let host = Host::start().await;
    let empty = yes(&host, &["status"]).await;
    assert!(empty.contains("no rollouts yet") && empty.contains("kind: Rollout"), "how to begin: {empty}");
    let unknown = no(&host, 2, &["status", "gate-lok"]).await;
    assert!(unknown.contains("there is no rollout \"gate-lok\""), "{unknown}");
    let manifest = Manifest::new("gate-look", &app, "v1", 22_500).stages(&SLOW);
    host.write("look.yaml", &manifest.yaml());
    host.until_serving("gate-look", "v1").await;
    statuses(&host).await;
    plans(&host, &manifest).await;
    until_steady(22_500).await;
    let load = load(22_500, 50.0, true);
    host.write("look.yaml", &manifest.clone().version("v2").yaml());
    let counted = |r: &canaryd_planner::Report| r.stages.iter().any(|s| s.requests > 5);
    host.until("gate-look", "requests are counted", counted).await;
    let (told, watched) = (yes(&host, &["status"]).await, yes(&host, &["follow", "gate-look", "--timeout", "1h"]));
    drop(watched);
    assert!(told.contains("1 moving") && told.contains("v2    10 %") && told.contains("stage 1 of 3"), "{told}");
    histories(&host).await;
    let explained = json(&host, &["explain", "gate-look", "errors"]).await;
    assert_eq!(explained[0]["name"], "errors");
    assert!(yes(&host, &["explain", "gate-look"]).await.contains("errors"));
    assert!(no(&host, 2, &["explain", "gate-look", "nonsense"]).await.contains("checks: errors"));
    drop(load);
}

async fn statuses(host: &Host) {
    let table = yes(host, &["status"]).await;
    let machine = host.client().await.status().await.unwrap().host;
    assert!(table.starts_with(&format!("{machine}: 1 rollout, none moves")), "{table}");
    for word in ["NAME", "USERS GET", "ON TRIAL", "STATE", "gate-look", "v1   100 %", "serving"] {
        assert!(table.contains(word), "{word:?}: {table}");
    }
    let wide = yes(host, &["status", "--output", "wide"]).await;
    let revision = host.report("gate-look").await.unwrap().production.unwrap().revision.to_string();
    assert!(wide.contains(&revision) && wide.contains("undo: impossible"), "{wide}");
    let page = json(host, &["status"]).await;
    assert_eq!(page["rollouts"][0]["production"]["version"], "v1");
    assert_eq!(json(host, &["status", "gate-look"]).await["phase"], "idle");
    let one = yes(host, &["status", "gate-look"]).await;
    assert!(one.contains("gate-look on ") && one.contains("v1 serves all") && one.contains("you can"), "{one}");
    let followed = yes(host, &["follow", "gate-look"]).await;
    assert!(followed.contains("v1 serves all"), "idle: its status, and exit code 0: {followed}");
    for verb in ["status", "follow", "wait", "events", "logs", "explain", "pause", "abort", "rollback"] {
        let refused = no(host, 2, &[verb, "gate-lok"]).await;
        assert!(refused.contains("there is no rollout \"gate-lok\""), "{verb}: {refused}");
        assert!(refused.contains("did you mean gate-look?"), "{verb}: {refused}");
    }
    let ascii = yes(host, &["status", "--ascii"]).await;
    assert!(ascii.is_ascii(), "{ascii}");
}

async fn plans(host: &Host, manifest: &Manifest) {
    let ours = |what: &[&str]| {
        let all = docker(&[what, &["--no-trunc", "-q"]].concat());
        let mut ids: Vec<String> = all.lines().map(str::to_owned).collect();
        ids.sort();
        ids
    };
    let label = format!("label=io.canaryd.instance={}", host.instance());
    let seen = || (ours(&["ps", "-a", "--filter", &label]), ours(&["network", "ls", "--filter", &label]));
    let (before, memory) = (seen(), host.report("gate-look").await);
    let plan = host.path("next.yaml");
    std::fs::write(&plan, manifest.clone().version("v2").app("env: { NEW: hunter2 }").yaml()).unwrap();
    let path = plan.display().to_string();
    let text = yes(host, &["plan", &path]).await;
    assert!(
        text.starts_with("gate-look on ") && text.contains("v1 → v2 (nothing is changed by this command)"),
        "{text}"
    );
    for word in ["image", "env", "+ NEW", "memory", "1 start", "2 traffic", "3 finish", "note", "10 % 5m → 50 % 5m"] {
        assert!(text.contains(word), "{word:?}: {text}");
    }
    assert!(!text.contains("hunter2"), "values of variables are not shown: {text}");
    assert!(text.contains("requests/s") || text.contains("there is no traffic at present"), "{text}");
    let page = json(host, &["plan", &path]).await;
    assert_eq!((page[0]["from"].as_str(), page[0]["to"].as_str()), (Some("v1"), Some("v2")));
    cuts(host, manifest).await;
    std::fs::write(&plan, Manifest::new("gate-new", "no-such-image", "v9", 22_509).yaml()).unwrap();
    let text = yes(host, &["plan", &path]).await;
    assert!(text.contains("nothing → v9") && text.contains("install") && text.contains("no-such-image"), "{text}");
    std::fs::write(&plan, manifest.yaml().replace("port: 8000", "prot: 8000")).unwrap();
    let refused = no(host, 2, &["plan", &path]).await;
    assert!(refused.contains("next.yaml:8:5") && refused.contains('^') && refused.contains("port"), "{refused}");
    assert_eq!((seen(), host.report("gate-look").await), (before, memory), "a plan has no side effect");
    assert!(host.report("gate-new").await.is_none(), "and nothing is known of what was only planned");
}

/// Connections that are open now, and what needs a new container of the gateway.
async fn cuts(host: &Host, manifest: &Manifest) {
    let plan = host.path("cuts.yaml");
    std::fs::write(&plan, manifest.clone().version("v2").yaml().replace("22500", "22508")).unwrap();
    let path = plan.display().to_string();
    let mut stream = TcpStream::connect("127.0.0.1:22500").await.unwrap();
    stream.write_all(b"GET /sse?n=600&interval=100 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200", "an event stream is open");
    let page = json(host, &["plan", &path]).await;
    let connections = &page[0]["connections"];
    assert_eq!((connections["open"].as_u64(), connections["changes"].as_u64()), (Some(1), Some(4)), "{page:#}");
    assert_eq!(connections["cutAfter"].as_f64(), Some(300.0));
    let anew = &page[0]["replacement"];
    assert_eq!(anew["changes"][0], "ports 127.0.0.1:22500 → 127.0.0.1:22508");
    assert_eq!(anew["command"], "docker rm -f gate-look-gateway");
    assert!(anew["connections"].as_u64().is_some_and(|n| n >= 1), "{anew}");
    let text = yes(host, &["plan", &path]).await.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in ["still open 5m after a change are cut; 1 is open now", "nobody is answered for a second or two"] {
        assert!(text.contains(word), "{word:?}: {text}");
    }
}

async fn histories(host: &Host) {
    let all = yes(host, &["events", "gate-look"]).await;
    assert!(all.contains("gate-look  promoted: v1 is in production"), "{all}");
    let lines = yes(host, &["events", "--output", "json"]).await;
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(numbers.len() > 3 && numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let after = yes(host, &["events", "--after", &numbers[1].to_string(), "--limit", "1"]).await;
    assert_eq!(after.lines().count(), 1, "{after}");
    let followed = first_lines(host, &["events", "gate-look", "--follow"], |text| text.contains("stage-entered")).await;
    assert!(followed.contains("promoted"), "{followed}");

    let pair = [("canary", "v2"), ("production", "v1")];
    for (lane, version) in pair {
        let text = yes(host, &["logs", "gate-look", "--lane", lane, "--tail", "5"]).await;
        assert!(!text.is_empty() && text.lines().all(|line| line.starts_with("gate-look-app-")), "{lane}: {text}");
        assert!(text.contains(version), "{lane}: {text}");
    }
    let both = yes(host, &["logs", "gate-look"]).await;
    assert!(both.contains("v1") && both.contains("v2"), "{both}");
    let gateway = yes(host, &["logs", "gate-look", "--gateway", "--tail", "3"]).await;
    assert!(gateway.lines().count() <= 3 && gateway.contains("gate-look-gateway | "), "{gateway}");
    let began = Instant::now();
    first_lines(host, &["logs", "gate-look", "--gateway", "--follow"], |text| text.contains("gate-look-gateway")).await;
    assert!(began.elapsed() < Duration::from_secs(20));
    let (machine, weight) = (["status", "--watch"], Weight::try_from(50.0).unwrap());
    let watching = first_lines(host, &machine, |text| text.contains("50 %"));
    let (watched, _) = tokio::join!(watching, host.cli(&["advance", "gate-look"]));
    assert!(watched.contains("10 %") && !watched.contains('\u{1b}'), "{watched}");
    host.until("gate-look", "50 %", |r| r.live_weight == weight).await;
}
