//! No token does anything outside its patterns, whatever the bytes of an id are; and what a change of the tokens changes.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::core::model::{ClientId, Timestamp, is_white_space};

const NOBODY: Anyone = Anyone { reports_and_sees: false, forgets: false, monitors: false };

fn token(number: u8) -> Token {
    Token::of_bytes([number; Token::RANDOM_BYTES])
}

fn entry(name: &str, number: u8, role: TokenRole) -> TokenEntry {
    let (name, hash, groups) = (name.to_owned(), token(number).hash(), Vec::new());
    let (may_report, may_see) = (Patterns::none(), Patterns::none());
    TokenEntry { name, hash, role, may_report, may_see, groups, expires: None }
}

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::new(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect())
}

fn list(tokens: Vec<TokenEntry>) -> TokenList {
    TokenList { groups: Vec::new(), tokens }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::new(seconds, 0)
}

fn find(access: &Access, number: u8, seconds: u64) -> Option<Principal> {
    access.find(&token(number).hash(), at(seconds))
}

fn id(text: &str) -> ClientId<'_> {
    ClientId::new(text.as_bytes()).unwrap()
}

/// Every act on that client.
fn acts(client: ClientId<'_>) -> [Act<'_>; 4] {
    [Act::Report(client), Act::See(client), Act::Forget(client), Act::Monitor]
}

#[test]
fn each_role_may_do_its_part_and_no_more() {
    let of_role = |role: TokenRole| {
        let (may_report, may_see) = match role {
            TokenRole::Client | TokenRole::Operator => (patterns(&["a", "b*"]), patterns(&["a", "c*"])),
            TokenRole::Viewer => (Patterns::none(), patterns(&["a", "c*"])),
            TokenRole::Monitor => (Patterns::none(), Patterns::none()),
        };
        TokenEntry { may_report, may_see, ..entry(role.name(), role as u8, role) }
    };
    let list = list(TokenRole::ALL.map(of_role).to_vec());
    let access = Access::with_tokens(NOBODY, &list).unwrap();
    for (client, role, may) in [
        ("a", TokenRole::Client, [true, true, false, false]),
        ("bb", TokenRole::Client, [true, false, false, false]),
        ("cc", TokenRole::Client, [false, true, false, false]),
        ("d", TokenRole::Client, [false; 4]),
        ("a", TokenRole::Viewer, [false, true, false, false]),
        ("bb", TokenRole::Viewer, [false; 4]),
        ("a", TokenRole::Monitor, [false, false, false, true]),
        ("a", TokenRole::Operator, [true, true, true, true]),
        ("bb", TokenRole::Operator, [true, false, true, true]),
        ("cc", TokenRole::Operator, [false, true, false, true]),
    ] {
        let principal = find(&access, role as u8, 0).unwrap();
        assert_eq!(principal.role(), role);
        let allowed = acts(id(client)).map(|act| access.allows(Some(&principal), act));
        assert_eq!(allowed, may, "{client} {role}");
    }
    assert_eq!(acts(id("a")).map(|act| access.allows(None, act)), [false; 4]);
}

#[test]
fn what_anyone_may_do_a_token_does_not_take_away() {
    let list = list(vec![entry("kiwi", 1, TokenRole::Client)]);
    let open = Anyone { reports_and_sees: true, ..NOBODY };
    for (anyone, may) in [
        (open, [true, true, false, false]),
        (Anyone { forgets: true, ..NOBODY }, [false, false, true, false]),
        (Anyone { monitors: true, ..NOBODY }, [false, false, false, true]),
    ] {
        let access = Access::with_tokens(anyone, &list).unwrap();
        let principal = find(&access, 1, 0);
        assert!(principal.is_some());
        for who in [None, principal.as_ref()] {
            assert_eq!(acts(id("x")).map(|act| access.allows(who, act)), may);
        }
    }
    let without = Access::without_tokens(open);
    assert!(!without.has_tokens() && find(&without, 1, 0).is_none() && without.count().is_none());
}

