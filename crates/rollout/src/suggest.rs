//! "Did you mean": the nearest of some names.

/// The candidate that a person most probably meant, if any is near enough.
#[must_use]
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |t: &str| t.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted = plain(written);
    let near = 1 + wanted.len() / 4;
    candidates
        .into_iter()
        .map(|c| (distance(&wanted, &plain(c)), c))
        .filter(|(d, c)| *d <= near && *d < plain(c).len())
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Edits between two texts: insert, delete, replace, swap neighbours (optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["image", "replicas", "envFiles", "port"];
        for (written, meant) in
            [("imgae", "image"), ("replica", "replicas"), ("env_files", "envFiles"), ("Port", "port")]
        {
            assert_eq!(nearest(written, names), Some(meant));
        }
        for written in ["banana", "x", ""] {
            assert_eq!(nearest(written, names), None);
        }
    }
}
