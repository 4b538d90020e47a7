//! How a screen looks: colour or not, signs or ASCII, and lines that fit. Colour never carries the meaning alone.

use std::io::IsTerminal;

use super::args::Common;

/// Narrower than this nothing is legible; wider lines are used on a terminal that has them.
pub(crate) const NARROWEST: usize = 40;

/// How a screen looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// ANSI colours.
    pub(crate) colour: bool,
    /// Only ASCII signs.
    pub(crate) ascii: bool,
}

/// A sign before a line. The words after it say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Done, good.
    Done,
    /// Gone wrong.
    Wrong,
    /// Worth knowing.
    Warning,
    /// Going on.
    Now,
    /// Not yet.
    Ahead,
    /// Left out.
    Skipped,
}

impl Style {
    /// For a file.
    pub(crate) const PLAIN: Self = Self { colour: false, ascii: false };

    /// What this terminal and this caller want.
    pub(crate) fn of(common: &Common) -> Self {
        let colour = std::io::stdout().is_terminal()
            && !common.no_color
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        Self { colour, ascii: common.ascii }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    /// Of weight.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    /// Only for harm.
    pub(crate) fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }
    /// In production, passed.
    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }
    /// Waits for a person.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }
    /// Of little weight.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A sign, coloured.
    pub(crate) fn sign(self, sign: Sign) -> String {
        let (unicode, ascii) = match sign {
            Sign::Done => ("✔", "+"),
            Sign::Wrong => ("✘", "x"),
            Sign::Warning => ("!", "!"),
            Sign::Now => ("▶", ">"),
            Sign::Ahead => ("·", "."),
            Sign::Skipped => ("»", "-"),
        };
        let text = if self.ascii { ascii } else { unicode };
        match sign {
            Sign::Done => self.green(text),
            Sign::Wrong => self.red(text),
            Sign::Warning => self.yellow(text),
            Sign::Now => self.bold(text),
            Sign::Ahead | Sign::Skipped => self.dim(text),
        }
    }

    /// The last pass over a finished screen: with `--ascii` nothing else is left in it.
    pub(crate) fn finish(self, screen: String) -> String {
        if !self.ascii {
            return screen;
        }
        let mut plain = String::with_capacity(screen.len());
        for sign in screen.chars() {
            match sign {
                '→' => plain.push_str("->"),
                '×' => plain.push('x'),
                '–' | '—' | '─' => plain.push('-'),
                '·' => plain.push('.'),
                '…' => plain.push_str("..."),
                '≤' => plain.push_str("<="),
                '≥' => plain.push_str(">="),
                '├' | '└' | '│' => plain.push('|'),
                '━' => plain.push('='),
                '╸' => plain.push('>'),
                c if c.is_ascii() => plain.push(c),
                // Names and messages of other people: better a sign too much than a lost letter.
                c => plain.extend(c.escape_unicode()),
            }
        }
        plain
    }

    /// A bar of `width` signs with this share of it full.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a width of a terminal"
    )]
    pub(crate) fn bar(share: f64, width: usize) -> String {
        let full = (share.clamp(0.0, 1.0) * width as f64).floor() as usize;
        if full >= width {
            return "━".repeat(width);
        }
        format!("{}╸{}", "━".repeat(full), "─".repeat(width - full - 1))
    }
}

/// Signs that a text takes on the screen; colour codes take none.
pub(crate) fn width_of(text: &str) -> usize {
    let mut n = 0;
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        if sign == '\u{1b}' {
            signs.by_ref().find(|c| *c == 'm');
        } else {
            n += 1;
        }
    }
    n
}

/// Breaks lines that are longer than `width` at spaces; what goes on is indented by two more. Spacing within a line and
/// words that fit nowhere stay as they are.
pub(crate) fn fold(text: &str, width: usize) -> String {
    text.split_inclusive('\n').map(|line| fold_line(line, width)).collect()
}

fn fold_line(line: &str, width: usize) -> String {
    // Below a line of a manifest stands a caret.
    let is_quoted = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    if width_of(line.trim_end()) <= width || is_quoted {
        return line.to_owned();
    }
    let indent = " ".repeat((line.len() - line.trim_start_matches(' ').len() + 2).min(width / 2));
    let (mut out, mut column) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let needed = width_of(word.trim_end());
        if column > indent.len() && column + needed > width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&indent);
            column = indent.len();
        }
        out.push_str(word);
        column += width_of(word);
    }
    out
}

/// `first` and then the text, in lines of at most `width` signs; later lines begin with `rest`.
pub(crate) fn wrap(first: &str, rest: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    // A number and its percent sign stay together.
    for word in text.replace(" %", "\u{1}%").split_whitespace() {
        let word = &word.replace('\u{1}', " ");
        let needed = width_of(&line) + usize::from(!empty) + width_of(word);
        if needed > width && !empty {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// The text, filled up with blanks to `width` signs.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// Text from outside (a log line, a probe's answer, a name) without control signs: nobody writes on this terminal but us.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_asked_and_no_word_is_lost() {
        let text = "one two three four five six seven eight nine ten";
        let lines = wrap("- ", "  ", text, 16);
        assert!(lines.iter().all(|l| width_of(l) <= 16), "{lines:?}");
        let words: Vec<&str> = lines.iter().flat_map(|l| l.trim_start_matches('-').split_whitespace()).collect();
        assert_eq!(words.join(" "), text);
    }

    #[test]
    fn a_long_line_is_broken_at_a_space_and_a_short_one_stays() {
        assert_eq!(fold("  ab  cd efgh\nab   cd\n", 10), "  ab  cd\n    efgh\nab   cd\n");
        assert_eq!(fold("0123456789ABC de", 10), "0123456789ABC\n  de");
        assert_eq!(fold("7 |   listen: 80\n", 10), "7 |   listen: 80\n", "a caret stands below it");
    }

    #[test]
    fn a_number_keeps_its_percent_sign() {
        assert_eq!(wrap("", "", "limit is 0.5 % today", 12), ["limit is", "0.5 % today"]);
    }

    #[test]
    fn colour_takes_no_room() {
        let style = Style { colour: true, ascii: false };
        assert_eq!(width_of(&style.red("✘ seven")), 7);
        assert_eq!(pad(&style.bold("ab"), 4).len(), "\u{1b}[1mab\u{1b}[0m  ".len());
    }

    #[test]
    fn ascii_means_ascii() {
        let style = Style { colour: false, ascii: true };
        let screen = style.finish(format!("{} a → b × 2 … {} \u{e9}", style.sign(Sign::Done), Style::bar(0.5, 8)));
        assert!(screen.is_ascii(), "{screen}");
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(Style::bar(0.0, 4), "╸───");
        assert_eq!(Style::bar(0.99, 4), "━━━╸");
        assert_eq!(Style::bar(1.0, 4), "━━━━");
    }

    #[test]
    fn nobody_else_writes_on_the_terminal() {
        assert_eq!(tame("\u{1b}[2Jhello"), "\u{fffd}[2Jhello");
    }
}
