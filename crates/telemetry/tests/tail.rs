//! The tail against real files: growing, renamed, cut, begun anew, read in any portions.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use canaryd_telemetry::{Batch, Rotation, Tail, TailState};
use proptest::prelude::*;
use tempfile::TempDir;

fn number(line: &str) -> Option<u64> {
    line.parse().ok()
}

fn read(tail: &mut Tail) -> Batch<u64> {
    tail.read(usize::MAX, number).unwrap()
}

fn log() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    (dir, path)
}

fn append(path: &Path, text: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text).unwrap();
}

/// As a restart of the daemon would: through JSON.
fn restarted(tail: &Tail, path: &Path) -> Tail {
    let json = serde_json::to_string(&tail.state()).unwrap();
    Tail::open(path.to_owned(), Some(serde_json::from_str::<TailState>(&json).unwrap()))
}

#[test]
fn a_log_that_is_not_there_yet_is_read_from_its_start_once_it_is() {
    let (_dir, path) = log();
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail), Batch { lines: vec![], bad: 0, lost: None, end_of_file: true });
    append(&path, b"1\n2\n");
    assert_eq!(read(&mut tail).lines, [1, 2]);
    assert_eq!(read(&mut tail).lines, [0_u64; 0]);
}

#[test]
fn a_line_without_its_end_waits_for_it_also_across_a_restart() {
    let (_dir, path) = log();
    append(&path, b"1\n23");
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail).lines, [1]);
    let mut again = restarted(&tail, &path);
    append(&path, b"45\n");
    assert_eq!(read(&mut tail).lines, [2345]);
    assert_eq!(read(&mut again).lines, [2345]);
}

#[test]
fn what_cannot_be_understood_is_counted_and_skipped() {
    let (_dir, path) = log();
    append(&path, b"1\nno number\n\xff\xfe\n\n2\n");
    append(&path, &vec![b'9'; 300_000]);
    append(&path, b"\n3\n");
    let mut tail = Tail::open(path.clone(), None);
    let batch = read(&mut tail);
    assert_eq!((batch.lines, batch.bad, batch.lost), (vec![1, 2, 3], 4, None));
    assert_eq!(read(&mut restarted(&tail, &path)).lines, [0_u64; 0], "a restart after a long line finds its place");
}

#[test]
fn an_overlong_line_at_the_place_of_a_restart_is_remembered() {
    let (_dir, path) = log();
    append(&path, &vec![b'9'; 300_000]);
    append(&path, b"\n");
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail).bad, 1);
    append(&path, b"3\n");
    let batch = read(&mut restarted(&tail, &path));
    assert_eq!((batch.lines, batch.bad, batch.lost), (vec![3], 0, None));
}

#[test]
fn invalid_utf8_reaches_the_parser_as_replacement_characters() {
    let (_dir, path) = log();
    append(&path, b"a\xffb\n");
    let batch = Tail::open(path, None).read(10, |line| Some(line.to_owned())).unwrap();
    assert_eq!(batch.lines, ["a\u{fffd}b"]);
}

#[test]
fn a_renamed_log_is_finished_before_the_new_one() {
    let (_dir, path) = log();
    append(&path, b"1\n");
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail).lines, [1]);
    let mut nginx = OpenOptions::new().append(true).open(&path).unwrap();
    nginx.write_all(b"2\n").unwrap();
    Rotation::default().rotate(&path).unwrap();
    nginx.write_all(b"3\n").unwrap();
    append(&path, b"5\n");
    assert_eq!(read(&mut tail).lines, [2, 3, 5]);
    nginx.write_all(b"4\n").unwrap();
    append(&path, b"6\n");
    assert_eq!(read(&mut tail).lines, [4, 6], "NGINX writes to the old file until it has reopened its logs");
}

#[test]
fn a_restart_between_rotations_resumes_in_the_renamed_file_and_loses_nothing() {
    let (_dir, path) = log();
    append(&path, b"1\n");
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail).lines, [1]);
    append(&path, b"2\n");
    for n in 3..=5 {
        Rotation { keep: 9, ..Rotation::default() }.rotate(&path).unwrap();
        append(&path, format!("{n}\n").as_bytes());
    }
    let mut again = restarted(&tail, &path);
    assert_eq!(read(&mut again).lines, [2, 3, 4, 5]);
    assert_eq!(read(&mut restarted(&again, &path)).lines, [0_u64; 0]);
    assert_eq!(read(&mut tail).lines, [2, 3, 4, 5], "several rotations between two reads lose nothing either");
}

#[test]
fn a_log_that_was_cut_is_read_from_its_start_and_that_is_told() {
    let (_dir, path) = log();
    append(&path, b"1\n2\n3\n");
    let mut tail = Tail::open(path.clone(), None);
    assert_eq!(read(&mut tail).lines, [1, 2, 3]);
    File::create(&path).unwrap().write_all(b"4\n").unwrap();
    let batch = read(&mut tail);
    assert_eq!(batch.lines, [4]);
    assert!(batch.lost.is_some());
    File::create(&path).unwrap().write_all(b"5\n6\n7\n8\n").unwrap();
    let batch = read(&mut tail);
    assert_eq!(batch.lines, [5, 6, 7, 8], "also when it has grown past the old place since");
    assert!(batch.lost.is_some());
}

