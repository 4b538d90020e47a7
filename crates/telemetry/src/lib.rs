//! Where evidence comes from: the access log.
