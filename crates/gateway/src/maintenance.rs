//! The blanks about a rollout that is stopped: every request gets 503 with a page, whatever lane it asks for.
//!
//! The page's whole text is in the configuration: no file of the user is mounted, and what is live stays so whatever
//! becomes of the file. `geo` takes a text as it is (a `map` would read `$5` as a variable), and `return` answers every
//! method and leaves path and method in the log as they were.

use crate::page::{Page, PageKind};
use crate::settings::Settings;
use crate::template::Values;
use crate::traffic::{Intent, Traffic};

/// NGINX reads words of at most 4096 bytes.
const CHUNK: usize = 3_000;

const HTML: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Down for maintenance</title>\n\
    <style>body { font: 1.1em sans-serif; max-width: 32em; margin: 20vh auto; padding: 0 1em }</style>\n\
    <h1>Down for maintenance</h1>\n<p>We are working on it and will be back soon. Please try again later.</p>\n</html>\n";
const TEXT: &str = "down for maintenance, please try again later\n";
const JSON: &str = "{\"error\":\"down for maintenance\",\"status\":503}\n";

/// One body that can be sent.
struct Body<'a> {
    /// A letter or two, for names inside the configuration.
    name: &'static str,
    kind: PageKind,
    text: &'a str,
}

pub(crate) fn fill(settings: &Settings, intent: &Intent, values: &mut Values) {
    for blank in ["stopped_texts", "stopped", "stopped_pages"] {
        values.insert(blank, Vec::new());
    }
    let Traffic::Stopped { page, retry_after } = intent.traffic else { return };
    let own = settings.page.as_ref().filter(|found| Some(found.id()) == page);
    let bodies = bodies(own);
    let mut texts = chosen(own);
    texts.extend(bodies.iter().flat_map(chunks));
    values.insert("stopped_texts", texts);
    let to_page = "error_page 503 @canaryd_stopped_$canaryd_stopped;";
    values.insert("stopped", vec![to_page.to_owned(), "return 503;".to_owned()]);
    values.insert("stopped_pages", bodies.iter().flat_map(|body| location(body, retry_after)).collect());
}

fn bodies(own: Option<&Page>) -> Vec<Body<'_>> {
    let json = Body { name: "json", kind: PageKind::Json, text: JSON };
    match own {
        None => {
            let html = Body { name: "html", kind: PageKind::Html, text: HTML };
            vec![html, json, Body { name: "text", kind: PageKind::Text, text: TEXT }]
        }
        Some(page) => {
            let own = Body { name: "own", kind: page.id().kind(), text: page.text() };
            if own.kind == PageKind::Html { vec![own, json] } else { vec![own] }
        }
    }
}

/// Which body a request gets, by what it says to accept. Who says nothing gets the user's own page, else plain text.
fn chosen(own: Option<&Page>) -> Vec<String> {
    let html = if own.is_some() { "own" } else { "html" };
    let other = if own.is_some() { "own" } else { "text" };
    let comment = "# It is stopped for maintenance: which answer, and the text of each.".to_owned();
    let map = "map $http_accept $canaryd_stopped {".to_owned();
    let mut lines = vec![comment, map, format!("    default {other};")];
    if own.is_none_or(|page| page.id().kind() == PageKind::Html) {
        lines.push(format!("    \"~*text/html\" {html};"));
        lines.push("    \"~*application/([^,;]*[+])?json\" json;".to_owned());
    }
    lines.push("}".to_owned());
    lines
}

fn chunks(body: &Body<'_>) -> Vec<String> {
    let mut chunks = vec![String::new()];
    for c in body.text.chars() {
        let full = chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK);
        if full {
            chunks.push(String::new());
        }
        if let Some(chunk) = chunks.last_mut() {
            if matches!(c, '"' | '\\') {
                chunk.push('\\');
            }
            chunk.push(c);
        }
    }
    let geo = |(n, text): (usize, &String)| {
        let head = format!("geo $canaryd_{}_{n} {{", body.name);
        [head, format!("    default \"{text}\";"), "}".to_owned()]
    };
    chunks.iter().enumerate().flat_map(geo).collect()
}

/// As many as [`chunks`] makes: it is asked for the same text.
fn location(body: &Body<'_>, retry_after: u32) -> Vec<String> {
    let count = chunks(body).len() / 3;
    let text: String = (0..count).map(|n| format!("$canaryd_{}_{n}", body.name)).collect();
    let kind = match body.kind {
        PageKind::Html => "\"text/html; charset=utf-8\"",
        PageKind::Json => "application/json",
        PageKind::Text => "\"text/plain; charset=utf-8\"",
    };
    vec![
        format!("location @canaryd_stopped_{} {{", body.name),
        "    types {}".to_owned(),
        format!("    default_type {kind};"),
        format!("    add_header Retry-After {retry_after} always;"),
        "    add_header Cache-Control no-store always;".to_owned(),
        format!("    return 503 \"{text}\";"),
        "}".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_into_words_that_nginx_reads() {
        let text = "ü\"\\".repeat(4_000);
        let body = Body { name: "own", kind: PageKind::Html, text: &text };
        let lines = chunks(&body);
        let words: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("    default \"")).collect();
        assert!(words.len() > 1 && words.iter().all(|word| word.len() < 3_010), "{}", words.len());
        let read: String = words.iter().map(|word| word.strip_suffix("\";").expect("closed")).collect();
        assert_eq!(read.replace("\\\\", "\\").replace("\\\"", "\""), text);
        assert!(location(&body, 60).iter().any(|line| line.contains(&format!("$canaryd_own_{}\"", words.len() - 1))));
    }
}
