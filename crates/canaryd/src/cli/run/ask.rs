//! Commands that only look.

use std::io::IsTerminal;
use std::time::Duration;

use canaryd_cockpit::{LogQuery, PlanRequest};
use canaryd_gateway::Lane;
use futures::StreamExt;

use super::{daemon, json};
use crate::cli::args::{Common, EventsArgs, ExplainArgs, LaneChoice, LogsArgs, OutputFormat, PlanArgs, StatusArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, size};
use crate::cli::screens::{render_event, render_explain, render_follow, render_plan, render_status};
use crate::cli::style::{Style, tame};

/// How often a screen that is watched is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// `canaryd status`.
pub(crate) async fn status(args: StatusArgs, common: &Common) -> Result<Exit, Failure> {
    let style = Style::of(common);
    let mut before = String::new();
    loop {
        let text = status_text(&args, common, style).await?;
        if text != before {
            let clear = args.watch && std::io::stdout().is_terminal();
            put(&if clear { format!("\u{1b}[H\u{1b}[2J{text}") } else { text.clone() });
            before = text;
        }
        if !args.watch {
            return Ok(Exit::Yes);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status_text(args: &StatusArgs, common: &Common, style: Style) -> Result<String, Failure> {
    let client = daemon(common).await?;
    let width = if std::io::stdout().is_terminal() { size().0 } else { 0 };
    match (&args.name, args.output) {
        (Some(name), OutputFormat::Json) => json(&client.report(name).await?),
        (Some(name), OutputFormat::Table | OutputFormat::Wide) => {
            let report = client.report(name).await?;
            Ok(render_follow(&report, &client.status().await?.host, size().0, style))
        }
        (None, OutputFormat::Json) => json(&client.status().await?),
        (None, OutputFormat::Table) => Ok(render_status(&client.status().await?, false, width, style)),
        (None, OutputFormat::Wide) => Ok(render_status(&client.status().await?, true, width, style)),
    }
}

/// `canaryd plan`.
pub(crate) async fn plan(args: PlanArgs, common: &Common) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(&args.file).map_err(|e| Failure::file(&args.file, &e))?;
    let path = std::path::absolute(&args.file).map_err(|e| Failure::file(&args.file, &e))?;
    let request = PlanRequest { source: path.display().to_string(), text };
    let pages = daemon(common).await?.plan(&request).await?;
    if args.output == OutputFormat::Json {
        put(&json(&pages)?);
    } else {
        let screens: Vec<String> = pages.iter().map(|page| render_plan(page, size().0, Style::of(common))).collect();
        put(&screens.join("\n"));
    }
    Ok(Exit::Yes)
}

/// `canaryd explain`.
pub(crate) async fn explain(args: ExplainArgs, common: &Common) -> Result<Exit, Failure> {
    let report = daemon(common).await?.report(&args.name).await?;
    let is_asked = |check: &&canaryd_verdict::CheckReport| args.check.as_ref().is_none_or(|n| n == &check.name);
    let Some(screen) = render_explain(&report, args.check.as_deref(), Style::of(common)) else {
        let names: Vec<&str> = report.checks.iter().map(|c| c.name.as_str()).collect();
        let wrong = args.check.unwrap_or_default();
        return Err(Failure::usage(format!("{} has no check {wrong:?} now", args.name))
            .hint(format!("checks: {}", names.join(", "))));
    };
    if args.output == OutputFormat::Json {
        put(&json(&report.checks.iter().filter(is_asked).collect::<Vec<_>>())?);
    } else {
        put(&screen);
    }
    Ok(Exit::Yes)
}

/// `canaryd events`.
pub(crate) async fn events(args: EventsArgs, common: &Common) -> Result<Exit, Failure> {
    let client = daemon(common).await?;
    let mut after = args.after;
    loop {
        for event in client.events(args.name.as_ref(), after, args.limit).await? {
            after = event.seq;
            let line = match args.output {
                OutputFormat::Json => serde_json::to_string(&event).unwrap_or_default(),
                OutputFormat::Table | OutputFormat::Wide => render_event(&event, Style::of(common)),
            };
            put(&format!("{line}\n"));
        }
        if !args.follow {
            return Ok(Exit::Yes);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `canaryd logs`.
pub(crate) async fn logs(args: LogsArgs, common: &Common) -> Result<Exit, Failure> {
    let lane = args.lane.map(|lane| match lane {
        LaneChoice::Canary => Lane::Canary,
        LaneChoice::Production => Lane::Production,
    });
    let query = LogQuery { lane, follow: args.follow, tail: args.tail, gateway: args.gateway };
    let mut lines = daemon(common).await?.logs(&args.name, &query).await?;
    while let Some(next) = lines.next().await {
        let text = next?;
        put(&format!("{} | {}\n", text.source, tame(&text.text)));
    }
    Ok(Exit::Yes)
}