#[test]
fn a_log_that_is_gone_after_a_restart_is_told_as_a_loss() {
    let (_dir, path) = log();
    append(&path, b"1\n");
    let mut tail = Tail::open(path.clone(), None);
    read(&mut tail);
    let mut again = restarted(&tail, &path);
    drop(tail);
    fs::rename(&path, path.with_file_name("elsewhere")).unwrap();
    append(&path, b"2\n");
    let batch = read(&mut again);
    assert_eq!(batch.lines, [2]);
    assert!(batch.lost.is_some());
    assert_eq!(read(&mut again).lost, None, "told once");
}

#[test]
fn another_file_under_the_same_inode_is_not_mistaken_for_the_old_one() {
    let (_dir, path) = log();
    append(&path, b"11\n22\n");
    let mut tail = Tail::open(path.clone(), None);
    read(&mut tail);
    // The same inode with other content of at least the same length.
    fs::write(&path, b"33\n44\n55\n").unwrap();
    let batch = read(&mut restarted(&tail, &path));
    assert_eq!(batch.lines, [33, 44, 55]);
    assert!(batch.lost.is_some());
}

#[test]
fn a_rotation_is_due_by_size_and_keeps_so_many() {
    let (dir, path) = log();
    let rotation = Rotation { max_bytes: 4, keep: 3 };
    assert!(!rotation.due(&path), "nothing there");
    rotation.rotate(&path).unwrap();
    for n in 1..=5 {
        append(&path, format!("{n}").as_bytes());
        assert!(!rotation.due(&path));
        append(&path, b"...");
        assert!(rotation.due(&path));
        rotation.rotate(&path).unwrap();
    }
    let kept = |n: u32| fs::read_to_string(dir.path().join(format!("access.log.{n}"))).ok();
    assert_eq!(
        [kept(1), kept(2), kept(3), kept(4)],
        [Some("5...".into()), Some("4...".into()), Some("3...".into()), None]
    );
}

#[test]
fn rotation_under_a_fast_writer_loses_no_line_and_doubles_none() {
    const LINES: u64 = 60_000;
    let (_dir, path) = log();
    append(&path, b"");
    let rotation = Rotation { max_bytes: 32 << 10, keep: 9 };
    let (rotated, reopen) = std::sync::mpsc::channel::<()>();
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || {
            let open = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
            let mut file = open();
            for n in 0..LINES {
                // NGINX writes some more lines into the renamed file before it heeds USR1.
                if n % 97 == 0 {
                    std::thread::sleep(Duration::from_micros(100));
                    if reopen.try_recv().is_ok() {
                        file = open();
                    }
                }
                file.write_all(format!("{n}\n").as_bytes()).unwrap();
            }
        })
    };
    let (mut tail, mut lines, mut turns) = (Tail::open(path.clone(), None), Vec::new(), 0_u32);
    let deadline = Instant::now() + Duration::from_mins(1);
    while (lines.len() as u64) < LINES && Instant::now() < deadline {
        let batch = tail.read(20_000, number).unwrap();
        assert_eq!((batch.bad, batch.lost), (0, None));
        lines.extend(batch.lines);
        turns += 1;
        if turns.is_multiple_of(7) {
            tail = restarted(&tail, &path);
        }
        // Until the writer has reopened there is no log, and so none that is due.
        if rotation.due(&path) {
            rotation.rotate(&path).unwrap();
            let _ = rotated.send(());
        }
    }
    writer.join().unwrap();
    lines.sort_unstable();
    assert_eq!(lines, (0..LINES).collect::<Vec<_>>());
    assert!(path.with_extension("log.1").exists(), "it was rotated at all");
}

#[tokio::test]
async fn a_written_line_wakes_the_waiting_reader() {
    let (_dir, path) = log();
    append(&path, b"1\n");
    let mut tail = Tail::open(path.clone(), None);
    tail.wait().await;
    read(&mut tail);
    let before = Instant::now();
    let writer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&path, b"2\n");
    });
    while read(&mut tail).lines.is_empty() {
        tail.wait().await;
        assert!(before.elapsed() < Duration::from_secs(10), "never woken");
    }
    assert!(before.elapsed() < Duration::from_millis(900), "woken by the event and not by the clock");
    writer.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lines_are_the_same_however_they_are_cut_read_rotated_and_resumed(
        numbers in proptest::collection::vec(any::<u64>(), 1..60),
        cuts in proptest::collection::vec((1_usize..40, 1_usize..9, any::<[bool; 2]>()), 1..60),
    ) {
        let (_dir, path) = log();
        let text = numbers.iter().fold(String::new(), |text, n| text + &n.to_string() + "\n");
        let (mut rest, mut lines, mut tail) = (text.as_bytes(), Vec::new(), Tail::open(path.clone(), None));
        let mut nginx = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        for (bytes, max_lines, [restart, rotate]) in cuts.into_iter().cycle() {
            let (now, later) = rest.split_at(bytes.min(rest.len()));
            nginx.write_all(now).unwrap();
            rest = later;
            let batch = tail.read(max_lines, number).unwrap();
            prop_assert_eq!((batch.bad, &batch.lost), (0, &None));
            lines.extend(batch.lines);
            if restart {
                tail = restarted(&tail, &path);
            }
            // NGINX writes whole lines: only between two of them does it change the file.
            if rotate && batch.end_of_file && now.ends_with(b"\n") {
                Rotation::default().rotate(&path).unwrap();
                nginx = OpenOptions::new().append(true).create(true).open(&path).unwrap();
            }
            if rest.is_empty() && batch.end_of_file {
                break;
            }
        }
        prop_assert_eq!(lines, numbers);
    }
}
