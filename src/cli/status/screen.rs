//! The terminal's other screen, for a table that is drawn again and again: what was on the first comes back untouched, also
//! while Ctrl-Z has the table wait. `q` ends it. What finds no room is left out at the bottom and on the right, so that nothing scrolls.

use std::{
    io::{self, Stdin, Write},
    os::fd::AsFd,
    time::Duration,
};

use rustix::termios::tcgetwinsize;
use signal_hook::{
    consts::{SIGQUIT, SIGTSTP, SIGWINCH},
    low_level::emulate_default_handler,
};

use super::{
    super::{
        CommandError,
        signals::{SignalPipe, wait_any},
    },
    keys::{Keys, Pressed, is_in_foreground},
};
use crate::system::clock;

/// The other screen, until this is dropped.
pub(super) struct Screen {
    stops: SignalPipe,
    quits: SignalPipe,
    resizes: SignalPipe,
    /// `None` where there are none to be had.
    keys: Option<Keys<Stdin>>,
    is_shown: bool,
}

impl Screen {
    /// Waits until this is in the foreground, or one of `ends` has come.
    pub(super) fn enter(ends: &SignalPipe) -> Result<Self, CommandError> {
        let listen = |signal| SignalPipe::listen(&[signal]).map_err(CommandError::Signals);
        let (stops, quits, resizes) = (listen(SIGTSTP)?, listen(SIGQUIT)?, listen(SIGWINCH)?);
        let mut screen = Self { stops, quits, resizes, keys: None, is_shown: false };
        if wait_for_foreground(ends)? {
            screen.keys = Keys::take(io::stdin());
            screen.show()?;
        }
        Ok(screen)
    }

    /// Draws from the top left, over what is there, so that nothing flickers.
    pub(super) fn draw(&self, text: &str) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        // A terminal that does not tell its size has none to keep to.
        let size = tcgetwinsize(&out).ok().map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
        let (rows, columns) =
            size.filter(|&(rows, columns)| rows > 0 && columns > 0).unwrap_or((usize::MAX, usize::MAX));
        // What the last frame had to the right of a line goes, and what it had below the last.
        let frame = format!("\x1b[H{}\x1b[K\x1b[J", fitted(text, rows, columns).join("\x1b[K\r\n"));
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Shows this text for so long; true where one of `ends` or the key that ends it came sooner.
    pub(super) fn wait(
        &mut self,
        ends: &SignalPipe,
        time: Duration,
        text: &str,
    ) -> Result<bool, CommandError> {
        let deadline = clock::tick() + time;
        loop {
            match self.next(ends, deadline.saturating_sub(clock::tick())).map_err(CommandError::Signals)? {
                Happened::Nothing => return Ok(false),
                Happened::End => return Ok(true),
                Happened::Stop if !self.stop(ends)? => return Ok(true),
                Happened::Key => continue,
                Happened::Stop | Happened::Resize => self.draw(text)?,
            }
        }
    }

    /// What happens next, within this time.
    fn next(&mut self, ends: &SignalPipe, time: Duration) -> io::Result<Happened> {
        let mut waits = vec![ends.as_fd(), self.stops.as_fd(), self.quits.as_fd(), self.resizes.as_fd()];
        waits.extend(self.keys.as_ref().map(AsFd::as_fd));
        Ok(match wait_any(&waits, time)? {
            None => Happened::Nothing,
            Some(0) => Happened::End,
            Some(1) => {
                self.stops.clear()?;
                Happened::Stop
            }
            Some(2) => {
                self.hide()?;
                emulate_default_handler(SIGQUIT)?;
                Happened::End
            }
            Some(3) => {
                self.resizes.clear()?;
                Happened::Resize
            }
            Some(_) => match self.keys.as_ref().map(Keys::pressed) {
                Some(Pressed::Quit) => Happened::End,
                Some(Pressed::Other) => Happened::Key,
                Some(Pressed::Nothing) | None => {
                    self.keys = None;
                    Happened::Key
                }
            },
        })
    }

    /// Gives the terminal back and stops, as Ctrl-Z would have it; false where it is to end, and not to go on.
    fn stop(&mut self, ends: &SignalPipe) -> io::Result<bool> {
        self.hide()?;
        emulate_default_handler(SIGTSTP)?;
        let goes_on = wait_for_foreground(ends)?;
        if goes_on {
            // The shell may have given the terminal other modes.
            self.keys.take_if(|keys| !keys.take_again());
            self.show()?;
        }
        Ok(goes_on)
    }

    /// The other screen, no cursor on it, and lines that do not go on in the next row.
    fn show(&mut self) -> io::Result<()> {
        self.is_shown = true;
        write(b"\x1b[?1049h\x1b[?25l\x1b[?7l")
    }

