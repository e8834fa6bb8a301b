//! One request to an upstream and its response, by ureq. Blocks; every wait is bounded.

use std::{
    collections::HashMap,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use ureq::{
    Agent, Error, RequestBuilder,
    config::Config,
    http::Uri,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::fault::CallFault;
use crate::{config::UpstreamLimits, core::model::Tick, metrics::CallOutcome, regular_file, system::clock};

/// A request. It holds the key, so it has no `Debug`.
pub(in crate::places) struct UpstreamRequest {
    /// The whole address.
    pub(in crate::places) url: String,
    /// Headers beyond the usual.
    pub(in crate::places) headers: Vec<(&'static str, String)>,
    /// A JSON document for POST; a GET without it.
    pub(in crate::places) body: Option<Vec<u8>>,
}

/// A response: its status and its body.
pub(in crate::places) type UpstreamResponse = (u16, Vec<u8>);

/// The client for one upstream.
#[derive(Debug)]
pub(super) struct Http {
    source: &'static str,
    agent: Agent,
    addresses: KnownAddresses,
    body_max: usize,
}

/// A connection's buffers: a response of 20 places fits the one for reading.
const INPUT_BYTES: usize = 32 * 1024;
const OUTPUT_BYTES: usize = 8 * 1024;
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Mozilla's complete list is a quarter of a MiB.
const CERTIFICATES_BYTES_MAX: u64 = 16 << 20;
/// Google closes idle connections after four minutes.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Why there can be no connections; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The certificates cannot be read.
    #[error(
        "{file}: the certificates cannot be read: {error}; give ca_file in [places] the path of a PEM file"
    )]
    Unreadable {
        /// The file's path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Over the limit.
    #[error(
        "{file} is over {} MiB; give ca_file in [places] the path of a PEM file with the certificates alone",
        CERTIFICATES_BYTES_MAX >> 20
    )]
    TooLarge {
        /// The file's path.
        file: String,
    },
    /// None in the file.
    #[error("{file} holds no certificate; give ca_file in [places] the path of a PEM file")]
    NoCertificate {
        /// The file's path.
        file: String,
    },
}

impl Http {
    /// Made once; connects when needed.
    pub(super) fn new(
        source: &'static str,
        limits: &UpstreamLimits,
        ca_file: Option<&Path>,
    ) -> Result<Self, HttpError> {
        let roots = ca_file.map_or(Ok(RootCerts::WebPki), certificates)?;
        let config = Config::builder()
            .http_status_as_error(false)
            // A redirect would take the key elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(concat!("proxyherd/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(limits.connect_time))
            .timeout_recv_response(Some(limits.response_time))
            .max_response_header_size(HEAD_BYTES_MAX)
            .input_buffer_size(INPUT_BYTES)
            .output_buffer_size(OUTPUT_BYTES)
            .max_idle_connections(limits.lookups)
            .max_idle_connections_per_host(limits.lookups)
            .max_idle_age(IDLE_TIME)
            .build();
        let addresses = KnownAddresses::default();
        let agent = Agent::with_parts(config, DefaultConnector::new(), addresses.clone());
        Ok(Self { source, agent, addresses, body_max: limits.body_bytes })
    }

    /// Sends a request and reads the response, all within `patience`.
    pub(super) fn send(
        &self,
        request: &UpstreamRequest,
        patience: Duration,
    ) -> Result<UpstreamResponse, CallFault> {
        let sent = match &request.body {
            None => prepared(self.agent.get(&request.url), request, patience).call(),
            Some(body) => prepared(self.agent.post(&request.url), request, patience).send(&body[..]),
        };
        let mut response = sent.map_err(|error| self.fault(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // Counted after decompression, so that a small body cannot become a large one.
        let reader = response.body_mut().with_config().limit(u64::MAX).reader();
        reader
            .take(self.body_max as u64 + 1)
            .read_to_end(&mut body)
            .map_err(|error| self.fault(&error.into()))?;
        if body.len() > self.body_max {
            let message = format!("{}'s answer is larger than this server takes.", self.source);
            return Err(CallFault::new(CallOutcome::Malformed, message));
        }
        Ok((status, body))
    }

    /// Ends everything in progress, in all threads, for good.
    pub(super) fn stop(&self) {
        self.agent.clone().shutdown();
    }

    /// The client is told what kind of failure it is; the cause goes to the log.
    fn fault(&self, error: &Error) -> CallFault {
        let source = self.source;
        let timed_out =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        let (outcome, message) = match error {
            Error::Timeout(_) => (CallOutcome::Timeout, format!("{source} did not answer in time.")),
            Error::Io(error) if timed_out(error) => {
                (CallOutcome::Timeout, format!("{source} did not answer in time."))
            }
            Error::Io(_) | Error::HostNotFound | Error::ConnectionFailed | Error::ConnectProxyFailed(_) => {
                // It may have moved.
                self.addresses.known.lock().clear();
                (CallOutcome::Unavailable, format!("{source} cannot be reached."))
            }
            Error::Rustls(_) | Error::Tls(_) | Error::TlsRequired | Error::Pem(_) => {
                (CallOutcome::Unavailable, format!("No secure connection to {source} could be made."))
            }
            _ => (CallOutcome::Malformed, format!("{source} did not answer in valid HTTP.")),
        };
        CallFault { cause: error.to_string(), ..CallFault::new(outcome, message) }
    }
}

fn prepared<B>(
    builder: RequestBuilder<B>,
    request: &UpstreamRequest,
    patience: Duration,
) -> RequestBuilder<B> {
    let builder = builder.config().timeout_global(Some(patience)).build();
    request.headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value))
}

fn certificates(path: &Path) -> Result<RootCerts, HttpError> {
    let file = || path.display().to_string();
    let unreadable = |error| HttpError::Unreadable { file: file(), error };
    let text = regular_file::read(path, CERTIFICATES_BYTES_MAX).map_err(unreadable)?;
    let text = text.ok_or_else(|| HttpError::TooLarge { file: file() })?;
    let certificates = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(HttpError::NoCertificate { file: file() });
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

/// Caches a host's address for a while. ureq resolves it for every request, and with a time limit the standard
/// library's lookup takes a thread each time.
#[derive(Clone, Default, Debug)]
struct KnownAddresses {
    known: Arc<Mutex<HashMap<String, (Tick, ResolvedSocketAddrs)>>>,
}

/// How long an address is reused.
const ADDRESS_TIME: Duration = Duration::from_secs(60);

impl Resolver for KnownAddresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        // Two at most: the upstream, and a proxy.
        let key = format!("{:?}{:?}", uri.scheme(), uri.authority());
        let now = clock::tick();
        if let Some((until, addresses)) = self.known.lock().get(&key)
            && now < *until
        {
            return Ok(addresses.clone());
        }
        let addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        self.known.lock().insert(key, (now + ADDRESS_TIME, addresses.clone()));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn certificates_come_from_pem_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = certificates(&path).unwrap_err().to_string();
        assert!(error.contains("ca.pem: the certificates cannot be read"), "{error}");
        fs::write(&path, "no certificate").unwrap();
        assert!(matches!(certificates(&path), Err(HttpError::NoCertificate { .. })));
    }
}
