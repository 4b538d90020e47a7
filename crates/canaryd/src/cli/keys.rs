//! The keyboard of the terminal: one key at a time and not echoed, until this is dropped.

use std::io::{IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The keyboard, when there is one and this process has it.
pub(crate) struct Keys {
    pressed: mpsc::Receiver<u8>,
    interrupt: Signal,
    terminate: Signal,
    _unechoed: Unechoed,
}

/// How the terminal was before.
struct Unechoed(Termios);

impl Keys {
    /// `None`: nobody sits there, or another process of the shell's has the keyboard now.
    pub(crate) fn open() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !std::io::stdout().is_terminal() {
            return None;
        }
        // In the background to touch the terminal would be to be stopped.
        if tcgetpgrp(&stdin).ok()? != rustix::process::getpgrp() {
            return None;
        }
        let unechoed = Unechoed::begin().ok()?;
        // From here on these do not end the process at once: the terminal is put back first.
        let (interrupt, terminate) = (signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?);
        Some(Self { pressed: reader(), interrupt, terminate, _unechoed: unechoed })
    }

    /// The next key; `None`: the person or the system wants an end.
    pub(crate) async fn next(&mut self) -> Option<u8> {
        tokio::select! {
            key = self.pressed.recv() => key,
            _ = self.interrupt.recv() => None,
            _ = self.terminate.recv() => None,
        }
    }
}

/// A read that is under way cannot be called off: its thread ends with the process.
fn reader() -> mpsc::Receiver<u8> {
    let (sender, pressed) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut key = [0];
        while let Ok(1) = std::io::stdin().read(&mut key) {
            if sender.blocking_send(key[0]).is_err() {
                return;
            }
        }
    });
    pressed
}

impl Unechoed {
    fn begin() -> rustix::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut modes = before.clone();
        modes.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &modes)?;
        Ok(Self(before))
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        // Best effort: where it fails there is no terminal any more.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
