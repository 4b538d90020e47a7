//! Harness of the end-to-end tests: a daemon, a load and the observations they share.
