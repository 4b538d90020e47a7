//! `make bench`: what canaryd promises in figures, each measured beside what people use instead, in one run. Prints a table and
//! writes `target/reports/bench.json`. Not a test: nothing here passes or fails.
//!
//!     figures [SCENARIO…]          all of them when none is named
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should say where")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are for whoever runs it")]

mod clients;
mod day;
mod figure;
mod idle;
mod lost;
mod master;
mod multiply;
mod overhead;
mod plain;
mod pretence;
#[allow(clippy::wildcard_imports, reason = "it is a part of tests")]
#[path = "../../crates/planner/tests/sim/mod.rs"]
mod sim;
mod switches;
mod weights;

use std::process::ExitCode;

use canaryd_e2e::docker;
use figure::Figures;

const SCENARIOS: [&str; 6] = ["weights", "lost", "switches", "overhead", "idle", "day"];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(idle::INSIDE) {
        runtime.block_on(idle::run_inside(args.next().unwrap().parse().unwrap()));
        return ExitCode::SUCCESS;
    }
    // cargo bench adds `--bench`.
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| !SCENARIOS.contains(&name.as_str())) {
        eprintln!("no scenario {unknown}; there are: {}", SCENARIOS.join(" "));
        return ExitCode::from(2);
    }
    if wanted.is_empty() {
        wanted = SCENARIOS.map(str::to_owned).into();
    }
    let figures = runtime.block_on(measure(&wanted));
    remove_images();
    print!("\n{}", figures.table());
    println!("written to {}", figures.write().display());
    ExitCode::SUCCESS
}

/// The images that were made for it; the tools, HAProxy's and NGINX's among them, stay for the next time.
fn remove_images() {
    let made = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=canaryd-e2e-bench-*"]);
    for image in made.lines() {
        let _ = std::process::Command::new("docker").args(["image", "rm", image]).output();
    }
}

async fn measure(wanted: &[String]) -> Figures {
    let mut figures = Figures::default();
    for name in wanted {
        eprintln!("bench: {name} …");
        match name.as_str() {
            "weights" => weights::measure(&mut figures).await,
            "lost" => lost::measure(&mut figures).await,
            "overhead" => overhead::measure(&mut figures).await,
            "switches" => switches::measure(&mut figures).await,
            "idle" => idle::measure(&mut figures).await,
            "day" => day::measure(&mut figures).await,
            _ => unreachable!("checked before"),
        }
        // A run that is broken off has told what it had.
        figures.write();
    }
    figures
}
