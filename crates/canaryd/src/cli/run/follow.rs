//! `canaryd follow`: one rollout live, and on a terminal the keys that act on it.

use std::io::IsTerminal;
use std::time::Duration;

use canaryd_cockpit::{ClientError, CommandRequest, Followed, LogQuery, Logged};
use canaryd_gateway::Lane;
use canaryd_planner::{Report, Verb};
use canaryd_rollout::RolloutName;
use futures::StreamExt;

use super::ear::{Ear, Heard};
use super::watch::gone;
use super::{daemon, reach};
use crate::cli::args::{Common, FollowArgs};
use crate::cli::desk::{Asked as Answered, Desk, Wanted};
use crate::cli::exit::{Exit, Failure};
use crate::cli::keys::Keys;
use crate::cli::live::{Live, put, size, talk};
use crate::cli::outcome::Asked;
use crate::cli::screens::{render_explain, render_follow};
use crate::cli::style::{Style, tame};
use crate::cli::words;

/// Log lines that the key shows.
const LOG_LINES: u32 = 20;
/// A log that takes longer is not waited for: the screen stands still meanwhile.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// `canaryd follow`.
pub(crate) async fn follow(args: FollowArgs, common: &Common) -> Result<Exit, Failure> {
    let client = daemon(common).await?;
    let report = Box::new(client.fresh_report(&args.name).await?);
    let host = client.status().await?.host;
    let style = Style::of(common);
    if !words::moves(&report) {
        put(&render_follow(&report, &host, size().0, style));
        return Ok(Exit::Yes);
    }
    let mut ear = Ear::open(common, &args.name, args.until.timeout).await?;
    let mut asked = Asked::default();
    asked.decide(&report);
    let mut keys = Keys::open();
    let mut screen = Screen {
        common,
        name: &args.name,
        // Somebody who looks at the screen sees that it waits, and for what.
        stays: args.until.through_pauses || std::io::stdout().is_terminal(),
        has_keys: keys.is_some(),
        style,
        live: Live::styled(style),
        desk: Desk::default(),
        asked,
        host,
        report,
    };
    loop {
        let end = tokio::select! {
            heard = ear.next() => screen.hear(heard?)?,
            key = next_key(&mut keys) => screen.press(key).await,
        };
        if let Some(exit) = end {
            return Ok(exit);
        }
    }
}

async fn next_key(keys: &mut Option<Keys>) -> Option<u8> {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

/// What is seen, and what the keyboard has been told.
struct Screen<'a> {
    common: &'a Common,
    name: &'a RolloutName,
    stays: bool,
    has_keys: bool,
    style: Style,
    live: Live,
    desk: Desk,
    asked: Asked,
    host: String,
    report: Box<Report>,
}

impl Screen<'_> {
    fn show(&mut self) {
        if self.has_keys {
            self.live.below(self.desk.lines(&self.report, size().0));
        }
        self.live.report(&self.host, &self.report);
    }

    /// The daemon said something; `Some`: it is over.
    fn hear(&mut self, heard: Heard) -> Result<Option<Exit>, Failure> {
        match heard {
            Heard::Note(note) => self.live.note(&note),
            Heard::Said(Followed::Event { event }) => self.live.event(&event),
            Heard::Said(Followed::End { why, .. }) => return Err(gone(&why)),
            Heard::Said(Followed::Report { host, report }) => {
                (self.host, self.report) = (host, report);
                self.show();
                if let Some(exit) = self.asked.decide(&self.report) {
                    self.live.end(&self.host, &self.report);
                    return Ok(Some(exit));
                }
                if let Some(failure) = self.asked.held(&self.report).filter(|_| !self.stays) {
                    return Err(failure);
                }
            }
        }
        Ok(None)
    }

    /// A key was pressed, or there will be none any more; `Some`: the screen is left.
    async fn press(&mut self, key: Option<u8>) -> Option<Exit> {
        if key.is_some() && self.live.turn_page() {
            self.show();
            return None;
        }
        match key.map_or(Wanted::Leave, |key| self.desk.press(key, &self.report)) {
            Wanted::Nothing => {}
            Wanted::Leave => {
                talk(&format!("{} goes on; see it again: canaryd follow {}\n", self.name, self.name));
                return Some(Exit::Undecided);
            }
            Wanted::Explain => {
                let page = render_explain(&self.report, None, self.style).unwrap_or_default();
                self.live.page(&page);
            }
            Wanted::Logs => {
                let page = self.log().await;
                self.live.page(&page);
            }
            Wanted::Send(answered) => {
                let said = self.send(answered).await;
                self.desk.say(&said);
            }
        }
        self.show();
        None
    }

    /// Sends what was answered with yes; what became of it.
    async fn send(&self, Answered { verb, expected }: Answered) -> String {
        let lowers = verb == Verb::Abort;
        let (id, expected) = (Some(canaryd_cockpit::fresh_id()), Some(expected));
        let request = CommandRequest { id, comment: None, expected, verb };
        let sent = async { reach(self.common).await?.command(self.name, &request).await };
        match sent.await {
            Ok(answer) if answer.accepted => answer.message,
            Ok(answer) => format!("refused: {}", answer.message),
            Err(error) if lowers => format!("{error}; without the daemon: canaryd rollback {} --offline", self.name),
            Err(error) => error.to_string(),
        }
    }

    /// What the version on trial wrote last.
    async fn log(&self) -> String {
        // A first version is in the place of production from its start.
        let both = self.report.canary.is_some() && self.report.production.is_some();
        let lane = if both { Lane::Canary } else { Lane::Production };
        let query = LogQuery { lane: Some(lane), tail: Some(LOG_LINES), ..LogQuery::default() };
        let mut text = String::new();
        let read = async {
            let mut lines = reach(self.common).await?.logs(self.name, &query).await?;
            while let Some(line) = lines.next().await {
                if let Logged::Line(written) = line? {
                    text.push_str(&format!("{} | {}\n", written.source, tame(&written.text)));
                }
            }
            Ok::<(), ClientError>(())
        };
        match tokio::time::timeout(LOG_PATIENCE, read).await {
            Ok(Ok(())) => text,
            Ok(Err(error)) => format!("{text}{error}\n"),
            Err(_) => format!("{text}more was not to be had within {} s\n", LOG_PATIENCE.as_secs()),
        }
    }
}
