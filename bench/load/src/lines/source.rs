//! The lines of one source file: which are code, which only comment, which blank, and which of the code belongs to
//! tests. It knows no more about each language than where comments and strings begin and end.
//!
//! A line is code if anything on it is outside a comment, blank if nothing is on it, and a comment otherwise. Doc
//! comments are comments; so is a string in Python that is a statement by itself. Strings are code, whatever they hold.

use std::path::Path;

/// What is understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// `.rs`
    Rust,
    /// `.py`
    Python,
    /// `.js`
    JavaScript,
    /// `.java`
    Java,
    /// `.go`
    Go,
}

/// How many lines there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Serialize)]
pub struct Lines {
    /// Code that does not belong to tests.
    pub code: usize,
    /// Only comment.
    pub comments: usize,
    /// Blank.
    pub blank: usize,
    /// Whatever is compiled for tests only, whether code or comment.
    pub tests: usize,
}

impl Lines {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            code: self.code + other.code,
            comments: self.comments + other.comments,
            blank: self.blank + other.blank,
            tests: self.tests + other.tests,
        }
    }
}

impl Language {
    /// By the end of the name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "rs" => Some(Self::Rust),
            "py" => Some(Self::Python),
            "js" => Some(Self::JavaScript),
            "java" => Some(Self::Java),
            "go" => Some(Self::Go),
            _ => None,
        }
    }

    /// Counts the lines of a source text.
    pub fn count(self, text: &str) -> Lines {
        let mut scan =
            Scan { language: self, text: text.as_bytes(), at: 0, kinds: vec![Kind::Space; text.len()] };
        scan.run();
        let kinds = scan.kinds;
        let tests = if self == Self::Rust { test_items(text, &kinds) } else { Vec::new() };
        let (mut lines, mut start) = (Lines::default(), 0);
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let of_line = &kinds[start..end];
            let has = |kinds: &[Kind]| of_line.iter().any(|kind| kinds.contains(kind));
            if !has(&[Kind::Code, Kind::Text, Kind::Comment]) {
                lines.blank += 1;
            } else if tests.iter().any(|&(from, to)| from < end && start < to) {
                lines.tests += 1;
            } else if has(&[Kind::Code, Kind::Text]) {
                lines.code += 1;
            } else {
                lines.comments += 1;
            }
            start = end;
        }
        lines
    }
}

/// What a byte is part of. White space is space everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Space,
    Code,
    /// A string, a character or a regular expression.
    Text,
    Comment,
}

struct Scan<'a> {
    language: Language,
    text: &'a [u8],
    at: usize,
    kinds: Vec<Kind>,
}

