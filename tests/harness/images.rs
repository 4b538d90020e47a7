//! Test images: the demo application with a version and faults baked in.

use std::io::Write;
use std::process::Stdio;
use std::sync::Mutex;

/// The gateway's image on machines without a registry; scripts/nginx-image.sh makes it.
pub const NGINX: &str = "canaryd-nginx:local";
/// The demo application without a version; scripts/images.sh makes it.
const BASE: &str = "canaryd-demo:base";

/// One build at a time: the engine of a small machine has enough to do.
static BUILDING: Mutex<()> = Mutex::new(());

/// Makes `canaryd-e2e-<name>:<version>` from the demo application with this environment; answers the repository.
/// Quick: only metadata differs.
#[allow(clippy::must_use_candidate, reason = "a second version of the same is made for what it does")]
pub fn demo_image(name: &str, version: &str, env: &[(&str, &str)]) -> String {
    demo_image_with(name, version, env, "")
}

/// Likewise, with these further lines of a Dockerfile.
#[allow(clippy::must_use_candidate, reason = "a second version of the same is made for what it does")]
pub fn demo_image_with(name: &str, version: &str, env: &[(&str, &str)], lines: &str) -> String {
    let _one = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let repository = format!("canaryd-e2e-{name}");
    let mut text = format!("FROM {BASE}\nENV VERSION={version}\n");
    for (key, value) in env {
        text.push_str(&format!("ENV {key}={value}\n"));
    }
    text.push_str(lines);
    let tag = format!("{repository}:{version}");
    let mut build = crate::docker::command()
        .args(["build", "-q", "-t", &tag, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker is installed");
    let mut stdin = build.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("docker reads the Dockerfile");
    drop(stdin);
    let output = build.wait_with_output().expect("docker ends");
    assert!(
        output.status.success(),
        "cannot build {tag} (does scripts/images.sh say that {BASE} is there?): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    repository
}

/// Makes healthy images of these versions; answers the repository.
#[must_use]
pub fn good_images(name: &str, versions: &[&str]) -> String {
    for version in versions {
        demo_image(name, version, &[]);
    }
    format!("canaryd-e2e-{name}")
}
