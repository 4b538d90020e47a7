//! The watch over real directories: every way in which people and tools change files is told within a second.

mod absence;
mod changes;
mod named;
mod room;
mod storms;
