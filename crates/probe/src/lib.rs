//! What is tried on a version: health, and the load generator.
