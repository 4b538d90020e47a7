//! How sets of containers run: one trait, Docker now.
