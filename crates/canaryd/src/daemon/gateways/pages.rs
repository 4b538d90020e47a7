//! Pages of the user's own that a rollout shows while it is stopped: kept by their content beside the gateway's
//! configurations, so that nothing of the user's disk is needed later.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use canaryd_gateway::{Page, PageId, Traffic};

use crate::daemon::store::{private_dir, write_atomically};

/// A page that nothing shows is kept so long: the command that names it is on its way.
const KEPT: Duration = Duration::from_secs(3600);

fn pages(dir: &Path) -> PathBuf {
    dir.join("pages")
}

/// Keeps a page. Idempotent.
pub(crate) fn keep(dir: &Path, page: &Page) -> Result<()> {
    private_dir(&pages(dir)).with_context(|| format!("cannot make {}", pages(dir).display()))?;
    let path = pages(dir).join(page.id().to_string());
    write_atomically(&path, page.text().as_bytes(), 0o600).with_context(|| format!("cannot keep {}", path.display()))
}

/// The page that this traffic shows. One that is lost, or was changed by somebody, is none: the built-in one takes its place.
pub(super) fn shown(dir: &Path, traffic: Traffic) -> Option<Page> {
    let id = id_of(traffic)?;
    let content = fs::read(pages(dir).join(id.to_string())).ok()?;
    Page::new(id.kind(), &content).ok().filter(|page| page.id() == id)
}

fn id_of(traffic: Traffic) -> Option<PageId> {
    match traffic {
        Traffic::Stopped { page, .. } => page,
        Traffic::Nobody | Traffic::Split { .. } => None,
    }
}

/// Removes pages that are not shown any more.
pub(super) fn sweep(dir: &Path, shown: Traffic) {
    let shown = id_of(shown).map(|id| id.to_string());
    let Ok(entries) = fs::read_dir(pages(dir)) else { return };
    for entry in entries.filter_map(Result::ok) {
        let is_shown = shown.as_deref() == entry.file_name().to_str();
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if !is_shown && age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use canaryd_gateway::PageKind;

    use super::*;

    #[test]
    fn a_page_is_found_by_its_content_and_what_was_changed_or_lost_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let page = Page::new(PageKind::Html, b"<p>soon</p>").unwrap();
        let traffic = Traffic::Stopped { page: Some(page.id()), retry_after: 60 };
        assert_eq!(shown(dir.path(), traffic), None);
        keep(dir.path(), &page).unwrap();
        keep(dir.path(), &page).unwrap();
        assert_eq!(shown(dir.path(), traffic), Some(page.clone()));
        assert_eq!(shown(dir.path(), Traffic::Stopped { page: None, retry_after: 60 }), None);
        sweep(dir.path(), Traffic::Nobody);
        assert_eq!(shown(dir.path(), traffic), Some(page.clone()), "the command that names it is on its way");
        fs::write(pages(dir.path()).join(page.id().to_string()), "<p>never</p>").unwrap();
        assert_eq!(shown(dir.path(), traffic), None);
    }
}
