//! How a configuration changes: refused, put back, rotated under load.

use std::time::Duration;

use canaryd_e2e::http::get;
use canaryd_e2e::{Bench, load};
use canaryd_gateway::{AccessLine, Lane};
use canaryd_link::{LinkError, Master};
use canaryd_telemetry::{Rotation, Tail};

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_nginx_refuses_changes_nothing_and_says_why() {
    let mut bench = Bench::start(11, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    let good = bench.split(0.0).await.generation;
    bench.until("replicas answer", async || get(bench.port, "/").await.status == 200).await;
    let load = load(bench.port, 100.0, true);
    bench.settings.spec.snippets.location = Some("no_such_directive on;".to_owned());
    let refused = bench.try_split(50.0, true).await.unwrap_err();
    assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("unknown directive \"no_such_directive\""), "{refused}");
    assert_eq!(bench.link.current(), Some(good), "nothing was swapped");
    let put_back = bench.try_split(50.0, false).await.unwrap_err();
    assert!(matches!(put_back, LinkError::NotLive { put_back: true, .. }), "{put_back:?}");
    assert!(put_back.to_string().contains("no_such_directive"), "{put_back}");
    assert_eq!(bench.link.current(), Some(good), "the last good one is back: a restart of NGINX finds it");
    assert_eq!(bench.link.ops().generation().await.unwrap(), good);
    bench.settings.spec.snippets.location = Some("add_header X-Mine yes;".to_owned());
    bench.split(100.0).await;
    assert_eq!(get(bench.port, "/").await.header("X-Mine"), "yes");
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_loses_no_line() {
    let mut bench = Bench::start(12, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.split(0.0).await;
    bench.until("replicas answer", async || get(bench.port, "/any/ready").await.status == 200).await;
    let path = bench.link.log_dir().join("access.log");
    let mut tail = Tail::open(path.clone(), None);
    let mut lines = 0;
    let mut read = |tail: &mut Tail| {
        let batch = tail.read(usize::MAX, |line| AccessLine::parse(line).ok()).unwrap();
        assert_eq!((batch.bad, batch.lost), (0, None));
        lines += batch.lines.iter().filter(|l| l.path == "/" || l.path == "/echo").count() as u64;
        lines
    };
    read(&mut tail);
    let load = load(bench.port, 300.0, true);
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Rotation::default().rotate(&path).unwrap();
        bench.master().reopen().await.unwrap();
        read(&mut tail);
    }
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    bench.until("every line", async || read(&mut tail) >= report.sent).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(read(&mut tail), report.sent, "each request is one line, read once");
}
