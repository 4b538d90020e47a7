//! Many changes at once, slow writers, and none at all.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use canaryd_source::{DirectorySource, Listing};

use crate::room::Room;

/// Wake-ups until it is still.
async fn wakes_of(room: &mut Room) -> usize {
    let mut n = 0;
    while !room.is_still().await {
        n += 1;
    }
    n
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_changes_is_one_wake_up() {
    let mut room = Room::new().await;
    for n in 0..50 {
        room.write(&format!("manifests/{n}.yaml"), "x");
    }
    let n = wakes_of(&mut room).await;
    assert!((1..=2).contains(&n), "{n} wake-ups");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writes_wake_twice_a_second_at_most_and_the_last_one_is_read() {
    let mut room = Room::new().await;
    let path = room.path("manifests/shop.yaml");
    let start = Instant::now();
    let storm = std::thread::spawn(move || {
        for n in 1..=1_000 {
            std::fs::write(&path, format!("storm {n}")).expect("written");
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let mut n = 0;
    loop {
        if !room.is_still().await {
            n += 1;
        } else if storm.is_finished() {
            break;
        }
    }
    let most = start.elapsed().as_millis() / 500 + 2;
    assert!(n >= 2 && n <= most, "{n} wake-ups, at most {most} expected");
    let listing = room.list().await;
    assert_eq!(room.text(&listing, "manifests/shop.yaml"), Some("storm 1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_wakes_nobody() {
    let mut room = Room::new().await;
    for _ in 0..20 {
        room.list().await;
    }
    assert!(room.is_still().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_written_beside_the_manifests_wakes_nobody() {
    let mut room = Room::new().await;
    let mut log = File::create(room.path("manifests/access.log")).expect("a log");
    for _ in 0..100 {
        log.write_all(b"GET /\n").expect("written");
    }
    drop(log);
    room.write("manifests/.env.local", "A=1");
    assert!(room.is_still().await);
}

/// Writes the first half, keeps the file open for `pause`, writes the rest.
fn write_slowly(room: &Room, pause: Duration) -> std::thread::JoinHandle<()> {
    let path = room.path("manifests/shop.yaml");
    let mut file = File::create(path).expect("truncated");
    file.write_all(b"first half, ").expect("written");
    std::thread::spawn(move || {
        std::thread::sleep(pause);
        file.write_all(b"second half").expect("written");
    })
}

const WHOLE: &str = "first half, second half";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_being_written_is_not_read_by_halves() {
    let mut room = Room::new().await;
    let writer = write_slowly(&room, Duration::from_millis(250));
    let is_whole = |room: &Room, listing: &Listing| {
        let text = room.text(listing, "manifests/shop.yaml");
        assert!(text == Some(WHOLE), "read {text:?}");
        true
    };
    room.within(crate::room::A_SECOND, "the whole file", is_whole).await;
    writer.join().expect("it wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nobody_closes_is_read_after_half_a_second_all_the_same() {
    let mut room = Room::new().await;
    let writer = write_slowly(&room, Duration::from_secs(3));
    room.becomes("manifests/shop.yaml", "first half, ").await;
    writer.join().expect("it wrote");
    room.becomes("manifests/shop.yaml", WHOLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_ends_with_the_source() {
    let room = Room::new().await;
    let Room { source, mut wakes, .. } = room;
    drop(source);
    let end = tokio::time::timeout(Duration::from_secs(1), wakes.recv()).await;
    assert_eq!(end, Ok(None));
}

#[tokio::test]
async fn the_first_wake_up_comes_at_once() {
    let (_source, mut wakes) = DirectorySource::start(vec!["/nowhere/at/all".into()]);
    let first = tokio::time::timeout(Duration::from_millis(500), wakes.recv()).await;
    assert_eq!(first, Ok(Some(())));
}
