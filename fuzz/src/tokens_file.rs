//! A file of tokens, or any other text: either it is one, and is the same once it is written again, or there is one line that
//! says what is wrong and shows nothing that may be a token.

use proxyherd::{
    core::access::find_token,
    keys::{parse_tokens, tokens_text},
};

/// One input.
pub fn tokens_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_tokens(text) {
        Ok(list) => {
            assert_eq!(list.check(), Ok(()));
            let written = tokens_text(&list);
            assert_eq!(parse_tokens(&written).as_ref(), Ok(&list), "{written}");
        }
        Err(fault) => {
            let line = fault.to_string();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(find_token(line.as_bytes()), None, "{line}");
        }
    }
}