#[test]
fn token_ends_at_its_moment_and_not_before() {
    let kiwi = TokenEntry { expires: Some(at(100)), ..entry("kiwi", 1, TokenRole::Monitor) };
    let access = Access::with_tokens(NOBODY, &list(vec![kiwi])).unwrap();
    let principal = find(&access, 1, 99).unwrap();
    assert!(principal.is_valid(Timestamp::new(99, 999_999_999)) && !principal.is_valid(at(100)));
    assert!(find(&access, 1, 100).is_none() && access.renewed(&principal, at(100)).is_none());
    assert!(access.renewed(&principal, at(99)).is_some());
}

#[test]
fn groups_give_their_patterns_to_their_tokens_only() {
    let group = |name: &str, texts: &[&str]| TokenGroup {
        name: name.to_owned(),
        may_report: patterns(texts),
        may_see: Patterns::none(),
    };
    let groups = vec![group("buses", &["bus-*"]), group("trams", &["tram-*"])];
    let driver = TokenEntry {
        may_report: patterns(&["me"]),
        groups: vec!["buses".to_owned()],
        ..entry("driver", 1, TokenRole::Client)
    };
    let list = TokenList { groups, tokens: vec![driver, entry("other", 2, TokenRole::Client)] };
    let access = Access::with_tokens(NOBODY, &list).unwrap();
    let may = |number, client| find(&access, number, 0).unwrap().may(Act::Report(id(client)));
    assert_eq!(["me", "bus-7", "tram-7"].map(|client| may(1, client)), [true, true, false]);
    assert_eq!(["me", "bus-7", "tram-7"].map(|client| may(2, client)), [false; 3]);
}

#[test]
fn tokens_are_replaced_while_they_are_used_and_accounts_stay() {
    let [kiwi, weka, tui] =
        [("kiwi", 1), ("weka", 2), ("tui", 3)].map(|(name, number)| entry(name, number, TokenRole::Monitor));
    let access = Access::with_tokens(NOBODY, &list(vec![kiwi.clone(), weka.clone(), tui.clone()])).unwrap();
    let (before, generation) =
        ([1, 2, 3].map(|number| find(&access, number, 0).unwrap()), access.generation());
    // Kiwi has another token, weka none, tui another role, and kea is new.
    let after = vec![
        TokenEntry { hash: token(9).hash(), ..kiwi },
        entry("kea", 4, TokenRole::Client),
        TokenEntry { role: TokenRole::Operator, ..tui },
    ];
    let changes = access.replace(&list(after.clone())).unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected =
        TokenChanges { added: names(&["kea"]), revoked: names(&["weka"]), changed: names(&["kiwi", "tui"]) };
    assert_eq!(changes, expected);
    assert_ne!(access.generation(), generation);
    let renewed = before.each_ref().map(|principal| access.renewed(principal, at(0)));
    assert!(matches!(&renewed, [None, None, Some(tui)] if tui.role() == TokenRole::Operator));
    let kiwi = find(&access, 9, 0).unwrap();
    assert!(Arc::ptr_eq(kiwi.account(), before[0].account()) && kiwi == before[0]);
    assert!(access.replace(&list(after)).unwrap().are_none());
    // One that is removed and comes back is another.
    access.replace(&list(Vec::new())).unwrap();
    assert_eq!((find(&access, 9, 0), access.count()), (None, Some(0)));
    access.replace(&list(vec![weka])).unwrap();
    assert!(!Arc::ptr_eq(find(&access, 2, 0).unwrap().account(), before[1].account()));
}

