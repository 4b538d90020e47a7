//! What the book makes of listings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use canaryd_rollout::RolloutName;
use jiff::Timestamp;

use super::book::{Book, Look, Standing};

/// A book, a clock, and files that come and go.
struct Desk {
    book: Book,
    now: Timestamp,
    look: Look,
}

fn name(name: &str) -> RolloutName {
    name.parse().expect("a name")
}

fn manifest(name: &str, version: &str) -> String {
    format!(
        "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: {name} }}\nspec:\n  version: {version}\n  app:\n    image: shop:${{version}}\n    port: 8000\n    health: {{ http: /health }}\n"
    )
}

/// A document with a name that cannot be used.
fn broken(name: &str) -> String {
    manifest(name, "v1").replace("port: 8000", "port: none")
}

impl Desk {
    /// With these manifests in force, each in a file of its name.
    fn with(names: &[&str]) -> Self {
        let mut desk = Self { book: Book::new(BTreeMap::new()), now: Timestamp::UNIX_EPOCH, look: Look::default() };
        for rollout in names {
            desk.put(&format!("{rollout}.yaml"), &manifest(rollout, "v1"));
        }
        desk.look();
        for rollout in names {
            desk.book.is_in_force(&name(rollout));
        }
        desk
    }

    fn put(&mut self, file: &str, text: &str) {
        self.look.files.insert(PathBuf::from(file), Ok(text.to_owned()));
    }

    fn remove(&mut self, file: &str) {
        assert!(self.look.files.remove(&PathBuf::from(file)).is_some(), "{file} is there");
    }

    fn rename(&mut self, from: &str, to: &str) {
        let text = self.look.files.remove(&PathBuf::from(from)).expect("it is there");
        self.look.files.insert(PathBuf::from(to), text);
    }

    fn look(&mut self) {
        self.book.update(&self.look, self.now);
    }

    /// Looks once a second, as the daemon does while something is open.
    fn watch(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.look();
        }
    }

    fn standing(&self, rollout: &str) -> Standing {
        self.book.entries()[&name(rollout)].standing
    }

    fn is_deleted(&self, rollout: &str) -> bool {
        matches!(self.standing(rollout), Standing::Deleted { .. })
    }

    /// The file whose document counts, and whether it is of that version.
    fn counts(&self, rollout: &str, file: &str, version: &str) -> bool {
        let entry = &self.book.entries()[&name(rollout)];
        let text = manifest(rollout, version);
        let source = canaryd_rollout::SourceText { name: file.to_owned(), text };
        let expected = canaryd_rollout::parse(&source, &BTreeMap::new()).drafts[0].content_hash();
        let hash = entry.draft.as_ref().map(canaryd_rollout::Draft::content_hash);
        entry.file == std::path::Path::new(file) && hash == Some(expected)
    }

    fn problems(&self) -> String {
        self.book.problems().join("\n")
    }
}

#[test]
fn a_name_counts_as_deleted_after_thirty_seconds_of_absence() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(30);
    assert!(matches!(desk.standing("shop"), Standing::Absent { .. }));
    desk.watch(1);
    assert!(desk.is_deleted("shop"));
    assert_eq!(desk.standing("blog"), Standing::Present);
}

#[test]
fn a_name_that_comes_back_in_time_was_never_gone() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(29);
    desk.put("shop.yaml", &manifest("shop", "v1"));
    desk.watch(1);
    desk.remove("shop.yaml");
    desk.watch(29);
    assert!(!desk.is_deleted("shop"));
}

#[test]
fn an_incomplete_listing_deletes_nothing_and_the_time_begins_anew() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(20);
    desk.look.troubles.push("error: cannot read manifests/team".to_owned());
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    desk.look.troubles.clear();
    desk.watch(20);
    assert!(!desk.is_deleted("shop"));
    desk.watch(11);
    assert!(desk.is_deleted("shop"));
}

#[test]
fn a_suspended_host_observes_no_absence() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(2);
    desk.now += Duration::from_secs(3_600);
    desk.look();
    assert!(!desk.is_deleted("shop"));
}

#[test]
fn a_clock_set_back_deletes_nothing() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(2);
    desk.now -= Duration::from_secs(1);
    desk.look();
    assert!(matches!(desk.standing("shop"), Standing::Absent { .. }));
}

