//! What a call gives away that nothing on the way hides or proves, in one line before it is made.

use crate::transport::Trust;

/// How a subcommand speaks with nodes.
pub(super) struct Exposure<'a> {
    /// Whom it speaks with, as its user knows them.
    pub(super) whom: &'a str,
    /// Whether it shows a token.
    pub(super) shows_token: bool,
    /// Whom it believes; `None` without TLS.
    pub(super) trust: Option<&'a Trust>,
    /// Whether what it says leaves this machine.
    pub(super) is_beyond_loopback: bool,
    /// What hides the token where nothing does.
    pub(super) cure: &'a str,
}

impl Exposure<'_> {
    /// The line; `None` where there is nothing to say.
    pub(super) fn warning(&self) -> Option<String> {
        let Self { whom, cure, .. } = self;
        match (self.trust, self.shows_token) {
            (Some(Trust::Anyone), false) => {
                Some(format!("nothing proves who answers as {whom}, since --insecure asks for no proof"))
            }
            (Some(Trust::Anyone), true) => Some(format!(
                "nothing proves who answers as {whom}, since --insecure asks for no proof: whoever it is gets the token"
            )),
            (None, true) if self.is_beyond_loopback => Some(format!(
                "the token goes to {whom} in the clear: whoever can read the network can take it; {cure}"
            )),
            (None, _) | (Some(Trust::Public | Trust::Authorities(_)), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_that_others_can_get_is_told_of_and_no_other() {
        let warning = |shows_token, trust, is_beyond_loopback| {
            Exposure { whom: "Alford", shows_token, trust, is_beyond_loopback, cure: "add --ca" }.warning()
        };
        let proved = [Trust::Public, Trust::Authorities(Vec::new())];
        for is_beyond in [false, true] {
            for trust in &proved {
                assert_eq!(warning(true, Some(trust), is_beyond), None);
            }
            assert_eq!(warning(false, None, is_beyond), None);
            let unproved = warning(false, Some(&Trust::Anyone), is_beyond).unwrap();
            assert!(unproved.contains("answers as Alford, since --insecure"), "{unproved}");
            assert!(!unproved.contains("token"), "{unproved}");
            let unproved = warning(true, Some(&Trust::Anyone), is_beyond).unwrap();
            assert!(unproved.ends_with(": whoever it is gets the token"), "{unproved}");
        }
        assert_eq!(warning(true, None, false), None);
        let exposed = warning(true, None, true).unwrap();
        assert!(exposed.starts_with("the token goes to Alford in the clear: "), "{exposed}");
        assert!(exposed.ends_with("; add --ca"), "{exposed}");
    }
}
