//! One line of the history.

use canaryd_cockpit::EventLine;
use canaryd_planner::Severity;

use crate::cli::style::{Style, tame};
use crate::cli::words;

/// One event in one line, without the line end.
pub(crate) fn render_event(event: &EventLine, style: Style) -> String {
    let level = match event.severity {
        Severity::Info => style.dim("info   "),
        Severity::Warning => style.yellow("warning"),
        Severity::Notify => style.red("notify "),
    };
    let message = tame(&event.message).replace('\n', " ");
    style.finish(format!("{}  {level}  {}  {}: {message}", words::date(event.at), event.name, event.kind))
}
