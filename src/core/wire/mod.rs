//! The lines: how bytes become lines, what a line says, and what is said in reply (PROTOCOL.md). Pure: no sockets, no
//! clock, no locks. Parsing borrows from the line and allocates nothing.

mod digest;
mod fields;
mod first_line;
mod form;
mod hello;
mod kept;
mod lines;
mod masking;
mod peer;
mod plain;
mod proof;
mod request;

pub use digest::{ANSWER_BYTES_MAX, Answer, Held, LIST_ENTRIES_MAX, Pairs, Question, Sums, WholeSum};
pub use fields::Fields;
pub use first_line::{OtherProtocol, begins_as_tls, is_hello};
pub use form::Form;
pub use hello::{Hello, REFUSED, is_welcome, parse_proof, write_proof, write_refusal, write_welcome};
pub use kept::{WATERMARK, parse_watermark, write_watermark};
pub use lines::{Ending, HEAD_BYTES, Line, LineBuffer, Lines, READ_BYTES_MAX};
pub use masking::{AUTH, is_auth};
pub use peer::{
    PEER_LINE_BYTES_MAX, PeerLine, write_done, write_flooded, write_ping, write_pong, write_push,
};
pub use plain::{PerConnection, PlainFault, PlainForm, PlainLine};
pub use proof::{Channel, Exporter, Nonce, OwedProof, Proof, Prover, Transcript};
pub use request::{ForgetFault, Invalid, Report, Request, Whatsat, write_forgotten};
