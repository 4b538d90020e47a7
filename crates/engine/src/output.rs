//! What comes out of containers.

use jiff::Timestamp;

/// Which part of a container's output is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last lines; `None`: all.
    pub tail: Option<u32>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Fill [`LogLine::time`].
    pub timestamps: bool,
}

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// From stderr rather than stdout.
    pub stderr: bool,
    /// When it was written, if it was asked for.
    pub time: Option<Timestamp>,
    /// Without the line break. Bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// How a command inside a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// Exit code.
    pub code: i64,
    /// stdout and stderr as they came, at most the first 64 KiB.
    pub output: String,
}
