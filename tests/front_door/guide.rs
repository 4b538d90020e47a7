//! What docs/front-door.md shows, block by block.

use canaryd_e2e::document::blocks;

/// A section of the guide.
pub(crate) struct Section {
    blocks: Vec<canaryd_e2e::document::Block>,
}

impl Section {
    /// The section with this heading.
    pub(crate) fn of(heading: &str) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/front-door.md");
        let text = std::fs::read_to_string(path).expect("the guide");
        let from = text.split_once(&format!("\n## {heading}\n")).expect("a section of that name").1;
        Self { blocks: blocks(from.split_once("\n## ").map_or(from, |(section, _)| section)) }
    }

    /// Its blocks of a kind, in order.
    pub(crate) fn all(&self, info: &str) -> Vec<String> {
        let found: Vec<String> = self.blocks.iter().filter(|b| b.info == info).map(|b| b.text.clone()).collect();
        assert!(!found.is_empty(), "the section shows no {info}");
        found
    }

    /// Its first block of a kind.
    pub(crate) fn first(&self, info: &str) -> String {
        self.all(info).remove(0)
    }
}

/// A configuration as it was before its one line was changed: the line that says `# was X` leads to X.
pub(crate) fn before(after: &str) -> String {
    let changed = after.lines().filter(|line| line.contains("# was ")).count();
    assert_eq!(changed, 1, "the guide promises one line");
    after
        .lines()
        .map(|line| line.split_once("# was ").map_or(line.to_owned(), |(now, was)| led_back(now, was)) + "\n")
        .collect()
}

/// The last word of the line is where it leads.
fn led_back(now: &str, was: &str) -> String {
    let code = now.trim_end().trim_end_matches(';');
    let target = code.rsplit(' ').next().unwrap_or_default();
    let end = if now.trim_end().ends_with(';') { ";" } else { "" };
    format!("{}{}{end}", code.trim_end_matches(target), was.trim())
}

#[test]
fn the_line_leads_back() {
    let nginx = "a;\n  proxy_pass http://127.0.0.1:8080;   # was http://127.0.0.1:9000\nb;\n";
    assert_eq!(before(nginx), "a;\n  proxy_pass http://127.0.0.1:9000;\nb;\n");
    assert_eq!(before("server shop 127.0.0.1:8080 # was 127.0.0.1:9000\n"), "server shop 127.0.0.1:9000\n");
}
