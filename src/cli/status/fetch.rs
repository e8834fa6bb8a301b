//! Asks every node for its status at the same time, under one deadline for all of it: the name, the connection, the
//! request and the answer. The only file of `herd status` that touches the network; it judges nothing.

use std::{error::Error as _, io, thread, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, Error,
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

use super::answer::{self, NodeStatus};
use crate::{
    config::{Address, Herd, Node},
    core::access::Token,
    transport::Trust,
};

/// The longest answer that is read; a node with a hundred links needs a twentieth of it.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// What came of asking one node.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum FetchOutcome {
    /// It said what it is; the same as it stood in the answer.
    Answered(Box<NodeStatus>, Value),
    /// Nothing is there to ask, and why.
    Down(String),
    /// The configuration has no `http` for it, or port 0, which nobody can ask.
    NoHttp,
    /// It did not answer in time.
    Timeout,
    /// Something answered, but not as this node of this herd would.
    BadAnswer(String),
}

/// Asks all nodes, showing them the token; what came of it, in the order of the configuration.
pub(super) fn ask_all(
    herd: &Herd,
    (token, trust): (Option<&Token>, &Trust),
    timeout: Duration,
) -> io::Result<Vec<FetchOutcome>> {
    let agent = agent(trust, timeout);
    thread::scope(|scope| {
        let asked = herd.nodes.iter().map(|node| {
            let agent = &agent;
            let name = format!("status-{}", node.id);
            thread::Builder::new().name(name).spawn_scoped(scope, move || ask((agent, token), herd, node))
        });
        let asked = asked.collect::<io::Result<Vec<_>>>()?;
        let join = |thread: thread::ScopedJoinHandle<'_, FetchOutcome>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Ok(asked.into_iter().map(join).collect())
    })
}

fn agent(trust: &Trust, timeout: Duration) -> Agent {
    let tls = TlsConfig::builder();
    let tls = match trust {
        Trust::Public => tls.root_certs(RootCerts::WebPki),
        Trust::Authorities(authorities) => {
            let known = authorities.iter().map(|authority| Certificate::from_der(authority).to_owned());
            tls.root_certs(RootCerts::new_with_certs(&known.collect::<Vec<_>>()))
        }
        Trust::Anyone => tls.disable_verification(true),
    };
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .tls_config(tls.build())
        // The environment's proxy is for the way out; nodes are asked directly.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Each poll asks anew: a connection kept over would hide that nobody can connect any more.
        .max_idle_connections(0)
        .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

fn ask(by: (&Agent, Option<&Token>), herd: &Herd, node: &Node) -> FetchOutcome {
    let Some(address) = node.http.as_ref().filter(|address| address.port != 0) else {
        return FetchOutcome::NoHttp;
    };
    match get(by, herd.http.tls, address) {
        Ok((200, body)) => match answer::read(&body) {
            Ok((answer, json)) => match somebody_else(&answer, herd, node) {
                Some(who) => FetchOutcome::BadAnswer(who),
                None => FetchOutcome::Answered(Box::new(answer), json),
            },
            Err(what) => FetchOutcome::BadAnswer(what),
        },
        Ok((401, _)) => FetchOutcome::BadAnswer("it wants a monitor's token; see --token-file".to_owned()),
        Ok((403, _)) => FetchOutcome::BadAnswer("the token is not a monitor's or an operator's".to_owned()),
        Ok((code, _)) => FetchOutcome::BadAnswer(format!("HTTP {code}")),
        Err(error) => failure(error),
    }
}

fn get(
    (agent, token): (&Agent, Option<&Token>),
    is_https: bool,
    address: &Address,
) -> Result<(u16, Vec<u8>), Error> {
    let scheme = if is_https { "https" } else { "http" };
    let mut request = agent.get(format!("{scheme}://{address}/status"));
    if let Some(token) = token {
        let shown = Zeroizing::new(format!("Bearer {}", token.text()));
        request = request.header("Authorization", &**shown);
    }
    let mut response = request.call()?;
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec()?;
    Ok((response.status().as_u16(), body))
}

/// Who answered in the node's stead, if it was not the node.
fn somebody_else(answer: &NodeStatus, herd: &Herd, node: &Node) -> Option<String> {
    let is_other = |name: &&String| **name != herd.name;
    if let Some(name) = answer.herd.as_ref().filter(is_other) {
        return Some(format!("it is a node of the herd {name}"));
    }
    (answer.node != node.id.as_str()).then(|| format!("it is {}", answer.node))
}

fn failure(error: Error) -> FetchOutcome {
    use io::ErrorKind;
    match error {
        Error::Timeout(_) => FetchOutcome::Timeout,
        Error::HostNotFound => FetchOutcome::Down("its name has no address".to_owned()),
        Error::ConnectionFailed => FetchOutcome::Down("no connection".to_owned()),
        Error::BodyExceedsLimit(bytes) => FetchOutcome::BadAnswer(format!("it is longer than {bytes} bytes")),
        Error::Io(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => FetchOutcome::Timeout,
            // TLS objects to its certificate, or it does not speak TLS.
            ErrorKind::InvalidData => FetchOutcome::BadAnswer(error.to_string()),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                FetchOutcome::BadAnswer("it ended early".to_owned())
            }
            _ => FetchOutcome::Down(error.to_string()),
        },
        error => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            FetchOutcome::BadAnswer(format!("{error}{cause}"))
        }
    }
}
