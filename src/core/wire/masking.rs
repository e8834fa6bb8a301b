//! What of a line may be shown: nothing that may be a token, in whatever way the line is wrong.

use super::{Fields, Line};
use crate::core::access::find_token;

/// The first word of a line that shows a token, and all that is shown of such a line.
pub const AUTH: &[u8] = b"AUTH";

/// Whether a line's first word is AUTH, in any case.
pub fn is_auth(line: &[u8]) -> bool {
    Fields::of(line).next().is_some_and(|word| word.eq_ignore_ascii_case(AUTH))
}

impl Line<'_> {
    /// What may be shown of it, in a copy or a log: of one that begins with AUTH in any case, only that word; of any other, an
    /// HTTP request line for one, what comes before something that could be a token.
    #[must_use]
    pub fn masked(self) -> Self {
        let text = self.text();
        let shown = if is_auth(text) { AUTH } else { &text[..find_token(text).unwrap_or(text.len())] };
        match self {
            Self::Whole(_, ending) => Self::Whole(shown, ending),
            Self::TooLong(_, ending) => Self::TooLong(shown, ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Ending;

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = format!("herd_{}", "0a".repeat(20));
        for (line, shown) in [
            (format!("AUTH {token}"), "AUTH"),
            (format!("  auth\t{token} and more"), "AUTH"),
            ("aUtH secret".to_owned(), "AUTH"),
            ("AUTH".to_owned(), "AUTH"),
            (format!("GET /status?token={token} HTTP/1.1"), "GET /status?token="),
            (format!("Authorization: Bearer {token}"), "Authorization: Bearer "),
            (token.clone(), ""),
            ("AUTHOR secret".to_owned(), "AUTHOR secret"),
            ("hello herd_kiwi".to_owned(), "hello herd_kiwi"),
            (String::new(), ""),
        ] {
            let shown = shown.as_bytes();
            for (line, masked) in [
                (Line::Whole(line.as_bytes(), Ending::CrLf), Line::Whole(shown, Ending::CrLf)),
                (Line::TooLong(line.as_bytes(), Ending::Lf), Line::TooLong(shown, Ending::Lf)),
            ] {
                assert_eq!(line.masked(), masked);
            }
        }
    }
}
