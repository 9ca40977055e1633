//! The lines of an input of any length, one at a time and each of a bounded length.
//!
//! It does not know what is in them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result};

/// Longer lines are cut: they are no windows, and must not fill the memory.
const LONGEST_LINE_BYTES: usize = 4 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// A line was read: what comes next is not the beginning.
    begun: bool,
}

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<R: Read> Lines<R> {
    pub fn new(input: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, input), line: Vec::new(), begun: false }
    }

    /// The next line that is not blank.
    pub fn read(&mut self) -> Result<Option<&[u8]>> {
        while self.fill()? {
            if !std::mem::replace(&mut self.begun, true) && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
        Ok(None)
    }

    /// Whether the next line may take a while: nothing of it is here yet.
    pub fn must_wait(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// One line into the buffer; false at the end.
    fn fill(&mut self) -> Result<bool> {
        self.line.clear();
        let mut any = false;
        loop {
            let here = match self.reader.fill_buf() {
                Ok(here) => here,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if here.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = here.iter().position(|byte| *byte == b'\n');
            let part = &here[..end.unwrap_or(here.len())];
            let room = LONGEST_LINE_BYTES - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        while let Some(line) = lines.read().unwrap() {
            found.push(line.to_vec());
        }
        found
    }

    #[test]
    fn blank_lines_are_none_and_the_last_needs_no_end() {
        assert_eq!(lines(b"a\n\n  \r\nb\r\nc"), [b"a".to_vec(), b"b\r".to_vec(), b"c".to_vec()]);
        assert!(lines(b"").is_empty() && lines(b"\n").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(lines(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n"), [b"a".to_vec(), b"\xef\xbb\xbfb".to_vec()]);
        assert_eq!(lines(b"\xef\xbb\xbf\r\na"), [b"a".to_vec()]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; 1_000_000];
        text.extend(b"\nb\n");
        let found = lines(&text);
        assert_eq!((found.len(), found[0].len(), found[1].as_slice()), (2, LONGEST_LINE_BYTES, b"b".as_slice()));
    }
}
