//! Image references: `[registry[:port]/]path[:tag][@digest]`.

/// The parts of an image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Registry host with its port, where one is written.
    pub registry: Option<String>,
    /// Path without registry: `library/nginx`, `shop`.
    pub repository: String,
    /// Tag, where one is written.
    pub tag: Option<String>,
    /// `sha256:…`, where one is written.
    pub digest: Option<String>,
}

/// Reads an image reference (grammar of the distribution project's `reference` package).
///
/// # Errors
/// One sentence on what is wrong.
pub fn image_reference(text: &str) -> Result<ImageReference, String> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(checked_digest(digest)?)),
        None => (text, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let (path, tag) = match last.rfind(':') {
        Some(colon) => {
            let cut = name.len() - last.len() + colon;
            (&name[..cut], Some(checked_tag(&name[cut + 1..])?))
        }
        None => (name, None),
    };
    let (registry, repository) = split_registry(path);
    if let Some(host) = registry {
        check_host(host)?;
    }
    check_repository(repository)?;
    Ok(ImageReference { registry: registry.map(str::to_owned), repository: repository.to_owned(), tag, digest })
}

fn split_registry(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        Some(_) | None => (None, path),
    }
}

fn checked_digest(digest: &str) -> Result<String, String> {
    let hex = digest.strip_prefix("sha256:").ok_or("a digest starts with sha256:")?;
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        Ok(digest.to_owned())
    } else {
        Err("a digest is sha256: and 64 hexadecimal digits".to_owned())
    }
}

fn checked_tag(tag: &str) -> Result<String, String> {
    let first = tag.bytes().next().ok_or("the tag after `:` is empty")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if tag.len() <= 128 && legal(first) && tag.bytes().all(|b| legal(b) || b == b'.' || b == b'-') {
        Ok(tag.to_owned())
    } else {
        Err("a tag is letters, digits, `_`, `.` and `-`, at most 128, not starting with `.` or `-`".to_owned())
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = host.split_once(':').map_or((host, None), |(n, p)| (n, Some(p)));
    let port_legal = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    let legal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if legal && port_legal {
        Ok(())
    } else {
        Err("the registry before the first `/` is not a host name with an optional port".to_owned())
    }
}

fn check_repository(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("it has no name".to_owned());
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the name must be lower case".to_owned());
    }
    let part_legal = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
    };
    if path.len() <= 255 && path.split('/').all(part_legal) {
        Ok(())
    } else {
        Err("the name is lower-case letters and digits, separated by `.`, `_`, `-` and `/`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_references_are_read() {
        let full = image_reference(&format!("ghcr.io:5000/acme/shop:v1@sha256:{}", "a".repeat(64))).expect("legal");
        assert_eq!(full.registry.as_deref(), Some("ghcr.io:5000"));
        assert_eq!((full.repository.as_str(), full.tag.as_deref()), ("acme/shop", Some("v1")));
        assert!(full.digest.is_some());
        let short = image_reference("nginx").expect("legal");
        assert_eq!((short.registry, short.tag), (None, None));
        assert_eq!(image_reference("localhost/a/b").expect("legal").registry.as_deref(), Some("localhost"));
    }

    #[test]
    fn wrong_references_are_refused() {
        for bad in [
            "",
            ":v1",
            "Shop:v1",
            "shop:",
            "shop:v 1",
            "shop;rm",
            "shop@sha256:12",
            "a//b",
            "-a",
            "a b",
            "shop:.v",
            "host:99999/a",
        ] {
            assert!(image_reference(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
