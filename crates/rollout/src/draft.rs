//! From text to drafts: each document of a file, checked as far as that is possible without reading anything else.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::decode::{self, Manifest};
use crate::diagnostic::{Diagnostic, Severity};
use crate::envfile;
use crate::ids::RolloutName;
use crate::private;
use crate::scope::{self, FilledDocument};
use crate::spec::PullPolicy;
use crate::tree::{self, Document, Node, Value};
use crate::walk::{self, At, Walk};

/// A manifest file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Path shown in messages.
    pub name: String,
    /// The whole content.
    pub text: String,
}

impl SourceText {
    /// A manifest file as its bytes were read.
    ///
    /// # Errors
    /// Where it stops being UTF-8.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        let wrong = match std::str::from_utf8(bytes) {
            Ok(text) => return Ok(Self { name: name.to_owned(), text: text.to_owned() }),
            Err(wrong) => wrong.valid_up_to(),
        };
        let source = Self { name: name.to_owned(), text: String::from_utf8_lossy(bytes).into_owned() };
        let mut walk = Walk::new(&source);
        for part in private::hidden_around(&source.text, 0, wrong) {
            walk.hide(part);
        }
        let two_bytes = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let what = if two_bytes { "the file is UTF-16, not UTF-8" } else { "the file is not UTF-8" };
        walk.error_in(wrong..wrong, "", what).label("the first byte that cannot be read").hint("save it as UTF-8");
        Err(walk.finish())
    }
}

/// What a file holds: the usable documents, and every problem of every document.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// Documents without errors, in the order of the file.
    pub drafts: Vec<Draft>,
    /// Documents with errors. Their rollouts are not deleted: the last valid version of each stays in force.
    pub broken: Vec<Broken>,
    /// All problems, in the order of the file; warnings among them.
    pub problems: Vec<Diagnostic>,
}

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its `metadata.name`, where that could be read.
    pub name: Option<RolloutName>,
    /// First line of the document.
    pub line: usize,
}

/// What a draft needs before it can be resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files as written: env files, configs, secrets; relative to the manifest's directory.
    pub files: BTreeSet<String>,
    /// Image references and when to pull each. While `Draft::waits_for_files` some may be missing: ask `Draft::images`.
    pub images: BTreeMap<String, PullPolicy>,
}

/// A document without errors, before its files and images were looked at.
#[derive(Debug, Clone)]
pub struct Draft {
    pub(crate) source: SourceText,
    pub(crate) root: Node,
    vars: BTreeMap<String, String>,
    name: RolloutName,
    line: usize,
    needs: Needs,
    waits: bool,
    content_hash: String,
    /// Warnings that were given when it was parsed.
    pub(crate) said: Vec<Diagnostic>,
}

/// Reads every document of a file. `vars` is what the daemon was given by `--var`.
#[must_use]
pub fn parse(source: &SourceText, vars: &BTreeMap<String, String>) -> Parsed {
    let mut parsed = Parsed::default();
    if source.text.len() > tree::LARGEST_FILE {
        let size = source.text.len();
        let message =
            format!("the file is larger than 1 MiB, the most that is read: it has {size} bytes; split it into several");
        parsed.problems.push(Diagnostic::of_file(Severity::Error, &source.name, message));
        parsed.broken.push(Broken { name: None, line: 1 });
        return parsed;
    }
    let documents = tree::documents(&source.text);
    if documents.is_empty() {
        parsed.problems.extend(nothing(source));
        parsed.broken.push(Broken { name: None, line: 1 });
    }
    let ends: Vec<usize> = documents.iter().skip(1).map(|d| d.start).chain([source.text.len()]).collect();
    let mut names: BTreeMap<RolloutName, usize> = BTreeMap::new();
    for (document, end) in documents.iter().zip(ends) {
        one(source, vars, document, end, &mut names, &mut parsed);
    }
    parsed
}

/// Nobody empties a file to say something: it is being written, or was cut off.
fn nothing(source: &SourceText) -> Vec<Diagnostic> {
    let mut walk = Walk::new(source);
    let what = if source.text.trim().is_empty() { "the file is empty" } else { "the file has no document" };
    walk.error_in(0..0, "", what)
        .label("a Rollout is expected here")
        .hint("what the file said before stays in force; to give a rollout up, remove its file");
    walk.finish()
}

fn one(
    source: &SourceText,
    vars: &BTreeMap<String, String>,
    document: &Document,
    end: usize,
    names: &mut BTreeMap<RolloutName, usize>,
    parsed: &mut Parsed,
) {
    let mut walk = Walk::new(source);
    if let Some(root) = &document.root {
        walk.hide_private(root);
    }
    document.stray.iter().for_each(|span| walk.hide(span.clone()));
    for flaw in &document.flaws {
        if document.root.is_none() {
            for part in private::hidden_around(&source.text, document.start, flaw.span.start) {
                walk.hide(part);
            }
        }
        let diagnostic = walk.error_in(flaw.span.clone(), "", flaw.message.clone());
        diagnostic.hint.clone_from(&flaw.hint);
    }
    let start = document.root.as_ref().map_or(document.start, |r| r.span.start);
    let line = walk::line_of(&source.text, start);
    let draft = document.root.as_ref().and_then(|root| read(&mut walk, source, vars, root, line));
    let readable = document.root.as_ref().and_then(name_of);
    let name = walk
        .rollout
        .clone()
        .or(readable)
        .or_else(|| name_in_text(&source.text[document.start..end.max(document.start)]));
    walk.rollout.clone_from(&name);
    if let Some(name) = &name {
        if let Some(first) = names.get(name) {
            let span = document.root.as_ref().map_or(document.start..document.start, |r| r.span.clone());
            let message = format!("{name} is in this file twice: the first one is on line {first}");
            walk.error_in(span, "metadata.name", message)
                .label("this document has it again")
                .hint("a name is one rollout; rename one of the two");
        }
        names.entry(name.clone()).or_insert(line);
    }
    if draft.is_none() && !walk.has_errors() {
        walk.error_in(start..start, "", "this document cannot be read").label("no Rollout is seen here");
    }
    let usable = draft.filter(|_| !walk.has_errors());
    let problems = walk.finish();
    match usable {
        Some(draft) => parsed.drafts.push(Draft { said: problems.clone(), ..draft }),
        None => parsed.broken.push(Broken { name, line }),
    }
    parsed.problems.extend(problems);
}

