//! The rules of the source tree, read from the files themselves: who imports whom, how long files and functions are, what stands nowhere.
//!
//! It knows Rust's comments, strings and braces, no more; what the compiler or clippy finds is not looked for here.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

const MOST_FILE_LINES: usize = 400;
const MOST_FUNCTION_LINES: usize = 70;

/// Each layer and what it may import, lowest first. `lib.rs` and `main.rs` may import all.
const LAYERS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("stats", &["api"]),
    ("engine", &["api", "stats"]),
    ("workload", &["api", "engine", "stats"]),
    ("traffic", &["api", "engine", "stats", "workload"]),
    ("measure", &["api", "engine", "stats"]),
    ("view", &["api", "engine"]),
    ("controller", &["api", "engine", "stats", "workload", "traffic", "measure"]),
    ("sim", &["api", "engine", "stats", "workload", "traffic", "measure", "controller"]),
    ("web", &["api", "engine", "stats", "workload", "traffic", "measure", "controller", "view"]),
    ("cli", &["api", "engine", "stats", "workload", "traffic", "measure", "controller", "sim", "web", "view"]),
];

/// Layers that are pure: no cluster, no clock, no chance, no log.
const PURE: &[&str] = &["engine", "stats", "workload", "traffic", "view"];
const IMPURE_WORDS: &[&str] = &["tokio", "Client", "Api", "SystemTime", "Instant", "rand", "tracing"];
const IMPURE_CALLS: &[&str] = &["Timestamp::now", "Zoned::now"];
/// Their order differs from run to run.
const UNORDERED: &[&str] = &["HashMap", "HashSet"];
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager"];
const PANICS: &[&str] = &[".unwrap()", ".expect("];
/// In pieces, so that this file does not contain them.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!"), concat!("to", "do!")];
const TEXTS: &[&str] = &["rs", "md", "yaml", "yml", "toml", "go", "sh", "txt", "tpl", "json"];

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// One file of `src`: its text, its code (comments and strings are blanks), and its code without the test modules.
struct Source {
    path: String,
    text: String,
    code: String,
    shipped: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = code(text);
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let shipped = if is_test { blank(&code) } else { without_tests(&code) };
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// "engine" of src/engine/decide.rs and src/engine.rs; None for the crate's root.
    fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    fn at(&self, offset: usize, message: impl Into<String>) -> Violation {
        let line = self.code[..offset].matches('\n').count() + 1;
        Violation { path: self.path.clone(), line, message: message.into() }
    }

    fn check(&self) -> Vec<Violation> {
        [self.imports(), self.form(), self.functions(), self.words()].concat_all()
    }

    fn imports(&self) -> Vec<Violation> {
        let Some(layer) = self.layer() else { return Vec::new() };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            return vec![self.at(0, format!("layer {layer} is not in the table of tests/layers.rs"))];
        };
        let mut found = Vec::new();
        for (offset, module) in crate_paths(&self.code) {
            let is_layer = LAYERS.iter().any(|(name, _)| *name == module);
            if is_layer && module != layer && !allowed.contains(&module.as_str()) {
                found.push(self.at(offset, format!("{layer} imports {module}: nothing low imports anything high")));
            }
        }
        let climbs = self.code.match_indices("super::super::");
        found.extend(
            climbs.map(|(offset, _)| self.at(offset, "super::super: write crate::, so that layers can be read")),
        );
        found
    }

    fn form(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let lines = self.text.lines().count();
        if lines > MOST_FILE_LINES {
            found.push(self.at(0, format!("the file has {lines} lines, {MOST_FILE_LINES} at most")));
        }
        if !self.text.starts_with("//!") {
            found.push(self.at(0, "the file does not begin with //!: what it is, then what it does not do"));
        }
        let stem = self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if NAMELESS.contains(&stem) || self.layer().is_some_and(|layer| NAMELESS.contains(&layer)) {
            found.push(self.at(0, format!("a file is named after its noun, not {stem}")));
        }
        found
    }

    fn functions(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (offset, _) in words(&self.code).filter(|(_, word)| *word == "fn") {
            let Some(body) = body(&self.code, offset) else { continue };
            let lines = self.code[offset..body].matches('\n').count() + 1;
            if lines > MOST_FUNCTION_LINES {
                found.push(self.at(offset, format!("the function has {lines} lines, {MOST_FUNCTION_LINES} at most")));
            }
        }
        found
    }

    fn words(&self) -> Vec<Violation> {
        let layer = self.layer().unwrap_or_default();
        let pure = PURE.contains(&layer);
        let mut found = Vec::new();
        for (offset, word) in words(&self.shipped) {
            if word == "unsafe" {
                found.push(self.at(offset, "unsafe stands nowhere"));
            }
            if (pure && IMPURE_WORDS.contains(&word)) || (layer == "engine" && UNORDERED.contains(&word)) {
                found.push(self.at(offset, format!("{word} has no place in {layer}")));
            }
        }
        let calls = |patterns: &[&'static str], message: &str| -> Vec<Violation> {
            let all = patterns.iter().flat_map(|pattern| self.shipped.match_indices(pattern));
            all.map(|(offset, pattern)| self.at(offset, format!("{pattern} {message}"))).collect()
        };
        if pure {
            found.extend(calls(IMPURE_CALLS, "reads a clock: the time is given"));
        }
        found.extend(calls(PANICS, "can panic: only tests may"));
        found
    }
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Violation>;
}

impl<const N: usize> ConcatAll for [Vec<Violation>; N] {
    fn concat_all(self) -> Vec<Violation> {
        self.into_iter().flatten().collect()
    }
}

