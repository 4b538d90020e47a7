//! The canaryd daemon and command line.
fn main() {}
