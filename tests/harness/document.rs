//! The documents' fenced blocks: what they show is what tests run.

/// A fenced block of a document.
#[derive(Debug, Clone)]
pub struct Block {
    /// What stands behind the opening fence.
    pub info: String,
    /// The line of its first line.
    pub line: usize,
    /// What is in it.
    pub text: String,
}

/// All of them, in order.
#[must_use]
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (open.take(), line.strip_prefix("```")) {
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, Some(info)) => open = Some(Block { info: info.to_owned(), line: number + 1, text: String::new() }),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}
