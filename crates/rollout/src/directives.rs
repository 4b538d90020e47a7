//! A user's own NGINX directives: read as NGINX does (words, semicolons and braces, `ngx_conf_read_token`), and held against
//! those that canaryd sets itself in the same place.

/// One piece of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word, quotes removed.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Splits a configuration as NGINX does. `None` when a quoted word does not end, or is followed by more of a word.
pub(crate) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if is_space(c) => {}
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            ';' => found.push(Token::End),
            '{' => found.push(Token::Open),
            '}' => found.push(Token::Close),
            '"' | '\'' => found.push(Token::Word(quoted(&mut rest, c)?)),
            first => found.push(Token::Word(bare(&mut rest, first))),
        }
    }
    Some(found)
}

/// Whether `text` is a list of whole directives: it can neither leave its block nor swallow what follows it.
#[must_use]
pub fn is_closed(text: &str) -> bool {
    let Some(tokens) = tokens(text) else { return false };
    let mut depth = 0_u32;
    for token in &tokens {
        match token {
            Token::Open => depth += 1,
            Token::Close if depth == 0 => return false,
            Token::Close => depth -= 1,
            Token::Word(_) | Token::End => {}
        }
    }
    depth == 0 && !matches!(tokens.last(), Some(Token::Word(_) | Token::Open))
}

/// Directives that NGINX takes once in a place and that canaryd sets there.
pub const IN_HTTP: [&str; 14] = [
    "server_tokens",
    "default_type",
    "map_hash_bucket_size",
    "map_hash_max_size",
    "variables_hash_max_size",
    "variables_hash_bucket_size",
    "client_body_temp_path",
    "proxy_temp_path",
    "fastcgi_temp_path",
    "uwsgi_temp_path",
    "scgi_temp_path",
    "large_client_header_buffers",
    "keepalive_timeout",
    "keepalive_min_timeout",
];
/// Likewise.
pub const IN_SERVER: [&str; 1] = ["client_max_body_size"];
/// Likewise.
pub const IN_LOCATION: [&str; 12] = [
    "proxy_pass",
    "proxy_http_version",
    "proxy_buffering",
    "proxy_request_buffering",
    "proxy_buffer_size",
    "proxy_buffers",
    "proxy_max_temp_file_size",
    "proxy_next_upstream_tries",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_socket_keepalive",
];

/// The first directive of `text` itself, not of a block in it, that is one of these.
pub(crate) fn first_of<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let (mut depth, mut begins) = (0_u32, true);
    for token in tokens(text)? {
        match token {
            Token::Word(word) if begins && depth == 0 => {
                if let Some(name) = names.iter().find(|name| **name == word) {
                    return Some(name);
                }
                begins = false;
            }
            Token::Word(_) => begins = false,
            Token::End => begins = true,
            Token::Open => (depth, begins) = (depth + 1, true),
            Token::Close => (depth, begins) = (depth.saturating_sub(1), true),
        }
    }
    None
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(rest: &mut Chars<'_>, quote: char) -> Option<String> {
    let mut word = String::new();
    loop {
        match rest.next()? {
            '\\' => word.push(rest.next()?),
            c if c == quote => break,
            c => word.push(c),
        }
    }
    // NGINX wants a space, `;`, `{` or `)` after a closing quote.
    let end = rest.peek().is_none_or(|c| is_space(*c) || matches!(c, ';' | '{' | ')'));
    end.then_some(word)
}

fn bare(rest: &mut Chars<'_>, first: char) -> String {
    let mut word = String::from(first);
    let mut last = first;
    if first == '\\' {
        word.extend(rest.next());
        last = ' ';
    }
    // `${` is a variable, not the start of a block.
    while let Some(c) = rest.next_if(|c| !is_space(*c) && *c != ';' && (*c != '{' || last == '$')) {
        word.push(c);
        last = c;
        if c == '\\' {
            word.extend(rest.next());
            last = ' ';
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_nginx_ends_them() {
        let read = |t: &str| tokens(t).map(|list| list.len());
        assert_eq!(read("a b;"), Some(3));
        assert_eq!(read("a 'b;c' \"d\\\"e\"; # ; }\n}"), Some(5));
        assert_eq!(read("a ${b}c;"), Some(3));
        assert_eq!(read("a{b}"), Some(3));
        assert_eq!(read("a 'b"), None);
        assert_eq!(read("a 'b'c;"), None);
    }

    #[test]
    fn a_directive_is_its_first_word_and_only_outside_of_blocks() {
        let found = |text: &str| first_of(text, &["proxy_buffers", "proxy_buffering"]);
        assert_eq!(found("add_header A proxy_buffering; proxy_buffers 4 4k;"), Some("proxy_buffers"));
        assert_eq!(found("if ($a) { proxy_buffering on; } # proxy_buffers 1 1k;"), None);
        assert_eq!(found("if ($a) { b; } 'proxy_buffering' on;"), Some("proxy_buffering"));
    }

    #[test]
    fn a_snippet_can_neither_leave_its_block_nor_swallow_what_follows() {
        for good in ["", "a b;", "# only words", "location /x { return 204; }", "a \"}\";", "if ($a) { b; }"] {
            assert!(is_closed(good), "{good:?}");
        }
        for bad in ["}", "a b", "{", "a { b;", "a; } server { b;", "a \"b;", "a \\;", "a b; c {"] {
            assert!(!is_closed(bad), "{bad:?}");
        }
    }
}
