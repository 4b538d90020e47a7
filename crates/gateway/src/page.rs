//! A page of the user's own, for the time in which a rollout is stopped for maintenance.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes that a page may have: all of it is a part of the configuration, so that it needs nothing else.
pub const LARGEST_PAGE: usize = 128 * 1024;

/// What a page is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageKind {
    /// For browsers; who asks for JSON gets a built-in answer.
    Html,
    /// For everybody.
    Json,
    /// For everybody.
    Text,
}

impl PageKind {
    /// By the end of a file's name; HTML unless it is known to be something else.
    #[must_use]
    pub fn of_file(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
            Some("json") => Self::Json,
            Some("txt") => Self::Text,
            Some(_) | None => Self::Html,
        }
    }

    /// The end of a file's name.
    fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Text => "txt",
        }
    }
}

/// Names a page by its content: `9f86d081884c7d65.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PageId {
    hash: u64,
    kind: PageKind,
}

impl PageId {
    /// What it is made of.
    #[must_use]
    pub fn kind(self) -> PageKind {
        self.kind
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}.{}", self.hash, self.kind.ending()))
    }
}

/// The text names no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no page: 16 hexadecimal digits, then .html, .json or .txt")]
pub struct BadPageId(String);

impl FromStr for PageId {
    type Err = BadPageId;
    fn from_str(text: &str) -> Result<Self, BadPageId> {
        let bad = || BadPageId(text.to_owned());
        let (digits, _) = text.split_once('.').ok_or_else(bad)?;
        let id = Self { hash: u64::from_str_radix(digits, 16).map_err(|_| bad())?, kind: PageKind::of_file(text) };
        if id.to_string() == text { Ok(id) } else { Err(bad()) }
    }
}

impl TryFrom<String> for PageId {
    type Error = BadPageId;
    fn try_from(text: String) -> Result<Self, BadPageId> {
        text.parse()
    }
}

impl From<PageId> for String {
    fn from(id: PageId) -> String {
        id.to_string()
    }
}

/// Why a file cannot be a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// Nobody would see anything.
    #[error("it is empty")]
    Empty,
    /// More than [`LARGEST_PAGE`].
    #[error("it has {0} bytes; a page may have at most {LARGEST_PAGE} (128 KiB)")]
    TooLarge(u64),
    /// An image, an archive, another encoding.
    #[error("it is no text in UTF-8 (at byte {0})")]
    NoText(usize),
}

/// A page that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    id: PageId,
    text: String,
}

impl Page {
    /// Takes a file's content.
    ///
    /// # Errors
    /// It is empty, too large, or no text.
    pub fn new(kind: PageKind, content: &[u8]) -> Result<Self, BadPage> {
        if content.is_empty() {
            return Err(BadPage::Empty);
        }
        if content.len() > LARGEST_PAGE {
            return Err(BadPage::TooLarge(content.len() as u64));
        }
        let text = str::from_utf8(content).map_err(|error| BadPage::NoText(error.valid_up_to()))?;
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if let Some(at) = text.find(control) {
            return Err(BadPage::NoText(at));
        }
        Ok(Self { id: PageId { hash: fnv(content), kind }, text: text.to_owned() })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> PageId {
        self.id
    }

    /// Its content.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// FNV-1a (Fowler, Noll, Vo; 64 bits): one rollout has a handful of pages, of its owner's own.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_content_and_the_name_reads_what_it_prints() {
        let page = |kind, text: &str| Page::new(kind, text.as_bytes()).expect("a page").id();
        let id = page(PageKind::of_file("/srv/Down.HTM"), "<p>soon</p>");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id, page(PageKind::Html, "<p>soon</p>"));
        assert!(id != page(PageKind::Html, "<p>soon</p>\n") && id != page(PageKind::Text, "<p>soon</p>"));
        assert_eq!(
            page(PageKind::of_file("x.json"), "{}")
                .to_string()
                .rsplit_once('.')
                .map(|(_, end)| end.to_owned())
                .as_deref(),
            Some("json")
        );
        for text in ["", "x", "1.html", "9f86d081884c7d65.exe", "9F86D081884C7D65.html", "../../etc/passwd.html"] {
            assert!(text.parse::<PageId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_empty_too_large_or_no_text_is_no_page() {
        let refused = |content: &[u8]| Page::new(PageKind::Html, content).expect_err("no page");
        assert_eq!(refused(b""), BadPage::Empty);
        assert_eq!(refused(&vec![b'x'; LARGEST_PAGE + 1]), BadPage::TooLarge(131_073));
        assert_eq!(refused(b"ab\0"), BadPage::NoText(2));
        assert_eq!(refused(b"caf\xe9"), BadPage::NoText(3));
        assert!(Page::new(PageKind::Html, &vec![b'x'; LARGEST_PAGE]).is_ok());
    }
}
