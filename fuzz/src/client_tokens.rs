//! A client at a node that wants tokens: two bytes say the lengths of the reads, the rest is what it sends, where `@1` to
//! `@4` stand for tokens that nobody could guess. Each line gets one reply, which is what the rights of the token shown last
//! say it must be; and nothing that is written or told shows a token.

use proxyherd::core::{
    access::{
        Access, Anyone, Pattern, Patterns, Principal, Token, TokenEntry, TokenList, TokenRole, find_token,
    },
    dialogue::{Closing, Party, Reply},
    model::Timestamp,
    wire::{Fields, Invalid, Line},
};

use super::{
    client_lines::lines_of,
    scene::{self, now},
    session::{Ear, Session},
};

const LINE_BYTES: usize = 512;

/// A client, a viewer, an operator, and one whose token has expired.
const NAMES: [&str; 4] = ["kiwi", "eye", "ops", "late"];

fn token(number: usize) -> Token {
    Token::of_bytes([0xa0 | number as u8; Token::RANDOM_BYTES])
}

fn tokens() -> TokenList {
    let patterns = |texts: &[&str]| {
        Patterns::new(texts.iter().map(|text| Pattern::parse(text).expect("a good pattern")).collect())
    };
    let entry = |number: usize, role, report: &[&str], see: &[&str], expires| TokenEntry {
        name: NAMES[number - 1].to_owned(),
        hash: token(number).hash(),
        role,
        may_report: patterns(report),
        may_see: patterns(see),
        groups: Vec::new(),
        expires,
    };
    let past = Some(Timestamp::new(now().wall.seconds(), 0));
    let tokens = vec![
        entry(1, TokenRole::Client, &["k"], &["k", "b*"], None),
        entry(2, TokenRole::Viewer, &[], &["*"], None),
        entry(3, TokenRole::Operator, &["*"], &["*"], None),
        entry(4, TokenRole::Operator, &["*"], &["*"], past),
    ];
    TokenList { groups: Vec::new(), tokens }
}

/// One input.
pub fn client_tokens(data: &[u8]) {
    let Some(([first, step], text)) = data.split_first_chunk() else { return };
    let mut stream = Vec::new();
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        match rest {
            [b'@', digit @ b'1'..=b'4', ..] => {
                stream.extend_from_slice(token(usize::from(digit - b'0')).text().as_bytes());
                rest = &rest[2..];
            }
            _ => {
                stream.push(byte);
                rest = &rest[1..];
            }
        }
    }
    let anyone = Anyone { reports_and_sees: false, forgets: false, monitors: false };
    let access = Access::with_tokens(anyone, &tokens()).expect("good tokens");
    let node = scene::node_granting("Alford", access);
    let mut session = Session::new(&node, LINE_BYTES);
    let due = [lines_of(b"?\n", LINE_BYTES), lines_of(&stream, LINE_BYTES)].concat();
    let mut listener = Listener { due, at: 0, holder: None, wrong: 0 };
    // After it nothing is a handshake, nor another protocol.
    session.say(b"?\n", now(), &mut listener);
    scene::reads(&stream, (*first, *step), |read| {
        if session.closing.is_none() {
            session.say(read, now(), &mut listener);
        }
    });
    if session.closing.is_none() {
        session.end(now(), &mut listener);
    }
    match session.closing {
        Some(Closing::WrongTokens) => assert_eq!(listener.wrong, 3),
        Some(Closing::ByPeer) => {
            assert_eq!(listener.at, listener.due.len(), "a line got no reply");
            assert!(listener.wrong < 3);
        }
        other => panic!("{other:?}"),
    }
}

/// Works out by itself what each line may lead to.
struct Listener<'a> {
    due: Vec<Line<'a>>,
    at: usize,
    /// Whose token was shown last, if it is valid.
    holder: Option<usize>,
    wrong: usize,
}

impl Listener<'_> {
    /// Whether the holder may report for a client, see it, and have it forgotten.
    fn rights(&self, client: &[u8]) -> [bool; 3] {
        match self.holder {
            Some(1) => [client == b"k", client == b"k" || client.starts_with(b"b"), false],
            Some(2) => [false, true, false],
            Some(3) => [true; 3],
            _ => [false; 3],
        }
    }

    fn check_auth(&mut self, line: Line<'_>, reply: &Reply<'_>) {
        let field = match line {
            Line::Whole(text, _) if Fields::of(text).next() == Some(&b"AUTH"[..]) => {
                let mut fields = Fields::of(text);
                fields.next();
                fields.exactly().map(|[field]| field)
            }
            _ => None,
        };
        // The fourth has expired.
        let shown = (1..=3).find(|&number| field == Some(token(number).text().as_bytes()));
        self.holder = shown;
        match (shown, reply) {
            (Some(number), Reply::Welcome { principal }) => assert_eq!(principal.name(), NAMES[number - 1]),
            (None, Reply::Invalid(Invalid::WrongToken)) => self.wrong += 1,
            (shown, reply) => panic!("{shown:?} got {reply:?}"),
        }
    }
}

impl Ear for Listener<'_> {
    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        let due = self.due[self.at];
        self.at += 1;
        assert!(self.wrong < 3 && party.is_client());
        let first = Fields::of(due.text()).next();
        let is_auth = first.is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH"));
        if is_auth {
            assert_eq!(line.text(), b"AUTH");
            return self.check_auth(due, reply);
        }
        assert_eq!(party.principal().map(Principal::name), self.holder.map(|number| NAMES[number - 1]));
        let client = Fields::of(due.text()).nth(1).unwrap_or_default();
        let [reports, sees, forgets] = self.rights(client);
        match reply {
            Reply::At { .. } => assert!(reports),
            Reply::Near { .. } => assert!(sees),
            Reply::Forgot { .. } => assert!(forgets),
            Reply::Invalid(Invalid::MayNotReport) => assert!(!reports),
            Reply::Invalid(Invalid::MayNotSee) => assert!(!sees),
            Reply::Invalid(Invalid::NotLetForget) => assert!(!forgets),
            // What is stored is only looked at for those who may see it.
            Reply::Invalid(Invalid::UnknownClient) => assert!(sees),
            Reply::Invalid(Invalid::WrongToken) | Reply::Welcome { .. } | Reply::None => panic!("{reply:?}"),
            Reply::Invalid(_) => {}
        }
        if matches!(reply, Reply::Invalid(_)) {
            assert_eq!(find_token(line.text()), None);
            assert!(due.text().starts_with(line.text()));
        } else {
            assert_eq!(line, due);
        }
    }
}
