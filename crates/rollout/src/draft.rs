//! From text to drafts: each document of a file, checked as far as that is possible without reading anything else.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::ids::RolloutName;
use crate::spec::PullPolicy;

/// A manifest file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Path shown in messages.
    pub name: String,
    /// The whole content.
    pub text: String,
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
    name: RolloutName,
    line: usize,
    needs: Needs,
    content_hash: String,
}

/// Reads every document of a file. `vars` is what the daemon was given by `--var`.
#[must_use]
pub fn parse(source: &SourceText, vars: &BTreeMap<String, String>) -> Parsed {
    let _ = (source, vars);
    Parsed::default()
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
        false
    }
    /// All images, given the content of the files.
    #[must_use]
    pub fn images(&self, files: &BTreeMap<String, Result<Vec<u8>, String>>) -> BTreeMap<String, PullPolicy> {
        let _ = files;
        self.needs.images.clone()
    }
    /// SHA-256 of the document after interpolation, in hexadecimal. Equal for equal content whatever its comments, its
    /// layout and its place in the file; what files and images contain is not part of it.
    #[must_use]
    pub fn content_hash(&self) -> String {
        self.content_hash.clone()
    }
}
