//! Lines beyond a quota: what waits, how long, what is refused, who is held to it, and who is not.

use super::*;
use crate::core::access::{
    Access, Allowance, Anyone, Patterns, Quota, QuotaRules, Token, TokenEntry, TokenList, TokenRole,
};

const SECOND: Duration = Duration::from_secs(1);

/// So many lines a second, of which as many are saved up; a line waits five seconds.
fn lines_a_second(lines: u64) -> QuotaRules {
    QuotaRules { requests: Some(lines), wait: 5 * SECOND, ..QuotaRules::NONE }
}

fn allowance(rules: &QuotaRules) -> Arc<Allowance> {
    Arc::new(Allowance::new(rules))
}

fn node() -> Arc<Node> {
    node_of(vec![neighbour("Welsh", None).0], false, None)
}

impl Driven {
    /// A client's that comes from an address which has this left.
    fn metered(node: &Arc<Node>, allowance: &Arc<Allowance>) -> Self {
        let mut driven = Self::client(node);
        driven.dialogue.set_allowance(Some(Arc::clone(allowance)));
        driven
    }

    /// How many lines have been answered since this was last asked.
    fn answers(&mut self) -> usize {
        self.written().lines().count()
    }
}

fn rest(milliseconds: u64) -> Next {
    Next::Rest(at(milliseconds), Quota::Requests)
}

#[test]
fn lines_beyond_what_is_saved_are_executed_one_after_another_as_it_accrues() {
    let mut client = Driven::metered(&node(), &allowance(&lines_a_second(10)));
    assert_eq!(client.say(&b"x\n".repeat(12), at(0)), rest(100));
    assert_eq!(mem::take(&mut client.did), ["offer", "write"], "what is executed is answered first");
    assert_eq!(client.answers(), 10);
    assert_eq!((client.drive(at(99)), client.answers()), (rest(100), 0));
    assert_eq!((client.drive(at(100)), client.answers()), (rest(200), 1));
    assert!(matches!(client.drive(at(200)), Next::Wait(_)));
    assert_eq!((client.answers(), client.ear.over_quota), (1, 0));
    // Nothing is saved up now; a second later, all is.
    assert_eq!(client.say(b"x\n", at(200)), rest(300));
    client.drive(at(300));
    assert!(matches!(client.say(&b"x\n".repeat(10), at(1_300)), Next::Wait(_)));
    assert_eq!(client.answers(), 11);
}

#[test]
fn what_a_line_reports_is_stored_at_its_turn_and_not_before() {
    let node = node();
    let mut client = Driven::metered(&node, &allowance(&lines_a_second(1)));
    client.say(b"x\n", at(0));
    assert_eq!(client.say(b"IAMAT kiwi +1+1 1479413884\n", at(0)), rest(1_000));
    assert_eq!(node.store().len(), 0);
    client.drive(at(1_000));
    assert_eq!((client.written(), node.store().len()), (format!("? x\n{AT}"), 1));
}

#[test]
fn bytes_are_charged_when_they_come_even_those_of_a_line_that_is_skipped() {
    let rules = QuotaRules { bytes: Some(1_000), wait: 5 * SECOND, ..QuotaRules::NONE };
    let mut client = Driven::metered(&node(), &allowance(&rules));
    assert!(matches!(client.say(b"x\n", at(0)), Next::Wait(_)));
    assert!(matches!(client.say(&[b'y'; 998], at(0)), Next::Wait(_)));
    assert_eq!(client.say(&[b'y'; 250], at(0)), Next::Rest(at(250), Quota::Bytes));
    assert!(matches!(client.drive(at(250)), Next::Wait(_)));
    assert_eq!(client.say(b"\nz\n", at(250)), Next::Rest(at(253), Quota::Bytes));
    client.drive(at(253));
    assert_eq!(client.written(), format!("? x\n? {}\n? z\n", "y".repeat(64)));
}

