//! A small HTTP application whose version, speed and faults are set by its environment: what the demo and the tests
//! roll out. One static binary; a thread per connection; README.md lists every setting.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a container's log is its standard output")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

mod base64;
mod faults;
mod http;
mod metrics;
mod random;
mod routes;
mod server;
mod settings;
mod sha1;
mod tool;
mod websocket;
mod worker;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use faults::Faults;
use metrics::Metrics;
use random::Random;
use settings::Settings;

/// What every thread shares.
#[derive(Debug)]
struct App {
    settings: Settings,
    faults: Faults,
    metrics: Metrics,
    random: Random,
    /// Set by SIGTERM: finish what was begun, begin nothing new.
    closing: AtomicBool,
}

impl App {
    fn new(settings: Settings) -> Self {
        let faults = Faults::new(settings.fault.clone());
        let random = Random::new(settings.seed);
        Self { settings, faults, metrics: Metrics::default(), random, closing: AtomicBool::new(false) }
    }

    fn closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Sleeps; SIGTERM ends that.
    fn rest(&self, time: Duration) {
        let began = Instant::now();
        while !self.closing() && began.elapsed() < time {
            std::thread::sleep(time.saturating_sub(began.elapsed()).min(Duration::from_millis(50)));
        }
    }

    /// One line of the log.
    fn say(&self, what: &str) {
        println!("{} {what}", self.settings.version);
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("do", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return tool::run(rest);
    }
    let settings = match Settings::from_env(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("demo-app: {problem}");
            return ExitCode::from(2);
        }
    };
    if words.first().is_some_and(|word| word == "health") {
        return ask_health(settings.port);
    }
    let app = Arc::new(App::new(settings));
    if app.settings.crash_at_start {
        eprintln!("{} crashes at start, as it was told to", app.settings.version);
        return ExitCode::FAILURE;
    }
    if let Err(error) = run(&app) {
        eprintln!("{}: {error}", app.settings.version);
        return ExitCode::FAILURE;
    }
    app.say("ended");
    ExitCode::SUCCESS
}

/// `demo-app health`: for a `HEALTHCHECK` in an image that has no other program.
fn ask_health(port: u16) -> ExitCode {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    match ask() {
        Ok(line) if line.contains(" 200 ") => ExitCode::SUCCESS,
        Ok(line) => unwell(&line),
        Err(error) => unwell(&error.to_string()),
    }
}

fn unwell(why: &str) -> ExitCode {
    eprintln!("unhealthy: {why}");
    ExitCode::FAILURE
}

fn run(app: &Arc<App>) -> std::io::Result<()> {
    let door = Arc::new(server::Door::new(app));
    heed_signals(app, &door)?;
    heed_faults(app);
    if app.settings.worker {
        worker::run(app);
        return Ok(());
    }
    app.say(&format!("starts, opens its port after {:?}", app.settings.startup));
    app.rest(app.settings.startup);
    if app.settings.never_listen {
        app.say("never opens its port, as it was told to");
        app.rest(Duration::MAX);
    }
    if app.closing() { Ok(()) } else { door.serve() }
}

/// SIGTERM and SIGINT close the door; with `IGNORE_TERM` they are only noted.
fn heed_signals(app: &Arc<App>, door: &Arc<server::Door>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (app, door) = (Arc::clone(app), Arc::clone(door));
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if app.settings.ignore_term {
                app.say(&format!("ignores signal {signal}, as it was told to"));
            } else if !app.closing.swap(true, Ordering::SeqCst) {
                app.say(&format!("got signal {signal}, finishes {} requests", app.metrics.in_flight()));
                door.close();
            }
        }
    });
    Ok(())
}

/// Faults of the whole process come by themselves, without a request.
fn heed_faults(app: &Arc<App>) {
    let app = Arc::clone(app);
    std::thread::spawn(move || {
        loop {
            app.faults.strike_process();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}
