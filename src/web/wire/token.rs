//! The token that a request shows, wherever it stands: in `Authorization`, in the path, or in the query. The one place that
//! finds it. What is kept is its hash.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use httparse::Header;
use zeroize::Zeroizing;

use super::{Refused, head::named};
use crate::core::access::{TokenHash, find_token};

/// What a request has shown as a token so far.
#[derive(Default)]
pub(super) struct ShownTokens {
    hash: Option<TokenHash>,
    /// Two different ones.
    is_ambiguous: bool,
    /// The name beside the password of `Basic`. Nobody has proved it.
    user: Option<Vec<u8>>,
}

impl ShownTokens {
    /// Looks at what may be a token. What has not a token's form is none.
    pub(super) fn note(&mut self, text: &[u8]) {
        let Some(hash) = TokenHash::of(text) else { return };
        self.is_ambiguous |= self.hash.is_some_and(|other| other != hash);
        self.hash = Some(hash);
    }

    /// Looks at `Authorization`: the text of `Bearer`, the password of `Basic`, or, as some phones send it, a bare token
    /// after `Basic`, with a colon behind it or not. (No token has the form of Base64.)
    pub(super) fn note_authorization(&mut self, headers: &[Header<'_>]) {
        let mut fields = named(headers, "authorization");
        let (Some(value), None) = (fields.next(), fields.next()) else { return };
        let value = value.trim_ascii();
        let Some(space) = memchr::memchr(b' ', value) else { return };
        let (scheme, text) = (&value[..space], value[space..].trim_ascii_start());
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            self.note(text);
        } else if scheme.eq_ignore_ascii_case(b"Basic") {
            self.note(text.strip_suffix(b":").unwrap_or(text));
            // On the heap once, with room for all: growing would leave a copy.
            let mut pair = Zeroizing::new(vec![0; text.len()]);
            let Ok(length) = BASE64_STANDARD.decode_slice(text, &mut pair) else { return };
            if let Some(colon) = memchr::memchr(b':', &pair[..length]) {
                self.note(&pair[colon + 1..length]);
                // A token at the wrong place is not shown as a name.
                self.user = find_token(&pair[..colon]).is_none().then(|| pair[..colon].to_vec());
            }
        }
    }

    /// The name beside the password of `Basic`.
    pub(super) fn take_user(&mut self) -> Option<Vec<u8>> {
        self.user.take()
    }

    /// What it hashes to, if one is shown. Two different ones leave open whose the request is.
    pub(super) fn hash(&self) -> Result<Option<TokenHash>, Refused> {
        if self.is_ambiguous { Err(Refused::TwoTokens) } else { Ok(self.hash) }
    }
}
