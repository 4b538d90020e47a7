//! `canaryd doctor`.

use std::path::Path;

use super::json;
use crate::cli::args::{Common, DoctorArgs, OutputFormat};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put_exact, size};
use crate::cli::screens::render_doctor;
use crate::cli::style::Style;
use crate::doctor::{Diagnosis, Level, Places, examine};
use crate::paths::Surroundings;

/// Looks at everything; the exit code says whether something is wrong.
pub(crate) async fn doctor(args: DoctorArgs, common: &Common) -> Result<Exit, Failure> {
    let around = Surroundings::find();
    let socket = common.socket.clone().unwrap_or_else(|| around.socket_to_ask(Path::exists));
    let usual = around.state_behind(&socket);
    let places = Places { socket, state: args.state, usual, watch: args.watch, docker_host: args.docker_host };
    let found = examine(&places).await;
    match args.output {
        OutputFormat::Json => put_exact(&json(&found)?),
        OutputFormat::Table | OutputFormat::Wide => put_exact(&render_doctor(&found, size().0, Style::of(common))),
    }
    Ok(verdict(&found))
}

/// A daemon that answers has an engine of its own rights, unless that is what it lacks.
fn verdict(found: &Diagnosis) -> Exit {
    match found.verdict {
        Level::Ok | Level::Warning => Exit::Yes,
        Level::Wrong
            if !found.engine && found.findings.iter().any(|f| f.item == "docker" && f.level == Level::Wrong) =>
        {
            Exit::NoDaemon
        }
        Level::Wrong => Exit::No,
    }
}
