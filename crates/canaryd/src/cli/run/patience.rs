//! A daemon that is upgraded or restarted while somebody looks on: said once, waited for, said again when it is back.

use std::time::{Duration, Instant};

use canaryd_cockpit::ClientError;

use crate::cli::exit::{Exit, Failure};
use crate::cli::words::span;

/// How long a daemon that went away is waited for where no `--timeout` says it.
const LONGEST: Duration = Duration::from_secs(120);
/// A daemon that has just started knows no rollout until its first plan.
const FIRST_PLAN: Duration = Duration::from_secs(15);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a daemon that went away is waited for.
#[derive(Debug)]
pub(super) struct Patience {
    longest: Duration,
    gone: Option<Instant>,
    answers: Option<Instant>,
}

impl Patience {
    /// With what is left of `--timeout`, if there is one; else two minutes.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { longest: timeout.unwrap_or(LONGEST), gone: None, answers: None }
    }

    /// It does not answer. `Some`: to be told now. Comes back after a moment, when it may be asked again.
    ///
    /// # Errors
    /// It was gone for too long, or it answers and refuses.
    pub(super) async fn lost(&mut self, error: ClientError) -> Result<Option<String>, Failure> {
        let is_known = self.gone.is_some();
        let gone = *self.gone.get_or_insert_with(Instant::now);
        let how = if matches!(error, ClientError::Silent { .. }) { "does not answer" } else { "is gone" };
        let limit = match &error {
            ClientError::NoDaemon { .. } | ClientError::Silent { .. } | ClientError::Broken { .. } => self.longest,
            ClientError::Refused { status: 404 | 503, .. } if is_known => {
                self.answers.get_or_insert_with(Instant::now).duration_since(gone) + FIRST_PLAN
            }
            ClientError::Refused { .. } | ClientError::Forbidden { .. } | ClientError::Unread { .. } => {
                return Err(error.into());
            }
        };
        if gone.elapsed() >= limit.min(self.longest) {
            let failure = Failure::from(error);
            let message = format!("{}\n  it was waited for {}", failure.message, span(gone.elapsed().as_secs_f64()));
            return Err(Failure { message, ..failure });
        }
        if is_known {
            tokio::time::sleep(PAUSE).await;
            return Ok(None);
        }
        let limit = span(self.longest.as_secs_f64());
        Ok(Some(format!("the daemon {how}; what it started serves as before. Waiting for it, at most {limit} …")))
    }

    /// It answers. `Some`: to be told, for it was gone.
    pub(super) fn found(&mut self) -> Option<String> {
        self.answers = None;
        let gone = self.gone.take()?;
        Some(format!("the daemon answers again, after {}", span(gone.elapsed().as_secs_f64())))
    }

    /// What it means that time is over now.
    pub(super) fn over(&self, limit: Duration) -> Failure {
        let limit = span(limit.as_secs_f64());
        match self.gone {
            None => Failure::new(Exit::Undecided, format!("not decided after {limit}; it goes on")),
            Some(_) => Failure::new(Exit::NoDaemon, format!("not decided after {limit}: the daemon is gone")).hint(
                "what it started serves as before; start it with systemctl start canaryd, or: canaryd --watch DIR",
            ),
        }
    }
}
