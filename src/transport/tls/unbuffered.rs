//! rustls's unbuffered interface as a [`TlsMachine`]: a connection that says nothing holds its keys and no buffer. For
//! clients, who are many. Peers need what it lacks: keying material to prove the herd's secret with.

use std::sync::Arc;

use rustls::{
    Error, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
        WriteTraffic,
    },
};

use super::machine::{Incoming, TlsMachine};

/// The most that a record carries.
const RECORD_BYTES: usize = 1 << 14;

/// More than what stands around it in a record, in any version.
const RECORD_FRAME_BYTES: usize = 64;

/// The end that serves a client.
pub(super) struct Unbuffered {
    connection: UnbufferedServerConnection,
    unsealed: Unsealed,
    /// Why there is no more of it.
    fault: Option<Box<Error>>,
}

/// What was taken of the other end's records.
#[derive(Default)]
struct Unsealed {
    bytes: Vec<u8>,
    /// How many of them were read.
    read: usize,
    /// Whether a goodbye follows.
    is_all: bool,
}

impl Unsealed {
    fn can_be_read(&self) -> bool {
        self.is_all || !self.bytes.is_empty()
    }
}

impl Unbuffered {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, unsealed: Unsealed::default(), fault: None })
    }

    /// Takes steps until `is_enough` or none is left; then it calls `at_last`, if the handshake is over.
    fn drive(
        &mut self,
        (came, out): (&mut Incoming, &mut Vec<u8>),
        is_enough: impl Fn(&Unsealed) -> bool,
        mut at_last: impl FnMut(WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(fault) = &self.fault {
            return Err((**fault).clone());
        }
        let mut goes_on = Ok(true);
        while goes_on == Ok(true) && !is_enough(&self.unsealed) {
            goes_on = self.step(came, out, &mut at_last);
        }
        if self.unsealed.is_all {
            *came = Incoming::default();
        }
        goes_on.map(drop).inspect_err(|fault| {
            self.fault = Some(Box::new(fault.clone()));
            // Its alert. Anything else would be a step too many.
            if let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(alert)), .. } =
                self.connection.process_tls_records(came.rest())
            {
                let _ = encode(alert, out);
            }
            *came = Incoming::default();
        })
    }

    /// Returns whether there may be another step.
    fn step(
        &mut self,
        came: &mut Incoming,
        out: &mut Vec<u8>,
        at_last: &mut impl FnMut(WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let Self { connection, unsealed, .. } = self;
        let UnbufferedStatus { discard, state } = connection.process_tls_records(came.rest());
        let goes_on = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    unsealed.bytes.extend_from_slice(record?.payload);
                }
                true
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, out)?;
                true
            }
            // Whoever has `out` does.
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                true
            }
            Ok(ConnectionState::PeerClosed) => {
                unsealed.is_all = true;
                true
            }
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                at_last(traffic, out)?;
                false
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => false,
            Ok(_) => return Err(Error::General("nothing may come before its handshake is over".to_owned())),
            Err(error) => {
                came.consume(discard);
                return Err(error);
            }
        };
        came.consume(discard);
        Ok(goes_on)
    }
}

impl TlsMachine for Unbuffered {
    fn take(&mut self, came: &mut Incoming, out: &mut Vec<u8>) -> Result<(), Error> {
        self.drive((came, out), Unsealed::can_be_read, |_, _| Ok(()))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let Unsealed { bytes: plain, read, is_all } = &mut self.unsealed;
        if plain.is_empty() {
            return is_all.then_some(0);
        }
        let count = bytes.len().min(plain.len() - *read);
        bytes[..count].copy_from_slice(&plain[*read..][..count]);
        *read += count;
        if *read == plain.len() {
            (*plain, *read) = (Vec::new(), 0);
        }
        Some(count)
    }

    fn seal(&mut self, plain: &[u8], came: &mut Incoming, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut sealed = 0;
        self.drive(
            (came, out),
            |_| false,
            |traffic, out| {
                encrypt(traffic, plain, out)?;
                sealed = plain.len();
                Ok(())
            },
        )?;
        Ok(sealed)
    }

    fn say_goodbye(&mut self, came: &mut Incoming, out: &mut Vec<u8>) {
        let queue = |mut traffic: WriteTraffic<'_, _>, _: &mut Vec<u8>| {
            // There is no room for it; it is encoded in a step of its own.
            let _ = traffic.queue_close_notify(&mut []);
            Ok(())
        };
        let _ = self.drive((came, out), |_| false, queue);
        let _ = self.drive((came, out), |_| false, |_, _| Ok(()));
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    #[cfg(test)]
    fn refresh_keys(&mut self) {
        let (came, out) = (&mut Incoming::default(), &mut Vec::new());
        self.drive((came, out), |_| false, |traffic, _| traffic.refresh_traffic_keys()).unwrap();
        assert!(out.is_empty(), "they are asked for with what is said next");
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) -> Result<(), Error> {
    let begin = out.len();
    loop {
        match data.encode(&mut out[begin..]) {
            Ok(_) => return Ok(()),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                out.resize(begin + required_size, 0);
            }
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}

fn encrypt(
    mut traffic: WriteTraffic<'_, ServerConnectionData>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let begin = out.len();
    let records = plain.len().div_ceil(RECORD_BYTES);
    let mut room = plain.len() + records * RECORD_FRAME_BYTES;
    loop {
        out.resize(begin + room, 0);
        let sealed = traffic.encrypt(plain, &mut out[begin..]);
        out.truncate(begin + *sealed.as_ref().unwrap_or(&0));
        match sealed {
            Ok(_) => return Ok(()),
            // New keys go before it.
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > room =>
            {
                room = required_size;
            }
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}
