//! `canaryd demo`: the main job on real traffic, with real containers behind a real NGINX, in under three minutes.
//! It runs a daemon of its own on a state directory of its own and takes away everything it started.

mod house;
mod report;
mod scene;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use canaryd_engine::local_endpoint;

use crate::cli::DemoArgs;
use house::DemoHouse;
use report::{Run, write};
use scene::{Scene, play};

/// The rollout of the demo.
const NAME: &str = "shop";
/// Port of the demo's gateway on 127.0.0.1.
const PORT: u16 = 18_080;

/// Plays the demo, or removes what one left.
///
/// # Errors
/// No local engine, missing images, or a version that did not end as it should.
pub(crate) async fn run(args: DemoArgs) -> Result<ExitCode> {
    let endpoint = local_endpoint(None)
        .context("the demo starts and stops containers, so it only runs against an engine on this host")?;
    let mut house = DemoHouse::new(&args, endpoint);
    house.clean().await?;
    if args.clean {
        say("what the demo left is gone");
        return Ok(ExitCode::SUCCESS);
    }
    house.check_images().await?;
    let runs = show(&mut house).await;
    house.clean().await?;
    let runs = runs?;
    write(&args.report, &runs)?;
    report::print(&runs, &args.report);
    let wrong: Vec<String> = runs.iter().filter(|run| !run.as_expected()).map(|run| run.version.clone()).collect();
    if !wrong.is_empty() {
        bail!("not as it should be: {}", wrong.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(house: &mut DemoHouse) -> Result<Vec<Run>> {
    say("v1 is started behind a gateway on 127.0.0.1:18080 …");
    house.start()?;
    house.install().await?;
    let load = DemoHouse::load()?;
    say("v1 serves, and 200 requests a second come in (GET and POST, new and kept connections).\n");
    let mut runs = Vec::new();
    for scene in Scene::ALL {
        say(scene.introduction());
        runs.push(play(house, &load, scene).await?);
    }
    let total = load.stop().await;
    runs.push(Run::total(&total));
    Ok(runs)
}

fn say(text: &str) {
    anstream::println!("{text}");
}
