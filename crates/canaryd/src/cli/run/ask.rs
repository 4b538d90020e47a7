//! Commands that only look.

use std::io::IsTerminal;
use std::time::Duration;

use canaryd_cockpit::{ClientError, EventLine, PlanRequest, StatusPage};
use canaryd_planner::Report;

use super::files::{clashes, manifests, read_text};
use super::patience::Patience;
use super::{daemon, json, reach};
use crate::cli::args::{Common, EventsArgs, ExplainArgs, OutputFormat, PlanArgs, StatusArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, size, talk, top};
use crate::cli::screens::{render_event, render_explain, render_follow, render_plan, render_status};
use crate::cli::style::Style;

/// How often a screen that is watched is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// `canaryd status`.
pub(crate) async fn status(args: StatusArgs, common: &Common) -> Result<Exit, Failure> {
    let style = Style::of(common);
    let mut before = status_text(&args, &seen(&args, common).await?, style)?;
    show_status(&args, &before);
    if !args.watch {
        return Ok(Exit::Yes);
    }
    let mut patience = Patience::new(None);
    loop {
        tokio::time::sleep(LOOK).await;
        match seen(&args, common).await {
            Ok(seen) => {
                let back = patience.found();
                let text = status_text(&args, &seen, style)?;
                if text != before || back.is_some() {
                    show_status(&args, &text);
                    before = text;
                }
                tell(back.as_deref());
            }
            Err(error) => tell(patience.lost(error).await?.as_deref()),
        }
    }
}

fn show_status(args: &StatusArgs, text: &str) {
    let clear = args.watch && std::io::stdout().is_terminal();
    put(&if clear { format!("\u{1b}[H\u{1b}[2J{}", top(text, size())) } else { text.to_owned() });
}

/// What became of the daemon.
pub(super) fn tell(note: Option<&str>) {
    if let Some(note) = note {
        talk(&format!("{note}\n"));
    }
}

/// What `status` shows.
enum Seen {
    All(Box<StatusPage>),
    One { host: String, report: Box<Report> },
}

async fn seen(args: &StatusArgs, common: &Common) -> Result<Seen, ClientError> {
    let client = reach(common).await?;
    let page = client.status().await?;
    let Some(name) = &args.name else { return Ok(Seen::All(Box::new(page))) };
    Ok(Seen::One { host: page.host, report: Box::new(client.report(name).await?) })
}

fn status_text(args: &StatusArgs, seen: &Seen, style: Style) -> Result<String, Failure> {
    let width = if std::io::stdout().is_terminal() { size().0 } else { 0 };
    match (seen, args.output) {
        (Seen::One { report, .. }, OutputFormat::Json) => json(report),
        (Seen::One { host, report }, OutputFormat::Table | OutputFormat::Wide) => {
            Ok(render_follow(report, host, size().0, style))
        }
        (Seen::All(page), OutputFormat::Json) => json(page),
        (Seen::All(page), OutputFormat::Table) => Ok(render_status(page, false, width, style)),
        (Seen::All(page), OutputFormat::Wide) => Ok(render_status(page, true, width, style)),
    }
}

/// `canaryd plan`.
pub(crate) async fn plan(args: PlanArgs, common: &Common) -> Result<Exit, Failure> {
    let files = manifests(std::slice::from_ref(&args.file))?;
    if files.is_empty() {
        return Err(Failure::usage(format!("{}: there is no *.yaml or *.yml in it", args.file.display())));
    }
    let mut pages = Vec::new();
    for file in &files {
        let text = read_text(file).map_err(|e| Failure::file(file, &e))?;
        let path = std::path::absolute(file).map_err(|e| Failure::file(file, &e))?;
        let request = PlanRequest { source: path.display().to_string(), text };
        pages.extend(daemon(common).await?.plan(&request).await?);
    }
    if args.output == OutputFormat::Json {
        put_exact(&json(&pages)?);
    } else {
        let screens: Vec<String> = pages.iter().map(|page| render_plan(page, size().0, Style::of(common))).collect();
        put(&screens.join("\n"));
    }
    // The daemon sees one file at a time, beside what is in force; here they are beside each other.
    let clashes = clashes(&files);
    for clash in &clashes {
        talk(&format!("{}\n\n", clash.render(false)));
    }
    Ok(if clashes.is_empty() { Exit::Yes } else { Exit::Usage })
}

/// `canaryd explain`.
pub(crate) async fn explain(args: ExplainArgs, common: &Common) -> Result<Exit, Failure> {
    let report = daemon(common).await?.report(&args.name).await?;
    let is_asked = |check: &&canaryd_verdict::CheckReport| args.check.as_ref().is_none_or(|n| n == &check.name);
    let Some(screen) = render_explain(&report, args.check.as_deref(), Style::of(common)) else {
        let names: Vec<&str> = report.checks.iter().map(|c| c.name.as_str()).collect();
        let wrong = args.check.unwrap_or_default();
        let hint = match names.as_slice() {
            [] => format!("nothing is checked now; how it stands: canaryd status {}", args.name),
            names => format!("checks: {}", names.join(", ")),
        };
        return Err(Failure::usage(format!("{} has no check {wrong:?} now", args.name)).hint(hint));
    };
    if args.output == OutputFormat::Json {
        put_exact(&json(&report.checks.iter().filter(is_asked).collect::<Vec<_>>())?);
    } else {
        put(&screen);
    }
    Ok(Exit::Yes)
}

/// `canaryd events`.
pub(crate) async fn events(args: EventsArgs, common: &Common) -> Result<Exit, Failure> {
    let style = Style::of(common);
    let mut after = args.after;
    show_events(&news(&args, after, common).await?, &mut after, &args, style);
    if !args.follow {
        return Ok(Exit::Yes);
    }
    let mut patience = Patience::new(None);
    loop {
        tokio::time::sleep(LOOK).await;
        match news(&args, after, common).await {
            Ok(events) => {
                tell(patience.found().as_deref());
                show_events(&events, &mut after, &args, style);
            }
            Err(error) => tell(patience.lost(error).await?.as_deref()),
        }
    }
}

async fn news(args: &EventsArgs, after: u64, common: &Common) -> Result<Vec<EventLine>, ClientError> {
    reach(common).await?.events(args.name.as_ref(), after, args.limit.into()).await
}

fn show_events(events: &[EventLine], after: &mut u64, args: &EventsArgs, style: Style) {
    for event in events {
        *after = event.seq;
        match args.output {
            OutputFormat::Json => put_exact(&format!("{}\n", serde_json::to_string(&event).unwrap_or_default())),
            OutputFormat::Table | OutputFormat::Wide => put(&format!("{}\n", render_event(event, style))),
        }
    }
}
