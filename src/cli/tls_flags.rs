//! The flags of every subcommand that talks to nodes: whether it speaks TLS, and whom it believes to be a node.

use std::path::PathBuf;

use clap::ValueHint;

use super::CommandError;
use crate::{
    config::{Address, Node},
    transport::Trust,
};

/// The flags, as clap reads them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// Speak TLS, with a node for which a public authority vouches.
    #[arg(long)]
    tls: bool,
    /// Speak TLS, with a node for which an authority in this PEM file vouches.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// Speak TLS with whoever answers. Nothing proves that it is the node: whoever is on the way can read and change
    /// everything.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
}

impl TlsFlags {
    /// Whom to believe; `None` without TLS. An error says what is wrong with a file and what to do.
    pub fn trust(&self) -> Result<Option<Trust>, String> {
        match self {
            Self { insecure: true, .. } => Ok(Some(Trust::Anyone)),
            Self { ca: Some(file), .. } => Trust::in_file(file).map(Some),
            Self { tls: true, .. } => Ok(Some(Trust::Public)),
            Self { .. } => Ok(None),
        }
    }
}

/// What hides a token that is shown without TLS, where these flags decide that.
pub(super) const CURE: &str = "--ca or --tls hides it";

/// Where a node is dialled, with TLS or without.
pub(super) fn address(node: &Node, trust: Option<&Trust>) -> Result<Address, CommandError> {
    if trust.is_none() {
        return Ok(node.address.clone());
    }
    let tls = node.tls_listen.as_ref().filter(|tls| tls.port != 0).ok_or_else(|| {
        let id = &node.id;
        CommandError::Usage(format!(
            "{id} has no `tls_listen` address to speak TLS with; add one, or leave --tls, --ca and --insecure out"
        ))
    })?;
    // Where it listens at all addresses of its machine, it has the name by which its neighbours dial it.
    let host = if tls.is_everywhere() { &node.address.host } else { &tls.host };
    Ok(Address { host: host.clone(), port: tls.port })
}
