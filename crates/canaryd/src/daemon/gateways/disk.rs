//! What one gateway keeps on disk beside its generations: its tokens, and the intent behind each generation.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use canaryd_gateway::{GenerationId, Intent};
use canaryd_link::Link;
use serde::{Deserialize, Serialize};

use super::lowering::lowered;
use crate::daemon::store::{private_dir, write_atomically};

/// The file with the tokens.
const SECRETS: &str = "secrets.json";

/// Tokens of one gateway, made once. Never logged.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    pub(super) ops_token: String,
    pub(super) force_token: String,
    pub(super) client_salt: String,
    /// Whose gateway it is: what another installation left here is not ours to remove.
    #[serde(default)]
    instance: String,
}

/// Reads the tokens, or makes them; `owner` is the installation that signs for them.
pub(super) fn secrets(dir: &Path, owner: Option<&str>) -> Result<Secrets> {
    private_dir(dir)?;
    let path = dir.join(SECRETS);
    let found = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Secrets { ops_token: random()?, force_token: random()?, client_salt: random()?, instance: String::new() }
        }
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let Some(owner) = owner.filter(|owner| *owner != found.instance) else { return Ok(found) };
    let signed = Secrets { instance: owner.to_owned(), ..found };
    let written = write_atomically(&path, &serde_json::to_vec_pretty(&signed)?, 0o600);
    match written {
        // A gateway that is there already is not kept from being lowered by a full disk.
        Err(error) if path.exists() => {
            tracing::warn!(error = format!("{error:#}"), "a gateway's tokens are not signed yet");
        }
        written => written?,
    }
    Ok(signed)
}

/// Writes tokens that are in use where somebody removed them: others would lock canaryd out of the gateway that runs.
pub(super) fn put_secrets(dir: &Path, secrets: &Secrets) -> Result<()> {
    let path = dir.join(SECRETS);
    if path.exists() {
        return Ok(());
    }
    // Who made it anew did not know what comes into it.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    write_atomically(&path, &serde_json::to_vec_pretty(secrets)?, 0o600)
}

/// Whether this installation made the gateway of this directory.
pub(crate) fn is_of(dir: &Path, instance: &str) -> bool {
    let found = fs::read(dir.join(SECRETS)).ok().and_then(|text| serde_json::from_slice::<Secrets>(&text).ok());
    found.is_some_and(|found| found.instance == instance)
}

/// The token of its ops port; nothing is made where there is none.
pub(crate) fn ops_token(dir: &Path) -> Option<String> {
    let text = fs::read(dir.join(SECRETS)).ok()?;
    serde_json::from_slice::<Secrets>(&text).ok().map(|found| found.ops_token)
}

/// The token behind the header that forces a lane; likewise.
pub(crate) fn force_token(dir: &Path) -> Option<String> {
    let text = fs::read(dir.join(SECRETS)).ok()?;
    serde_json::from_slice::<Secrets>(&text).ok().map(|found| found.force_token)
}

/// 128 random bits as hexadecimal digits.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn intents(dir: &Path) -> PathBuf {
    dir.join("intents")
}

/// Remembers what a generation stands for, so that a restart knows what is live.
pub(super) fn keep_intent(dir: &Path, generation: GenerationId, intent: &Intent) -> Result<()> {
    private_dir(&intents(dir))?;
    let path = intents(dir).join(format!("{}.json", generation.original()));
    write_atomically(&path, &serde_json::to_vec(intent)?, 0o600)
}

/// What a generation stands for; of a twin: its original's.
pub(crate) fn intent_of(dir: &Path, generation: GenerationId) -> Option<Intent> {
    let path = intents(dir).join(format!("{}.json", generation.original()));
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// What the live configuration does, as the symlink names it; a twin's: nothing for the canary.
pub(crate) fn live_intent(dir: &Path) -> Option<Intent> {
    let current = Link::look(dir).current?;
    let intent = intent_of(dir, current)?;
    let traffic = if current.is_twin() { lowered(intent.traffic) } else { intent.traffic };
    Some(Intent { traffic, ..intent })
}

/// Every intent that is kept.
pub(crate) fn all_intents(dir: &Path) -> Vec<Intent> {
    let entries = fs::read_dir(intents(dir)).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()).collect()
}

/// The highest epoch that a configuration of this gateway has.
pub(crate) fn last_epoch(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir.join("conf/generations")).into_iter().flatten().filter_map(Result::ok);
    let epochs = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<GenerationId>().ok());
    epochs.chain(Link::look(dir).current).map(GenerationId::epoch).max().unwrap_or(0)
}

/// Removes the intents of generations that are gone.
pub(super) fn sweep_intents(dir: &Path) {
    let Ok(entries) = fs::read_dir(intents(dir)) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let Some(stem) = path.file_stem() else { continue };
        if !dir.join("conf/generations").join(stem).exists() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// The text of a generation as it was written.
pub(super) fn conf_of(dir: &Path, generation: GenerationId) -> Option<String> {
    fs::read_to_string(dir.join("conf/generations").join(generation.to_string()).join("nginx.conf")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_once_signed_by_their_installation_and_read_where_nothing_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("shop");
        let made = secrets(&dir, Some("one")).unwrap();
        assert!(is_of(&dir, "one") && !is_of(&dir, "two"));
        assert_eq!(fs::metadata(dir.join(SECRETS)).unwrap().permissions().mode() & 0o777, 0o600);
        // The temporary file cannot be made: a directory is in its place.
        fs::create_dir(dir.join("secrets.new")).unwrap();
        assert_eq!(secrets(&dir, Some("two")).unwrap().ops_token, made.ops_token);
        assert!(is_of(&dir, "one"));
        fs::remove_dir(dir.join("secrets.new")).unwrap();
        assert_eq!(secrets(&dir, None).unwrap().ops_token, made.ops_token);
        assert!(is_of(&dir, "one"), "who only looks signs nothing");
        assert_eq!(secrets(&dir, Some("two")).unwrap().ops_token, made.ops_token);
        assert!(is_of(&dir, "two"));
    }
}
