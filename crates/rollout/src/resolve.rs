//! From a draft and what it needs to a rollout.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::decode::{Drafted, Manifest, WantedFile};
use crate::diagnostic::{Diagnostic, Severity, Snippet};
use crate::draft::{Draft, hex};
use crate::envfile;
use crate::ids::RevisionId;
use crate::revision;
use crate::spec::{Component, FileMount, ImageState, Rollout};
use crate::walk::Walk;

/// What the caller found out for a draft.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// For each of `Needs::files`: its content, or one sentence on why it could not be read.
    pub files: BTreeMap<String, Result<Vec<u8>, String>>,
    /// For each image: what the engine says. An image that is not named here counts as pending.
    pub images: BTreeMap<String, ImageState>,
}

/// A rollout that is ready to be acted upon.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The rollout.
    pub rollout: Rollout,
    /// Contents of configs and secrets by digest, to be written to `revisions/<revision>/files/<digest>`.
    pub copies: BTreeMap<String, Vec<u8>>,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Fills a draft with the content of its files and the ids of its images.
///
/// # Errors
/// All problems that the files bring: unreadable, not an env file, a variable that is set nowhere.
pub fn resolve(draft: &Draft, inputs: &Inputs) -> Result<Resolved, Vec<Diagnostic>> {
    let mut walk = Walk::new(&draft.source);
    let manifest = draft.manifest(&mut walk, &inputs.files);
    let mut filling = Filling { walk, inputs, copies: BTreeMap::new(), elsewhere: Vec::new() };
    let rollout = manifest.map(|manifest| filling.rollout(draft, manifest));
    let Filling { walk, copies, elsewhere, .. } = filling;
    let mut problems = walk.finish();
    problems.retain(|problem| !draft.said.contains(problem));
    problems.extend(elsewhere);
    match rollout {
        Some(rollout) if !problems.iter().any(Diagnostic::is_error) => {
            Ok(Resolved { rollout, copies, warnings: problems })
        }
        Some(_) | None => Err(problems),
    }
}

struct Filling<'a> {
    walk: Walk<'a>,
    inputs: &'a Inputs,
    copies: BTreeMap<String, Vec<u8>>,
    /// Problems in other files than the manifest.
    elsewhere: Vec<Diagnostic>,
}

impl Filling<'_> {
    fn rollout(&mut self, draft: &Draft, manifest: Manifest) -> Rollout {
        let image = |name: String| {
            let state = self.inputs.images.get(&name).cloned().unwrap_or(ImageState::Pending);
            (name, state)
        };
        let images = manifest.images().into_keys().map(image).collect();
        let app = self.component(manifest.app);
        let workers = manifest.workers.into_iter().map(|w| self.component(w)).collect();
        let unnamed = RevisionId::of_digest(&[0; 32]);
        let mut rollout = Rollout {
            name: manifest.name,
            origin: format!("{}:{}", draft.source.name, draft.line()),
            version: manifest.version,
            revision: unnamed.clone(),
            provisional: unnamed,
            images,
            app,
            workers,
            gateway: manifest.gateway,
            stages: manifest.stages,
            analysis: manifest.analysis,
            checks: manifest.checks,
            deadlines: manifest.deadlines,
            promotion: manifest.promotion,
            on_delete: manifest.on_delete,
        };
        rollout.provisional = revision::provisional(&rollout);
        rollout.revision = revision::revision(&rollout);
        rollout
    }

    fn component(&mut self, drafted: Drafted) -> Component {
        let Drafted { mut component, wants } = drafted;
        let mut env = BTreeMap::new();
        for wanted in &wants.env_files {
            env.extend(self.env_file(wanted));
        }
        env.append(&mut component.container.env);
        component.container.env = env;
        for (wanted, mounted) in wants.files {
            let Some(content) = self.content(&wanted) else { continue };
            let content = content.to_owned();
            let copy = copy_name(&Sha256::digest(&content), mounted.mode);
            self.copies.insert(copy.clone(), content);
            let (target, secret, mode) = (mounted.target, mounted.secret, mounted.mode);
            component.container.files.push(FileMount { copy, target, secret, mode });
        }
        component.container.files.sort_by(|a, b| a.target.cmp(&b.target));
        component
    }

    fn content(&mut self, wanted: &WantedFile) -> Option<&[u8]> {
        match self.inputs.files.get(&wanted.name) {
            Some(Ok(content)) => Some(content),
            Some(Err(why)) => {
                let message = format!("cannot read {}: {why}", wanted.shown);
                self.walk
                    .error_in(wanted.span.clone(), &wanted.path, message)
                    .label("this file is needed")
                    .hint("paths are relative to the manifest");
                None
            }
            None => {
                let message = format!("{} was not read", wanted.shown);
                self.walk.error_in(wanted.span.clone(), &wanted.path, message).label("this file is needed");
                None
            }
        }
    }

    fn env_file(&mut self, wanted: &WantedFile) -> BTreeMap<String, String> {
        let Some(content) = self.content(wanted).map(<[u8]>::to_owned) else { return BTreeMap::new() };
        match envfile::read(&content) {
            Ok(values) => values,
            Err(problems) => {
                let text = String::from_utf8_lossy(&content);
                for problem in problems {
                    let mut diagnostic = Diagnostic::of_file(Severity::Error, &wanted.shown, problem.message);
                    diagnostic.line = problem.line;
                    diagnostic.column = 1;
                    diagnostic.rollout.clone_from(&self.walk.rollout);
                    diagnostic.snippet = text.lines().nth(problem.line - 1).map(name_only);
                    diagnostic.hint("lines are KEY=VALUE; quotes close on their line; # starts a comment");
                    self.elsewhere.push(diagnostic);
                }
                BTreeMap::new()
            }
        }
    }
}

/// A line of an env file without its value.
fn name_only(line: &str) -> Snippet {
    let text = line.split_once('=').map_or_else(|| "***".to_owned(), |(name, _)| format!("{name}=***"));
    let length = text.chars().count().max(1);
    Snippet { text, start: 0, length }
}
/// Digest of the content, and the mode where it is another than the usual one. Whatever the manifest says, everybody inside may
/// read it: which user a container runs as is not known here.
fn copy_name(digest: &[u8], mode: u32) -> String {
    let mode = mode | 0o444;
    let digest = hex(digest);
    if mode == 0o444 { digest } else { format!("{digest}.{mode:o}") }
}
