//! Sessions with real sockets: of a client and of peers, whose machines are of the two kinds.

use std::{io::Write, net::Shutdown, sync::Arc, thread, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    Connection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{
    super::{
        PeersTls, ServiceTls, TlsBeginning, TlsFault, TlsService, Trust, pool::tests::with_threads, provider,
    },
    *,
};
use crate::{core::wire::Channel, transport::Stream};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);

/// The two ends of a connection of peers, the first of which was dialled.
fn pair() -> (Stream, Stream) {
    let tls = PeersTls::new().unwrap();
    let (accepted, dialled) = Stream::pair();
    let dialled = Stream::of(dialled);
    for end in [&accepted, &dialled] {
        end.prepare().unwrap();
    }
    thread::scope(|scope| {
        let dials = scope.spawn(|| dialled.dial_peer_tls(&tls, || LONG).unwrap());
        let accept = |pool: &_| accepted.accept_peer_tls(&[], (&tls, pool), || LONG).unwrap();
        let channel = with_threads(1, accept);
        assert_eq!(channel, dials.join().unwrap(), "both ends export the same");
        assert_ne!(channel, Channel::Plain);
    });
    for end in [&accepted, &dialled] {
        end.set_read_timeout(LONG).unwrap();
    }
    (accepted, dialled)
}

/// What serves clients, under a certificate that nobody vouches for.
fn service() -> ServiceTls {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let shown = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider()).unwrap();
    ServiceTls::new(Arc::new(shown)).unwrap()
}

/// A client's connection, while the client does that to its own end.
fn served<R: Send>(client: impl FnOnce(&Stream, Connection) -> R + Send) -> (Stream, Stream, R) {
    let service = service();
    let (accepted, dialled) = Stream::pair();
    let dialled = Stream::of(dialled);
    for end in [&accepted, &dialled] {
        end.prepare().unwrap();
        end.set_read_timeout(LONG).unwrap();
    }
    let done = thread::scope(|scope| {
        let done = scope.spawn(|| client(&dialled, Trust::Anyone.dialler("localhost").unwrap()));
        with_threads(1, |pool| accepted.accept_tls((&service, TlsService::Lines), pool, || LONG).unwrap());
        done.join().unwrap()
    });
    (accepted, dialled, done)
}

/// The two ends of a client's connection.
fn client_pair() -> (Stream, Stream) {
    let (accepted, dialled, ()) = served(|dialled, dialler| {
        let beginning = TlsBeginning { tcp: dialled.raw(), pool: None, begun: &[], time: || LONG };
        dialled.speak(beginning.dial(dialler).unwrap());
    });
    (accepted, dialled)
}

/// A connection of each kind, the accepted end first.
fn pairs() -> [(Stream, Stream); 2] {
    [pair(), client_pair()]
}

#[test]
fn no_two_connections_export_the_same() {
    let tls = PeersTls::new().unwrap();
    let channel = || {
        let (accepted, dialled) = Stream::pair();
        let dialled = Stream::of(dialled);
        thread::scope(|scope| {
            scope.spawn(|| dialled.dial_peer_tls(&tls, || LONG).unwrap());
            with_threads(1, |pool| accepted.accept_peer_tls(&[], (&tls, pool), || LONG).unwrap())
        })
    };
    assert_ne!(channel(), channel());
}