    /// The terminal as it was.
    fn hide(&mut self) -> io::Result<()> {
        self.keys.iter_mut().for_each(Keys::give_back);
        match std::mem::take(&mut self.is_shown) {
            true => write(b"\x1b[?7h\x1b[?25h\x1b[?1049l"),
            false => Ok(()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where this fails, there is no terminal any more.
        let _ = self.hide();
    }
}

/// What interrupts the look at a screen.
enum Happened {
    /// Time is up.
    Nothing,
    End,
    Stop,
    Resize,
    /// A key that means nothing.
    Key,
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// In the background, where `&` and `bg` put it, it stops as Ctrl-Z would have it: the terminal is somebody else's. False
/// where one of `ends` has come, with which a shell has it go on.
fn wait_for_foreground(ends: &SignalPipe) -> io::Result<bool> {
    while !is_in_foreground(io::stdout()) {
        if wait_any(&[ends.as_fd()], Duration::ZERO)?.is_some() {
            return Ok(false);
        }
        emulate_default_handler(SIGTSTP)?;
    }
    Ok(true)
}

/// The lines for a screen of so many rows and columns. The last line of the text is its verdict, which stays, on several
/// rows where it needs them.
fn fitted(text: &str, rows: usize, columns: usize) -> Vec<String> {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let [first @ .., verdict] = &lines[..] else { return Vec::new() };
    let verdict = wrapped(verdict, rows.div_ceil(2), columns);
    let room = rows.saturating_sub(verdict.len());
    let (shown, left_out) = match first.len() <= room {
        true => (first, &[][..]),
        // One row says what is not there.
        false => first.split_at(room.saturating_sub(1)),
    };
    let note = format!("... {} more rows: make the terminal higher", left_out.len());
    let note = (!left_out.is_empty() && room > 0).then_some(note.as_str());
    let above = shown.iter().copied().chain(note).map(|line| cut(line, columns));
    above.chain(verdict).collect()
}

/// A line on at most so many rows, divided at spaces.
fn wrapped(line: &str, rows: usize, columns: usize) -> Vec<String> {
    let (mut pieces, mut rest) = (Vec::new(), line);
    while pieces.len() + 1 < rows
        && let Some(end) = fitting(rest, columns).filter(|&end| end > 0)
    {
        let end = rest[..end].rfind(' ').map_or(end, |space| space + 1);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces.push(cut(rest, columns));
    pieces
}

/// The beginning of a line that fits into so many columns, with a mark where it was cut.
fn cut(line: &str, columns: usize) -> String {
    if fitting(line, columns).is_none() {
        return line.to_owned();
    }
    let end = fitting(line, columns.saturating_sub(1)).unwrap_or(0);
    let no_colour = if line.contains('\x1b') { "\x1b[0m" } else { "" };
    format!("{}…{no_colour}", &line[..end])
}

/// Where the letters that fit into so many columns end, if not all do. Colours take no room.
fn fitting(line: &str, columns: usize) -> Option<usize> {
    let (mut used, mut is_colour) = (0, false);
    for (at, letter) in line.char_indices() {
        is_colour |= letter == '\x1b';
        if is_colour {
            is_colour = letter != 'm';
            continue;
        }
        used += width(letter);
        if used > columns {
            return Some(at);
        }
    }
    None
}

/// In columns, rather too many than too few.
fn width(letter: char) -> usize {
    let is_wide = matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}');
    if is_wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pair at 12:00\n\nNODE\nAlford\nBall\n\nin step\n\n";

    #[test]
    fn rows_that_find_no_room_are_counted_and_the_verdict_stays() {
        assert_eq!(fitted(TEXT, 7, 80).join("\n"), TEXT.trim_end());
        let note = |count| format!("... {count} more rows: make the terminal higher");
        assert_eq!(fitted(TEXT, 6, 80), ["pair at 12:00", "", "NODE", "Alford", &note(2), "in step"]);
        assert_eq!(fitted(TEXT, 3, 80), ["pair at 12:00", &note(5), "in step"]);
        assert_eq!(fitted(TEXT, 2, 80), [&note(6), "in step"]);
        assert_eq!(fitted(TEXT, 1, 80), ["in step"]);
        assert!((1..9).all(|rows| fitted(TEXT, rows, 80).len() <= rows));
        assert_eq!(fitted("", 1, 80), [""; 0]);
    }

    #[test]
    fn long_verdict_takes_several_rows_and_no_more_than_half() {
        let text = "NODE\nAlford\nBall\n\x1b[31mnot in step: Ball is down\x1b[0m\n";
        let pieces = ["\x1b[31mnot in ", "step: Ball ", "is down\x1b[0m"];
        let note = "... 2 more…";
        assert_eq!(fitted(text, 6, 11), [&["NODE", "Alford", "Ball"][..], &pieces].concat());
        assert_eq!(fitted(text, 5, 11), [&["NODE", note][..], &pieces].concat());
        assert_eq!(fitted(text, 4, 11), ["NODE", note, pieces[0], "step: Ball…\x1b[0m"]);
        assert_eq!(fitted(text, 1, 11), ["\x1b[31mnot in ste…\x1b[0m"]);
    }

    #[test]
    fn lines_that_find_no_room_are_cut_and_colours_end() {
        assert_eq!(cut("Ball  down", 10), "Ball  down");
        assert_eq!(cut("Ball  down", 9), "Ball  do…");
        assert_eq!(cut("Ball", 1), "…");
        let coloured = "Ball  \x1b[31mdown\x1b[0m  why";
        assert_eq!(cut(coloured, 15), coloured);
        assert_eq!(cut(coloured, 9), "Ball  \x1b[31mdo…\x1b[0m");
        // A wide letter may leave a column free.
        assert_eq!(["京都府", "a京都府"].map(|name| cut(name, 5)), ["京都…", "a京…"]);
    }
}
