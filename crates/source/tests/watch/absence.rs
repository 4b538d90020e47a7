//! What is not there deletes nothing, and is read again when it comes back.

use std::time::Duration;

use canaryd_source::{Listing, Trouble};

use crate::room::{A_SECOND, Room};

fn trouble(listing: &Listing) -> Option<&Trouble> {
    listing.dirs[0].trouble.as_ref()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_is_an_incomplete_listing_until_it_is_back() {
    let mut room = Room::new().await;
    for round in 1..=3 {
        room.remove("manifests");
        let is_gone = |_: &Room, listing: &Listing| matches!(trouble(listing), Some(Trouble::Vanished { .. }));
        room.within(A_SECOND, "the directory vanishes", is_gone).await;
        assert!(!room.list().await.is_complete());
        room.settle().await;
        room.mkdir("manifests");
        room.write("manifests/shop.yaml", &format!("back {round}"));
        room.becomes("manifests/shop.yaml", &format!("back {round}")).await;
        assert!(room.list().await.is_complete());
        room.settle().await;
        room.write("manifests/shop.yaml", "again");
        room.becomes("manifests/shop.yaml", "again").await;
        room.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_moved_away_with_all_above_it_is_read_again_when_it_is_back() {
    let mut room = Room::watching("srv/app/manifests", |root| {
        std::fs::create_dir_all(root.join("srv/app/manifests")).expect("directories");
        std::fs::write(root.join("srv/app/manifests/shop.yaml"), "v1").expect("a manifest");
    })
    .await;
    room.rename("srv/app/manifests", "elsewhere");
    room.within(A_SECOND, "the directory vanishes", |_, listing| trouble(listing).is_some()).await;
    room.settle().await;
    room.remove("srv");
    room.settle().await;
    room.mkdir("srv/app");
    room.rename("elsewhere", "srv/app/manifests");
    room.becomes("srv/app/manifests/shop.yaml", "v1").await;
    room.settle().await;
    room.write("srv/app/manifests/shop.yaml", "v2");
    room.becomes("srv/app/manifests/shop.yaml", "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_never_was_there_is_read_when_it_comes() {
    let mut room = Room::watching("not/yet", |_| {}).await;
    assert!(matches!(trouble(&room.list().await), Some(Trouble::Vanished { .. })));
    room.mkdir("not/yet");
    room.write("not/yet/shop.yaml", "v1");
    room.becomes("not/yet/shop.yaml", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_emptied_of_its_manifests_is_an_incomplete_listing() {
    let mut room = Room::new().await;
    room.write("manifests/README.md", "read me");
    room.remove("manifests/shop.yaml");
    room.loses("manifests/shop.yaml").await;
    let listing = room.list().await;
    assert!(matches!(trouble(&listing), Some(Trouble::Empty { .. })));
    assert!(!listing.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_where_the_directory_was_is_an_incomplete_listing_until_it_is_one_again() {
    let mut room = Room::new().await;
    room.rename("manifests", "aside");
    room.write("manifests", "not a directory");
    let is_unreadable = |_: &Room, listing: &Listing| matches!(trouble(listing), Some(Trouble::Unreadable { .. }));
    room.within(A_SECOND, "the directory is a file", is_unreadable).await;
    room.settle().await;
    room.remove("manifests");
    room.rename("aside", "manifests");
    room.becomes("manifests/shop.yaml", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_nowhere_makes_a_listing_incomplete_and_the_rest_is_still_read() {
    let mut room = Room::new().await;
    room.link("../mounted", "manifests/team");
    room.within(A_SECOND, "the link is seen", |_, listing| trouble(listing).is_some()).await;
    let listing = room.list().await;
    assert_eq!(trouble(&listing), Some(&Trouble::Vanished { path: room.path("manifests/team") }));
    assert_eq!(room.text(&listing, "manifests/shop.yaml"), Some("v1"));
    room.settle().await;
    room.mkdir("mounted");
    room.write("mounted/blog.yaml", "b1");
    room.becomes("manifests/team/blog.yaml", "b1").await;
    assert!(room.list().await.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_leads_nowhere_is_told_and_read_when_its_target_comes() {
    let mut room = Room::new().await;
    room.link("../generated/blog.yaml", "manifests/blog.yaml");
    let is_told = |room: &Room, listing: &Listing| {
        listing.files.get(&room.path("manifests/blog.yaml")).is_some_and(Result::is_err)
    };
    room.within(A_SECOND, "the dead link is told", is_told).await;
    assert!(!room.list().await.is_complete());
    room.settle().await;
    room.mkdir("generated");
    room.write("generated/blog.yaml", "b1");
    room.becomes("manifests/blog.yaml", "b1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_and_huge_files_and_bytes_that_are_no_text_hold_nothing_up() {
    let room = Room::new().await;
    let pipe = std::process::Command::new("mkfifo").arg(room.path("manifests/pipe.yaml")).status();
    assert!(pipe.expect("mkfifo runs").success());
    room.mkdir("manifests/directory.yaml");
    room.write("manifests/huge.yaml", &"x".repeat((1 << 20) + 1));
    std::fs::write(room.path("manifests/bytes.yaml"), [0xff, 0xfe]).expect("written");
    let listing = tokio::time::timeout(Duration::from_secs(5), room.list()).await.expect("it waits for no pipe");
    let why = |name: &str| listing.files[&room.path(name)].clone().expect_err(name);
    assert_eq!(why("manifests/pipe.yaml"), "it is not a file");
    assert!(why("manifests/huge.yaml").contains("1 MiB"));
    assert!(why("manifests/bytes.yaml").contains("UTF-8"));
    assert_eq!(listing.files.len(), 4);
    assert_eq!(room.text(&listing, "manifests/shop.yaml"), Some("v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_links_is_read_once() {
    let room = Room::new().await;
    room.link(".", "manifests/again");
    room.link("../manifests", "manifests/above");
    let listing = room.list().await;
    assert_eq!(listing.files.len(), 1);
    assert!(listing.is_complete());
}
