//! A rollout as it goes: redrawn in place on a terminal, one line an event elsewhere.

use std::io::{IsTerminal, Write};

use canaryd_cockpit::EventLine;
use canaryd_planner::Report;

use super::screens::{render_ending, render_event, render_follow};
use super::style::{NARROWEST, Style, fold, width_of};

/// Where the screen is drawn.
pub(crate) struct Live {
    terminal: bool,
    style: Style,
    drawn: usize,
    said: bool,
    /// Lines below the state; on a terminal only.
    footer: Vec<String>,
}

impl Live {
    /// On stdout, in its default looks.
    pub(crate) fn on_stdout() -> Self {
        Self::styled(Style::of(&super::Common::default()))
    }
    /// On stdout, in these looks.
    pub(crate) fn styled(style: Style) -> Self {
        Self { terminal: std::io::stdout().is_terminal(), style, drawn: 0, said: false, footer: Vec::new() }
    }

    /// The state changed.
    pub(crate) fn report(&mut self, host: &str, report: &Report) {
        let (width, height) = size();
        if self.terminal {
            self.redraw(&render_follow(report, host, width, self.style), width, height);
        } else if !self.said {
            self.said = true;
            put(&self.style.finish(format!("{} on {host}: {}\n", report.name, report.sentence)));
        }
    }

    /// What stands below the state from the next time on.
    pub(crate) fn below(&mut self, lines: Vec<String>) {
        self.footer = lines.into_iter().map(|line| self.style.finish(line)).collect();
    }

    /// Something happened. A terminal shows it by the state itself.
    pub(crate) fn event(&mut self, event: &EventLine) {
        if !self.terminal {
            put(&format!("{}\n", render_event(event, self.style)));
        }
    }

    /// Something about the daemon itself; it stays on the screen.
    pub(crate) fn note(&mut self, text: &str) {
        talk(&self.style.finish(format!("{text}\n")));
        self.drawn = 0;
    }

    /// A page that was asked for, in the place of the state, which comes again below it.
    pub(crate) fn page(&mut self, text: &str) {
        let gone = if self.drawn > 0 { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) } else { String::new() };
        put(&self.style.finish(format!("{gone}{text}\n")));
        self.drawn = 0;
    }

    /// It is over.
    pub(crate) fn end(&mut self, host: &str, report: &Report) {
        // The ending says everything that the moving screen said last.
        let gone = if self.drawn > 0 { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) } else { "\n".to_owned() };
        put(&format!("{gone}{}\n", render_ending(report, host, size().0, self.style)));
        self.drawn = 0;
        self.said = false;
    }

    fn redraw(&mut self, screen: &str, width: usize, height: usize) {
        // Of a screen that is too long the end is not shown; the question below it always is.
        let room = height.saturating_sub(1 + self.footer.len()).max(1);
        let footer = self.footer.iter().map(String::as_str);
        let lines: Vec<&str> = screen.lines().take(room).chain(footer).collect();
        let mut out = if self.drawn > 0 { format!("\u{1b}[{}A", self.drawn) } else { String::new() };
        for line in &lines {
            let fits = width_of(line) <= width;
            let cut: String = if fits { (*line).to_owned() } else { line.chars().take(width).collect() };
            out.push_str(&format!("\r\u{1b}[K{cut}\u{1b}[0m\n"));
        }
        out.push_str("\u{1b}[J");
        put_exact(&out);
        self.drawn = lines.len();
    }
}

/// Columns and rows of the terminal; 80 by 24 where there is none.
pub(crate) fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col).max(NARROWEST), usize::from(size.ws_row))
        }
        Ok(_) | Err(_) => (80, 24),
    }
}

/// Text for people on stdout: on a terminal no word is cut at its edge.
pub(crate) fn put(text: &str) {
    if std::io::stdout().is_terminal() { put_exact(&fold(text, size().0)) } else { put_exact(text) }
}

/// Data on stdout, as it is. A reader that went away ends the command without a word, as it should in a pipe.
pub(crate) fn put_exact(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nothing can be told to somebody who no longer listens.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Talk on stderr.
pub(crate) fn talk(text: &str) {
    if std::io::stderr().is_terminal() { talk_exact(&fold(text, size().0)) } else { talk_exact(text) }
}

/// What stands below something else on stderr: a caret.
pub(crate) fn talk_exact(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
