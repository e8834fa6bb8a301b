//! What is written reads back the same, each fault is one line with its place, and no text shows what stands there.

use proptest::prelude::*;

use super::*;
use crate::core::access::Token;

const HASH: &str = "0bc8df5253edc798eed4a13a894d4c142e80f1834a99006cee21143a234c16ef";

fn one_token(more: &str) -> String {
    format!("[[token]]\nname = \"kiwi\"\nsha256 = \"{HASH}\"\nrole = \"client\"\n{more}")
}

#[test]
fn a_file_says_whose_tokens_are_for_what_and_until_when() {
    let text = format!(
        "# by hand\n[[group]]\nname = \"buses\"\nmay_report = [\"bus-*\"]\n\n{}",
        one_token(
            "may_see = ['a\\x2a', \"b*\"]\ngroups = [\"buses\"]\nexpires = 2027-01-31T01:00:00+01:00\n"
        )
    );
    let list = parse(&text).unwrap();
    let token = &list.tokens[0];
    assert_eq!(
        (&*token.name, token.hash.to_string().as_str(), token.role),
        ("kiwi", HASH, TokenRole::Client)
    );
    assert_eq!(token.expires, Some(Timestamp::new(1_801_353_600, 0)));
    let patterns = |patterns: &Patterns| patterns.iter().map(Pattern::to_string).collect::<Vec<_>>();
    assert_eq!(patterns(&token.may_see), ["a\\x2a", "b*"]);
    assert_eq!(patterns(&list.groups[0].may_report), ["bus-*"]);
    let written = to_text(&list);
    assert_eq!(parse(&written), Ok(list));
    assert!(written.contains("\nexpires = 2027-01-31T00:00:00Z\n"), "{written}");
    assert_eq!(parse(""), Ok(TokenList::default()));
    assert_eq!(parse(&to_text(&TokenList::default())), Ok(TokenList::default()));
}

#[test]
fn every_fault_names_its_line_and_shows_nothing_of_it() {
    let token = Token::of_bytes([7; Token::RANDOM_BYTES]).text().to_owned();
    for (text, line) in [
        (format!("\n{token}\n"), "line 2 is not TOML; "),
        (
            format!("[[token]]\n{token} = 1\n"),
            "line 2 has a key that is not known there; the keys are name, ",
        ),
        (format!("{token} = 1\n"), "line 1 has a key that is not known there; the keys are token, group"),
        ("token = 1\n".to_owned(), "line 1: `token` is not in two brackets"),
        ("[[group]]\n".to_owned(), "line 1: this [[group]] has no `name`; "),
        (format!("[[token]]\nname = \"k\"\nsha256 = \"{token}\"\n"), "line 3: `sha256` is not 64 "),
        (one_token(&format!("expires = \"{token}\"\n")), "line 5: `expires` is not a time in UTC"),
        (one_token("expires = 2027-01-31T01:00:00\n"), "line 5: `expires` is not a time in UTC"),
        (
            one_token(&format!("may_see = [\"{token}\", \"a b\"]\n")),
            "line 5: a pattern of `may_see` has white",
        ),
        (one_token(&format!("may_see = \"{token}\"\n")), "line 5: `may_see` is not a list of texts"),
        (one_token("may_see = [1]\n"), "line 5: `may_see` is not a list of texts"),
        (
            one_token("").replace("\"client\"", &format!("\"{token}\"")),
            "line 4: `role` is not client, viewer",
        ),
        (one_token("").replace("\"kiwi\"", &format!("\"{token}\"")), "a token itself stands in the place of"),
        (one_token("").replace(HASH, &HASH.to_uppercase()), "line 3: `sha256` is not 64 "),
        (one_token("groups = [\"g\"]\n"), "the token kiwi has the group g, which is not there"),
        (
            one_token(&format!("may_see = {:?}\n", vec!["a"; PATTERNS_MAX + 1])),
            "line 5: `may_see` has more than",
        ),
    ] {
        let fault = parse(&text).unwrap_err().to_string();
        assert!(fault.starts_with(line) && fault.contains(';'), "{fault}, not {line}");
        assert!(!fault.contains(&token[..13]) && !fault.contains('\n'), "{fault}");
    }
    assert!(parse(&one_token(&format!("may_see = {:?}\n", vec!["a"; PATTERNS_MAX]))).is_ok());
}

fn any_patterns() -> impl Strategy<Value = Patterns> {
    prop::collection::vec("[!-~é]{1,6}\\*?", 0..3)
        .prop_map(|texts| Patterns::new(texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect()))
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(
        name in "[!-~]{1,64}",
        (report, see) in (any_patterns(), any_patterns()),
        group in proptest::option::of("[!-~]{1,9}"),
        bytes in any::<[u8; Token::RANDOM_BYTES]>(),
        operates in any::<bool>(),
        expires in proptest::option::of(0_u64..253_402_300_800),
    ) {
        let hash = Token::of_bytes(bytes).hash();
        let role = if operates { TokenRole::Operator } else { TokenRole::Client };
        let groups: Vec<_> = group.into_iter().collect();
        let of_file = groups.iter().map(|name| TokenGroup { name: name.clone(), may_report: see.clone(), may_see: report.clone() });
        let list = TokenList {
            groups: of_file.collect(),
            tokens: vec![TokenEntry {
                name, hash, role, may_report: report, may_see: see, groups, expires: expires.map(|at| Timestamp::new(at, 0)),
            }],
        };
        prop_assert_eq!(parse(&to_text(&list)), Ok(list));
    }

    #[test]
    fn no_text_panics(
        text in "(\\[\\[token\\]\\]|\\[\\[group\\]\\]|name|sha256|role|may_see|expires|=|\"[a-f0-9*]*\"|[0-9TZ:-]{1,20}|\\n|.){0,40}",
    ) {
        let _ = parse(&text);
    }
}
