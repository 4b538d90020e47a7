//! What stands below the flags.

pub(super) const EXIT_CODES: &str = "\
Exit codes: is the revision that was asked for in production?
  0  yes (or: the command did what it says)
  1  no: reverted, aborted, superseded, undone; or the command was refused
  2  wrong usage or an invalid manifest
  3  not decided: it waits for a person (paused, a weight by hand), or --timeout was over
  4  no daemon or no container engine

Example: canaryd --watch /etc/canaryd/manifests";

pub(super) const SET_HELP: &str = "\
With --wait it leaves as `canaryd wait` does.

Example: canaryd set shop v1.2.0 --wait --timeout 2h";

pub(super) const WAIT_HELP: &str = "\
It leaves with 3 as soon as only a person can go on (paused by canaryd or by hand, a weight by hand), saying why and \
which command goes on. A daemon that is restarted is waited for: until --timeout, else 2 minutes, then it leaves with 4.

Example: canaryd wait shop --version v1.2.0 --timeout 2h";

pub(super) const HEADER_HELP: &str = "\
Its name is gateway.force.header of the manifest; its value is made with the gateway and stays until that is deleted. \
A request with it goes to that lane whatever the weights are (503 while nothing is on trial), and is no evidence. The application does not see the header.

Example: curl -H \"$(canaryd header shop)\" http://127.0.0.1:8080/";

pub(super) const DOCTOR_HELP: &str = "\
With a daemon and without one, as any user: what this user may not see is said. Each thing is looked at within a few \
seconds. It leaves with 0 when nothing is wrong (warnings are allowed), with 1 when something is, with 4 when no \
container engine answers.

Example: canaryd doctor";

pub(super) const FOLLOW_HELP: &str = "\
On a terminal it has keys: [a]dvance, [p]ause, a[b]ort, [e]xplain, [l]ogs, [q]uit. A key that changes something only \
opens a question that names the effect; the word yes and Enter answer it. To quit (exit code 3) stops nothing.

In a pipe it leaves with 3 as soon as only a person can go on; on a terminal it stays. A daemon that is restarted is \
waited for: until --timeout, else 2 minutes.

Example: canaryd follow shop";

/// Below the flags of `journal check`.
pub(super) const CHECK_HELP: &str = "\
Exit code: 0 it is good, 1 it is damaged, missing or not to be used.
Example: canaryd journal check";

/// Below the flags of `journal rebuild`.
pub(super) const REBUILD_HELP: &str = "\
Production is what the live configuration of each gateway serves as production; a version on trial counts as
aborted. History, evidence, pauses and what was blocked before are lost. The old journal is kept beside the new one.
Needs a stopped daemon and Docker; users notice nothing.
Example: systemctl stop canaryd; canaryd journal rebuild; systemctl start canaryd";

/// Below the flags of `exec`.
pub(super) const EXEC_HELP: &str = "\
At a terminal it is a session with one, else stdin, stdout and stderr are the command's. Docker's command line carries it \
out, with the caller's own rights to Docker: 126 and 127 mean that the container has no such program. Without a terminal a \
signal ends the session, not the command, as with docker exec. When nothing could be run, stderr says why, and the exit code is 1 (nothing runs in that lane), 2 (wrong usage) or 4 (no daemon, no Docker).

Example: canaryd exec shop -- sh
         canaryd exec shop --lane canary --replica 2 -- cat /etc/hostname";

/// Below the flags of `run`.
pub(super) const RUN_HELP: &str = "\
The container has the image, environment, secrets, mounts, networks and limits of the version that the lane runs; CMD takes \
the place of the manifest's command, and an entrypoint stays before it. It gets no requests, counts as no replica, carries none of the manifest's \
labels, and is removed when it ends. A signal (Ctrl-C, SIGTERM, SIGHUP) is passed on; what has not ended after stop.grace, or at a second \
signal, is killed. Who ran something is kept in canaryd events, what was run is not. Docker's command line carries it out, with the caller's own \
rights to Docker. A container that cannot be started leaves with 1, and docker says why; else canaryd's own exit codes are those of exec.

Example: canaryd run shop -- ./migrate up
         canaryd run shop --lane canary -- ./migrate status";

/// Below the flags of `eject`.
pub(super) const EJECT_HELP: &str = "\
The file has the image that was promoted (by its registry's digest, else by its id), mounts, networks, limits, health check and \
restart policy. Values of variables and contents of secrets and configs are not in it: it reads them from files beside it, and stderr \
has the commands that take them from running containers, then those that move users without a lost request.

Example: canaryd eject shop --output compose.yaml";
