//! `lines` over the file that the report is made by: every model is listed, and every source of theirs is counted.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::support::{json, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

#[test]
fn every_model_is_counted_with_all_it_consists_of() {
    let file = root().join("bench/report/models.toml");
    let told = json(&run(&["lines", file.to_str().unwrap(), "--json"]));
    let models: BTreeMap<_, _> = told["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| (model["name"].as_str().unwrap(), model))
        .collect();
    let names =
        ["asyncio", "go", "java", "node", "node, the models' part", "nodejs", "tokio", "twisted", "uring"];
    assert!(models.keys().eq(names.iter()), "{models:?}");
    let number = |model: &str, of: &str| models[model].pointer(of).and_then(Value::as_u64).unwrap();
    for name in names {
        assert!(number(name, "/own/code") > 100, "{name}");
    }
    // The node's part is of the node, and stands on what the herd on tokio stands on.
    let part = number("node, the models' part", "/own/code");
    assert_eq!(number("node, the models' part", "/shared/code"), number("tokio", "/shared/code"));
    assert!(part + number("tokio", "/shared/code") < number("node", "/own/code"));
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
        assert_eq!(number(model, "/files"), sources.count() as u64, "{model}");
    }
}

#[test]
fn every_defect_says_what_shows_it() {
    let file = root().join("bench/report/models.toml");
    let told = json(&run(&["lines", file.to_str().unwrap(), "--json"]));
    for defect in told["defects"].as_array().unwrap() {
        let found_by = defect["found_by"].as_str().unwrap();
        // A file or a run folder that is named is there, and so is the test in it.
        let path = found_by.split([',', ';', ':', ' ']).next().unwrap();
        assert!(path == "commit" || root().join(path).exists(), "{found_by}");
        if let Some((file, test)) = found_by.split_once(".rs: ") {
            let file = file.rsplit(' ').next().unwrap();
            let text = fs::read_to_string(root().join(format!("{file}.rs"))).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{found_by}");
        }
    }
    let table = String::from_utf8(run(&["lines", file.to_str().unwrap()]).stdout).unwrap();
    assert!(table.starts_with("| model | own code |") && table.contains("\n| java | "), "{table}");
}
