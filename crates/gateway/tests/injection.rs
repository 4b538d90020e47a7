//! Whatever a value holds, it ends as a word: it never becomes a directive, nor opens or closes a block.

use std::time::Duration;

use canaryd_gateway::{GenerationId, Intent, Lane, Page, PageKind, Settings, Traffic, render, twin};
use canaryd_rollout::{Force, ModeFrom, Sticky};
use proptest::prelude::*;

mod common;
use common::{full, intent};

/// The shape of a configuration: each directive's name with its depth. Written apart from the renderer's own lexer, so
/// that one mistake does not hide the other.
fn shape(conf: &str) -> Vec<(usize, String)> {
    let (mut shape, mut depth, mut word, mut fresh, mut quote) = (vec![], 0_usize, String::new(), true, None);
    let mut chars = conf.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            // What is escaped belongs to the word, whatever it is.
            (None, '\\') => {
                chars.next();
                word.push('\\');
            }
            (Some(q), c) => quote = (c != q).then_some(q),
            (None, '"' | '\'') if word.is_empty() => quote = Some(c),
            (None, '#') if word.is_empty() => while chars.next().is_some_and(|c| c != '\n') {},
            // As NGINX reads it: a bare word ends at a space, `;` or `{`; a brace that closes is a part of it.
            (None, '}') if !word.is_empty() => word.push(c),
            (None, ' ' | '\n' | '\t' | '\r' | ';' | '{' | '}') => {
                if fresh && !word.is_empty() {
                    shape.push((depth, word.clone()));
                    fresh = false;
                }
                word.clear();
                fresh |= matches!(c, ';' | '{' | '}');
                depth = if c == '{' { depth + 1 } else { depth };
                depth = if c == '}' { depth.checked_sub(1).expect("balanced") } else { depth };
            }
            (None, c) => word.push(c),
        }
    }
    assert_eq!((depth, quote), (0, None), "every block and quote is closed");
    // Entries of maps and draws are values, not directives.
    shape.retain(|(_, name)| !name.chars().any(|c| c.is_ascii_digit() || matches!(c, '*' | '.' | ':')));
    shape
}

fn with(field: usize, text: &str) -> Settings {
    let mut settings = full();
    match field {
        0 => settings.ops_token = text.into(),
        1 => settings.force_token = Some(text.into()),
        2 => settings.client_salt = text.into(),
        3 => settings.relay_subnet = text.into(),
        4 => settings.spec.trusted_proxies = vec![text.into()],
        5 => settings.spec.force = Some(Force { header: text.into() }),
        6 => settings.spec.sticky = Some(Sticky { cookie: text.into(), max_age: Duration::from_secs(1) }),
        7 => settings.mode = Some(ModeFrom::Header(text.into())),
        8 => settings.mode = Some(ModeFrom::ResponseHeader(text.into())),
        9 => settings.mode = Some(ModeFrom::Path(text.into())),
        10 => settings.mode = Some(ModeFrom::Query(text.into())),
        _ => drop(settings.versions.insert(Lane::Canary, text.into())),
    }
    settings
}

fn shape_of(settings: &Settings) -> Option<Vec<(usize, String)>> {
    let rendered = render(settings, &intent(25.0, &[2, 3], &[4]), GenerationId::new(1, 1));
    rendered.ok().map(|r| shape(&r.nginx_conf))
}

const NASTY: [&str; 14] = [
    "a; }",
    "a\n}",
    "x\" ; return 200 \"",
    "'",
    "\\",
    "${host}",
    "$host",
    "a b",
    "#",
    "{{ops_token}}",
    "a\0b",
    "0123456789abcdef; deny all",
    "10.0.0.0/8 1; } server { listen 1",
    "/a;b",
];

#[test]
fn known_tricks_are_refused_in_every_field() {
    for field in 0..12 {
        for text in NASTY {
            assert!(shape_of(&with(field, text)).is_none(), "field {field} accepted {text:?}");
        }
    }
}

#[test]
fn an_error_names_the_field_and_never_the_value() {
    let error = render(&with(0, "secret; }"), &intent(1.0, &[2], &[]), GenerationId::new(1, 1)).expect_err("refused");
    assert!(error.to_string().contains("ops token") && !error.to_string().contains("secret"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_becomes_a_directive(field in 0_usize..12, text in "([ -~]|[\\n\\t;{}\"'$#\\\\]){1,40}|[a-zA-Z0-9/._-]{16,40}") {
        if let Some(found) = shape_of(&with(field, &text)) {
            // The one text that every field of its kind accepts gives the shape that each legal value must have.
            let plain = with(field, match field { 3 | 4 => "10.9.9.9", 9 => "/abcdefghijklmnop", _ => "abcdefghijklmnop" });
            prop_assert_eq!(Some(found), shape_of(&plain));
        }
    }

    #[test]
    fn a_snippet_stays_where_it_is_put(text in "([a-z ]|[\\n;{}\"'#\\\\]){0,30}") {
        let mut settings = full();
        settings.spec.snippets.location = Some(text);
        if let Some(found) = shape_of(&settings) {
            // What comes after the snippet is still there, at its place.
            prop_assert_eq!(found.iter().filter(|(depth, name)| *depth == 1 && name == "server").count(), 2);
            prop_assert!(found.contains(&(2, "stub_status".into())) || found.contains(&(3, "stub_status".into())));
        }
    }

    #[test]
    fn a_twin_never_draws_the_canary(percent in 0_u16..=10_000, production in 0_u8..4, canary in 0_u8..4) {
        let hosts = |first: u8, n: u8| (first..first + n).collect::<Vec<u8>>();
        let intent = intent(f64::from(percent) / 100.0, &hosts(2, production), &hosts(10, canary));
        let twin = twin(&full(), &intent, GenerationId::new(1, 1)).expect("legal").nginx_conf;
        let draw = twin.split("$canaryd_drawn {").nth(1).and_then(|t| t.split('}').next()).expect("a draw");
        prop_assert_eq!(draw.trim(), "* production;");
    }
}

proptest! {
    /// A page is any text, and stays one.
    #[test]
    fn the_page_of_a_stopped_rollout_is_a_word_whatever_it_says(text in "[a-z \"'\\\\{};#$\n\t<>é]{1,80}") {
        let page = |text: &str| Page::new(PageKind::Html, text.as_bytes()).expect("a page");
        let conf = |page: Page| {
            let traffic = Traffic::Stopped { page: Some(page.id()), retry_after: 1 };
            let settings = Settings { page: Some(page), ..full() };
            render(&settings, &Intent { traffic, ..intent(0.0, &[2], &[]) }, GenerationId::new(1, 1)).expect("legal")
        };
        prop_assert_eq!(shape(&conf(page(&text)).nginx_conf), shape(&conf(page("x")).nginx_conf));
    }
}
