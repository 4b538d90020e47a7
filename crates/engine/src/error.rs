//! What can go wrong with the engine, said so that a person knows what to do.

use std::time::Duration;

/// Result of everything here.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why the engine did not do what was asked. `Display` says what happened and what to do; see [`Self::fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers there.
    #[error(
        "no Docker engine answers at {endpoint} ({why}): is Docker running? try `canaryd doctor`, or `sudo systemctl start docker`"
    )]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the system said.
        why: String,
    },
    /// The socket is not for this user.
    #[error(
        "no permission to use {endpoint}: add this user to the group docker (`sudo usermod -aG docker $USER`, then log in again) or run canaryd as root"
    )]
    Permission {
        /// Where.
        endpoint: String,
    },
    /// The endpoint is on another machine.
    #[error(
        "{endpoint} (from {from}) is not on this machine: canaryd drives only a local Docker engine; run it there, or set --docker-host"
    )]
    NotLocal {
        /// Where.
        endpoint: String,
        /// Where it was configured.
        from: String,
    },
    /// The endpoint cannot be understood.
    #[error("the Docker endpoint from {from} cannot be used: {why}")]
    BadEndpoint {
        /// Where it was configured.
        from: String,
        /// Why.
        why: String,
    },
    /// The engine did not answer in time.
    #[error("Docker did not answer within {after:?} while {doing}")]
    Timeout {
        /// What was being done.
        doing: String,
        /// How long was waited.
        after: Duration,
    },
    /// The image is not in the engine.
    #[error(
        "image {reference} is not in the engine: pull it (`docker pull {reference}`) or build it (`docker build -t {reference} .`)"
    )]
    NoSuchImage {
        /// Which.
        reference: String,
    },
    /// The registry does not have it, or not for us.
    #[error("image {reference} cannot be pulled: {why}; check the name, or log in with `docker login {registry}`")]
    PullRefused {
        /// Which.
        reference: String,
        /// Of which registry.
        registry: String,
        /// What the registry said.
        why: String,
    },
    /// The pull broke off.
    #[error("the pull of {reference} broke off: {why}")]
    PullFailed {
        /// Which.
        reference: String,
        /// Why.
        why: String,
    },
    /// A container or network that is not ours has a name that we need.
    #[error("{what} {name} exists and is not this canaryd's: {whose}")]
    NameTaken {
        /// `container` or `network`.
        what: &'static str,
        /// The name.
        name: String,
        /// What is known of its owner, and what to do.
        whose: String,
    },
    /// A network of the user's does not exist.
    #[error(
        "network {network}, which {wanted_by} joins, does not exist: create it (`docker network create {network}`) or correct the manifest"
    )]
    NoSuchNetwork {
        /// Which.
        network: String,
        /// For whom.
        wanted_by: String,
    },
    /// A host port is taken.
    #[error("{address} is taken by {holder}: stop that, or choose another port in the manifest")]
    AddressInUse {
        /// `address:port`.
        address: String,
        /// Container name, or "another process".
        holder: String,
    },
    /// A mount or device cannot be had.
    #[error("{container} cannot be started: {why}; check its mounts and devices")]
    BadMount {
        /// Which.
        container: String,
        /// What Docker said.
        why: String,
    },
    /// The command of the container cannot be run.
    #[error("{container} cannot be started: {why}; check entrypoint, command, workdir and user")]
    BadCommand {
        /// Which.
        container: String,
        /// What Docker said.
        why: String,
    },
    /// No subnet or address is left.
    #[error("no free {what}: {why}")]
    Exhausted {
        /// `subnet` or `address`.
        what: &'static str,
        /// What was tried.
        why: String,
    },
    /// The container is gone: look again.
    #[error("{what} is gone while {doing}")]
    Gone {
        /// Which.
        what: String,
        /// What was being done.
        doing: String,
    },
    /// Docker refused; asking again will not help.
    #[error("Docker refused {doing}: {why}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What Docker said.
        why: String,
    },
    /// It failed this time.
    #[error("{doing} failed: {why}")]
    Failed {
        /// What was being done.
        doing: String,
        /// Why.
        why: String,
    },
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's, as far as known: a later try may succeed by itself.
    Passing,
    /// The host's: something there is taken, full or missing. Somebody must mend it; then the same is possible.
    Host,
    /// Of what was asked for: it can never be had so.
    Asked,
}

impl EngineError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NotLocal { .. }
            | Self::BadEndpoint { .. }
            | Self::NameTaken { .. }
            | Self::NoSuchNetwork { .. }
            | Self::AddressInUse { .. }
            | Self::Exhausted { .. } => Fault::Host,
            Self::NoSuchImage { .. }
            | Self::PullRefused { .. }
            | Self::BadMount { .. }
            | Self::BadCommand { .. }
            | Self::Refused { .. } => Fault::Asked,
            Self::Unreachable { .. }
            | Self::Permission { .. }
            | Self::Timeout { .. }
            | Self::PullFailed { .. }
            | Self::Gone { .. }
            | Self::Failed { .. } => Fault::Passing,
        }
    }

    /// Whether no later try can help unless somebody changes something.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self.fault() {
            Fault::Host | Fault::Asked => true,
            Fault::Passing => false,
        }
    }
}