fn read(
    walk: &mut Walk,
    source: &SourceText,
    vars: &BTreeMap<String, String>,
    root: &Node,
    line: usize,
) -> Option<Draft> {
    let (filled, manifest) = filled(walk, root, vars, &|_| None);
    let manifest = manifest?;
    if !filled.uses_version
        && !walk.has_errors()
        && let Some(version) = root.get("spec").and_then(|s| s.get("version"))
    {
        let at = At::root(version);
        walk.warn(&at, "version is used nowhere: changing it starts nothing")
            .label("no ${version} in this document")
            .hint("use it in an image: NAME:${version}");
    }
    Some(Draft {
        source: source.clone(),
        root: root.clone(),
        vars: vars.clone(),
        name: manifest.name.clone(),
        line,
        needs: Needs { files: manifest.files(), images: manifest.images() },
        waits: filled.waits,
        content_hash: hash(&filled.root),
        said: Vec::new(),
    })
}

/// Fills in the variables of a document and decodes it.
fn filled(
    walk: &mut Walk,
    root: &Node,
    vars: &BTreeMap<String, String>,
    files: scope::FileVariables,
) -> (FilledDocument, Option<Manifest>) {
    walk.hide_private(root);
    let filled = scope::fill(walk, root, vars, files);
    let manifest = decode::manifest(walk, &filled.root);
    (filled, manifest)
}

fn name_of(root: &Node) -> Option<RolloutName> {
    root.get("metadata")?.get("name")?.text()?.parse().ok()
}

/// The name in a document that is no YAML: the first `name:` at or after `metadata:`.
fn name_in_text(text: &str) -> Option<RolloutName> {
    let after = text.find("metadata:")?;
    let rest = &text[after..];
    let name = rest.find("name:")? + "name:".len();
    let word = rest[name..].trim_start().split([' ', ',', '}', '\n', '\r', '#']).next()?;
    word.trim_matches(['"', '\'']).parse().ok()
}

impl Draft {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &RolloutName {
        &self.name
    }
    /// First line of the document.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
    /// Files and images that `resolve` wants to be told about.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }
    /// Whether a variable of this document may come from one of its env files, so that `needs` may lack images.
    #[must_use]
    pub fn waits_for_files(&self) -> bool {
        self.waits
    }
    /// All images, given the content of the files.
    #[must_use]
    pub fn images(&self, files: &BTreeMap<String, Result<Vec<u8>, String>>) -> BTreeMap<String, PullPolicy> {
        if !self.waits {
            return self.needs.images.clone();
        }
        let mut walk = Walk::new(&self.source);
        self.manifest(&mut walk, files).map_or_else(|| self.needs.images.clone(), |m| m.images())
    }
    /// SHA-256 of the document after interpolation, in hexadecimal. Equal for equal content whatever its comments, its
    /// layout and its place in the file; what files and images contain is not part of it.
    #[must_use]
    pub fn content_hash(&self) -> String {
        self.content_hash.clone()
    }

    /// The document with the variables of its env files.
    pub(crate) fn manifest(
        &self,
        walk: &mut Walk,
        files: &BTreeMap<String, Result<Vec<u8>, String>>,
    ) -> Option<Manifest> {
        let variables = |names: &[String]| {
            let mut found = BTreeMap::new();
            for name in names {
                if let Some(Ok(content)) = files.get(name) {
                    found.extend(envfile::read(content).unwrap_or_default());
                }
            }
            Some(found)
        };
        filled(walk, &self.root, &self.vars, &variables).1
    }
}

fn hash(root: &Node) -> String {
    let mut digest = Sha256::new();
    feed(&mut digest, root);
    hex(&digest.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(u32::from(n), 16)).collect()
}

fn feed(digest: &mut Sha256, node: &Node) {
    match &node.value {
        Value::Null => digest.update(b"n"),
        Value::Unknown => digest.update(b"?"),
        Value::Scalar(scalar) => {
            digest.update(format!("s{}:", scalar.text.len()));
            digest.update(&scalar.text);
        }
        Value::List(items) => {
            digest.update(format!("l{}:", items.len()));
            for item in items {
                feed(digest, item);
            }
        }
        Value::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            digest.update(format!("m{}:", sorted.len()));
            for entry in sorted {
                digest.update(format!("{}:{}", entry.key.len(), entry.key));
                feed(digest, &entry.node);
            }
        }
    }
}
