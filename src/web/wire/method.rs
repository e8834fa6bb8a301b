//! The methods that are understood.

use std::fmt;

/// What a request wants done. Any other method is not implemented for anything here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Read.
    Get,
    /// Read all but the body.
    Head,
    /// Have the body processed.
    Post,
    /// Store the body under the target.
    Put,
    /// Remove what the target names.
    Delete,
    /// Ask what may be done.
    Options,
}

impl Method {
    /// All, in the order in which `Allow` lists them.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Options];

    /// As it is sent; methods are case-sensitive.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether it only reads (RFC 9110, section 9.2.1), if its target does as well.
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// The method by which faces know it: HEAD is GET without the body.
    pub fn of_face(self) -> Self {
        if self == Self::Head { Self::Get } else { self }
    }
}

/// Some of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Methods(u8);

impl Methods {
    /// These. HEAD goes where GET does, and OPTIONS everywhere; neither need be named.
    pub const fn of(methods: &[Method]) -> Self {
        let (mut all, mut at) = (0, 0);
        while at < methods.len() {
            all |= 1 << methods[at] as u8;
            at += 1;
        }
        Self(all)
    }

    /// Whether the method is one of them.
    pub fn have(self, method: Method) -> bool {
        method == Method::Options || self.0 & Self::of(&[method.of_face()]).0 != 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

/// As `Allow` lists them.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Method::ALL.into_iter().filter(|method| self.have(*method)).map(Method::as_str);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
