//! TLS without a socket, in the verbs of a handshake and of a session: take what has come, read what it said, seal what is
//! to be said. rustls has two interfaces for that. Its buffered one keeps 4 KiB for each connection as long as that lives,
//! and is the only one that exports what peers prove; see [`super::unbuffered`] for the other.

use std::io::{Read, Write};

use rustls::{Connection, Error};

/// Ciphertext that has come and was not taken yet.
#[derive(Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
}

/// One end of TLS.
pub(super) trait TlsMachine: Send {
    /// Takes what has come, until something can be read. What this end must say then is added to `out`: an alert, too, where
    /// it fails. After that it does nothing more.
    fn take(&mut self, came: &mut Incoming, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Reads what was taken, where there is room: 0 bytes are the other end's goodbye, `None` that nothing can be read.
    fn read(&mut self, bytes: &mut [u8]) -> Option<usize>;

    /// Adds the beginning of `plain`, sealed, to `out`, and returns how much that is. It may take what has come.
    fn seal(&mut self, plain: &[u8], came: &mut Incoming, out: &mut Vec<u8>) -> Result<usize, Error>;

    /// Adds a goodbye to `out`, once.
    fn say_goodbye(&mut self, came: &mut Incoming, out: &mut Vec<u8>);

    fn is_handshaking(&self) -> bool;

    /// Asks for new keys.
    #[cfg(test)]
    fn refresh_keys(&mut self);
}

impl Incoming {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    pub(super) fn rest(&mut self) -> &mut [u8] {
        &mut self.bytes[self.taken..]
    }

    /// Gives its memory back once all of it was taken.
    pub(super) fn consume(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len()).copy_from_slice(bytes);
    }

    /// Adds what `read` writes to the front of so much room, if it does. Room that is left is given back: the rest may not
    /// come for a long time.
    pub(super) fn add_from(&mut self, room: usize, read: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let count = read(self.make_room(room)).unwrap_or(0);
        self.bytes.truncate(self.bytes.len() - (room - count));
        if self.bytes.len() < self.bytes.capacity() / 2 {
            self.bytes.shrink_to_fit();
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn make_room(&mut self, count: usize) -> &mut [u8] {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let begin = self.bytes.len();
        self.bytes.resize(begin + count, 0);
        &mut self.bytes[begin..]
    }
}

impl TlsMachine for Connection {
    fn take(&mut self, came: &mut Incoming, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut is_any = Ok(false);
        while is_any == Ok(false) && !came.is_empty() {
            let mut rest: &[u8] = came.rest();
            is_any = match self.read_tls(&mut rest) {
                // It takes nothing after a goodbye.
                Ok(0) => {
                    *came = Incoming::default();
                    Ok(true)
                }
                Ok(count) => {
                    came.consume(count);
                    self.process_new_packets().map(|state| state.plaintext_bytes_to_read() > 0)
                }
                Err(error) => Err(Error::General(error.to_string())),
            };
        }
        send(self, out);
        is_any.map(drop)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<usize> {
        // It fails only where nothing waits: the end of what the socket brings is not told to it.
        self.reader().read(bytes).ok()
    }

    fn seal(&mut self, plain: &[u8], _came: &mut Incoming, out: &mut Vec<u8>) -> Result<usize, Error> {
        let sealed = self.writer().write(plain);
        send(self, out);
        sealed.map_err(|error| Error::General(error.to_string()))
    }

    fn say_goodbye(&mut self, _came: &mut Incoming, out: &mut Vec<u8>) {
        self.send_close_notify();
        send(self, out);
    }

    fn is_handshaking(&self) -> bool {
        (**self).is_handshaking()
    }

    #[cfg(test)]
    fn refresh_keys(&mut self) {
        self.refresh_traffic_keys().unwrap();
    }
}

/// Adds what waits to be sent.
fn send(connection: &mut Connection, out: &mut Vec<u8>) {
    while connection.wants_write() && connection.write_tls(out).is_ok() {}
}
