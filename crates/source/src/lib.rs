//! Where manifests come from: a watched directory.
