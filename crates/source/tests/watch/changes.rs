//! Every way to change a manifest.

use crate::room::{ABOUT_A_SECOND, Room};

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_written_in_place_is_told() {
    let mut room = Room::new().await;
    room.write("manifests/shop.yaml", "v2");
    room.becomes("manifests/shop.yaml", "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_replaced_by_a_rename_is_told() {
    let mut room = Room::new().await;
    room.write("manifests/.shop.yaml.tmp", "v2");
    room.rename("manifests/.shop.yaml.tmp", "manifests/shop.yaml");
    room.becomes("manifests/shop.yaml", "v2").await;
}

/// What vim does with `backupcopy=no`: a trial file, the old one becomes a backup, a new one is written, the backup
/// goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_saved_by_an_editor_is_told() {
    let mut room = Room::new().await;
    for text in ["v2", "v3"] {
        room.write("manifests/.shop.yaml.swp", "b0VIM");
        room.write("manifests/4913", "");
        room.remove("manifests/4913");
        room.rename("manifests/shop.yaml", "manifests/shop.yaml~");
        room.write("manifests/shop.yaml", text);
        room.remove("manifests/shop.yaml~");
        room.remove("manifests/.shop.yaml.swp");
        room.becomes("manifests/shop.yaml", text).await;
        room.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_manifest_and_a_deleted_one_are_told() {
    let mut room = Room::new().await;
    room.write("manifests/blog.yml", "b1");
    room.becomes("manifests/blog.yml", "b1").await;
    room.settle().await;
    room.remove("manifests/shop.yaml");
    room.loses("manifests/shop.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_manifest_is_told_at_both_ends() {
    let mut room = Room::new().await;
    room.mkdir("manifests/team");
    room.settle().await;
    room.rename("manifests/shop.yaml", "manifests/team/shop.yaml");
    room.becomes("manifests/team/shop.yaml", "v1").await;
    assert_eq!(room.list().await.files.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_checkout_is_told() {
    let mut room = Room::new().await;
    room.git(&["init", "-q"]);
    room.mkdir("manifests/old/deep");
    room.write("manifests/old/deep/blog.yaml", "b1");
    room.git(&["add", "."]);
    room.git(&["commit", "-qm", "one"]);
    room.git(&["switch", "-qc", "next"]);
    room.remove("manifests/old");
    room.mkdir("manifests/new");
    room.write("manifests/new/blog.yaml", "b2");
    room.write("manifests/shop.yaml", "v2");
    room.git(&["add", "-A"]);
    room.git(&["commit", "-qm", "two"]);
    room.settle().await;
    for _ in 0..2 {
        room.git(&["checkout", "-q", "main"]);
        room.becomes("manifests/old/deep/blog.yaml", "b1").await;
        let listing = room.list().await;
        assert_eq!((room.text(&listing, "manifests/shop.yaml"), listing.files.len()), (Some("v1"), 2));
        room.settle().await;
        room.git(&["checkout", "-q", "next"]);
        room.becomes("manifests/new/blog.yaml", "b2").await;
        let listing = room.list().await;
        assert_eq!((room.text(&listing, "manifests/shop.yaml"), listing.files.len()), (Some("v2"), 2));
        room.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_does_beside_the_manifests_wakes_nobody() {
    let mut room = Room::new().await;
    room.git(&["init", "-q"]);
    room.git(&["add", "."]);
    room.git(&["commit", "-qm", "one"]);
    room.settle().await;
    room.git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    room.git(&["gc", "-q"]);
    assert!(room.is_still().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_with_manifests_in_it_is_told_and_so_is_every_later_change_there() {
    let mut room = Room::new().await;
    room.mkdir("manifests/a/b/c");
    room.write("manifests/a/b/c/deep.yaml", "d1");
    room.becomes("manifests/a/b/c/deep.yaml", "d1").await;
    room.settle().await;
    room.write("manifests/a/b/c/deep.yaml", "d2");
    room.becomes("manifests/a/b/c/deep.yaml", "d2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_moved_in_is_told_and_so_is_every_later_change_there() {
    let mut room = Room::new().await;
    room.mkdir("made.elsewhere/deep");
    room.write("made.elsewhere/deep/blog.yaml", "b1");
    room.rename("made.elsewhere", "manifests/team.one");
    room.becomes("manifests/team.one/deep/blog.yaml", "b1").await;
    room.settle().await;
    room.write("manifests/team.one/deep/blog.yaml", "b2");
    room.becomes("manifests/team.one/deep/blog.yaml", "b2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_moved_away_and_back_at_once_goes_on_being_watched() {
    let mut room = Room::new().await;
    room.mkdir("manifests/team/deep");
    room.write("manifests/team/deep/blog.yaml", "b1");
    room.settle().await;
    room.rename("manifests/team", "away");
    room.rename("away", "manifests/team");
    room.settle().await;
    room.write("manifests/team/deep/blog.yaml", "b2");
    room.becomes("manifests/team/deep/blog.yaml", "b2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_replaced_by_another_is_told_and_so_is_every_later_change_there() {
    let mut room = Room::new().await;
    room.mkdir("manifests/team");
    room.write("manifests/team/blog.yaml", "b1");
    room.mkdir("team.new");
    room.write("team.new/blog.yaml", "b2");
    room.settle().await;
    room.rename("manifests/team", "team.old");
    room.rename("team.new", "manifests/team");
    room.becomes("manifests/team/blog.yaml", "b2").await;
    room.settle().await;
    room.write("team.old/blog.yaml", "nobody cares");
    assert!(room.is_still().await);
    room.write("manifests/team/blog.yaml", "b3");
    room.becomes("manifests/team/blog.yaml", "b3").await;
}

/// The layout of a mounted ConfigMap: the manifests are links through `..data`, and only `..data` is swapped.
#[tokio::test(flavor = "multi_thread")]
async fn the_swap_of_a_data_directory_as_kubernetes_does_it_is_told() {
    let mut room = Room::watching("manifests", |root| {
        let manifests = root.join("manifests");
        for (version, text) in [("..1", "v1"), ("..2", "v2"), ("..3", "v3")] {
            std::fs::create_dir_all(manifests.join(version)).expect("a directory");
            std::fs::write(manifests.join(version).join("shop.yaml"), text).expect("a manifest");
        }
        std::os::unix::fs::symlink("..1", manifests.join("..data")).expect("a link");
        std::os::unix::fs::symlink("..data/shop.yaml", manifests.join("shop.yaml")).expect("a link");
    })
    .await;
    for (version, text, old) in [("..2", "v2", "..1"), ("..3", "v3", "..2")] {
        room.link(version, "manifests/..data_tmp");
        room.rename("manifests/..data_tmp", "manifests/..data");
        room.remove(&format!("manifests/{old}"));
        room.becomes("manifests/shop.yaml", text).await;
        room.settle().await;
    }
    room.write("manifests/..3/shop.yaml", "v4");
    room.becomes("manifests/shop.yaml", "v4").await;
}

/// The layout of git-sync and of capistrano: the watched path leads through a link that is swapped.
#[tokio::test(flavor = "multi_thread")]
async fn the_swap_of_an_outer_symlink_is_told_and_so_is_every_later_change() {
    let mut room = Room::watching("current/manifests", |root| {
        for (version, text) in [("1", "v1"), ("2", "v2")] {
            let dir = root.join("releases").join(version).join("manifests");
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(dir.join("shop.yaml"), text).expect("a manifest");
        }
        std::os::unix::fs::symlink("releases/1", root.join("current")).expect("a link");
    })
    .await;
    for (version, text) in [("2", "v2"), ("1", "v1")] {
        room.swap_link(&format!("releases/{version}"), "current");
        room.becomes("current/manifests/shop.yaml", text).await;
        room.settle().await;
    }
    room.write("releases/1/manifests/shop.yaml", "v3");
    room.becomes("current/manifests/shop.yaml", "v3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_directory_in_the_tree_is_read_and_its_swap_is_told() {
    let mut room = Room::new().await;
    for (dir, text) in [("one", "b1"), ("two", "b2")] {
        room.mkdir(dir);
        room.write(&format!("{dir}/blog.yaml"), text);
    }
    room.link("../one", "manifests/team");
    room.becomes("manifests/team/blog.yaml", "b1").await;
    room.settle().await;
    room.swap_link("../two", "manifests/team");
    room.becomes("manifests/team/blog.yaml", "b2").await;
    room.settle().await;
    room.write("two/blog.yaml", "b3");
    room.becomes("manifests/team/blog.yaml", "b3").await;
    room.settle().await;
    room.remove("manifests/team");
    room.loses("manifests/team/blog.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_above_that_is_replaced_is_told_though_it_gives_no_event() {
    let mut room = Room::watching("app/etc/manifests", |root| {
        for (app, text) in [("app", "v1"), ("app.new", "v2")] {
            let dir = root.join(app).join("etc/manifests");
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(dir.join("shop.yaml"), text).expect("a manifest");
        }
    })
    .await;
    room.rename("app", "app.old");
    room.rename("app.new", "app");
    let is_new = |room: &Room, listing: &_| room.text(listing, "app/etc/manifests/shop.yaml") == Some("v2");
    room.within(ABOUT_A_SECOND, "the new directory is read", is_new).await;
    room.settle().await;
    room.write("app/etc/manifests/shop.yaml", "v3");
    room.becomes("app/etc/manifests/shop.yaml", "v3").await;
}
