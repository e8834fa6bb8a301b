//! The terminal's other screen, for a table that is drawn again and again: what was on the first comes back untouched.

use std::io::{self, Write};

/// The other screen, until this is dropped.
pub(super) struct Screen;

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let mut out = io::stdout().lock();
        // The screen, and no cursor on it.
        out.write_all(b"\x1b[?1049h\x1b[?25l")?;
        out.flush()?;
        Ok(Self)
    }

    /// Draws from the top left, over what is there, so that nothing flickers.
    pub(super) fn draw(&self, text: &str) -> io::Result<()> {
        let mut frame = "\x1b[H".to_owned();
        for line in text.lines() {
            frame += line;
            // What the last frame had to the right of it goes.
            frame += "\x1b[K\r\n";
        }
        frame += "\x1b[J";
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        // Where this fails, there is no terminal any more.
        let _ = out.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    }
}
