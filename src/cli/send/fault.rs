//! Why not everything was sent and answered.

use std::io;

use super::CommandError;
use crate::core::wire::OtherProtocol;

/// Why not everything was sent and answered; follows the node's name.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum SendError {
    #[error("cut the connection: {0}; its log may say why, and what is unanswered may not have been taken")]
    Cut(io::Error),
    #[error("closed the connection before everything was sent; its log may say why, send the rest again")]
    ClosedEarly,
    #[error(
        "closed the connection without a reply; its log may say why, it may be full: try again or another node"
    )]
    NoReply,
    #[error("closed the connection, as a node does when the first line looks like {}; send lines of IAMAT or WHATSAT", name(*.0))]
    OtherProtocol(OtherProtocol),
    #[error(
        "answers as a web server does; where that is a node's `http` address, send to its `listen` address"
    )]
    Http,
    #[error("{whole} of {lines} replies came within {seconds} s{}", beyond(*.whole, *.lines, *.is_input_open))]
    Late {
        whole: u64,
        /// How many lines were read.
        lines: u64,
        /// Whether more may have come.
        is_input_open: bool,
        seconds: f64,
    },
    #[error(
        "does not take the token, which is unknown there or expired, or the node takes none; `herd token list` says which there are"
    )]
    TokenRefused,
    #[error("was not sent all: cannot read standard input: {0}; give another")]
    Input(io::Error),
    #[error("was not sent all: no second thread: {0}; try again")]
    Thread(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// What else was missing when time was up, and what to do.
fn beyond(whole: u64, lines: u64, is_input_open: bool) -> String {
    const LONGER: &str = "its log may say more, and a longer --timeout waits longer";
    match (is_input_open, whole < lines) {
        (true, _) => ", and standard input had not ended; end it, or give a longer --timeout".to_owned(),
        (false, true) => format!("; what is unanswered may have been taken all the same; {LONGER}"),
        (false, false) => format!(", and the connection was not closed; {LONGER}"),
    }
}

fn name(other: OtherProtocol) -> &'static str {
    match other {
        OtherProtocol::Http => "HTTP",
        OtherProtocol::Tls => "TLS",
    }
}

impl From<SendError> for CommandError {
    fn from(fault: SendError) -> Self {
        Self::Failed(fault.to_string())
    }
}
