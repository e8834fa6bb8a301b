//! How to speak to a node written by others, which knows AT lines and nothing else.

/// What `dialect = "plain"` and the keys beside it say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain {
    /// Whether an AT line ends with the sender's id: seven fields, as in the assignment's flooding, or six, as clients
    /// get it. `at_fields`: 7; 6 or 7.
    pub has_sender: bool,
    /// Whether lines end with a carriage return and a newline. `line_end`: `"lf"`; `"lf"` or `"crlf"`.
    pub is_crlf: bool,
}

impl Plain {
    /// What `dialect` says.
    pub(super) const DIALECT: &str = "plain";
    /// What it says of this program's own nodes, or nothing.
    pub(super) const OWN_DIALECT: &str = "herd";

    /// Its keys, one a line.
    pub(super) fn to_toml(self) -> String {
        let (fields, end) = (if self.has_sender { 7 } else { 6 }, if self.is_crlf { "crlf" } else { "lf" });
        format!("dialect = \"{}\"\nat_fields = {fields}\nline_end = \"{end}\"\n", Self::DIALECT)
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self { has_sender: true, is_crlf: false }
    }
}
