//! What somebody did to the files of a running gateway. NGINX goes on by what it has read, and would not start again, or could
//! not be lowered, by what lies there now: it is put back before that is needed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use canaryd_gateway::container::CONF_DIR;
use canaryd_gateway::{GenerationId, Intent, Rendered, Settings, render, twin};
use canaryd_journal::NewEvent;
use canaryd_link::Link;
use canaryd_rollout::{Rollout, Weight};
use jiff::Timestamp;

use super::disk::{conf_of, intent_of, keep_intent, put_secrets};
use super::running::link;
use super::settings::Choices;
use super::turn::Gateway;
use crate::daemon::bells::lock;

/// The files of the live generation as they were last found right: a look that needs no reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    current: Option<PathBuf>,
    files: [Option<File>; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Seal {
    fn of(dir: &Path, generation: GenerationId) -> Self {
        let whole = generation.original();
        let current = fs::read_link(dir.join("conf/current")).ok();
        Self { current, files: [whole, whole.twin()].map(|one| File::of(&path_of(dir, one))) }
    }
}

impl File {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Self { inode: found.ino(), length: found.len(), modified })
    }
}

fn path_of(dir: &Path, generation: GenerationId) -> PathBuf {
    dir.join("conf/generations").join(generation.to_string()).join("nginx.conf")
}

/// Where an edit is kept that was put back.
const EDITED: &str = "edited.conf";

impl Gateway {
    /// Puts the live generation back where its files are not as they were written. What NGINX has read meanwhile is not
    /// known: a new generation takes its place.
    pub(super) async fn put_back(&mut self, choices: &Choices) -> Result<()> {
        // A change that was cut short may have left the next generation in its place: what becomes live tells.
        let lies_there = self.lies_there().filter(|_| self.attempt.is_none());
        let Some((intent, generation)) = lies_there else { return Ok(()) };
        let seal = Seal::of(&self.dir, generation);
        if self.seal.as_ref() == Some(&seal) {
            return Ok(());
        }
        let Some(settings) = self.rendered_with(choices, &intent, generation) else { return Ok(()) };
        let link = link(&self.dir, &self.secrets, None)?;
        let current = link.current();
        let (whole, lowered) = both(&settings, &intent, generation)?;
        let right = |one: &Rendered| conf_of(&self.dir, one.generation).as_ref() == Some(&one.nginx_conf);
        // Its own twin is a lowering, whoever did it: that is looked at elsewhere.
        let leads = current.is_some_and(|current| current.original() == generation.original());
        if !(leads && right(&whole) && right(&lowered)) {
            for one in [&whole, &lowered].into_iter().filter(|one| !right(one)) {
                self.keep_edit(one.generation);
            }
            put_secrets(&self.dir, &self.secrets)?;
            self.restore(&link, &whole, &lowered, (&intent, generation)).await?;
            self.tampered = true;
        }
        self.seal = Some(Seal::of(&self.dir, generation));
        Ok(())
    }

    /// What the live generation stands for, with the weight that its original has.
    fn lies_there(&self) -> Option<(Intent, GenerationId)> {
        let live = self.live.as_ref()?;
        let generation = live.generation.parse().ok()?;
        Some((intent_of(&self.dir, generation).unwrap_or_else(|| live.intent.clone()), generation))
    }

    /// What it was rendered from. After a restart of canaryd that is known once the text was compared, for which NGINX has to
    /// run; of one that ends as soon as it is started, what would be rendered now is as good.
    fn rendered_with(&self, choices: &Choices, intent: &Intent, generation: GenerationId) -> Option<Settings> {
        let known = self.rendered.as_ref().filter(|(of, _)| *of == generation.original()).map(|(_, by)| by.clone());
        known.or_else(|| self.died_at_start.then(|| self.settings(choices, intent)))
    }

    async fn restore(
        &self,
        link: &Link,
        whole: &Rendered,
        lowered: &Rendered,
        live: (&Intent, GenerationId),
    ) -> Result<()> {
        let (intent, generation) = live;
        link.prepare(whole, lowered, None).await?;
        keep_intent(&self.dir, generation, intent)?;
        if link.current().is_none_or(|current| current.original() != generation.original()) {
            link.swap(generation)?;
        }
        let name = &self.cell.name;
        let kept = if self.dir.join(EDITED).exists() {
            format!("; the last edit is kept as gateways/{name}/{EDITED}")
        } else {
            String::new()
        };
        let message = format!(
            "somebody changed or removed files of the gateway's configuration; canaryd puts them back{kept}. Directives of your own belong into gateway.snippets of the manifest"
        );
        self.tell("gateway-edited", message);
        Ok(())
    }

    /// What a person wrote is not thrown away.
    fn keep_edit(&self, generation: GenerationId) {
        if let Err(error) = fs::copy(path_of(&self.dir, generation), self.dir.join(EDITED))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(rollout = %self.cell.name, %error, "an edit of the gateway's configuration could not be kept");
        }
    }

    /// The container does not see what is written here any more, for its directory was removed or moved away under it: it
    /// is made anew as soon as it has to do something else than before. Whether it serves on as it is until then.
    pub(super) async fn is_left_alone(&mut self, rollout: &Rollout, wanted: &Intent) -> Result<bool> {
        if !self.is_cut_off() {
            return Ok(false);
        }
        let choices = lock(&self.cell.gateway.standing).choose(&Choices::of(rollout));
        if wanted.traffic.canary() == Weight::ZERO && self.does(&choices, wanted) {
            self.note(vec![format!(
                "gateway: its directory was removed while it runs. It serves on as before; its next start or change makes it anew. At a time of your choice: docker rm -f {}-gateway (nobody is answered for a moment)",
                rollout.name
            )]);
            return Ok(true);
        }
        let message = "the gateway's directory was removed while it ran: its container is made anew, and nobody is answered for a moment";
        self.tell("gateway-cut-off", message.to_owned());
        self.house.engine.remove_gateway(&rollout.name, false).await?;
        self.house.observer.look(self.house.engine.as_ref()).await;
        (self.running, self.compared) = (None, None);
        Ok(false)
    }

    fn is_cut_off(&self) -> bool {
        let Some(pid) = self.observed().and_then(|running| running.pid) else { return false };
        let (inside, here) = (fs::metadata(format!("/proc/{pid}/root{CONF_DIR}")), fs::metadata(self.dir.join("conf")));
        match (inside, here) {
            (Ok(inside), Ok(here)) => inside.nlink() == 0 || (inside.dev() == here.dev() && inside.ino() != here.ino()),
            // Not ours to look into, or not there: nothing is known.
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// Written down for the history, at once or never: it is no reason to wait.
    fn tell(&self, kind: &str, message: String) {
        tracing::warn!(rollout = %self.cell.name, kind, message);
        let event = NewEvent { severity: "warning".to_owned(), kind: kind.to_owned(), message };
        let (house, name) = (self.house.clone(), self.cell.name.clone());
        tokio::spawn(async move {
            if house.journal.tell(name.as_str(), vec![event], Timestamp::now()).await.is_ok() {
                house.changed();
            }
        });
    }
}

fn both(settings: &Settings, intent: &Intent, generation: GenerationId) -> Result<(Rendered, Rendered)> {
    let whole = generation.original();
    Ok((render(settings, intent, whole)?, twin(settings, intent, whole)?))
}
