//! What proves in a handshake that a node has the herd's secret: an HMAC-SHA-256 over the lines of the handshake as they
//! were sent. In them is a number that each end has made up, so that no proof can be used again, elsewhere or in the
//! other direction; and the version, so that nobody between the two can have them speak a lower one. What carries the
//! lines is covered, too: a relay between two TLS connections has two exporters, and can pass no proof on. Pure.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Fields;
use crate::core::{
    access::{Secret, SecretKey},
    hex::{Hex, from_hex},
};

/// A random number for one handshake, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce([u8; Self::BYTES]);

impl Nonce {
    /// How many bytes it has.
    pub const BYTES: usize = 16;

    /// Of random bytes.
    pub const fn of_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub(super) fn parse(field: &[u8]) -> Option<Self> {
        from_hex(field).map(Self)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A proof, made or received. Comparing two of them reveals nothing: see [`Transcript::is_proved`] and [`OwedProof::is_met`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof([u8; Self::BYTES]);

impl Proof {
    const BYTES: usize = 32;

    /// Parses 64 lower-case hexadecimal digits.
    pub(super) fn parse(field: &[u8]) -> Option<Self> {
        from_hex(field).map(Self)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// Whose proof it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prover {
    /// The node that dialled. It proves its incarnation, too, which it tells with its proof.
    Dialler {
        /// The random number of its start.
        incarnation: u64,
    },
    /// The node that was dialled.
    Acceptor,
}

/// What carries a handshake. Nobody can take its proofs to a connection of the other kind, or to another one of TLS.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Channel {
    /// TCP, and nothing else.
    #[default]
    Plain,
    /// TLS 1.3.
    Tls(Exporter),
}

impl Channel {
    /// The first field under every proof, so that it means nothing anywhere else.
    const fn label(&self) -> &'static [u8] {
        match self {
            Self::Plain => b"proxyherd handshake plain",
            Self::Tls(_) => b"proxyherd handshake tls",
        }
    }

    /// What binds a proof to the connection it is made on; there is nothing to bind it to without TLS.
    fn exporter(&self) -> &[u8] {
        match self {
            Self::Plain => b"",
            Self::Tls(Exporter(bytes)) => bytes,
        }
    }
}

/// What both ends of one TLS connection can compute, nobody else can, and no other connection has (RFC 9266,
/// tls-exporter).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Exporter([u8; Self::BYTES]);

impl Exporter {
    /// How many bytes it has.
    pub const BYTES: usize = 32;

    /// As TLS has exported it.
    pub const fn of_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

/// What both ends have said in a handshake when the first proof is due, the same for each of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transcript<'a> {
    channel: Channel,
    hello: &'a [u8],
    /// What stands before the answer's proof, and after it.
    answer: [&'a [u8]; 2],
}

/// What stands in the answer for the proof that is made over it.
const NO_PROOF: &[u8] = b"-";

impl<'a> Transcript<'a> {
    /// Of two HELLO lines as they were sent over that channel, without terminators; the answer's proof does not matter.
    pub fn new(channel: Channel, hello: &'a [u8], answer: &'a [u8]) -> Self {
        let mut fields = Fields::of(answer);
        let proof = fields.first::<10>().map_or(&[][..], |[.., proof]| proof);
        let after = fields.rest();
        let before = &answer[..answer.len() - after.len() - proof.len()];
        Self { channel, hello, answer: [before, after] }
    }

    /// The proof of one end, by the secret that this node proves itself with.
    pub fn prove(&self, prover: Prover, secret: &Secret) -> Proof {
        let mac = match prover {
            Prover::Acceptor => self.mac(b"accept", secret.proving()),
            Prover::Dialler { incarnation } => {
                with_incarnation(self.mac(b"dial", secret.proving()), incarnation)
            }
        };
        Proof(mac.finalize().into_bytes().into())
    }

    /// Whether the node that was dialled made the proof, by a secret that is accepted. Takes the same time wherever a
    /// wrong one differs.
    pub fn is_proved(&self, proof: &Proof, secret: &Secret) -> bool {
        secret.accepted().any(|key| self.mac(b"accept", key).verify_slice(&proof.0).is_ok())
    }

    /// The proof that the node that dialled owes now.
    pub fn owed(&self, secret: &Secret) -> OwedProof {
        OwedProof { unfinished: secret.accepted().map(|key| self.mac(b"dial", key)).collect() }
    }

    /// Over the fields, each preceded by its length, up to the incarnation.
    fn mac(&self, role: &[u8], key: &SecretKey) -> Hmac<Sha256> {
        // It accepts keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
        let mut mac = mac.unwrap_or_else(|error| unreachable!("{error}"));
        let [before, after] = self.answer;
        let [label, exporter] = [self.channel.label(), self.channel.exporter()];
        for pieces in [&[label][..], &[role], &[exporter], &[self.hello], &[before, NO_PROOF, after]] {
            add(&mut mac, pieces);
        }
        mac
    }
}

/// The proof that a node owes which has dialled: all that it must cover but the incarnation, which comes with it. It
/// takes the same memory however long the lines were.
#[derive(Clone, Debug)]
pub struct OwedProof {
    /// One for each secret that is accepted.
    unfinished: Vec<Hmac<Sha256>>,
}

impl OwedProof {
    /// Whether that proof is it. Takes the same time wherever a wrong one differs.
    pub fn is_met(&self, proof: &Proof, incarnation: u64) -> bool {
        let finished = |mac: &Hmac<Sha256>| with_incarnation(mac.clone(), incarnation);
        self.unfinished.iter().any(|mac| finished(mac).verify_slice(&proof.0).is_ok())
    }
}

/// With the last field under a dialler's proof, as it stands in its line.
fn with_incarnation(mut mac: Hmac<Sha256>, incarnation: u64) -> Hmac<Sha256> {
    add(&mut mac, &[format!("{incarnation:016x}").as_bytes()]);
    mac
}

/// Adds a field, which is in pieces, after its length.
fn add(mac: &mut Hmac<Sha256>, pieces: &[&[u8]]) {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    mac.update(&(length as u32).to_be_bytes());
    pieces.iter().for_each(|piece| mac.update(piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::of_bytes([byte; 32])
    }

    fn secret(byte: u8) -> Secret {
        Secret::new(key(byte), [0; 16])
    }

    const HELLO: &str = "HELLO 2 fall-2016 Welsh Alford 0000000000000000 3f9c068409f45991 - 11111111111111111111111111111111 -";
    const ANSWER: &str = "HELLO 2 fall-2016 Alford Welsh 0000000000000000 3f9c068409f45991 - 22222222222222222222222222222222 -";
    const DIALLER: Prover = Prover::Dialler { incarnation: 0x00c0_ffee_00c0_ffee };

    fn transcript() -> Transcript<'static> {
        Transcript::new(Channel::Plain, HELLO.as_bytes(), ANSWER.as_bytes())
    }

    /// Whether it is a good proof of that end in that handshake.
    fn is_good(transcript: &Transcript<'_>, prover: Prover, proof: &Proof, secret: &Secret) -> bool {
        match prover {
            Prover::Acceptor => transcript.is_proved(proof, secret),
            Prover::Dialler { incarnation } => transcript.owed(secret).is_met(proof, incarnation),
        }
    }

    /// Made with Python's hmac and hashlib from the words of PROTOCOL.md.
    #[test]
    fn proofs_are_what_another_program_makes_of_the_same() {
        let secret = Secret::new(SecretKey::of_bytes(std::array::from_fn(|at| at as u8)), [0; 16]);
        assert_eq!(
            transcript().prove(Prover::Acceptor, &secret).to_string(),
            "af4fe45977c518d8bffd6fb2e322562972220afee9178a4deaca9457b2a81ab9"
        );
        assert_eq!(
            transcript().prove(DIALLER, &secret).to_string(),
            "9e3f9172cf95393ea8692c2466a44791e9334c3dabae3080ccb364b222a8d987"
        );
        let channel = Channel::Tls(Exporter::of_bytes([0x5a; Exporter::BYTES]));
        let over_tls = Transcript { channel, ..transcript() };
        assert_eq!(
            over_tls.prove(Prover::Acceptor, &secret).to_string(),
            "18a3deb42f5e84b2bffdd6a764e3de6699050f4aedddf43199d3e396847fe343"
        );
        assert_eq!(
            over_tls.prove(DIALLER, &secret).to_string(),
            "2e3b250dd9b1ae85fd0c14e5f66b7b6ef7f51c3a7e4245f3e78e51ba92713c78"
        );
    }

    #[test]
    fn a_proof_is_good_for_its_own_handshake_and_end_only() {
        let (good, mine) = (transcript(), secret(7));
        let (dialler, acceptor) = (good.prove(DIALLER, &mine), good.prove(Prover::Acceptor, &mine));
        for (prover, proof, other) in
            [(DIALLER, &dialler, &acceptor), (Prover::Acceptor, &acceptor, &dialler)]
        {
            assert!(is_good(&good, prover, proof, &mine));
            assert!(!is_good(&good, prover, other, &mine), "reflected");
            assert!(!is_good(&good, prover, proof, &secret(8)), "another secret");
            for (hello, answer) in [
                (HELLO.replace("HELLO 2", "HELLO 3"), ANSWER.to_owned()),
                (HELLO.replace("fall-2016", "fall-2017"), ANSWER.to_owned()),
                (HELLO.replace(" - 1", " 3600 - 1"), ANSWER.to_owned()),
                (HELLO.replace("1111 ", "1112 "), ANSWER.to_owned()),
                (format!("{HELLO} and what 3 adds"), ANSWER.to_owned()),
                (format!(" {HELLO}"), ANSWER.to_owned()),
                (HELLO.to_owned(), ANSWER.replace("HELLO 2", "HELLO 1")),
                (HELLO.to_owned(), ANSWER.replace("Alford", "Ball")),
                (HELLO.to_owned(), ANSWER.replace("5991 ", "5992 ")),
                (HELLO.to_owned(), ANSWER.replace("2222 ", "2223 ")),
                (HELLO.to_owned(), format!("{ANSWER} and what 3 adds")),
                (ANSWER.to_owned(), HELLO.to_owned()),
                // The same letters, divided differently.
                (HELLO[..HELLO.len() - 1].to_owned(), format!("-{ANSWER}")),
            ] {
                let changed = Transcript::new(Channel::Plain, hello.as_bytes(), answer.as_bytes());
                assert!(!is_good(&changed, prover, proof, &mine), "{hello}, {answer}");
            }
            for bit in 0..8 * Proof::BYTES {
                let mut bent = *proof;
                bent.0[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_good(&good, prover, &bent, &mine), "bit {bit}");
            }
        }
        assert!(!is_good(&good, Prover::Dialler { incarnation: 1 }, &dialler, &mine), "another start");
    }

    #[test]
    fn a_proof_is_good_on_its_own_connection_only() {
        let mine = secret(7);
        let exporter = |byte| Channel::Tls(Exporter::of_bytes([byte; Exporter::BYTES]));
        let over = |channel| Transcript::new(channel, HELLO.as_bytes(), ANSWER.as_bytes());
        let channels = [Channel::Plain, exporter(0), exporter(1)];
        for (made, channel) in channels.iter().enumerate() {
            for prover in [DIALLER, Prover::Acceptor] {
                let proof = over(*channel).prove(prover, &mine);
                for (tried, channel) in channels.iter().enumerate() {
                    let is_good = is_good(&over(*channel), prover, &proof, &mine);
                    assert_eq!(is_good, made == tried, "{made}, {tried}");
                }
            }
        }
        assert!(!format!("{:?}", exporter(1)).contains('1'), "it is nobody's business");
    }

    #[test]
    fn answer_is_covered_all_but_its_proof() {
        let (good, mine) = (transcript(), secret(7));
        let proof = good.prove(Prover::Acceptor, &mine);
        let proved = ANSWER.strip_suffix('-').unwrap().to_owned() + &proof.to_string();
        assert_eq!(Transcript::new(Channel::Plain, HELLO.as_bytes(), proved.as_bytes()), good);
        // What follows it counts, too.
        let more = [format!("{proved} more"), format!("{ANSWER} more")];
        let [with, without] = more
            .each_ref()
            .map(|answer| Transcript::new(Channel::Plain, HELLO.as_bytes(), answer.as_bytes()));
        assert_eq!(with, without);
        assert!(!with.is_proved(&proof, &mine));
    }

    #[test]
    fn during_a_rotation_either_secret_is_accepted_and_the_first_proves() {
        let (old, new) = (secret(1), secret(2));
        let added = secret(1).add_second(key(2)).unwrap();
        let switched = added.clone().switch().unwrap();
        // Each step works with the one before and after it; steps that are two apart need not agree.
        let steps = [&old, &added, &switched, &new];
        for prover in [Prover::Acceptor, DIALLER] {
            for pair in steps.windows(2) {
                for (proving, judging) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                    let proof = transcript().prove(prover, proving);
                    assert!(is_good(&transcript(), prover, &proof, judging));
                }
            }
            let proof = transcript().prove(prover, &old);
            assert!(!is_good(&transcript(), prover, &proof, &new));
        }
    }
}
