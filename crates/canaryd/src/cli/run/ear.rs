//! What a rollout says, through restarts of the daemon: no event is lost, and none comes twice.

use std::time::Duration;

use canaryd_cockpit::{Client, ClientError, Followed};
use canaryd_rollout::RolloutName;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::patience::Patience;
use super::reach;
use crate::cli::args::Common;
use crate::cli::exit::Failure;

/// A follower that comes back.
pub(super) struct Ear<'a> {
    common: &'a Common,
    name: &'a RolloutName,
    /// Number of the last event that was heard.
    after: u64,
    stream: Option<BoxStream<'static, Result<Followed, ClientError>>>,
    patience: Patience,
    /// `--timeout`, and when it is over.
    limit: Option<(Duration, Instant)>,
}

/// What is heard.
pub(super) enum Heard {
    /// The daemon says it.
    Said(Followed),
    /// The daemon went away, or is back.
    Note(String),
}

impl<'a> Ear<'a> {
    /// Listens from now on, at most for `timeout`.
    ///
    /// # Errors
    /// There is no daemon, or it does not know the name.
    pub(super) async fn open(
        common: &'a Common,
        name: &'a RolloutName,
        timeout: Option<Duration>,
    ) -> Result<Self, Failure> {
        let client = reach(common).await?;
        let newest = client.events(Some(name), 0, 1).await?;
        let after = newest.last().map_or(0, |event| event.seq);
        let stream = Some(client.follow(name, Some(after)).await?);
        let limit = timeout.map(|timeout| (timeout, Instant::now() + timeout));
        Ok(Self { common, name, after, stream, patience: Patience::new(timeout), limit })
    }

    /// The next that is heard. Dropped before it is there, nothing is lost.
    ///
    /// # Errors
    /// The time is over, the daemon was gone for too long, or it refuses.
    pub(super) async fn next(&mut self) -> Result<Heard, Failure> {
        let Some((limit, end)) = self.limit else { return self.listen().await };
        let heard = tokio::time::timeout_at(end, self.listen()).await;
        heard.unwrap_or_else(|_| Err(self.patience.over(limit)))
    }

    async fn listen(&mut self) -> Result<Heard, Failure> {
        loop {
            let Some(stream) = &mut self.stream else {
                match self.again().await {
                    Ok(()) => {
                        if let Some(note) = self.patience.found() {
                            return Ok(Heard::Note(note));
                        }
                    }
                    Err(error) => {
                        if let Some(note) = self.patience.lost(error).await? {
                            return Ok(Heard::Note(note));
                        }
                    }
                }
                continue;
            };
            let error = match stream.next().await {
                Some(Ok(Followed::End { why, stops: true })) => ClientError::Broken { why },
                Some(Ok(said)) => {
                    if let Followed::Event { event } = &said {
                        self.after = event.seq;
                    }
                    return Ok(Heard::Said(said));
                }
                Some(Err(error)) => error,
                None => ClientError::Broken { why: "without a last word".to_owned() },
            };
            self.stream = None;
            if let Some(note) = self.patience.lost(error).await? {
                return Ok(Heard::Note(note));
            }
        }
    }

    async fn again(&mut self) -> Result<(), ClientError> {
        let client: Client = reach(self.common).await?;
        self.stream = Some(client.follow(self.name, Some(self.after)).await?);
        Ok(())
    }
}
