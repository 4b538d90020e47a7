//! Nothing is configured yet: what to write, and where.

/// The shortest manifest that is complete.
pub(crate) const EIGHT_LINES: &str = "\
apiVersion: canaryd.io/v1
kind: Rollout
metadata: { name: shop }
spec:
  version: v1.0.0
  app: { image: \"shop:${version}\", port: 8000, health: { http: /health } }
  gateway: { listen: 8080 }
";

/// The screen of a host without rollouts.
pub(crate) fn render_first(host: &str, watch: &[String]) -> String {
    let place = watch.first().map_or("the watched directory", String::as_str);
    let manifest: String = EIGHT_LINES.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "{host}: no rollouts yet. canaryd watches {place}.\n\n\
         Save this there as shop.yaml, with a name, an image, a port and a health path of your own:\n\n\
         {manifest}\n\
         It starts within a second; http://127.0.0.1:8080 answers once it is healthy. Then change the version line:\n\
         the new version gets 1 %, 5 %, 25 % and 100 % of the requests, or is taken off.\n\n\
         \x20 canaryd follow shop     shows it live\n\
         \x20 canaryd validate FILE   finds every mistake first\n"
    )
}