/// The text with blanks for comments, strings and characters; every line stays where it is.
fn code(text: &str) -> String {
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

fn blank(code: &str) -> String {
    code.chars().map(|one| if one == '\n' { '\n' } else { ' ' }).collect()
}

/// The code with blanks for each `#[cfg(test)] mod ... { }`.
fn without_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    for (offset, _) in code.match_indices("#[cfg(test)]") {
        if let Some(end) = body(code, offset + "#[cfg(test)]".len()) {
            shipped.replace_range(offset..end, &blank(&code[offset..end]));
        }
    }
    shipped
}

/// The end of the braces that the item at `offset` opens; None if it ends with a semicolon.
fn body(code: &str, offset: usize) -> Option<usize> {
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

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |one: char| one.is_alphanumeric() || one == '_';
    let mut at = 0;
    code.split(move |one| !is_part(one)).filter_map(move |word| {
        let offset = at;
        at += word.len() + code[at + word.len()..].chars().next().map_or(0, char::len_utf8);
        (!word.is_empty()).then_some((offset, word))
    })
}

/// Modules named directly below `crate::` (in `main.rs` and tests `tidegate::` is not looked for), also in groups.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (offset, pattern) in code.match_indices("crate::") {
        let rest = &code[offset + pattern.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(words(rest).next().map(|(_, word)| (offset, word.to_owned())));
            continue;
        };
        let (mut depth, mut expects) = (0, true);
        for (index, one) in group.char_indices() {
            match one {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => expects = true,
                one if expects && !one.is_whitespace() => {
                    found.extend(words(&group[index..]).next().map(|(_, word)| (offset + 8 + index, word.to_owned())));
                    expects = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn unfinished(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| holds_word(line, word)) {
            found.push(Violation {
                path: path.to_owned(),
                line: number + 1,
                message: format!("{word} stands nowhere"),
            });
        }
    }
    found
}

fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        [before, after].into_iter().flatten().all(|one| !one.is_alphanumeric() && one != '_')
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text of the repository below `folder`, as its path from the root and its content.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(texts(&path));
        } else if path.extension().is_some_and(|it| TEXTS.contains(&it.to_string_lossy().as_ref())) {
            let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push((shown, fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn assert_none(violations: &[Violation]) {
    let shown: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[test]
fn the_source_keeps_its_layers_and_its_form() {
    let sources = texts(&root().join("src")).into_iter().filter(|(path, _)| path.ends_with(".rs"));
    assert_none(&sources.flat_map(|(path, text)| Source::new(&path, &text).check()).collect::<Vec<_>>());
}

#[test]
fn no_text_of_the_repository_is_unfinished() {
    assert_none(&texts(&root()).iter().flat_map(|(path, text)| unfinished(path, text)).collect::<Vec<_>>());
}

#[test]
fn violations_are_found_where_they_stand() {
    let long = format!("//! x\nfn f() {{\n{}}}\n", "    a();\n".repeat(69));
    for (path, text, wanted) in [
        (
            "src/engine/x.rs",
            "//! x\nuse crate::{api::A, controller::B};\n",
            "src/engine/x.rs:2: engine imports controller",
        ),
        ("src/api/x.rs", "//! x\n\nfn f() { crate::engine::decide() }\n", "src/api/x.rs:3: api imports engine"),
        ("src/engine/x.rs", "//! x\nuse std::collections::HashMap;\n", "src/engine/x.rs:2: HashMap has no place"),
        ("src/view/x.rs", "//! x\nfn f() { jiff::Timestamp::now(); }\n", "src/view/x.rs:2: Timestamp::now reads"),
        ("src/stats/x.rs", "//! x\nuse kube::{Api, runtime};\n", "src/stats/x.rs:2: Api has no place"),
        ("src/cli/x.rs", "//! x\nfn f() { None.unwrap() }\n", "src/cli/x.rs:2: .unwrap() can panic"),
        ("src/cli/utils.rs", "//! x\n", "src/cli/utils.rs:1: a file is named after its noun"),
        ("src/cli/x.rs", "fn f() {}\n", "src/cli/x.rs:1: the file does not begin"),
        ("src/cli/x.rs", "//! x\nunsafe fn f() {}\n", "src/cli/x.rs:2: unsafe stands nowhere"),
        ("src/other/x.rs", "//! x\n", "src/other/x.rs:1: layer other is not in the table"),
        ("src/cli/x.rs", &long, "src/cli/x.rs:2: the function has 71 lines"),
    ] {
        let found: Vec<String> = Source::new(path, text).check().iter().map(Violation::to_string).collect();
        assert!(matches!(found.as_slice(), [one] if one.starts_with(wanted)), "{wanted}: {found:?}");
    }
    let line = format!("a // {}: b", UNFINISHED[0]);
    assert_eq!(unfinished("README.md", &line)[0].to_string(), format!("README.md:1: {} stands nowhere", UNFINISHED[0]));
}

#[test]
fn words_in_comments_strings_and_tests_are_no_violations() {
    for text in [
        "//! No tokio, no HashMap.\n/* crate::cli */\nconst A: &str = r#\"crate::cli \" unsafe\"#;\n",
        "//! x\nconst A: char = '\"'; // ' crate::cli\nconst B: &str = \"\\\" crate::cli\";\nfn f<'a>(x: &'a str) {}\n",
        "//! x\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n    fn f() { x.unwrap() }\n}\n",
        "//! x\nuse crate::{api::{A, B}, stats::C};\nuse super::D;\n",
    ] {
        assert_none(&Source::new("src/engine/x.rs", text).check());
    }
}
