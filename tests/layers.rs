//! The rules of the source tree, read from the files themselves: who imports whom, how long files and functions are, what stands nowhere.
//!
//! What the compiler or clippy finds is not looked for here.

#[path = "layers/code.rs"]
mod code;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use code::{blank, body, code, test_modules, without_tests, words};

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
    ("plan", &["api", "engine", "stats"]),
    ("view", &["api", "engine", "stats", "plan"]),
    ("controller", &["api", "engine", "stats", "workload", "traffic", "measure"]),
    ("sim", &["api", "engine", "stats", "workload", "traffic", "measure", "controller"]),
    ("web", &["api", "engine", "stats", "workload", "traffic", "measure", "controller", "view"]),
    ("cli", &["api", "engine", "stats", "workload", "traffic", "measure", "plan", "controller", "sim", "web", "view"]),
];

/// Layers that are pure: no cluster, no clock, no chance, no log.
const PURE: &[&str] = &["engine", "stats", "workload", "traffic", "plan", "view"];
const IMPURE_WORDS: &[&str] = &["tokio", "Client", "Api", "SystemTime", "Instant", "rand", "tracing"];
const IMPURE_CALLS: &[&str] = &["Timestamp::now", "Zoned::now"];
/// Their order differs from run to run.
const UNORDERED: &[&str] = &["HashMap", "HashSet"];
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager"];
const PANICS: &[&str] = &[".unwrap()", ".expect("];
/// Calls of kube's clients that write.
const WRITES: &[&str] = &[
    ".create(",
    ".create_subresource(",
    ".replace(",
    ".replace_status(",
    ".patch(",
    ".patch_status(",
    ".patch_subresource(",
    ".delete(",
    ".delete_collection(",
    ".evict(",
    ".request(",
    ".request_text(",
    // Channels send, too.
    "client.send(",
];
/// The one file of the controller that writes to a cluster: each of its writes is given its site.
const WRITER: &str = "src/controller/live.rs";
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
    fn new(path: &str, text: &str, is_test: bool) -> Self {
        let code = code(text);
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
        let has_client = words(&self.shipped).any(|(_, word)| ["Api", "Client"].contains(&word));
        if layer == "controller" && self.path != WRITER && has_client && self.shipped.contains("kube::") {
            found.extend(calls(WRITES, "writes to the cluster without a write site"));
        }
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

/// Modules that only tests have, as paths without ".rs": their files and those below them are no part of the program.
fn test_files(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        let (folder, file) = path.rsplit_once('/').unwrap_or_default();
        let stem = file.trim_end_matches(".rs");
        let own = if ["mod", "lib", "main"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
        found.extend(test_modules(&code(text)).iter().map(|name| format!("{own}/{name}")));
    }
    found
}

fn assert_none(violations: &[Violation]) {
    let shown: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[test]
fn the_source_keeps_its_layers_and_its_form() {
    let mut files = texts(&root().join("src"));
    files.retain(|(path, _)| path.ends_with(".rs"));
    let tests = test_files(&files);
    let is_test =
        |path: &str| tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")));
    let checked = files.iter().flat_map(|(path, text)| Source::new(path, text, is_test(path)).check());
    assert_none(&checked.collect::<Vec<_>>());
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
        (
            "src/controller/x.rs",
            "//! x\nfn f(api: kube::Api<Pod>) { api.delete(\"a\") }\n",
            "src/controller/x.rs:2: .delete( writes to the cluster without a write site",
        ),
        ("src/cli/x.rs", "fn f() {}\n", "src/cli/x.rs:1: the file does not begin"),
        ("src/cli/x.rs", "//! x\nunsafe fn f() {}\n", "src/cli/x.rs:2: unsafe stands nowhere"),
        ("src/other/x.rs", "//! x\n", "src/other/x.rs:1: layer other is not in the table"),
        ("src/cli/x.rs", &long, "src/cli/x.rs:2: the function has 71 lines"),
    ] {
        let found: Vec<String> = Source::new(path, text, false).check().iter().map(Violation::to_string).collect();
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
        assert_none(&Source::new("src/engine/x.rs", text, false).check());
    }
}

#[test]
fn a_module_for_tests_only_may_panic_in_a_file_of_its_own() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("src/measure/mod.rs", "//! x\n#[cfg(test)]\nmod fake;\nmod real;\n"),
        file("src/measure/real.rs", "//! x\n#[cfg(test)]\nmod tests {\n}\n#[cfg(test)]\nmod laws;\n"),
    ];
    assert_eq!(test_files(&files), ["src/measure/fake", "src/measure/real/laws"]);
}
