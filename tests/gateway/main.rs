//! The gateway with a real NGINX: what it does with requests, and what it never does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures of a test are for whoever runs it")]

mod changes;
mod house;
mod lanes;
mod passing;
mod refused;
mod rotation;
mod servers;
mod through;

use std::path::Path;

use canaryd_e2e::{NGINX, docker};

#[test]
fn every_golden_configuration_is_accepted_by_a_real_nginx() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/gateway/tests/golden").canonicalize().unwrap();
    let files: Vec<String> = std::fs::read_dir(&golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(files.len() >= 7, "{files:?}");
    let mount = format!("{}:/golden:ro", golden.display());
    for file in files {
        let conf = format!("/golden/{file}");
        let test = canaryd_gateway::container::test_argv(&conf);
        let mut args = vec!["run", "--rm", "--network", "none", "--read-only", "--user", "10001:10001"];
        args.extend(["--cap-drop", "ALL", "--tmpfs", "/tmp", "--tmpfs", "/var/log/canaryd:mode=1777"]);
        args.extend(["-v", &mount, NGINX]);
        args.extend(test.iter().map(String::as_str));
        docker(&args);
    }
}