impl Scan<'_> {
    fn run(&mut self) {
        let mut depth = 0_usize;
        while let Some(&byte) = self.text.get(self.at) {
            let begun = self.at;
            match self.beyond_comment().or_else(|| self.beyond_docstring(depth)) {
                Some(end) => self.take(end, Kind::Comment),
                None => match self.beyond_text() {
                    Some(end) => self.take(end, Kind::Text),
                    None => self.take(begun + 1, Kind::Code),
                },
            }
            match byte {
                b'(' | b'[' | b'{' if self.kinds[begun] == Kind::Code => depth += 1,
                b')' | b']' | b'}' if self.kinds[begun] == Kind::Code => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn take(&mut self, end: usize, kind: Kind) {
        let end = end.min(self.text.len());
        for at in self.at..end {
            if !self.text[at].is_ascii_whitespace() {
                self.kinds[at] = kind;
            }
        }
        self.at = end;
    }

    fn is_at(&self, what: &str) -> bool {
        self.text[self.at..].starts_with(what.as_bytes())
    }

    /// Where what begins at `from` and is ended by `end` is over; at the end of the text if it is never ended.
    fn beyond(&self, from: usize, end: &str) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        let found = rest.windows(end.len()).position(|window| window == end.as_bytes());
        found.map_or(self.text.len(), |found| from + found + end.len())
    }

    /// The same, where a backslash takes its meaning from what follows.
    fn beyond_escaped(&self, from: usize, end: &str) -> usize {
        let mut at = from;
        while at < self.text.len() && !self.text[at..].starts_with(end.as_bytes()) {
            at += if self.text[at] == b'\\' { 2 } else { 1 };
        }
        at + end.len()
    }

    fn beyond_comment(&self) -> Option<usize> {
        match self.language {
            Language::Python => self.is_at("#").then(|| self.beyond(self.at, "\n")),
            _ if self.is_at("//") => Some(self.beyond(self.at, "\n")),
            Language::Rust if self.is_at("/*") => Some(self.beyond_nested()),
            _ => self.is_at("/*").then(|| self.beyond(self.at + 2, "*/")),
        }
    }

    /// Rust's block comments may hold others.
    fn beyond_nested(&self) -> usize {
        let (mut at, mut depth) = (self.at, 0);
        while at < self.text.len() {
            let rest = &self.text[at..];
            if rest.starts_with(b"/*") {
                (at, depth) = (at + 2, depth + 1);
            } else if rest.starts_with(b"*/") {
                (at, depth) = (at + 2, depth - 1);
                if depth == 0 {
                    return at;
                }
            } else {
                at += 1;
            }
        }
        at
    }

    /// A string that is a statement: it begins a line, within no brackets, and nothing but a comment follows it.
    fn beyond_docstring(&self, depth: usize) -> Option<usize> {
        let before = self.text[..self.at].rsplit(|byte| *byte == b'\n').next()?;
        if self.language != Language::Python || depth > 0 || !before.trim_ascii().is_empty() {
            return None;
        }
        let end = self.beyond_python()?;
        let behind = self.text.get(end..)?.split(|byte| *byte == b'\n').next()?.trim_ascii();
        (behind.is_empty() || behind[0] == b'#').then_some(end)
    }

    /// Where the string, the character or the regular expression is over that begins here.
    fn beyond_text(&self) -> Option<usize> {
        match (self.language, self.text[self.at]) {
            (Language::Rust, b'r') => self.beyond_raw(),
            (Language::Rust, b'\'') => self.beyond_character(),
            (Language::Python, _) => self.beyond_python(),
            (Language::Java, b'"') if self.is_at("\"\"\"") => {
                Some(self.beyond_escaped(self.at + 3, "\"\"\""))
            }
            (Language::Go, b'`') => Some(self.beyond(self.at + 1, "`")),
            (Language::Go | Language::Java | Language::JavaScript, b'\'') => {
                Some(self.beyond_escaped(self.at + 1, "'"))
            }
            (Language::JavaScript, b'`') => Some(self.beyond_template(self.at)),
            (Language::JavaScript, b'/') if self.is_operand() => Some(self.beyond_expression()),
            (_, b'"') => Some(self.beyond_escaped(self.at + 1, "\"")),
            _ => None,
        }
    }

    /// `r"…"`, `r#"…"#`, and so on.
    fn beyond_raw(&self) -> Option<usize> {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let before = self.text[..self.at].last().filter(|byte| **byte != b'b' && **byte != b'c');
        let hashes = self.text[self.at + 1..].iter().take_while(|byte| **byte == b'#').count();
        if before.is_some_and(is_name) || self.text.get(self.at + 1 + hashes) != Some(&b'"') {
            return None;
        }
        Some(self.beyond(self.at + 2 + hashes, &format!("\"{}", "#".repeat(hashes))))
    }

    /// Not a lifetime.
    fn beyond_character(&self) -> Option<usize> {
        let rest = std::str::from_utf8(&self.text[self.at + 1..]).ok()?;
        let mut letters = rest.char_indices();
        match letters.next()? {
            (_, '\\') => Some(self.beyond_escaped(self.at + 1, "'")),
            _ => letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| self.at + 2 + at),
        }
    }

    /// With the letters before it, such as `rb"…"`.
    fn beyond_python(&self) -> Option<usize> {
        let rest = &self.text[self.at..];
        let is_within_name = self.text[..self.at].last().is_some_and(u8::is_ascii_alphanumeric);
        let prefix = rest.iter().take_while(|byte| b"rRbBuUfF".contains(byte)).count();
        let quote = rest.get(prefix).filter(|byte| matches!(byte, b'"' | b'\''))?;
        if is_within_name && prefix > 0 {
            return None;
        }
        let quote = char::from(*quote).to_string();
        let triple = quote.repeat(3);
        let ending = if rest[prefix..].starts_with(triple.as_bytes()) { triple } else { quote };
        Some(self.beyond_escaped(self.at + prefix + ending.len(), &ending))
    }

    /// A template may hold code, which may hold templates.
    fn beyond_template(&self, from: usize) -> usize {
        let (mut at, mut depth) = (from + 1, 0);
        while at < self.text.len() {
            match self.text[at] {
                b'\\' => at += 1,
                b'`' if depth == 0 => return at + 1,
                b'`' => at = self.beyond_template(at) - 1,
                b'{' if depth > 0 || self.text[at - 1] == b'$' => depth += 1,
                b'}' if depth > 0 => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        at
    }

    /// Whether a slash here cannot divide, because nothing stands before it that could be divided.
    fn is_operand(&self) -> bool {
        let code: Vec<u8> =
            (0..self.at).filter(|at| self.kinds[*at] != Kind::Comment).map(|at| self.text[at]).collect();
        let before = code.trim_ascii_end();
        let word = before.rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
        match before.last() {
            None => true,
            Some(b')' | b']' | b'}' | b'"' | b'\'' | b'`') => false,
            Some(last) => !(last.is_ascii_alphanumeric() || matches!(last, b'_' | b'$')) || word == b"return",
        }
    }

    /// A regular expression, in whose classes a slash stands for itself.
    fn beyond_expression(&self) -> usize {
        let (mut at, mut is_class) = (self.at + 1, false);
        while at < self.text.len() {
            match self.text[at] {
                b'\\' => at += 1,
                b'[' => is_class = true,
                b']' => is_class = false,
                b'/' if !is_class => return at + 1,
                _ => {}
            }
            at += 1;
        }
        at
    }
}

/// What only tests have: from each `#[cfg(test)]` to the end of the item it stands before.
fn test_items(text: &str, kinds: &[Kind]) -> Vec<(usize, usize)> {
    const MARK: &str = "#[cfg(test)]";
    let marks = text.match_indices(MARK).map(|(at, _)| at).filter(|at| kinds[*at] == Kind::Code);
    let mut items: Vec<(usize, usize)> = Vec::new();
    for mark in marks {
        if items.last().is_none_or(|(_, end)| mark >= *end) {
            items.push((mark, end_of_item(text.as_bytes(), kinds, mark + MARK.len())));
        }
    }
    items
}

/// After the first `;` outside brackets, or after the closing brace, whichever comes first.
fn end_of_item(text: &[u8], kinds: &[Kind], from: usize) -> usize {
    let mut depth = 0_usize;
    for at in (from..text.len()).filter(|at| kinds[*at] == Kind::Code) {
        match text[at] {
            b';' if depth == 0 => return at + 1,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