#[test]
fn several_that_go_at_once_wait_for_a_person() {
    let mut desk = Desk::with(&["shop", "blog", "docs"]);
    desk.remove("shop.yaml");
    desk.remove("blog.yaml");
    desk.watch(600);
    assert!(matches!(desk.standing("shop"), Standing::Unconfirmed { .. }));
    assert!(matches!(desk.standing("blog"), Standing::Unconfirmed { .. }));
}

#[test]
fn several_that_go_within_thirty_seconds_wait_for_a_person() {
    let mut desk = Desk::with(&["shop", "blog", "docs"]);
    desk.remove("shop.yaml");
    desk.watch(20);
    desk.remove("blog.yaml");
    desk.watch(600);
    assert!(!desk.is_deleted("shop") && !desk.is_deleted("blog"));
}

#[test]
fn one_that_goes_long_after_another_waits_for_nobody() {
    let mut desk = Desk::with(&["shop", "blog", "docs"]);
    desk.remove("shop.yaml");
    desk.watch(60);
    desk.remove("blog.yaml");
    desk.watch(60);
    assert!(desk.is_deleted("shop") && desk.is_deleted("blog"));
}

#[test]
fn what_counts_as_deleted_stays_so_through_an_incomplete_listing() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(60);
    desk.look.troubles.push("error: manifests does not exist".to_owned());
    desk.watch(5);
    assert!(desk.is_deleted("shop"));
}

#[test]
fn what_was_deleted_in_an_earlier_run_stays_so_until_its_manifest_is_back() {
    let mut desk = Desk::with(&["blog"]);
    desk.book.remember(name("shop"), "shop.yaml".into(), Some(desk.now));
    desk.watch(2);
    assert!(desk.is_deleted("shop"));
    desk.put("shop.yaml", &broken("shop"));
    desk.watch(2);
    assert!(desk.is_deleted("shop"));
    desk.put("shop.yaml", &manifest("shop", "v1"));
    desk.watch(1);
    assert_eq!(desk.standing("shop"), Standing::Present);
}

#[test]
fn what_an_earlier_run_had_in_force_is_deleted_by_absence_as_well() {
    let mut desk = Desk::with(&["blog"]);
    desk.book.remember(name("shop"), "shop.yaml".into(), None);
    desk.watch(32);
    assert!(desk.is_deleted("shop"));
}

#[test]
fn equal_content_in_another_file_is_a_move() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.rename("shop.yaml", "team/shop.yaml");
    desk.watch(1);
    assert!(desk.counts("shop", "team/shop.yaml", "v1"));
    assert_eq!((desk.standing("shop"), desk.problems()), (Standing::Present, String::new()));
}

#[test]
fn equal_content_in_two_files_is_a_move_under_way() {
    let mut desk = Desk::with(&["shop"]);
    desk.put("a.yaml", &format!("# moved\n{}", manifest("shop", "v1")));
    desk.watch(1);
    assert!(desk.counts("shop", "shop.yaml", "v1"));
    assert_eq!(desk.problems(), "");
    desk.remove("shop.yaml");
    desk.watch(1);
    assert!(desk.counts("shop", "a.yaml", "v1"));
}

#[test]
fn other_content_under_one_name_is_a_conflict_and_the_one_in_force_stays() {
    let mut desk = Desk::with(&["shop"]);
    desk.put("a.yaml", &manifest("shop", "v2"));
    desk.watch(60);
    assert!(desk.counts("shop", "shop.yaml", "v1"));
    assert_eq!(desk.standing("shop"), Standing::Kept);
    assert!(desk.problems().contains("several manifests are named shop: a.yaml:1 and shop.yaml:1"));
    assert!(desk.problems().contains("what shop.yaml said before stays in force"), "{}", desk.problems());
    desk.remove("a.yaml");
    desk.put("shop.yaml", &manifest("shop", "v3"));
    desk.watch(1);
    assert!(desk.counts("shop", "shop.yaml", "v3"));
}

#[test]
fn in_a_conflict_between_newcomers_none_is_in_force() {
    let mut desk = Desk::with(&["blog"]);
    desk.put("a.yaml", &manifest("shop", "v1"));
    desk.put("b.yaml", &manifest("shop", "v2"));
    desk.watch(1);
    assert!(!desk.book.entries().contains_key(&name("shop")));
    assert!(desk.problems().contains("none of them is in force"));
}

