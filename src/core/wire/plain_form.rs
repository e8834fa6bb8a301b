//! How a third-party node wants its lines: it knows AT lines and nothing else.

/// The form of AT lines for one third-party node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainForm {
    /// Whether an AT line ends with the sender's id: seven fields, as in the assignment's flooding, or six, as clients
    /// get it.
    pub has_sender: bool,
    /// Whether lines end with a carriage return and a newline.
    pub is_crlf: bool,
}

impl Default for PlainForm {
    fn default() -> Self {
        Self { has_sender: true, is_crlf: false }
    }
}
