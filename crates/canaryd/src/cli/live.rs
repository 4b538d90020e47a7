//! A rollout as it goes: redrawn in place on a terminal, one line an event elsewhere.

use std::io::{IsTerminal, Write};

use canaryd_cockpit::EventLine;
use canaryd_planner::Report;

use super::screens::{render_ending, render_event, render_follow};
use super::style::{NARROWEST, Sign, Style, fold, width_of};
use super::words::several;

/// Where the screen is drawn.
pub(crate) struct Live {
    terminal: bool,
    style: Style,
    drawn: usize,
    said: bool,
    /// Lines below the state; on a terminal only.
    footer: Vec<String>,
    reading: Option<Reading>,
}

/// A page that has no room beside the state: read in its place, part by part.
struct Reading {
    lines: Vec<String>,
    from: usize,
}

impl Reading {
    fn part(&self, height: usize) -> Vec<String> {
        let room = parts(height);
        let left = self.lines.len().saturating_sub(self.from + room);
        let mut lines: Vec<String> = self.lines.iter().skip(self.from).take(room).cloned().collect();
        lines.push(match left {
            0 => "  any key: back".to_owned(),
            n => format!("  any key: {}", several(n as u64, "more line")),
        });
        lines
    }
}

/// Lines of one part of a page, without what stands below it.
fn parts(height: usize) -> usize {
    height.saturating_sub(2).max(1)
}

impl Live {
    /// On stdout, in its default looks.
    pub(crate) fn on_stdout() -> Self {
        Self::styled(Style::of(&super::Common::default()))
    }
    /// On stdout, in these looks.
    pub(crate) fn styled(style: Style) -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            style,
            drawn: 0,
            said: false,
            footer: Vec::new(),
            reading: None,
        }
    }

    /// The state changed.
    pub(crate) fn report(&mut self, host: &str, report: &Report) {
        let (width, height) = size();
        if let Some(reading) = &self.reading {
            let part = reading.part(height);
            self.redraw(&part, width);
        } else if self.terminal {
            let screen = render_follow(report, host, width, self.style);
            let now = self.style.sign(Sign::Now);
            self.redraw(&picture(&screen, &self.footer, &now, height), width);
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

    /// A page that was asked for, in the place of the state, which comes again below it, or where there is no room for
    /// both, when the page was read.
    pub(crate) fn page(&mut self, text: &str) {
        let (width, height) = size();
        let lines: Vec<String> = fold(&self.style.finish(text.to_owned()), width).lines().map(str::to_owned).collect();
        if lines.len() + 1 + self.drawn >= height {
            self.reading = Some(Reading { lines, from: 0 });
            return;
        }
        let gone = if self.drawn > 0 { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) } else { String::new() };
        put(&self.style.finish(format!("{gone}{text}\n")));
        self.drawn = 0;
    }

    /// A key, while a page is read: the next part of it, or the state again. `false`: none is.
    pub(crate) fn turn_page(&mut self) -> bool {
        let Some(mut reading) = self.reading.take() else { return false };
        reading.from += parts(size().1);
        self.reading = Some(reading).filter(|reading| reading.from < reading.lines.len());
        true
    }

    /// It is over.
    pub(crate) fn end(&mut self, host: &str, report: &Report) {
        // The ending says everything that the moving screen said last.
        let gone = if self.drawn > 0 { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) } else { "\n".to_owned() };
        put(&format!("{gone}{}\n", render_ending(report, host, size().0, self.style)));
        self.drawn = 0;
        self.said = false;
    }

    fn redraw(&mut self, lines: &[String], width: usize) {
        let mut out = if self.drawn > 0 { format!("\u{1b}[{}A", self.drawn) } else { String::new() };
        for line in lines {
            let fits = width_of(line) <= width;
            let cut: String = if fits { line.clone() } else { line.chars().take(width).collect() };
            out.push_str(&format!("\r\u{1b}[K{cut}\u{1b}[0m\n"));
        }
        out.push_str("\u{1b}[J");
        put_exact(&out);
        self.drawn = lines.len();
    }
}

/// The state and what stands below it, in a terminal of this height. Of a state that is too long the end is not shown; the
/// stage under observation, which begins with the sign `now`, and what stands below always are.
fn picture(screen: &str, footer: &[String], now: &str, height: usize) -> Vec<String> {
    let room = height.saturating_sub(1 + footer.len()).max(1);
    let mut lines: Vec<&str> = screen.lines().take(room).collect();
    let stage = screen.lines().skip(room).find(|line| line.trim_start().starts_with(now));
    if let (Some(stage), Some(last)) = (stage, lines.last_mut()) {
        *last = stage;
    }
    lines.into_iter().map(str::to_owned).chain(footer.iter().cloned()).collect()
}

/// What a terminal of this size shows of a page: its beginning, which says how it stands, and how much is left.
pub(crate) fn top(text: &str, (width, height): (usize, usize)) -> String {
    let folded = fold(text, width);
    let lines: Vec<&str> = folded.lines().collect();
    let room = height.saturating_sub(1).max(1);
    if lines.len() <= room {
        return folded;
    }
    let shown = room.saturating_sub(1).max(1);
    let left = several((lines.len() - shown) as u64, "more line");
    format!("{}\n… and {left}: a higher terminal, or without --watch\n", lines[..shown].join("\n"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_low_the_terminal_the_stage_under_observation_and_the_question_are_seen() {
        let screen = "title\nsentence\nmore\n\n  ✔ 1 %  passed\n  ▶ 5 %  now\n  · 25 %  later\n";
        let footer = ["", "  Type yes"].map(str::to_owned);
        assert_eq!(picture(screen, &footer, "▶", 24).len(), 9, "all of it");
        assert_eq!(picture(screen, &footer, "▶", 6), ["title", "sentence", "  ▶ 5 %  now", "", "  Type yes"]);
        assert_eq!(picture(screen, &footer, "▶", 1), ["  ▶ 5 %  now", "", "  Type yes"]);
    }

    #[test]
    fn of_a_page_that_is_higher_than_the_terminal_the_beginning_is_seen() {
        let page: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let seen = top(&page, (80, 24));
        assert_eq!(seen.lines().count(), 23);
        assert!(
            seen.starts_with("line 0\n")
                && seen.ends_with("line 21\n… and 18 more lines: a higher terminal, or without --watch\n"),
            "{seen}"
        );
        assert_eq!(top("line 0\n", (80, 24)), "line 0\n");
    }

    #[test]
    fn a_page_without_room_beside_the_state_is_read_in_parts_and_then_the_state_comes_again() {
        let lines = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let reading = Reading { lines: lines.clone(), from: 0 };
        assert_eq!(reading.part(5), ["a", "b", "c", "  any key: 2 more lines"]);
        assert_eq!(Reading { lines, from: 3 }.part(5), ["d", "e", "  any key: back"]);
        let mut live = Live { reading: Some(reading), ..Live::styled(Style::PLAIN) };
        assert!(live.turn_page() && live.reading.is_none(), "a terminal of 24 lines has shown all of it");
        assert!(!live.turn_page());
    }
}
