//! A line of text in spans, each with a tone; shown plain or with colours.
//!
//! Whether colours are wanted is the caller's to know.

use std::fmt;

/// What a span means to the reader. Colour repeats what the words say, it never says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Attention,
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Attention => "33",
            Self::Bad => "31",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    spans: Vec<(Tone, String)>,
}

impl Line {
    pub fn plain(text: impl Into<String>) -> Self {
        Self::default().and(Tone::Plain, text)
    }

    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().and(tone, text)
    }

    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.spans.push((tone, text.into()));
        self
    }

    /// The line behind this text, which draws the tree.
    #[must_use]
    pub(super) fn behind(mut self, branch: &str) -> Self {
        if !branch.is_empty() {
            self.spans.insert(0, (Tone::Faint, branch.to_owned()));
        }
        self
    }

    /// The line with terminal colours.
    pub fn coloured(&self) -> String {
        let paint = |(tone, text): &(Tone, String)| match tone.code() {
            "" => text.clone(),
            code => format!("\x1b[{code}m{text}\x1b[0m"),
        };
        self.spans.iter().map(paint).collect()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spans.iter().try_for_each(|(_, text)| out.write_str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_no_control_characters_and_a_coloured_one_ends_each_colour() {
        let line = Line::plain("Rollout ").and(Tone::Bad, "Degraded").behind("├─ ");
        assert_eq!(line.to_string(), "├─ Rollout Degraded");
        assert_eq!(line.coloured(), "\x1b[2m├─ \x1b[0mRollout \x1b[31mDegraded\x1b[0m");
    }
}
