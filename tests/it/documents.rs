//! What a reader of the documents may rely on: code fences close, every path that is named exists, every link leads
//! somewhere, the README is short and leads to every page, and every page leads on. Comments in Rust files are held to the
//! paths, too. Each rule is also shown a text that breaks it.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders that are made by building and running, and hold nothing of the repository.
const MADE: [&str; 5] = [".git", "target", "herd-logs", "node_modules", "__pycache__"];

/// What a word ends with that names a file.
const EXTENSIONS: [&str; 16] = [
    ".bin", ".go", ".java", ".js", ".json", ".key", ".log", ".md", ".pdf", ".py", ".rs", ".secret",
    ".service", ".sh", ".toml", ".tsv",
];

/// Names that stand for a user's own files, or for what a build or a run makes.
const EXAMPLES: [&str; 13] = [
    "./herd-logs",
    "Alford.key",
    "NODE.audit.log",
    "NODE.log",
    "DIR/NAME",
    "RUN/plots",
    "alford.example.key",
    "authority.key",
    "google.key",
    "herd.secret",
    "my.toml",
    "node-log/twisted",
    "places.bin",
];

/// The README is one page to read, not a manual.
const README_LINES_MAX: usize = 150;

/// Pages beside those in docs/ that the README leads to.
const PAGES: [&str; 6] =
    ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "PROTOCOL.md", "REPORT.md", "SECURITY.md"];

/// Of these, the ones that lead nowhere: a list of changes, and a paper.
const ENDS: [&str; 2] = ["CHANGELOG.md", "REPORT.md"];

/// A template becomes a document in another folder, from which its links are seen.
const TEMPLATES: [(&str, &str); 1] = [("bench/report/template.md", "REPORT.md")];

/// Top-level folders: what begins with one of these names a path of the repository, wherever it stands.
const FOLDERS: [&str; 8] = [".ci/", "bench/", "config/", "data/", "docs/", "fuzz/", "src/", "tests/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's files and folders, by their path from the root.
struct Tree {
    files: Vec<String>,
    /// Every path, and every end of one: `links/link.rs` and `link.rs` for `src/core/links/link.rs`.
    ends: HashSet<String>,
}

impl Tree {
    fn new(files: Vec<String>) -> Self {
        let mut ends = HashSet::new();
        for file in &files {
            let parts: Vec<&str> = file.split('/').collect();
            for last in 1..=parts.len() {
                ends.extend((0..last).map(|first| parts[first..last].join("/")));
            }
        }
        Self { files, ends }
    }

    fn of_repository() -> Self {
        let mut open = vec![root().to_owned()];
        let mut files = Vec::new();
        while let Some(path) = open.pop() {
            if !path.is_dir() {
                files.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            } else if !MADE.iter().any(|made| path.ends_with(made)) {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        files.sort();
        Self::new(files)
    }

    /// Whether this is a path from the root, of a file or a folder.
    fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.iter().any(|file| file == path || file.starts_with(&folder))
    }

    fn read(&self, extension: &str) -> Vec<(&str, String)> {
        let wanted = self.files.iter().filter(|file| file.ends_with(extension));
        let texts: Vec<_> =
            wanted.map(|file| (&**file, fs::read_to_string(root().join(file)).unwrap())).collect();
        assert!(!texts.is_empty());
        texts
    }
}

/// A document, cut into what stands outside of fenced blocks and what stands inside of them, line by line.
fn fences(text: &str) -> Result<Vec<(bool, &str)>, String> {
    let mut opened = None;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), opened) {
            (Some(_), None) => opened = Some(at + 1),
            (Some(""), Some(_)) => opened = None,
            (Some(_), Some(begin)) => {
                return Err(format!("line {}: a block opens within that of line {begin}", at + 1));
            }
            (None, _) => lines.push((opened.is_some(), line)),
        }
    }
    opened.map_or(Ok(lines), |begin| Err(format!("the block of line {begin} never closes")))
}

/// The words between single backticks.
fn code_words(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace)
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    let word = word.trim_start_matches(['(', '"', '\'', '`', '[']);
    word.trim_end_matches(['.', ',', ':', ';', ')', '"', '\'', '`', ']', '/', '!', '?'])
}

fn is_path(word: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-@/".contains(letter);
    const OTHERS: [&str; 2] = ["HTTP/", "application/"];
    !word.starts_with('/')
        && !OTHERS.iter().any(|other| word.starts_with(other))
        && word.chars().all(is_plain)
}