#[test]
fn turn_that_would_come_too_late_is_tried_once_more_and_then_lines_are_refused() {
    let (node, allowance) = (node(), allowance(&QuotaRules { wait: SECOND, ..lines_a_second(1) }));
    let [mut first, mut second, mut third] = [(); 3].map(|()| Driven::metered(&node, &allowance));
    assert_eq!(first.say(b"a\na\n", at(0)), rest(1_000));
    let lines = b"IAMAT kiwi +1+1 1479413884\n".repeat(20);
    assert_eq!(second.say(b"b\n", at(0)), rest(1_000), "to be tried once more then");
    assert_eq!(third.say(&lines, at(0)), rest(1_000));
    assert_eq!(first.drive(at(1_000)), Next::Wait(at(100_000)));
    assert_eq!(second.drive(at(1_000)), rest(2_000), "it has its turn");
    // Of many lines, a few are refused at a time.
    assert_eq!(third.drive(at(1_000)), rest(2_000));
    assert_eq!((third.ear.over_quota, third.answers(), node.store().len()), (16, 16, 0));
    assert!(matches!(second.drive(at(2_000)), Next::Wait(_)));
    assert_eq!((first.answers(), second.answers()), (2, 1));
    // The connection goes on: its other lines have their turn, one by one.
    for turn in 3..=6 {
        assert_eq!(third.drive(at((turn - 1) * 1_000)), rest(turn * 1_000));
    }
    assert!(matches!(third.drive(at(6_000)), Next::Wait(_)));
    assert_eq!((third.ear.over_quota, third.answers(), node.store().len()), (16, 4, 1));
}

#[test]
fn refused_line_is_answered_with_its_copy_like_any_invalid_line() {
    let (node, allowance) = (node(), allowance(&QuotaRules { wait: SECOND, ..lines_a_second(1) }));
    let [mut one, mut other] = [(); 2].map(|()| Driven::metered(&node, &allowance));
    one.say(b"a\na\n", at(0));
    other.say(b"IAMAT  kiwi +1+1 1\r\n", at(0));
    // Another takes the turn again.
    assert!(allowance.charge_now(at(1_000)).is_err());
    allowance.charge(1, 0, at(1_000)).unwrap();
    assert!(matches!(other.drive(at(1_000)), Next::Wait(_)));
    assert_eq!(other.written(), "? IAMAT  kiwi +1+1 1\r\n");
}

#[test]
fn connections_of_one_principal_share_what_it_has_and_another_is_not_slowed() {
    let node = node();
    let (one, other) = (allowance(&lines_a_second(10)), allowance(&lines_a_second(10)));
    let mut crowd: Vec<_> = (0..50).map(|_| Driven::metered(&node, &one)).collect();
    let mut alone = Driven::metered(&node, &other);
    let (mut executed, mut unhindered) = (0, 0);
    for tick in 0..=30 {
        let now = at(100 * tick);
        for client in &mut crowd {
            if tick == 0 {
                client.say(&b"x\n".repeat(100), now);
            } else {
                client.drive(now);
            }
            executed += client.answers() - mem::take(&mut client.ear.over_quota);
        }
        assert!(matches!(alone.say(b"x\n", now), Next::Wait(_)), "it never waits");
        unhindered += alone.answers();
        assert_eq!(executed, 10 + tick as usize, "at once, and since then one each 100 ms");
    }
    assert_eq!(unhindered, 31);
}

#[test]
fn neighbour_is_never_held_up() {
    let (node, allowance) = (node(), allowance(&lines_a_second(1)));
    allowance.charge(1, 0, at(0)).unwrap();
    let mut peer = Driven::metered(&node, &allowance);
    assert!(matches!(peer.say(&hello("Welsh", 7), at(0)), Next::Wait(_)));
    assert!(matches!(peer.say(&b"PING 1\n".repeat(100), at(0)), Next::Wait(_)));
    assert_eq!(peer.dialogue.party(), &Party::Peer(0));
}

