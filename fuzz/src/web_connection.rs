//! What a web client sends: two bytes say where it is cut in two, the rest is sent. However it is cut, the same requests are
//! answered and the same is said. What is answered has a head without bare line ends, and shows no token; and what a connection
//! holds stays within its limits.

use std::time::Duration;

use proxyherd::web::wire::{HttpReply, HttpRequest, HttpStatus, Site, WebConnection, WebNext, WireRules};

const RULES: WireRules = WireRules {
    head_bytes: 512,
    body_bytes: 2_000,
    request_time: Duration::from_secs(5),
    body_time: Duration::from_secs(5),
    idle_time: Duration::from_secs(5),
};

/// More than a connection of these limits may hold, replies included.
const HELD_MAX: usize = 200_000;

/// One input.
pub fn web_connection(data: &[u8]) {
    let Some((cut, sent)) = data.split_first_chunk::<2>() else { return };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(sent.len());
    let site = Site { hosts: vec!["alford.example".into()], origins: vec!["https://map.example".into()] };
    let whole = play(&site, &[sent]);
    assert_eq!(whole, play(&site, &[&sent[..cut], &sent[cut..]]), "cut at {cut}");
    let single: Vec<&[u8]> = sent.chunks(1).collect();
    assert_eq!(whole, play(&site, &single), "byte by byte");
}

/// What came of it.
#[derive(PartialEq, Debug)]
struct Played {
    requests: Vec<HttpRequest>,
    /// Whether something was refused.
    is_refused: bool,
    is_over: bool,
}

fn play(site: &Site, pieces: &[&[u8]]) -> Played {
    let mut connection = WebConnection::new(site, &RULES, Duration::ZERO);
    let mut played = Played { requests: Vec::new(), is_refused: false, is_over: false };
    for piece in pieces {
        let mut piece = *piece;
        loop {
            run(&mut connection, &mut played);
            if played.is_over || piece.is_empty() {
                break;
            }
            let space = connection.space();
            let count = space.len().min(piece.len());
            assert!(count > 0, "it waits for what it has no room for");
            space[..count].copy_from_slice(&piece[..count]);
            connection.received(count);
            piece = &piece[count..];
        }
    }
    played
}

/// Does what the connection says until it waits.
fn run(connection: &mut WebConnection<'_>, played: &mut Played) {
    while !played.is_over {
        assert!(connection.held() < HELD_MAX, "it holds {}", connection.held());
        match connection.next(Duration::ZERO) {
            WebNext::Wait(_) => return,
            WebNext::Admit => connection.admitted(usize::MAX, Duration::ZERO),
            WebNext::Answer => {
                let request = connection.request().expect("one is to be answered");
                check(request);
                played.requests.push(request.clone());
                connection.answered(&HttpReply::text(HttpStatus::OK, "ok"), "now", false);
            }
            WebNext::Refuse(why) => {
                played.is_refused = true;
                connection.refuse(why, "now");
            }
            WebNext::Write => {
                assert!(!connection.output().is_empty(), "there is something to write");
                connection.wrote(Duration::ZERO);
            }
            WebNext::Close { .. } => played.is_over = true,
        }
    }
}

fn check(request: &HttpRequest) {
    assert!(request.body.len() <= RULES.body_bytes, "the body is too long");
    let is_token = |text: &[u8]| text.len() == 45 && text.starts_with(b"herd_");
    assert!(request.query.iter().all(|(name, _)| name != b"token" && name != b"api_key"));
    if request.token.is_none() {
        return;
    }
    // A token in another place than those for tokens is somebody's id.
    assert!(request.path.slices().first().is_none_or(|first| *first != b"t" || !is_token(first)));
}
