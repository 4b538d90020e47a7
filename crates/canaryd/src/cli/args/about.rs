//! What a command is about.

use canaryd_rollout::RolloutName;

use super::Command;

impl Command {
    /// The one rollout that it is about.
    pub(crate) fn rollout(&self) -> Option<&RolloutName> {
        match self {
            Self::Set(args) => Some(&args.name),
            Self::Status(args) => args.name.as_ref(),
            Self::Follow(args) => Some(&args.name),
            Self::Wait(args) => Some(&args.name),
            Self::Events(args) => args.name.as_ref(),
            Self::Logs(args) => Some(&args.name),
            Self::Exec(args) => Some(&args.inside.name),
            Self::Run(args) => Some(&args.name),
            Self::Eject(args) => Some(&args.name),
            Self::Header(args) => Some(&args.name),
            Self::Explain(args) => Some(&args.name),
            Self::Advance(args)
            | Self::Pause(args)
            | Self::Resume(args)
            | Self::Abort(args)
            | Self::Undo(args)
            | Self::Retry(args)
            | Self::Restart(args)
            | Self::Start(args) => Some(&args.name),
            Self::Stop(args) => Some(&args.name),
            Self::Promote(args) => Some(&args.name),
            Self::Rollback(args) => Some(&args.name),
            Self::Delete(args) => Some(&args.name),
            Self::Traffic(args) => Some(&args.name),
            Self::Validate(_)
            | Self::Schema
            | Self::Plan(_)
            | Self::Doctor(_)
            | Self::Journal(_)
            | Self::Demo(_)
            | Self::Completions { .. }
            | Self::Version { .. } => None,
        }
    }
}
