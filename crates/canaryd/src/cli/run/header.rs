//! `canaryd header`: the one command that shows the secret which forces a lane.

use super::{daemon, json};
use crate::cli::args::{Common, HeaderArgs, OutputFormat};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::put_exact;

/// Prints what `curl -H` takes.
pub(crate) async fn header(args: HeaderArgs, common: &Common) -> Result<Exit, Failure> {
    let found = daemon(common).await?.lane_header(&args.name, args.lane.into()).await?;
    match args.output {
        OutputFormat::Json => put_exact(&json(&found)?),
        OutputFormat::Table | OutputFormat::Wide => put_exact(&format!("{}: {}\n", found.header, found.value)),
    }
    Ok(Exit::Yes)
}
