//! `canaryd stop`: reads the user's own page, hands it to the daemon, and asks for the stop.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use canaryd_cockpit::PageRequest;
use canaryd_gateway::{BadPage, LARGEST_PAGE, Page, PageKind};
use canaryd_planner::Verb;

use super::daemon;
use super::verbs::send;
use crate::cli::args::{Asked, Common, StopArgs};
use crate::cli::exit::{Exit, Failure};

/// `canaryd stop`.
pub(crate) async fn stop(args: StopArgs, common: &Common) -> Result<Exit, Failure> {
    let retry_after = args.retry_after.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let page = match &args.page {
        Some(file) => {
            // A mistake in it is told before anything is asked.
            let read = read(file)?;
            let kind = file.display().to_string();
            let request = PageRequest { file: kind, text: read.text().to_owned() };
            Some(daemon(common).await?.keep_page(&args.name, &request).await?.page)
        }
        None => None,
    };
    send(Asked { name: args.name, verb: Verb::Stop { page, retry_after }, how: args.how }, common).await
}

/// Only a plain file is opened: whoever opens a pipe waits for its writer.
fn read(path: &Path) -> Result<Page, Failure> {
    let meta = std::fs::metadata(path).map_err(|e| Failure::file(path, &e))?;
    let bad = |why: String| Failure::usage(format!("{} cannot be a page: {why}", path.display()));
    if !meta.is_file() {
        let what = if meta.is_dir() { "it is a directory" } else { "it is no plain file" };
        return Err(bad(what.to_owned()));
    }
    if meta.len() > LARGEST_PAGE as u64 {
        return Err(
            bad(BadPage::TooLarge(meta.len()).to_string()).hint("put images and styles elsewhere, or leave them out")
        );
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(|e| Failure::file(path, &e))?;
    file.take(LARGEST_PAGE as u64 + 1).read_to_end(&mut content).map_err(|e| Failure::file(path, &e))?;
    Page::new(PageKind::of_file(&path.display().to_string()), &content).map_err(|why| bad(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_page_is_refused_with_the_reason_and_a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            format!("{:?}", read(&path).unwrap_err())
        };
        assert!(refused("empty.html", b"").contains("it is empty"));
        assert!(refused("large.html", &vec![b'x'; 10 << 20]).contains("it has 10485760 bytes"));
        assert!(refused("logo.png", b"\x89PNG\r\n\x1a\n").contains("no text"));
        assert!(format!("{:?}", read(dir.path()).unwrap_err()).contains("it is a directory"));
        assert!(format!("{:?}", read(&dir.path().join("none")).unwrap_err()).contains("none"));
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(format!("{:?}", read(&fifo).unwrap_err()).contains("no plain file"));
        std::fs::write(dir.path().join("down.html"), "<p>soon</p>").unwrap();
        assert_eq!(read(&dir.path().join("down.html")).unwrap().text(), "<p>soon</p>");
    }
}