#[test]
fn blank_lines_and_a_last_line_without_an_end_are_paid_for_too() {
    let (node, rules) = (node(), lines_a_second(1));
    let mut blank = Driven::metered(&node, &allowance(&rules));
    assert_eq!(blank.say(b"\n\n", at(0)), rest(1_000));
    assert_eq!(blank.dialogue.party(), &Party::Stranger);
    let spent = allowance(&rules);
    spent.charge(1, 0, at(0)).unwrap();
    let mut last = Driven::metered(&node, &spent);
    last.say(b"IAMAT kiwi +1+1 1479413884", at(0));
    last.dialogue.ended(now(at(0)));
    assert_eq!((last.drive(at(0)), node.store().len()), (rest(1_000), 0));
    assert_eq!(last.drive(at(1_000)), Next::Close(Closing::ByPeer));
    assert_eq!((last.written(), node.store().len()), (AT.to_owned(), 1));
    // An end without a line costs nothing.
    let mut silent = Driven::metered(&node, &spent);
    silent.dialogue.ended(now(at(1_000)));
    assert_eq!(silent.drive(at(1_000)), Next::Close(Closing::ByPeer));
}

#[test]
fn last_line_without_an_end_may_be_refused() {
    let (node, allowance) = (node(), allowance(&QuotaRules { wait: SECOND, ..lines_a_second(1) }));
    for _ in 0..2 {
        allowance.charge(1, 0, at(0)).unwrap();
    }
    let mut last = Driven::metered(&node, &allowance);
    last.say(b"IAMAT kiwi +1+1 1479413884", at(0));
    last.dialogue.ended(now(at(0)));
    assert_eq!(last.drive(at(0)), rest(1_000));
    allowance.charge(1, 0, at(1_000)).unwrap();
    assert_eq!(last.drive(at(1_000)), Next::Close(Closing::ByPeer));
    assert_eq!((last.written().as_str(), node.store().len()), ("? IAMAT kiwi +1+1 1479413884\n", 0));
}

#[test]
fn line_whose_beginning_waits_behind_others_has_its_time_from_when_it_can_be_read() {
    let mut client = Driven::metered(&node(), &allowance(&lines_a_second(1)));
    client.say(&[&b"x\n".repeat(21)[..], b"IAM"].concat(), at(0));
    for second in 1..20 {
        assert_eq!(client.drive(at(1_000 * second)), rest(1_000 * second + 1_000));
    }
    assert_eq!(client.drive(at(20_000)), Next::Wait(at(30_000)));
    assert_eq!(client.drive(at(30_000)), Next::Close(Closing::SlowLine(TIMES.line)));
}

#[test]
fn connection_that_waits_with_large_buffers_ends_if_all_hold_too_much() {
    let mut client = Driven::metered(&node(), &allowance(&lines_a_second(1_600)));
    // Each read has room for twice as much as the one before.
    for bytes in [1_024, 2_048] {
        assert!(matches!(client.say(&b"x\n".repeat(bytes / 2), at(0)), Next::Wait(_)));
    }
    assert!(matches!(client.say(&b"x\n".repeat(2_048), at(0)), Next::Rest(..)));
    assert!(
        (4_096..8_192).contains(&client.ear.held),
        "what waits is counted, and no more: {}",
        client.ear.held
    );
    client.ear.is_crowded = true;
    assert_eq!(client.drive(at(0)), Next::Close(Closing::CrowdedAtRest(Quota::Requests)));
}

#[test]
fn new_clients_beyond_those_of_an_hour_are_refused_and_known_ones_go_on() {
    let rules = QuotaRules { new_clients: Some(2), ..QuotaRules::NONE };
    let node = node();
    let mut client = Driven::metered(&node, &allowance(&rules));
    let half_an_hour = 1_800_000;
    for (line, milliseconds, is_taken) in [
        ("IAMAT a +1+1 1", 0, true),
        ("IAMAT b +1+1 1", 0, true),
        ("IAMAT c +1+1 1", 0, false),
        ("IAMAT a +1+1 2", 0, true),
        ("IAMAT a +1+1 1", 0, true),
        ("IAMAT c +1+1 1", half_an_hour - 1, false),
        ("IAMAT c +1+1 1", half_an_hour, true),
        ("IAMAT d +1+1 1", half_an_hour, false),
    ] {
        client.dialogue.heard.tick = at(milliseconds);
        client.say(format!("{line}\n").as_bytes(), at(milliseconds));
        assert_eq!(client.written().starts_with("AT "), is_taken, "{line} at {milliseconds}");
    }
    assert_eq!(node.store().len(), 3);
    // What a neighbour knows is nobody's to pay for.
    let (mut peer, _) = Driven::peer(&node, 7, 2, at(0));
    peer.say(b"AT Welsh +0.000000001 e +1+1 1 Welsh\n", at(0));
    assert_eq!(node.store().len(), 4);
}