#[test]
fn a_conflict_ends_an_absence() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.watch(25);
    desk.put("a.yaml", &manifest("shop", "v2"));
    desk.put("b.yaml", &manifest("shop", "v3"));
    desk.watch(25);
    assert_eq!(desk.standing("shop"), Standing::Kept);
}

#[test]
fn a_document_that_is_broken_conflicts_with_a_change_under_the_same_name() {
    let mut desk = Desk::with(&["shop"]);
    desk.put("copy.yaml", &broken("shop"));
    desk.watch(1);
    assert_eq!(desk.standing("shop"), Standing::Present, "nothing changed, so nothing is in doubt");
    desk.put("shop.yaml", &manifest("shop", "v2"));
    desk.watch(1);
    assert!(desk.counts("shop", "shop.yaml", "v1"));
    assert!(desk.problems().contains("several manifests are named shop: copy.yaml:1 and shop.yaml:1"));
}

#[test]
fn a_second_document_of_one_name_put_above_the_first_does_not_take_over() {
    let mut desk = Desk::with(&["shop"]);
    desk.put("shop.yaml", &format!("{}---\n{}", manifest("shop", "v2"), manifest("shop", "v1")));
    desk.watch(1);
    assert!(desk.counts("shop", "shop.yaml", "v1"));
    assert!(desk.problems().contains("twice"));
}

#[test]
fn a_broken_document_keeps_its_name_wherever_it_is() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.put("moved/other.yaml", &broken("shop"));
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    assert!(desk.counts("shop", "shop.yaml", "v1"), "the last valid one stays in force");
}

#[test]
fn a_broken_document_keeps_no_other_name_of_its_file() {
    let mut desk = Desk::with(&["docs"]);
    desk.put("all.yaml", &format!("{}---\n{}", manifest("shop", "v1"), manifest("blog", "v1")));
    desk.watch(1);
    desk.book.is_in_force(&name("shop"));
    desk.book.is_in_force(&name("blog"));
    desk.put("all.yaml", &broken("shop"));
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    assert!(desk.is_deleted("blog"));
}

#[test]
fn a_warning_keeps_no_name_from_being_deleted() {
    let mut desk = Desk::with(&["docs"]);
    let warned = manifest("shop", "v1").replace("shop:${version}", "shop:fixed");
    desk.put("all.yaml", &format!("{warned}---\n{}", manifest("blog", "v1")));
    desk.watch(1);
    desk.book.is_in_force(&name("shop"));
    desk.book.is_in_force(&name("blog"));
    desk.put("all.yaml", &warned);
    desk.watch(60);
    assert!(desk.problems().contains("warning"));
    assert!(desk.is_deleted("blog"));
}

#[test]
fn a_file_that_is_no_yaml_keeps_what_it_held() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.put("shop.yaml", "{ this is: [ no yaml");
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    desk.look.files.insert("shop.yaml".into(), Err("permission denied".to_owned()));
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    assert!(desk.problems().contains("cannot read shop.yaml: permission denied"));
}

#[test]
fn a_name_may_have_been_moved_into_a_file_that_cannot_be_read_since() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.remove("shop.yaml");
    desk.look.files.insert("fresh.yaml".into(), Err("permission denied".to_owned()));
    desk.watch(60);
    assert_eq!(desk.standing("shop"), Standing::Kept);
    assert!(desk.problems().contains("shop is in no manifest that can be read; it may be in fresh.yaml"));
    desk.remove("fresh.yaml");
    desk.watch(60);
    assert!(desk.is_deleted("shop"));
}

#[test]
fn a_file_that_could_not_be_read_all_along_keeps_no_name_from_being_deleted() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.put("compose.yaml", "services: { db: { image: postgres } }");
    desk.watch(1);
    desk.remove("shop.yaml");
    desk.watch(60);
    assert!(desk.is_deleted("shop"));
}

#[test]
fn what_was_never_taken_over_leaves_nothing_behind() {
    let mut desk = Desk::with(&["shop", "blog"]);
    desk.put("docs.yaml", &manifest("docs", "v1"));
    desk.watch(1);
    desk.remove("docs.yaml");
    desk.remove("shop.yaml");
    desk.watch(1);
    assert!(!desk.book.entries().contains_key(&name("docs")));
    desk.watch(60);
    assert!(desk.is_deleted("shop"), "it went alone");
}
