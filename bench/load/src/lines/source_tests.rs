//! Each language's comments and strings, where they look like one another.

use super::*;

/// Code, comments, blank, tests.
fn counted(language: Language, text: &str) -> [usize; 4] {
    let Lines { code, comments, blank, tests } = language.count(text);
    assert_eq!(code + comments + blank + tests, text.lines().count());
    [code, comments, blank, tests]
}

#[test]
fn rust_comments_nest_and_documents_are_comments() {
    let text = "//! What it is.\n\n/// One.\nfn f() { // why\n    /* a /* b */\n    still\n\n    */ g();\n    // g\n}\n";
    assert_eq!(counted(Language::Rust, text), [3, 5, 2, 0]);
}

#[test]
fn rust_strings_hold_no_comments() {
    for line in [
        r#"let url = "http://nobody"; /* a"#,
        r##"let raw = r#"a "quoted" // b"#; /* a"##,
        r#"let bytes = br"\"; /* a"#,
        r#"let quotes = ['"', '\'', b'"', '\\', 'é']; /* a"#,
        r#"fn f<'a>(x: &'a str, y: char) -> &'a str { if y == '"' { x } } /* a"#,
        r#"let escaped = "\" // \\"; /* a"#,
    ] {
        assert_eq!(counted(Language::Rust, &format!("{line}\nb */\n")), [1, 1, 0, 0], "{line}");
    }
    assert_eq!(counted(Language::Rust, "let a = \"b\n// no comment\n\nc\";\n"), [3, 0, 1, 0]);
}

#[test]
fn what_only_tests_have_is_theirs() {
    let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    // why\n    fn b() { \"}\"; }\n}\nfn c() {}\n";
    assert_eq!(counted(Language::Rust, text), [2, 0, 1, 5]);
    let inside = "impl A {\n    #[cfg(test)]\n    fn b(&self, c: [u8; 4]) -> D {\n        e();\n    }\n    fn f() {}\n}\n";
    assert_eq!(counted(Language::Rust, inside), [3, 0, 0, 4]);
    let elsewhere = "mod a;\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\nmod c;\n";
    assert_eq!(counted(Language::Rust, elsewhere), [2, 0, 0, 3]);
    assert_eq!(counted(Language::Rust, "// #[cfg(test)]\nfn a() {}\n"), [1, 1, 0, 0]);
}

#[test]
fn python_strings_that_are_statements_are_comments() {
    let text = "\"\"\"What it is.\n\nAnd more.\n\"\"\"\nimport a  # why\n# b\n\ndef f():\n    '''One.'''  # c\n    return 1\n";
    assert_eq!(counted(Language::Python, text), [3, 5, 2, 0]);
}

#[test]
fn python_strings_that_are_values_are_code() {
    let text = "a = \"\"\"x\n# no comment\n\"\"\"\nb = (\n    'c # d'\n    rb'\\''  # e\n)\nf(\n    \"\"\"g\"\"\"\n)\n";
    assert_eq!(counted(Language::Python, text), [10, 0, 0, 0]);
    assert_eq!(counted(Language::Python, "\"a\".join(b)\nf'{c}'\nor'd'\n"), [2, 1, 0, 0]);
}

#[test]
fn javascript_tells_expressions_from_quotients_and_comments() {
    let text = "'use strict'; // a\n/* b\n\n*/\nconst c = /[/\"]\\/*/g.exec(d) / 2; // \"\n`e ${f(`}`)} // g\n// h`;\n";
    assert_eq!(counted(Language::JavaScript, text), [4, 2, 1, 0]);
    assert_eq!(counted(Language::JavaScript, "a = b / c; // d /\n// e\nreturn /'/;\n// '\n"), [2, 2, 0, 0]);
}

#[test]
fn java_documents_are_comments_and_text_blocks_code() {
    let text = "/** One.\n * Two. */\nint a = '\"'; // b\nString c = \"/* d \\\" \";\nString e = \"\"\"\n\"\n// f\n\"\"\";\n/* g */ int h;\n";
    assert_eq!(counted(Language::Java, text), [7, 2, 0, 0]);
}

#[test]
fn go_has_raw_strings_without_escapes() {
    let text = "// One.\na := `\\` // b\nc := `// d\n\n/* e`\nf := '\"' + '\\''\n/* g */\n";
    assert_eq!(counted(Language::Go, text), [4, 2, 1, 0]);
}

#[test]
fn what_never_ends_ends_with_the_file() {
    for (language, text) in [
        (Language::Rust, "a\n/* b\n"),
        (Language::Rust, "a\nr#\"b\n"),
        (Language::Python, "a\nb = '''c\n"),
        (Language::JavaScript, "a\n`b ${\n"),
        (Language::Java, "a\n\"b\\"),
    ] {
        let lines = language.count(text);
        assert_eq!(lines.code + lines.comments, 2, "{text}");
    }
}

#[test]
fn a_language_is_known_by_the_name() {
    assert_eq!(Language::of(Path::new("src/flood/link.rs")), Some(Language::Rust));
    assert_eq!(Language::of(Path::new("a/herd.py")), Some(Language::Python));
    assert_eq!(Language::of(Path::new("package.json")), None);
}
