//! Rust's comments, strings, braces and words, as far as the rules of the source tree need them.
//!
//! It is no parser: what does not compile may be misread.

/// The text with blanks for comments, strings and characters; every line stays where it is.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).unwrap()
}

/// Where the comment, string or character that begins here ends; `at` if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let find = |from: usize, pattern: &[u8]| {
        let tail = &rest[from.min(rest.len())..];
        tail.windows(pattern.len())
            .position(|window| window == pattern)
            .map_or(rest.len(), |it| from + it + pattern.len())
    };
    let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
    let in_word = before.is_ascii_alphanumeric() || before == b'_';
    let hashes = rest.iter().skip(1).take_while(|byte| **byte == b'#').count();
    let length = match rest {
        [b'/', b'/', ..] => find(2, b"\n") - 1,
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'r', ..] if !in_word && rest.get(1 + hashes) == Some(&b'"') => {
            find(2 + hashes, &[&b"\""[..], &vec![b'#'; hashes]].concat())
        }
        [b'"', ..] => quoted(rest, b'"'),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', ..] => character(rest),
        _ => 0,
    };
    at + length
}

/// The length of a character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    (3..=6).find(|end| rest.get(end - 1) == Some(&b'\'') && is_one_character(&rest[1..end - 1])).unwrap_or(0)
}

fn is_one_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

pub fn blank(code: &str) -> String {
    code.chars().map(|one| if one == '\n' { '\n' } else { ' ' }).collect()
}

/// The code with blanks for each `#[cfg(test)] mod ... { }`.
pub fn without_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    for (offset, _) in code.match_indices("#[cfg(test)]") {
        if let Some(end) = body(code, offset + "#[cfg(test)]".len()) {
            shipped.replace_range(offset..end, &blank(&code[offset..end]));
        }
    }
    shipped
}

/// The end of the braces that the item at `offset` opens; None if it ends with a semicolon.
pub fn body(code: &str, offset: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (index, one) in code[offset..].char_indices() {
        match one {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces <= 1 => return (braces == 1).then_some(offset + index + 1),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |one: char| one.is_alphanumeric() || one == '_';
    let mut at = 0;
    code.split(move |one| !is_part(one)).filter_map(move |word| {
        let offset = at;
        at += word.len() + code[at + word.len()..].chars().next().map_or(0, char::len_utf8);
        (!word.is_empty()).then_some((offset, word))
    })
}

/// Names of the modules that are declared for tests only and live in files of their own.
pub fn test_modules(code: &str) -> Vec<&str> {
    let after = code.split("#[cfg(test)]").skip(1);
    let names = after.filter_map(|rest| rest.trim_start().trim_start_matches("pub ").strip_prefix("mod "));
    names
        .filter_map(|rest| rest.split_once(';'))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(['{', '\n']))
        .collect()
}
