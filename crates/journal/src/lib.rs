//! What is remembered: SQLite.
