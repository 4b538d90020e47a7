//! The files that manifests name: env files, configs, secrets.

use std::collections::BTreeSet;

use crate::room::{A_SECOND, Room};

async fn naming(names: &[&str], room: &mut Room) {
    room.source.watch_also(names.iter().map(|name| room.path(name)).collect::<BTreeSet<_>>());
    room.settle().await;
}

/// Something wakes, and the hash is another one than before.
async fn hash_changes(room: &mut Room, what: &str, change: impl FnOnce(&Room)) {
    let before = room.list().await.hash;
    room.settle().await;
    change(room);
    room.within(A_SECOND, what, |_, listing| listing.hash != before).await;
    room.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_is_told_in_every_way_in_which_it_changes() {
    let mut room = Room::new().await;
    room.mkdir("etc");
    room.write("etc/shop.env", "A=1");
    naming(&["etc/shop.env"], &mut room).await;
    hash_changes(&mut room, "written in place", |room| room.write("etc/shop.env", "A=2")).await;
    hash_changes(&mut room, "replaced", |room| {
        room.write("etc/.shop.env.new", "A=3");
        room.rename("etc/.shop.env.new", "etc/shop.env");
    })
    .await;
    hash_changes(&mut room, "removed", |room| room.remove("etc/shop.env")).await;
    hash_changes(&mut room, "back", |room| room.write("etc/shop.env", "A=4")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_env_file_beside_the_manifests_is_told() {
    let mut room = Room::new().await;
    naming(&["manifests/.env"], &mut room).await;
    hash_changes(&mut room, "made", |room| room.write("manifests/.env", "A=1")).await;
    hash_changes(&mut room, "written", |room| room.write("manifests/.env", "A=2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_whose_directory_does_not_exist_yet_is_told_when_it_comes() {
    let mut room = Room::new().await;
    naming(&["run/secrets/token"], &mut room).await;
    hash_changes(&mut room, "made with its directories", |room| {
        room.mkdir("run/secrets");
        room.write("run/secrets/token", "one");
    })
    .await;
    hash_changes(&mut room, "written", |room| room.write("run/secrets/token", "two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_behind_a_symlink_is_told_when_the_link_is_swapped() {
    let mut room = Room::new().await;
    for version in ["one", "two"] {
        room.mkdir(version);
        room.write(&format!("{version}/token"), version);
    }
    room.link("one", "secrets");
    naming(&["secrets/token"], &mut room).await;
    hash_changes(&mut room, "swapped", |room| room.swap_link("two", "secrets")).await;
    hash_changes(&mut room, "written", |room| room.write("two/token", "three")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_beside_a_named_file_wakes_nobody() {
    let mut room = Room::new().await;
    room.mkdir("etc");
    room.write("etc/shop.env", "A=1");
    naming(&["etc/shop.env"], &mut room).await;
    room.write("etc/other.env", "B=1");
    room.write("etc/other.yaml", "b");
    room.mkdir("etc/more");
    assert!(room.is_still().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_no_longer_wakes_nobody() {
    let mut room = Room::new().await;
    room.mkdir("etc");
    room.write("etc/shop.env", "A=1");
    naming(&["etc/shop.env"], &mut room).await;
    naming(&[], &mut room).await;
    room.write("etc/shop.env", "A=2");
    assert!(room.is_still().await);
}