/// A node that takes these tokens, numbered from 1, for lines of anybody.
fn node_with_tokens(rules: QuotaRules, names: &[&str]) -> Arc<Node> {
    let entry = |(number, name): (usize, &&str)| TokenEntry {
        name: (*name).to_owned(),
        hash: token(number + 1).hash(),
        role: TokenRole::Client,
        may_report: Patterns::none(),
        may_see: Patterns::none(),
        groups: Vec::new(),
        expires: None,
    };
    let list = TokenList { groups: Vec::new(), tokens: names.iter().enumerate().map(entry).collect() };
    let anyone = Anyone { reports_and_sees: true, forgets: false, monitors: false };
    let node = Arc::into_inner(node()).unwrap();
    Arc::new(node.limited_by(rules).granting(Access::with_tokens(anyone, &list).unwrap()))
}

fn token(number: usize) -> Token {
    Token::of_bytes([number as u8; Token::RANDOM_BYTES])
}

fn auth(number: usize) -> Vec<u8> {
    format!("AUTH {}\n", token(number).text()).into_bytes()
}

#[test]
fn lines_after_a_token_are_paid_by_its_name_on_all_its_connections() {
    let rules = lines_a_second(3);
    let (node, address) = (node_with_tokens(rules, &["bus", "tram"]), allowance(&rules));
    let [mut one, mut two, mut three] = [(); 3].map(|()| Driven::metered(&node, &address));
    // Paid by the address, as all three tokens are.
    one.say(&auth(1), at(0));
    two.say(&auth(1), at(0));
    three.say(&auth(2), at(0));
    assert!(address.charge_now(at(0)).is_err());
    for client in [&mut one, &mut two] {
        client.say(b"x\n", at(0));
    }
    assert!(matches!(one.say(b"x\n", at(0)), Next::Wait(_)));
    assert_eq!(two.say(b"x\n", at(0)), Next::Rest(Duration::from_nanos(333_333_334), Quota::Requests));
    assert!(matches!(three.say(b"x\nx\nx\n", at(0)), Next::Wait(_)), "it is another's");
    // Rights dropped, the address pays again.
    assert!(matches!(one.say(b"AUTH wrong\n", at(1_000)), Next::Wait(_)));
    one.say(b"x\nx\nx\n", at(1_000));
    assert!(address.charge_now(at(1_000)).is_err());
}

#[test]
fn lines_that_were_paid_and_then_were_anothers_are_put_back() {
    let rules = lines_a_second(5);
    let (node, address) = (node_with_tokens(rules, &["bus"]), allowance(&rules));
    let mut client = Driven::metered(&node, &address);
    let lines = [&auth(1)[..], b"x\nx\nx\nx\n"].concat();
    assert!(matches!(client.say(&lines, at(0)), Next::Wait(_)));
    let left = (0..9).filter(|_| address.charge_now(at(0)).is_ok()).count();
    assert_eq!(left, 4, "one line was the address's");
    assert!(matches!(client.say(b"x\n", at(0)), Next::Wait(_)));
    assert!(matches!(client.say(b"x\n", at(0)), Next::Rest(..)));
}

#[test]
fn token_is_charged_where_its_address_is_not() {
    let node = node_with_tokens(lines_a_second(1), &["bus"]);
    let mut client = Driven::client(&node);
    assert!(matches!(client.say(&b"x\n".repeat(9), at(0)), Next::Wait(_)));
    client.say(&auth(1), at(0));
    assert_eq!(client.say(b"x\nx\n", at(0)), rest(1_000));
}

#[test]
fn where_nothing_is_limited_a_token_is_not_charged() {
    let node = node_with_tokens(QuotaRules::NONE, &["bus"]);
    let mut client = Driven::client(&node);
    client.say(&auth(1), at(0));
    assert!(matches!(client.say(&b"x\n".repeat(400), at(0)), Next::Wait(_)));
}
