//! Where answers go: colours and cursor control only on a terminal that wants them.
//!
//! It knows nothing of Rollouts.

use std::io::{ErrorKind, IsTerminal, Write};

use super::Failure;
use crate::view::Line;

const HOME: &str = "\x1b[H";
const CLEAR_ALL: &str = "\x1b[2J\x1b[H";
const CLEAR_REST_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

pub struct Terminal {
    out: Box<dyn Write + Send>,
    /// Cursor control may be used.
    pub interactive: bool,
    colours: bool,
    drawn: bool,
}

impl Terminal {
    pub fn stdout() -> Self {
        Self::new(Box::new(std::io::stdout()), std::io::stdout().is_terminal())
    }

    pub fn stderr() -> Self {
        Self::new(Box::new(std::io::stderr()), std::io::stderr().is_terminal())
    }

    fn new(out: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        let interactive = is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        // https://no-color.org: any value but the empty one.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out, interactive, colours: interactive && wanted, drawn: false }
    }

    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Write(error),
        })
    }

    pub fn lines(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let text: String = lines.iter().map(|line| self.shown(line) + "\n").collect();
        self.print(&text)
    }

    /// The lines in place of those drawn before.
    pub fn redraw(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let mut text = if self.drawn { HOME } else { CLEAR_ALL }.to_owned();
        for line in lines {
            text += &self.shown(line);
            text += CLEAR_REST_OF_LINE;
            text.push('\n');
        }
        text += CLEAR_BELOW;
        self.drawn = true;
        self.print(&text)
    }

    /// `error: ...` and `hint: ...`.
    pub fn complain(&mut self, failure: &Failure) {
        let (red, green, off) = if self.colours { ("\x1b[1;31m", "\x1b[32m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{off} {}\n", lines(&failure.to_string()));
        if let Some(hint) = failure.hint() {
            text += &format!("{green}hint:{off} {}\n", lines(&hint));
        }
        // Without a standard error there is nothing left to say it on.
        let _ = self.print(&text);
    }

    fn shown(&self, line: &Line) -> String {
        if self.colours { line.coloured() } else { line.to_string() }
    }
}

/// The text with its control characters written out: what stands in a manifest moves no cursor and begins no line.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_debug());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The same of each line of a text.
fn lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out_and_other_letters_stay() {
        assert_eq!(escaped("a\x1b[2Jb\n\u{9b}ä\"'\\"), "a\\u{1b}[2Jb\\n\\u{9b}ä\"'\\");
        assert_eq!(lines("a\r\n  b"), "a\\r\n  b");
    }
}
