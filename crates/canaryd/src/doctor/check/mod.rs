//! What the facts mean. Pure: facts in, findings out, in the order in which somebody on call would ask.

mod docker;
mod gateways;
mod host;
#[cfg(test)]
mod sample;
mod socket;
mod state;

use super::Finding;
use super::facts::Facts;
pub(super) use state::journal_of;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![socket::daemon(facts)];
    findings.extend(socket::file(facts));
    findings.extend(docker::engine(facts));
    findings.extend(state::directory(facts));
    findings.extend(state::disk(facts));
    findings.extend(state::journal(facts));
    findings.extend(docker::clock(facts));
    findings.extend(docker::images(facts));
    findings.extend(docker::networks(facts));
    findings.extend(gateways::gateways(facts));
    findings.extend(host::watch(facts));
    findings.extend(host::memory(facts));
    findings.extend(host::files(facts));
    findings
}

/// `1.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 && unit > 0 { format!("{value:.1} {}", units[unit]) } else { format!("{value:.0} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_healthy_host_gets_only_good_findings_each_with_words() {
        let findings = check(&sample::healthy());
        assert!(
            findings.iter().all(|f| f.level == Level::Ok && f.means.is_none() && f.mend.is_none()),
            "{findings:#?}"
        );
        let items: Vec<&str> = findings.iter().map(|f| f.item.as_str()).collect();
        let expected = [
            "daemon",
            "socket",
            "docker",
            "state",
            "disk",
            "journal",
            "clock",
            "image",
            "network",
            "gateway shop",
            "signal shop",
            "watch",
            "memory",
            "files",
        ];
        assert_eq!(items, expected);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([bytes(0), bytes(1536), bytes(20 << 30)], ["0 B", "1.5 KiB", "20 GiB"]);
    }
}
