//! Demo application.
fn main() {}
