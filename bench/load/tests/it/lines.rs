//! bench/report/lines: what it counts in each language, and that every model and every defect of the report is listed.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

fn lines(file: &Path) -> Output {
    Command::new(root().join("bench/report/lines")).arg(file).output().unwrap()
}

/// Counts by this list, in a folder with these files.
fn listed(list: &str, files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("models.toml", list)]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    lines(&folder.path().join("models.toml"))
}

#[test]
fn every_model_is_counted_with_all_it_consists_of() {
    let told = json(&lines(&root().join("bench/report/models.toml")));
    let models: BTreeMap<_, _> = told.as_object().unwrap().iter().collect();
    let names =
        ["asyncio", "go", "java", "node", "node, the models' part", "nodejs", "tokio", "twisted", "uring"];
    assert!(models.keys().copied().eq(&names), "{models:?}");
    let number = |model: &str, of: &str| told[model][of].as_u64().unwrap();
    for name in names {
        assert!(number(name, "own") > 100, "{name}");
    }
    // The node's part is of the node, and stands on what the herd on tokio stands on.
    let part = number("node, the models' part", "own");
    assert_eq!(number("node, the models' part", "shared"), number("tokio", "shared"));
    assert!(part + number("tokio", "shared") < number("node", "own"));
    for (model, folder) in
        [("go", "go"), ("nodejs", "nodejs"), ("java", "java"), ("asyncio", "asyncio"), ("twisted", "twisted")]
    {
        let sources = fs::read_dir(root().join("bench").join(folder)).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            let name = name.to_string_lossy();
            // Go's tests are beside what they test.
            [".go", ".js", ".java", ".py"].iter().any(|end| name.ends_with(end))
                && !name.ends_with("_test.go")
        });
        assert_eq!(number(model, "files"), sources.count() as u64, "{model}");
    }
}

#[test]
fn every_defect_says_what_shows_it() {
    let text = fs::read_to_string(root().join("bench/report/models.toml")).unwrap();
    let found_by = text.lines().filter_map(|line| line.strip_prefix("found_by = \""));
    let found_by: Vec<_> = found_by.map(|rest| rest.trim_end_matches('"')).collect();
    assert!(found_by.len() > 10);
    for found_by in found_by {
        // A file or a run folder that is named is there, and so is the test in it.
        let path = found_by.split([',', ';', ':', ' ']).next().unwrap();
        assert!(path == "commit" || root().join(path).exists(), "{found_by}");
        if let Some((file, test)) = found_by.split_once(".rs: ") {
            let file = file.rsplit(' ').next().unwrap();
            let text = fs::read_to_string(root().join(format!("{file}.rs"))).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{found_by}");
        }
    }
}

#[test]
fn own_and_shared_lines_are_counted_without_tests() {
    let list = "root = \".\"\n[shared]\nrules = [\"rules.py\"]\n[[model]]\nname = \"node\"\nown = [\"src\"]\n\
                [[model]]\nname = \"asyncio\"\nown = [\"herd.py\"]\nshared = [\"rules\"]\n\
                [[defect]]\nmodel = \"asyncio\"\nbeyond = true\n[[defect]]\nmodel = \"asyncio\"\n";
    let files = [
        ("herd.py", "\"\"\"A herd.\"\"\"\nimport rules\n"),
        ("rules.py", "# Rules.\na = 1\nb = 2\n"),
        ("src/lib.rs", "//! A node.\nmod deep;\n#[cfg(test)]\nmod tests;\n"),
        ("src/tests.rs", "fn a() {}\n"),
        ("src/deep/mod.rs", "fn b() {}\nfn c() {}\n"),
        ("src/deep/b_tests.rs", "fn a() {}\n"),
        ("src/deep/b_test.go", "func a() {}\n"),
        ("src/deep/data.json", "{}\n"),
    ];
    let told = json(&listed(list, &files));
    let expected = serde_json::json!({
        "node": {"files": 2, "own": 3, "shared": 0, "defects": 0, "comparable": 0},
        "asyncio": {"files": 1, "own": 1, "shared": 2, "defects": 2, "comparable": 1},
    });
    assert_eq!(told, expected);
    for (right, wrong, said) in [
        ("shared = [\"rules\"]", "shared = [\"laws\"]", "laws"),
        ("\"herd.py\"", "\"flock.py\"", "flock.py"),
        ("\"herd.py\"", "\"src/deep/data.json\"", "cannot be counted"),
        ("model = \"asyncio\"\nbeyond", "model = \"trio\"\nbeyond", "trio"),
    ] {
        let output = listed(&list.replacen(right, wrong, 1), &files);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{said}: {error}");
    }
}

/// Each language's comments and strings, where they look like one another.
#[test]
fn code_is_what_is_outside_comments_and_tests() {
    for (name, text, code) in [
        ("nested.rs", "//! A.\n\n/// B.\nfn f() { // c\n    /* d\n    e\n\n    */ g();\n    // h\n}\n", 3),
        ("url.rs", "let url = \"http://nobody\"; /* a\nb */\n", 1),
        ("raw.rs", "let raw = r#\"a \"quoted\" // b\"#; /* a\nb */\n", 1),
        ("bytes.rs", "let bytes = br\"\\\"; /* a\nb */\n", 1),
        ("quotes.rs", "let quotes = ['\"', '\\'', b'\"', '\\\\', 'é']; /* a\nb */\n", 1),
        ("life.rs", "fn f<'a>(x: &'a str) -> &'a str { if y == '\"' { x } } /* a\nb */\n", 1),
        ("long.rs", "let a = \"b\n// no comment\n\nc\";\n", 3),
        ("unit.rs", "fn a() {}\n#[cfg(test)]\nmod t {\n    fn b() { \"}\"; }\n}\nfn c() {}\n", 2),
        (
            "inside.rs",
            "impl A {\n    #[cfg(test)]\n    fn b(&self, c: [u8; 4]) -> D {\n        e();\n    }\n}\n",
            2,
        ),
        ("other.rs", "mod a;\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\nmod c;\n", 2),
        ("said.rs", "// #[cfg(test)]\nfn a() {}\n", 1),
        (
            "doc.py",
            "\"\"\"A.\n\nB.\n\"\"\"\nimport a  # c\n# d\ndef f():\n    '''E.'''  # c\n    return 1\n",
            3,
        ),
        (
            "value.py",
            "a = \"\"\"x\n# y\n\"\"\"\nb = (\n    'c # d'\n    rb'\\''  # e\n)\nf(\n    \"\"\"g\"\"\"\n)\n",
            10,
        ),
        (
            "a.js",
            "'use strict'; // a\n/* b\n*/\nconst c = /[/\"]\\/*/g.exec(d) / 2; // \"\n`e ${f} // g\n// h`;\n",
            4,
        ),
        ("b.js", "a = b / c; // d /\n// e\nreturn /'/;\n// '\n", 2),
        (
            "a.java",
            "/** A.\n * B. */\nint a = '\"'; // b\nString c = \"/* d \\\" \";\nString e = \"\"\"\n\"\n// f\n\"\"\";\n",
            6,
        ),
        ("a.go", "// A.\na := `\\` // b\nc := `// d\n\n/* e`\nf := '\"' + '\\''\n/* g */\n", 4),
        ("end.rs", "a\nr#\"b\n", 2),
    ] {
        let list = format!("root = \".\"\n[[model]]\nname = \"m\"\nown = [\"{name}\"]\n");
        assert_eq!(json(&listed(&list, &[(name, text)]))["m"]["own"], code, "{name}");
    }
}
