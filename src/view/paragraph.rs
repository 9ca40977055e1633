//! Sentences in lines of a bounded width, and numbers as sentences have them.
//!
//! It knows no objects.

/// Columns of a line at most: it fits beside others on a screen, and into a message.
pub const WIDTH: usize = 76;

/// The words in lines of at most `WIDTH` columns; lines after the first are indented.
pub fn wrapped(text: &str, first_indent: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first_indent.to_owned();
    let mut is_empty = true;
    // A number and its % stay together.
    let glued = text.replace(" %", "\u{a0}%");
    for word in glued.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines.into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// Two significant digits, rounded up: what is promised for the exact number holds for the one that is shown.
pub fn rounded_up(number: f64) -> String {
    significant(number, 2, f64::ceil)
}

/// Three significant digits.
pub fn rounded(number: f64) -> String {
    significant(number, 3, f64::round)
}

fn significant(number: f64, digits: i32, round: fn(f64) -> f64) -> String {
    if !number.is_finite() || number <= 0.0 {
        return "0".into();
    }
    let decimals = digits - 1 - number.log10().floor() as i32;
    let scale = 10_f64.powi(decimals);
    // A number that was written in decimal must not be rounded up because of its last bit.
    let shown = round(number * scale - 1e-9) / scale;
    let text = format!("{shown:.*}", decimals.max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped(text.trim_end(), "", "  ");
        assert!(lines.iter().all(|line| line.len() <= WIDTH) && lines.len() == 3, "{lines:?}");
        assert!(!lines[0].starts_with(' ') && lines[1].starts_with("  word"));
        let lines = wrapped(&format!("{} 5 % of it", "x".repeat(WIDTH - 2)), "", "");
        assert_eq!(lines[1], "5 % of it");
        let long = "x".repeat(100);
        assert_eq!(wrapped(&long, "- ", "  "), [format!("- {long}")]);
    }

    #[test]
    fn numbers_have_the_digits_that_matter() {
        for (number, up, near) in [
            (1.301, "1.4", "1.3"),
            (0.036, "0.036", "0.036"),
            (0.0361, "0.037", "0.0361"),
            (13.1, "14", "13.1"),
            (0.1, "0.1", "0.1"),
            (99.96, "100", "100"),
            (1234.0, "1300", "1230"),
            (40.0, "40", "40"),
            (0.0, "0", "0"),
            (f64::INFINITY, "0", "0"),
        ] {
            assert_eq!((rounded_up(number).as_str(), rounded(number).as_str()), (up, near), "{number}");
        }
    }
}