/// Paths from the root that stand anywhere in a line: words that begin with a top-level folder.
fn rooted(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|letter: char| letter.is_whitespace() || "`()=|,<>".contains(letter));
    words.map(bare).filter(|word| is_path(word) && FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

fn missing_paths(tree: &Tree, text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for (is_block, line) in fences(text).unwrap_or_default() {
        let lost = rooted(line).filter(|path| !tree.ends.contains(*path) && !path.contains("DATE"));
        missing.extend(lost.map(|path| format!("names {path}, which is not there")));
        if is_block {
            continue;
        }
        for word in code_words(line).map(bare).filter(|word| is_path(word)) {
            let is_file = EXTENSIONS.iter().any(|extension| word.ends_with(extension)) || word.contains('/');
            let is_known = EXAMPLES.contains(&word)
                || EXTENSIONS.contains(&word)
                || word.contains("DATE")
                || word.starts_with("target/")
                || rooted(word).next().is_some();
            if is_file && !is_known && !tree.ends.contains(word) {
                missing.push(format!("names {word}, which is not there"));
            }
        }
    }
    missing
}

/// What a heading is called in a link, as the usual hosts do it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

fn anchors(text: &str) -> HashSet<String> {
    let lines = fences(text).unwrap_or_default();
    let headings = lines.iter().filter(|(is_block, line)| !is_block && line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

/// The targets of a line's `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// A target as a path from the root, seen from a document; nothing where it leaves the repository.
fn resolved(document: &str, target: &str) -> Option<String> {
    let mut path = PathBuf::from(document);
    path.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if !path.pop() => return None,
            ".." => {}
            part => path.push(part),
        }
    }
    Some(path.to_string_lossy().into_owned())
}

fn dead_links(tree: &Tree, document: &str, text: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let mut dead = Vec::new();
    for (_, line) in fences(text).unwrap_or_default().iter().filter(|(is_block, _)| !is_block) {
        for target in targets(line).filter(|target| !target.contains("://")) {
            let (file, name) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { Some(document.to_owned()) } else { resolved(document, file) };
            let is_alive = path.is_some_and(|path| {
                tree.holds(&path)
                    && (name.is_empty()
                        || anchors(&if file.is_empty() { text.to_owned() } else { read(&path) })
                            .contains(name))
            });
            if !is_alive {
                dead.push(format!("links to {target}, which leads nowhere"));
            }
        }
    }
    dead
}

/// The documents that a document links to, itself not among them.
fn linked(document: &str, text: &str) -> HashSet<String> {
    let lines = fences(text).unwrap_or_default();
    let outside = lines.iter().filter(|(is_block, _)| !is_block).flat_map(|(_, line)| targets(line));
    let files =
        outside.filter(|target| !target.contains("://")).map(|target| target.split('#').next().unwrap());
    let mut linked: HashSet<_> = files.filter_map(|file| resolved(document, file)).collect();
    linked.remove(document);
    linked
}

/// What keeps a reader who starts at the README from a page, or a page's reader from the others.
fn dead_ends(readme: &str, pages: &[(&str, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    if readme.lines().count() > README_LINES_MAX {
        faults.push(format!("README.md has {} lines", readme.lines().count()));
    }
    let from_readme = linked("README.md", readme);
    for (name, text) in pages {
        if !from_readme.contains(*name) {
            faults.push(format!("README.md does not link to {name}"));
        }
        let on = linked(name, text);
        if !ENDS.contains(name)
            && !on.contains("README.md")
            && !pages.iter().any(|(page, _)| on.contains(*page))
        {
            faults.push(format!("{name} links to no other page"));
        }
    }
    faults
}

fn comment_paths(tree: &Tree, text: &str) -> Vec<String> {
    let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
    let lost = comments.flat_map(rooted).filter(|path| !tree.ends.contains(*path) && !path.contains("DATE"));
    lost.map(|path| format!("names {path}, which is not there")).collect()
}

fn all(texts: &[(&str, String)], rule: impl Fn(&str, &str) -> Vec<String>) -> String {
    let faults = texts
        .iter()
        .flat_map(|(name, text)| rule(name, text).into_iter().map(move |fault| format!("{name} {fault}")));
    faults.collect::<Vec<_>>().join("\n")
}

#[test]
fn code_fences_close() {
    let tree = Tree::of_repository();
    assert_eq!(all(&tree.read(".md"), |_, text| fences(text).err().into_iter().collect()), "");
}

/// What was to be filled in, such as `@TIMES@`, and was not.
fn placeholders(text: &str) -> Vec<String> {
    let is_name = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let words = text.split_whitespace().filter_map(|word| word.strip_prefix('@')?.strip_suffix('@'));
    words.filter(|word| is_name(word)).map(|word| format!("still has @{word}@")).collect()
}

#[test]
fn nothing_is_left_to_be_filled_in() {
    assert_eq!(all(&Tree::of_repository().read(".md"), |_, text| placeholders(text)), "");
}

#[test]
fn exceptions_are_needed() {
    let tree = Tree::of_repository();
    let documents = tree.read(".md");
    for example in EXAMPLES {
        assert!(documents.iter().any(|(_, text)| text.contains(example)), "no document names {example}");
        assert!(!tree.holds(example), "{example} is there");
    }
    assert!(FOLDERS.iter().all(|folder| tree.holds(folder.trim_end_matches('/'))));
    assert!(TEMPLATES.iter().all(|(template, document)| tree.holds(template) && tree.holds(document)));
}

#[test]
fn every_path_that_a_document_or_a_comment_names_exists() {
    let tree = Tree::of_repository();
    assert_eq!(all(&tree.read(".md"), |_, text| missing_paths(&tree, text)), "");
    assert_eq!(all(&tree.read(".rs"), |_, text| comment_paths(&tree, text)), "");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let tree = Tree::of_repository();
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let seen_from = |name: &str| {
        let template = TEMPLATES.iter().find(|(template, _)| *template == name);
        template.map_or_else(|| name.to_owned(), |(_, as_if)| (*as_if).to_owned())
    };
    assert_eq!(all(&tree.read(".md"), |name, text| dead_links(&tree, &seen_from(name), text, read)), "");
}

#[test]
fn readme_is_short_and_leads_to_every_page_and_each_leads_on() {
    let tree = Tree::of_repository();
    let mut pages = tree.read(".md");
    let (_, readme) = pages.iter().find(|(name, _)| *name == "README.md").unwrap().clone();
    pages.retain(|(name, _)| name.starts_with("docs/") || PAGES.contains(name));
    assert!(pages.len() > PAGES.len() && PAGES.iter().all(|page| pages.iter().any(|(name, _)| name == page)));
    assert_eq!(dead_ends(&readme, &pages), Vec::<String>::new());
}

#[test]
fn the_rules_for_links_between_pages_bite() {
    let page = |text: &str| vec![("docs/a.md", text.to_owned())];
    assert_eq!(dead_ends("[a](docs/a.md#b)", &page("[up](../README.md)")), Vec::<String>::new());
    assert_eq!(
        dead_ends("`docs/a.md`", &page("[up](../README.md)")),
        ["README.md does not link to docs/a.md"]
    );
    let nowhere = "[a](docs/a.md)";
    for on in ["README.md", "[self](a.md) [here](#b)", "[out](https://x.org/README.md)"] {
        assert_eq!(dead_ends(nowhere, &page(on)), ["docs/a.md links to no other page"], "{on}");
    }
    let long = format!("{nowhere}{}", "\n".repeat(README_LINES_MAX + 1));
    assert_eq!(dead_ends(&long, &page("[up](../README.md)")), ["README.md has 151 lines"]);
}

#[test]
fn the_rules_for_documents_bite() {
    let tree =
        Tree::new(vec!["src/flood/link.rs".to_owned(), "docs/a.md".to_owned(), "README.md".to_owned()]);
    assert!(fences("a\n```\nb\n").unwrap_err().contains("line 2"));
    assert!(fences("```\n$ b\nprose\n```toml\nc\n```\n").unwrap_err().contains("line 4"));
    assert_eq!(fences("a\n```sh\nb\n```\nc").unwrap(), [(false, "a"), (true, "b"), (false, "c")]);

    let clean = "`src/flood/`, `link.rs`, `flood/link.rs`; see src/flood/link.rs: `send NODE`\n```\ncat README.md\n```\n";
    assert_eq!(missing_paths(&tree, clean), Vec::<String>::new());
    for broken in ["see src/flood/lost.rs.", "`lost.rs` has it", "`flood/lost`", "```\nrun data/lost.py\n```"]
    {
        assert_eq!(missing_paths(&tree, broken).len(), 1, "{broken}");
    }
    assert_eq!(
        comment_paths(&tree, "    // As src/flood/lost.rs does.\nlet path = \"src/new.rs\";").len(),
        1
    );

    assert_eq!(placeholders("It takes\n\n@TIMES@\n\nfor @you and mail@example.org").len(), 1);

    let read = |_: &str| "# One thing, and `another`\n".to_owned();
    let links =
        "## Here\n[a](docs/a.md) [b](docs/a.md#one-thing-and-another) [c](#here) [d](https://x.org/y)";
    assert_eq!(dead_links(&tree, "README.md", links, read), Vec::<String>::new());
    assert_eq!(dead_links(&tree, "docs/a.md", "[up](../README.md)", read), Vec::<String>::new());
    for broken in ["[a](docs/b.md)", "[a](docs/a.md#two)", "[a](#two)", "[a](../README.md)"] {
        assert_eq!(dead_links(&tree, "README.md", broken, read).len(), 1, "{broken}");
    }
}
