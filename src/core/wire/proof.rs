//! What proves in a handshake that a node has the herd's secret: an HMAC-SHA-256 over everything that the handshake
//! says, and over a number that each end has made up for it, so that no proof can be used again, elsewhere or in the
//! other direction. Pure.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::hello::VERSION;
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

/// A proof, made or received. Comparing two of them reveals nothing: see [`Transcript::is_proved`].
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

/// The end of a handshake that a proof belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prover {
    /// The node that dialled.
    Dialler,
    /// The node that was dialled.
    Acceptor,
}

impl Prover {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Dialler => b"dial",
            Self::Acceptor => b"accept",
        }
    }
}

/// What one end says about itself in a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End<'a> {
    /// Its id.
    pub id: &'a [u8],
    /// The random number of its start.
    pub incarnation: u64,
    /// Its random number for this handshake.
    pub nonce: Nonce,
}

/// Everything that both ends have said in a handshake, the same for each of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transcript<'a> {
    /// The herd's name.
    pub herd: &'a [u8],
    /// The node that dialled.
    pub dialler: End<'a>,
    /// The node that was dialled.
    pub acceptor: End<'a>,
    /// The check value of the placement key.
    pub check: u64,
}

/// The first field under every proof, so that it means nothing anywhere else.
const LABEL: &[u8] = b"proxyherd handshake";

impl Transcript<'_> {
    /// The proof of one end, by the secret that this node proves itself with.
    pub fn prove(&self, prover: Prover, secret: &Secret) -> Proof {
        Proof(self.mac(prover, secret.proving()).finalize().into_bytes().into())
    }

    /// Whether the proof is that end's, by a secret that is accepted. Takes the same time wherever a wrong one differs.
    pub fn is_proved(&self, prover: Prover, proof: &Proof, secret: &Secret) -> bool {
        secret.accepted().any(|key| self.mac(prover, key).verify_slice(&proof.0).is_ok())
    }

    /// Over the fields as they stand in the handshake's lines, each preceded by its length.
    fn mac(&self, prover: Prover, key: &SecretKey) -> Hmac<Sha256> {
        // It accepts keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
        let mut mac = mac.unwrap_or_else(|error| unreachable!("{error}"));
        let Self { herd, dialler, acceptor, check } = self;
        let version = VERSION.to_string();
        let hex = |number: u64| format!("{number:016x}").into_bytes();
        for field in [
            LABEL,
            prover.as_bytes(),
            version.as_bytes(),
            herd,
            dialler.id,
            acceptor.id,
            &hex(dialler.incarnation),
            &hex(acceptor.incarnation),
            dialler.nonce.to_string().as_bytes(),
            acceptor.nonce.to_string().as_bytes(),
            &hex(*check),
        ] {
            mac.update(&(field.len() as u32).to_be_bytes());
            mac.update(field);
        }
        mac
    }
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

    fn transcript() -> Transcript<'static> {
        Transcript {
            herd: b"fall-2016",
            dialler: End { id: b"Welsh", incarnation: 0x00c0_ffee_00c0_ffee, nonce: Nonce([0x11; 16]) },
            acceptor: End { id: b"Alford", incarnation: 0xea42_59ab_02e2_a67f, nonce: Nonce([0x22; 16]) },
            check: 0x3f9c_0684_09f4_5991,
        }
    }

    /// Made with Python's hmac and hashlib from the words of PROTOCOL.md.
    #[test]
    fn proofs_are_what_another_program_makes_of_the_same() {
        let secret = Secret::new(SecretKey::of_bytes(std::array::from_fn(|at| at as u8)), [0; 16]);
        assert_eq!(
            transcript().prove(Prover::Acceptor, &secret).to_string(),
            "0e8537a218fae08e6148fa57fc52b457df1ddf32ded79d896bebd31b926a04bb"
        );
        assert_eq!(
            transcript().prove(Prover::Dialler, &secret).to_string(),
            "de5e4af2f86569fc9d1729249153d86796f8b42d0da35c795545eb4a645a8cc3"
        );
    }

    #[test]
    fn a_proof_is_good_for_its_own_handshake_and_end_only() {
        let (good, mine) = (transcript(), secret(7));
        let proof = good.prove(Prover::Dialler, &mine);
        assert!(good.is_proved(Prover::Dialler, &proof, &mine));
        assert!(!good.is_proved(Prover::Acceptor, &proof, &mine), "reflected");
        assert!(!good.is_proved(Prover::Dialler, &proof, &secret(8)), "another secret");
        let other = Nonce([0x12; 16]);
        for changed in [
            Transcript { herd: b"fall-2017", ..good },
            Transcript { check: 1, ..good },
            Transcript { dialler: End { id: b"Wels", ..good.dialler }, ..good },
            Transcript { dialler: End { incarnation: 1, ..good.dialler }, ..good },
            Transcript { dialler: End { nonce: other, ..good.dialler }, ..good },
            Transcript { acceptor: End { id: b"Ball", ..good.acceptor }, ..good },
            Transcript { acceptor: End { incarnation: 1, ..good.acceptor }, ..good },
            Transcript { acceptor: End { nonce: other, ..good.acceptor }, ..good },
            Transcript { dialler: good.acceptor, acceptor: good.dialler, ..good },
            // The same letters, divided differently.
            Transcript {
                dialler: End { id: b"WelshAl", ..good.dialler },
                acceptor: End { id: b"ford", ..good.acceptor },
                ..good
            },
        ] {
            assert!(!changed.is_proved(Prover::Dialler, &proof, &mine), "{changed:?}");
        }
        for bit in 0..256 {
            let mut bent = proof;
            bent.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!good.is_proved(Prover::Dialler, &bent, &mine), "bit {bit}");
        }
    }

    #[test]
    fn during_a_rotation_either_secret_is_accepted_and_the_first_proves() {
        let (old, new) = (secret(1), secret(2));
        let added = secret(1).add_second(key(2)).unwrap();
        let switched = added.clone().switch().unwrap();
        // Each step works with the one before and after it; steps that are two apart need not agree.
        let steps = [&old, &added, &switched, &new];
        for pair in steps.windows(2) {
            for (prover, verifier) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let proof = transcript().prove(Prover::Acceptor, prover);
                assert!(transcript().is_proved(Prover::Acceptor, &proof, verifier));
            }
        }
        let proof = transcript().prove(Prover::Acceptor, &old);
        assert!(!transcript().is_proved(Prover::Acceptor, &proof, &new));
    }
}
