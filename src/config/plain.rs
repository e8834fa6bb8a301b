//! How the form of a third-party node's lines is written in a configuration.

use crate::core::wire::PlainForm;

/// What `dialect` says of a third-party node.
pub(super) const DIALECT: &str = "plain";
/// What it says of this program's own nodes, or nothing.
pub(super) const OWN_DIALECT: &str = "herd";

/// The form's keys, one a line.
pub(super) fn to_toml(form: PlainForm) -> String {
    let (fields, end) = (if form.has_sender { 7 } else { 6 }, if form.is_crlf { "crlf" } else { "lf" });
    format!("dialect = \"{DIALECT}\"\nat_fields = {fields}\nline_end = \"{end}\"\n")
}
