//! `WORKER=1`: no port; a job a second, and a line of log for each. The same faults, a job being a request.

use std::time::Duration;

use crate::App;
use crate::faults::FaultKind;

/// Works until it is told to end.
pub(crate) fn run(app: &App) {
    app.say("worker starts");
    app.rest(app.settings.startup);
    let mut job: u64 = 0;
    while !app.closing() {
        job += 1;
        app.faults.note_request();
        work(app, job);
        app.rest(Duration::from_secs(1));
    }
    app.say(&format!("worker finished job {job}"));
}

fn work(app: &App, job: u64) {
    let met = app.random.happens(app.faults.plan.share);
    match app.faults.active().filter(|_| met) {
        Some(FaultKind::Errors | FaultKind::Abort | FaultKind::Unhealthy) => {
            eprintln!("{} error: job {job} failed, as it was told to", app.settings.version);
        }
        Some(FaultKind::Slow) => {
            app.rest(app.faults.plan.slowness);
            app.say(&format!("job {job} done, slowly"));
        }
        // A worker that hangs says nothing more (SIGTERM still ends it); the other two have ended the process.
        Some(FaultKind::Hang | FaultKind::Exit | FaultKind::Oom) => {}
        None => app.say(&format!("job {job} done")),
    }
}
