//! Makes a thousand rollouts of one: what a daemon keeps of it, and what the pretended engine runs for it, copied under other names,
//! addresses and ports. To install them one after the other would take longer than everything else together.

use std::fs;
use std::path::Path;

/// The one that was installed: its name, the beginning of its addresses, and its port, as they stand in every text about it.
const NAME: &str = "shop-0000";
const ADDRESSES: &str = "172.31.0.";
/// The first port; nothing else looks like it.
pub(crate) const PORT: u32 = 21_111;

pub(crate) fn name(n: u32) -> String {
    format!("shop-{n:04}")
}

/// A text about the first rollout as one about the `n`th.
pub(crate) fn renamed(text: &str, n: u32) -> String {
    // The four ranges that canaryd takes its networks from.
    let range = ["172.31", "172.30", "10.213", "10.214"][usize::try_from(n / 256).unwrap()];
    let text = text.replace(NAME, &name(n)).replace(ADDRESSES, &format!("{range}.{}.", n % 256));
    text.replace(&PORT.to_string(), &(PORT + n).to_string())
}

/// The state directory of a daemon that does not run: `n` rollouts instead of one.
pub(crate) fn state(dir: &Path, n: u32) {
    for one in 1..n {
        for kind in ["desired", "revisions", "gateways"] {
            copy(&dir.join(kind), &dir.join(kind), one, &|name| name.starts_with(NAME));
        }
    }
    let networks = dir.join("networks.json");
    let first: serde_json::Value = serde_json::from_slice(&fs::read(&networks).unwrap()).unwrap();
    let entry = first[NAME].to_string();
    let all = (0..n).map(|one| (name(one), serde_json::from_str(&renamed(&entry, one)).unwrap()));
    let all: serde_json::Map<String, serde_json::Value> = all.collect();
    fs::write(networks, serde_json::Value::Object(all).to_string()).unwrap();
    journal(&dir.join("journal.db"), n);
}

/// Copies what is wanted of a directory, with names and texts changed; rights and symlinks stay.
fn copy(from: &Path, to: &Path, n: u32, wanted: &dyn Fn(&str) -> bool) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let old = entry.file_name().into_string().unwrap();
        if !wanted(&old) {
            continue;
        }
        let (path, target) = (entry.path(), to.join(renamed(&old, n)));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), &target).unwrap();
        } else if kind.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target, n, &|_| true);
        } else {
            fs::write(&target, renamed(&fs::read_to_string(&path).unwrap(), n)).unwrap();
        }
        if !kind.is_symlink() {
            let found = fs::metadata(&path).unwrap();
            fs::set_permissions(&target, found.permissions()).unwrap();
            let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&found), std::os::unix::fs::MetadataExt::gid(&found));
            std::os::unix::fs::chown(&target, Some(uid), Some(gid)).unwrap();
        }
    }
}

fn journal(path: &Path, n: u32) {
    let mut journal = rusqlite::Connection::open(path).unwrap();
    let rows = |query: &str| -> Vec<(String, String)> {
        let mut asked = journal.prepare(query).unwrap();
        let found = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    let (memories, tails) = (rows("SELECT name, json FROM memory"), rows("SELECT gateway, json FROM tail"));
    let all = journal.transaction().unwrap();
    for one in 1..n {
        for (table, rows) in [("memory", &memories), ("tail", &tails)] {
            for (name, json) in rows {
                let values = [renamed(name, one), renamed(json, one)];
                all.execute(&format!("INSERT INTO {table} VALUES (?1, ?2)"), values).unwrap();
            }
        }
        let events = "INSERT INTO event (name, at, severity, kind, message)
            SELECT ?1, at, severity, kind, message FROM event WHERE name = ?2";
        all.execute(events, [name(one).as_str(), NAME]).unwrap();
    }
    all.commit().unwrap();
}