#[test]
fn list_that_breaks_a_rule_is_refused_and_changes_nothing() {
    let kiwi = || entry("kiwi", 1, TokenRole::Client);
    let access = Access::with_tokens(NOBODY, &list(vec![kiwi()])).unwrap();
    let generation = access.generation();
    let group = TokenGroup { name: "g".into(), may_report: Patterns::none(), may_see: Patterns::none() };
    let of = |tokens, groups| TokenList { groups, tokens };
    let lone = |token| of(vec![token], Vec::new());
    for (list, word) in [
        (lone(entry("", 2, TokenRole::Client)), "cannot name a token"),
        (lone(entry("a b", 2, TokenRole::Client)), "cannot name a token"),
        (lone(entry(&"x".repeat(65), 2, TokenRole::Client)), "cannot name a token"),
        (of(vec![kiwi(), entry("kiwi", 2, TokenRole::Client)], Vec::new()), "two tokens are called kiwi"),
        (of(vec![kiwi(), entry("weka", 1, TokenRole::Client)], Vec::new()), "kiwi and weka are the same"),
        (of(Vec::new(), vec![group.clone(), group.clone()]), "two groups are called g"),
        (lone(TokenEntry { groups: vec!["g".into()], ..kiwi() }), "the group g, which is not there"),
        (
            lone(TokenEntry { may_report: Patterns::all(), ..entry("v", 2, TokenRole::Viewer) }),
            "`may_report`",
        ),
        (lone(TokenEntry { may_see: Patterns::all(), ..entry("m", 2, TokenRole::Monitor) }), "`may_see`"),
    ] {
        let fault = access.replace(&list).unwrap_err().to_string();
        assert!(fault.contains(word) && fault.contains(';'), "{fault}");
        assert!(!fault.contains(&token(1).hash().to_string()), "{fault}");
    }
    assert!(access.generation() == generation && find(&access, 1, 0).is_some());
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), Just(b'a'), Just(b'*'), Just(b'\\')];
    prop::collection::vec(byte.prop_filter("white", |&byte| !is_white_space(byte)), 1..6)
}

fn any_patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let pattern = prop_oneof![
        bytes().prop_map(|id| Pattern::Exact(id.into())),
        bytes().prop_map(|beginning| Pattern::Prefix(beginning.into())),
        Just(Pattern::Prefix(Box::default())),
    ];
    prop::collection::vec(pattern, 0..4)
}

/// The rule, in its plainest form.
fn is_meant(patterns: &[Pattern], client: &[u8]) -> bool {
    patterns.iter().any(|pattern| match pattern {
        Pattern::Exact(id) => {
            client.len() == id.len() && client.iter().zip(id).all(|(one, other)| one == other)
        }
        Pattern::Prefix(begin) => {
            client.len() >= begin.len() && client.iter().zip(begin).all(|(one, other)| one == other)
        }
    })
}

proptest! {
    #[test]
    fn no_token_acts_outside_its_patterns(
        report in any_patterns(),
        see in any_patterns(),
        clients in prop::collection::vec(bytes(), 1..8),
        role in 0_usize..4,
    ) {
        let role = TokenRole::ALL[role];
        let (reports, sees) = (
            matches!(role, TokenRole::Client | TokenRole::Operator),
            role != TokenRole::Monitor,
        );
        let held = |may: bool, patterns: &Vec<Pattern>| if may { patterns.clone() } else { Vec::new() };
        let (report, see) = (held(reports, &report), held(sees, &see));
        let token = TokenEntry {
            may_report: Patterns::new(report.clone()),
            may_see: Patterns::new(see.clone()),
            ..entry("kiwi", 1, role)
        };
        let access = Access::with_tokens(NOBODY, &list(vec![token])).unwrap();
        let principal = find(&access, 1, 0);
        for client in &clients {
            let id = ClientId::new(client).unwrap();
            let allowed = acts(id).map(|act| access.allows(principal.as_ref(), act));
            let writes = is_meant(&report, client);
            let operates = role == TokenRole::Operator;
            let expected =
                [writes, is_meant(&see, client), operates && writes, operates || role == TokenRole::Monitor];
            prop_assert_eq!(allowed, expected);
            prop_assert_eq!(acts(id).map(|act| access.allows(None, act)), [false; 4]);
        }
    }
}
