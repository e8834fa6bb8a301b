//! Text from outside as HTML: a client may show an attribution as it is, so nothing in it may be active.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

/// An attribution: a link if `uri` is a web address, otherwise the name alone.
pub(super) fn attribution(name: &str, uri: Option<&str>) -> String {
    let name = escaped(name);
    match uri.and_then(web_address) {
        Some(address) => format!("<a href=\"{}\">{name}</a>", escaped(&address)),
        None => name,
    }
}

/// The address of an `http` or `https` page; one without a scheme, such as `//host/path`, is taken for `https`.
///
/// Anything else may be a script. So may an address with control characters, since browsers drop some of them.
fn web_address(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("//")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "" | "https:" => "https://",
        "http:" => "http://",
        _ => return None,
    };
    let has_host = !rest.starts_with(['/', '\\', '?', '#', ' ']) && !rest.is_empty();
    let is_visible = !rest.contains(char::is_control);
    (has_host && is_visible).then(|| format!("{scheme}{rest}"))
}

/// Text that remains text in HTML, within quotation marks too. Control characters, some of which HTML forbids, become
/// spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_stays_text() {
        assert_eq!(
            attribution("<b a='1' b=\"2\">&amp;\u{0}\n\u{85}Zo\u{eb}", None),
            "&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;amp;   Zo\u{eb}"
        );
    }

    #[test]
    fn link_leads_to_the_web_or_is_none() {
        for (uri, link) in [
            ("https://maps.google.com/maps/contrib/1", "https://maps.google.com/maps/contrib/1"),
            ("http://a.example/?b=1&c=2", "http://a.example/?b=1&amp;c=2"),
            ("HTTPS://a.example", "https://a.example"),
            ("//maps.google.com/maps/contrib/1", "https://maps.google.com/maps/contrib/1"),
            ("https://a.example/\" onclick='x'", "https://a.example/&quot; onclick=&#39;x&#39;"),
        ] {
            assert_eq!(attribution("Nana", Some(uri)), format!("<a href=\"{link}\">Nana</a>"));
        }
        for uri in [
            "",
            "javascript:alert(1)",
            "JavaScript://a.example/%0aalert(1)",
            "java\nscript:alert(1)",
            " https://a.example",
            "\u{1}https://a.example",
            "ht\ttps://a.example",
            "https://a.example/\n",
            "https:a.example",
            "https://",
            "https:///a.example",
            "//",
            "///a.example",
            "/contrib/1",
            "a.example",
            "data:text/html,<b>",
            "ftp://a.example",
            "x:https://a.example",
            "https:\\\\a.example",
        ] {
            assert_eq!(attribution("Nana", Some(uri)), "Nana", "{uri:?}");
        }
    }
}
