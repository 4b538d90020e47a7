//! How versions are called in sentences: by their name, and with their revision where another content has that name too.

use canaryd_rollout::RevisionId;

use crate::release::{Release, unresolved};
use crate::turn::Turn;

impl Turn<'_> {
    /// Version of what is being tried, or would be.
    pub(crate) fn version(&self) -> String {
        if let Some(trial) = self.trial() {
            return self.name_of(&trial.release);
        }
        // Of what is not resolved the revision is another one in a moment.
        match self.manifest() {
            Some(manifest) if unresolved(manifest) => manifest.version.clone(),
            Some(manifest) => self.told_apart(&manifest.version, &manifest.revision),
            None => String::new(),
        }
    }

    /// Version of what is in production.
    pub(crate) fn production_version(&self) -> Option<String> {
        let release = &self.memory.production.as_ref()?.release;
        let same = self.others().any(|other| is_another(other, &release.version, &release.revision));
        Some(if same { in_full(&release.version, &release.revision) } else { release.version.clone() })
    }

    pub(crate) fn name_of(&self, release: &Release) -> String {
        self.told_apart(&release.version, &release.revision)
    }

    /// Also from what has ended before.
    pub(crate) fn told_apart(&self, version: &str, revision: &RevisionId) -> String {
        let production = self.memory.production.as_ref().map(|d| &d.release);
        let now = production.into_iter().chain(self.others());
        let ended = self.memory.ended.iter().map(|end| (&end.version, &end.revision));
        let mut known = now.map(|release| (&release.version, &release.revision)).chain(ended);
        let same = known.any(|(v, r)| v == version && r != revision);
        if same { in_full(version, revision) } else { version.to_owned() }
    }

    /// What has, or may get, a place beside production.
    fn others(&self) -> impl Iterator<Item = &Release> {
        let previous = self.memory.previous.as_ref().map(|p| &p.release);
        self.trial().map(|t| &t.release).into_iter().chain(previous)
    }
}

fn is_another(release: &Release, version: &str, revision: &RevisionId) -> bool {
    release.version == version && &release.revision != revision
}

fn in_full(version: &str, revision: &RevisionId) -> String {
    format!("{version} (revision {revision})")
}
