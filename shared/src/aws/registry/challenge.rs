//! What a registry that knows nobody yet asks for (RFC 9110, §11.6.1).

/// How it wants to be approached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With name and password.
    Basic,
    /// With a token that this gives.
    Bearer {
        /// Who gives it: a URL.
        realm: String,
        /// For whom it is.
        service: Option<String>,
    },
}

impl Challenge {
    /// The first one of a `WWW-Authenticate` that is understood.
    pub(super) fn of(header: &str) -> Option<Challenge> {
        let (scheme, rest) = header.trim_start().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let mut take = |name: &str| {
            let place = parameters.iter().position(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(parameters.swap_remove(place).1)
        };
        Some(Challenge::Bearer { realm: take("realm")?, service: take("service") })
    }
}

/// `name=value` and `name="va\"lue"`, joined by commas.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let (value, after) = after.strip_prefix('"').map_or_else(|| bare(after), unquoted);
        found.push((name, value));
        rest = after;
    }
    found
}

/// What there is up to the next comma, and what follows it.
fn bare(text: &str) -> (String, &str) {
    let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
    (value.trim().to_owned(), rest)
}

/// What there is up to the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_as_a_challenge(text in ".{0,80}", parameters in "[a-z=\",\\\\ ]{0,40}") {
            Challenge::of(&text);
            Challenge::of(&format!("Bearer {parameters}"));
        }

        #[test]
        fn a_challenge_reads_as_it_was_written(
            realm in ".{0,40}", service in proptest::option::of(".{0,20}"),
        ) {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let told = service.as_ref().map(|service| format!(",service=\"{}\"", quoted(service)));
            let text = format!("Bearer realm=\"{}\"{}", quoted(&realm), told.unwrap_or_default());
            prop_assert_eq!(Challenge::of(&text), Some(Challenge::Bearer { realm, service }));
        }
    }

    #[test]
    fn challenges_are_read_however_they_are_written() {
        let bearer = |realm: &str, service: Option<&str>| {
            let service = service.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.into(), service })
        };
        for (text, read) in [
            (
                r#"Bearer realm="https://auth.example/token",service="registry.example""#,
                bearer("https://auth.example/token", Some("registry.example")),
            ),
            (
                r#"bearer service=a, scope="repository:a:pull,push" , realm="https://b/t?x=1""#,
                bearer("https://b/t?x=1", Some("a")),
            ),
            (r#"Bearer realm="a\"b""#, bearer("a\"b", None)),
            (r#"Basic realm="test""#, Some(Challenge::Basic)),
            ("BASIC", Some(Challenge::Basic)),
            ("Bearer", None),
            (r#"Bearer service="a""#, None),
            ("Negotiate", None),
            (r#"Bearer realm="unclosed"#, bearer("unclosed", None)),
            ("", None),
        ] {
            assert_eq!(Challenge::of(text), read, "{text}");
        }
    }
}