#[test]
fn bytes_arrive_as_they_were_written_and_a_goodbye_is_an_end_and_a_cut_is_none() {
    let mut space = [0; 8];
    for (accepted, dialled) in pairs() {
        assert_eq!(accepted.receive_now(&mut space).unwrap(), None);
        dialled.write_all(b"hello", || true).unwrap();
        assert_eq!((accepted.read(&mut space).unwrap(), &space[..5]), (Some(5), &b"hello"[..]));
        // The end of one direction is not that of the other.
        dialled.finish();
        assert_eq!(accepted.read(&mut space).unwrap(), Some(0));
        accepted.finish();
    }
    for (accepted, dialled) in pairs() {
        dialled.write_all(b"hel", || true).unwrap();
        dialled.shutdown(Shutdown::Write);
        assert_eq!(accepted.read(&mut space).unwrap(), Some(3));
        assert_eq!(accepted.read(&mut space).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    // The end that was dialled ends, too.
    for (accepted, dialled) in pairs() {
        accepted.write_all(b"end", || true).unwrap();
        accepted.finish();
        assert_eq!(dialled.read(&mut space).unwrap(), Some(3));
        assert_eq!(dialled.read(&mut space).unwrap(), Some(0));
    }
}

/// What an end says, as its records.
fn records(end: &Stream, says: &[&[u8]]) -> Vec<u8> {
    let mut tls = end.tls().unwrap();
    let TlsSession { machine, came, .. } = &mut *tls;
    let mut records = Vec::new();
    for plain in says {
        assert_eq!(machine.seal(plain, came, &mut records), Ok(plain.len()));
    }
    records
}

#[test]
fn records_that_come_together_are_read_together_and_what_has_no_room_waits() {
    for (accepted, dialled) in pairs() {
        let parts: Vec<Vec<u8>> = (0..2_000).map(|at| vec![at as u8; 1 + at % 40]).collect();
        let says: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let records = records(&dialled, &says);
        let mut raw = dialled.raw();
        thread::scope(|scope| {
            scope.spawn(|| {
                raw.write_all(&records).unwrap();
                dialled.finish();
            });
            let (mut read, mut space, mut reads) = (Vec::new(), [0; 1_000], 0);
            while let count @ 1.. = accepted.read(&mut space).unwrap().unwrap() {
                read.extend_from_slice(&space[..count]);
                reads += 1;
            }
            assert!(read == parts.concat());
            assert!(reads < 500, "{reads}");
        });
    }
}

#[test]
fn record_that_is_not_the_other_ends_is_an_error_that_it_is_told_once() {
    for (accepted, dialled) in pairs() {
        let mut records = records(&dialled, &[b"good", b"forged", b"never read"]);
        let forged = records.len() - 40;
        records[forged] ^= 1;
        let (mut raw, mut space) = (dialled.raw(), [0; 64]);
        raw.write_all(&records).unwrap();
        assert_eq!(accepted.read(&mut space).unwrap(), Some(4));
        for _ in 0..2 {
            assert_eq!(accepted.read(&mut space).unwrap_err().kind(), ErrorKind::InvalidData);
        }
        accepted.finish();
        let why = dialled.read(&mut space).unwrap_err().to_string();
        assert!(why.contains("BadRecordMac") || why.contains("fatal alert"), "{why}");
    }
}

#[test]
fn what_comes_with_the_last_of_the_handshake_is_read() {
    let (accepted, _dialled, ()) = served(|dialled, mut dialler| {
        dialler.writer().write_all(b"early").unwrap();
        let mut raw = dialled.raw();
        while dialler.is_handshaking() || dialler.wants_write() {
            let mut leaving = Vec::new();
            while dialler.wants_write() {
                dialler.write_tls(&mut leaving).unwrap();
            }
            raw.write_all(&leaving).unwrap();
            if dialler.is_handshaking() {
                dialler.read_tls(&mut raw).unwrap();
                dialler.process_new_packets().unwrap();
            }
        }
    });
    let mut space = [0; 8];
    assert_eq!((accepted.read(&mut space).unwrap(), &space[..5]), (Some(5), &b"early"[..]));
}

#[test]
fn record_that_comes_in_pieces_is_waited_for_by_whoever_waits() {
    for (accepted, dialled) in pairs() {
        let record = records(&dialled, &[&[7; 9_000]]);
        let (first, last) = record.split_at(record.len() - 1);
        let mut raw = dialled.raw();
        raw.write_all(first).unwrap();
        let mut space = [0; 16_384];
        accepted.set_read_timeout(Duration::from_millis(1)).unwrap();
        // It has no more than the first pieces.
        for _ in 0..5 {
            // Once they are more than it has room for.
            assert_eq!(accepted.read(&mut space[..1024]).unwrap(), None);
        }
        let held = accepted.tls().unwrap().came.capacity();
        assert!(held <= 2 * first.len(), "{held} bytes");
        raw.write_all(last).unwrap();
        accepted.set_read_timeout(LONG).unwrap();
        assert_eq!(accepted.read(&mut space).unwrap(), Some(9_000));
        assert_eq!(accepted.tls().unwrap().came.capacity(), 0);
    }
}

#[test]
fn what_is_written_is_told_as_it_leaves_and_whole_only_once_all_has_left() {
    for (accepted, dialled) in pairs() {
        expect_told_as_it_leaves(&accepted, &dialled);
    }
}

fn expect_told_as_it_leaves(accepted: &Stream, dialled: &Stream) {
    accepted.hold_little_unsent().unwrap();
    accepted.set_hasty().unwrap();
    let text: Vec<u8> = (0..1 << 21).map(|at: u32| (at % 251) as u8).collect();
    let (mut told, mut read, mut steps) = (0, Vec::new(), 0);
    let mut space = [0; 16_384];
    while read.len() < text.len() {
        // As much as the sockets hold, and then as room appears.
        while told < text.len()
            && let count @ 1.. = accepted.write(&text[told..]).unwrap()
        {
            told += count;
        }
        let Leaving { plain, told: now, .. } = accepted.tls().unwrap().leaving;
        assert!(plain == 0 || now < plain, "{now} of {plain} are told, and some have not left");
        let count = dialled.read(&mut space).unwrap().unwrap();
        read.extend_from_slice(&space[..count]);
        assert!(read.len() <= told + 64 * 1024, "{} of {told}", read.len());
        assert!(read.len() < text.len() || told == text.len(), "it is all there, and so it has left");
        steps += 1;
    }
    assert!(read == text && steps > 16, "{steps}");
}

#[test]
fn writing_that_blocks_keeps_nobody_from_reading() {
    let (from_accepted, from_dialled) = (vec![1; 4 << 20], vec![2; 4 << 20]);
    // Each end writes far more than the sockets hold, and reads whenever it cannot.
    let exchange = |end: &Stream, text: &[u8]| {
        end.set_hasty().unwrap();
        let (mut told, mut came, mut space) = (0, 0, [0; 16_384]);
        while told < text.len() || came < text.len() {
            told += if told < text.len() { end.write(&text[told..]).unwrap() } else { 0 };
            came += end.receive_now(&mut space).unwrap().unwrap_or(0);
            thread::yield_now();
        }
    };
    for (accepted, dialled) in pairs() {
        thread::scope(|scope| {
            scope.spawn(|| exchange(&accepted, &from_accepted));
            exchange(&dialled, &from_dialled);
        });
    }
}

#[test]
fn new_keys_that_are_asked_for_are_sent_without_waiting_for_anything() {
    let mut space = [0; 8];
    for (accepted, dialled) in pairs() {
        for (one, other) in [(&dialled, &accepted), (&accepted, &dialled)].repeat(50) {
            one.tls().unwrap().machine.refresh_keys();
            one.write_all(b"x", || true).unwrap();
            assert_eq!(other.read(&mut space).unwrap(), Some(1));
            other.write_all(b"y", || true).unwrap();
            assert_eq!(one.read(&mut space).unwrap(), Some(1));
        }
    }
}

#[test]
fn handshake_ends_when_no_time_is_left_or_the_other_end_does() {
    let tls = PeersTls::new().unwrap();
    let (accepted, other) = Stream::pair();
    with_threads(1, |pool| {
        let mut times = [LONG, Duration::from_millis(1), Duration::ZERO].into_iter();
        let time = || times.next().unwrap();
        let late = accepted.accept_peer_tls(b"\x16\x03", (&tls, pool), time).unwrap_err();
        assert!(matches!(late, TlsFault::Late), "{late}");
        drop(other);
        let ended = accepted.accept_peer_tls(b"\x16\x03", (&tls, pool), || LONG).unwrap_err();
        assert!(matches!(ended, TlsFault::Ended), "{ended}");
    });
}
