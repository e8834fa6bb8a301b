//! The file that lists the servers, as written, and what is counted by it.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Language, Lines};

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Where the paths begin, from the folder of the file.
    root: PathBuf,
    /// Files that several share, by name.
    #[serde(default)]
    shared: BTreeMap<String, Vec<PathBuf>>,
    model: Vec<WrittenModel>,
    #[serde(default)]
    defect: Vec<Defect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenModel {
    name: String,
    /// Files, and folders with all in them.
    own: Vec<PathBuf>,
    /// Names of what is shared.
    #[serde(default)]
    shared: Vec<String>,
    #[serde(default)]
    note: String,
}

/// A defect that was found in one of the servers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Defect {
    /// The server.
    pub model: String,
    /// What was wrong.
    pub what: String,
    /// What showed it, or where it is documented.
    pub found_by: String,
    /// Whether it is in a part that the other servers do not have.
    #[serde(default)]
    pub beyond: bool,
    /// The commit, abbreviated, that fixed it; `None` if it is still there.
    #[serde(default)]
    pub mended: Option<String>,
}

/// What one of the servers consists of.
#[derive(Debug, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// How many files it has to itself.
    pub files: usize,
    /// Their lines.
    pub own: Lines,
    /// How many it shares with others.
    pub shared_files: usize,
    /// Their lines.
    pub shared: Lines,
    /// How many defects are listed for it.
    pub defects: usize,
    /// How many of these are in parts that the other servers do not have.
    pub beyond: usize,
    /// What to know about it.
    pub note: String,
}

/// All servers, counted, and all defects.
#[derive(Debug, Serialize)]
pub struct Models {
    /// As they are listed.
    pub models: Vec<Model>,
    /// As they are listed.
    pub defects: Vec<Defect>,
}

/// Why nothing was counted.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// A file or folder is not there.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {source}", .path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// Its parts do not fit together.
    #[error("{0}")]
    Unknown(String),
    /// Nothing is known of its language.
    #[error("{}: its lines cannot be counted; name .rs, .py, .js, .java or .go files", .0.display())]
    Language(PathBuf),
}

impl Models {
    /// Reads the file, and counts what it names.
    ///
    /// # Errors
    ///
    /// If anything it names is missing, is not a source, or is named for a server that it does not list.
    pub fn read(path: &Path) -> Result<Self, ModelsError> {
        let text = read(path)?;
        let syntax = |source| ModelsError::Syntax { path: path.to_owned(), source: Box::new(source) };
        let written: Written = toml::from_str(&text).map_err(syntax)?;
        let root = path.parent().unwrap_or(Path::new("")).join(&written.root);
        let is_told = |name: &str| written.model.iter().any(|model| model.name == name);
        if let Some(defect) = written.defect.iter().find(|defect| !is_told(&defect.model)) {
            return Err(ModelsError::Unknown(format!(
                "a defect is of {:?}, which is no model",
                defect.model
            )));
        }
        let models = written.model.iter().map(|model| counted(model, &written, &root));
        Ok(Self { models: models.collect::<Result<_, _>>()?, defects: written.defect })
    }
}

fn counted(model: &WrittenModel, written: &Written, root: &Path) -> Result<Model, ModelsError> {
    let own = files(root, &model.own)?;
    let mut shared = Vec::new();
    for name in &model.shared {
        let unknown =
            || ModelsError::Unknown(format!("{} shares {name:?}, which is not in [shared]", model.name));
        shared.extend(files(root, written.shared.get(name).ok_or_else(unknown)?)?);
    }
    shared.retain(|file| !own.contains(file));
    let defects: Vec<_> = written.defect.iter().filter(|defect| defect.model == model.name).collect();
    Ok(Model {
        name: model.name.clone(),
        files: own.len(),
        own: lines(&own)?,
        shared_files: shared.len(),
        shared: lines(&shared)?,
        beyond: defects.iter().filter(|defect| defect.beyond).count(),
        defects: defects.len(),
        note: model.note.clone(),
    })
}

/// The named files, and the sources in the named folders; without tests, and each once.
fn files(root: &Path, named: &[PathBuf]) -> Result<Vec<PathBuf>, ModelsError> {
    let mut files = Vec::new();
    for name in named {
        let path = root.join(name);
        if path.is_dir() {
            sources(&path, &mut files)?;
        } else if Language::of(&path).is_some() {
            files.push(path);
        } else {
            return Err(ModelsError::Language(name.clone()));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ModelsError> {
    let unreadable = |source| ModelsError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name == "tests" || name.ends_with("_tests") || name.ends_with("_test") {
            continue;
        }
        if path.is_dir() {
            sources(&path, files)?;
        } else if Language::of(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

fn lines(files: &[PathBuf]) -> Result<Lines, ModelsError> {
    let mut all = Lines::default();
    for file in files {
        let language = Language::of(file).ok_or_else(|| ModelsError::Language(file.clone()))?;
        all = all.and(language.count(&read(file)?));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String, ModelsError> {
    fs::read_to_string(path).map_err(|source| ModelsError::Unreadable { path: path.to_owned(), source })
}

impl fmt::Display for Models {
    /// As tables in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| model | own code | own comments | shared code | all code | files | defects | of these beyond |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for model in &self.models {
            let Model { name, files, own, shared_files, shared, defects, beyond, .. } = model;
            let (all, files) = (own.code + shared.code, files + shared_files);
            let (code, comments) = (own.code, own.comments);
            writeln!(
                f,
                "| {name} | {code} | {comments} | {} | {all} | {files} | {defects} | {beyond} |",
                shared.code
            )?;
        }
        if !self.defects.is_empty() {
            writeln!(f, "\n| model | defect | found by | mended |\n|---|---|---|---|")?;
        }
        for Defect { model, what, found_by, mended, .. } in &self.defects {
            writeln!(f, "| {model} | {what} | {found_by} | {} |", mended.as_deref().unwrap_or("no"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const FILE: &str = r#"
root = ".."
[shared]
rules = ["python/rules.py"]
[[model]]
name = "node"
own = ["src"]
[[model]]
name = "asyncio"
own = ["herd.py"]
shared = ["rules"]
[[defect]]
model = "asyncio"
what = "it forgets"
found_by = "a test"
"#;

    fn folder(file: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("report/models.toml", file),
            ("herd.py", "\"\"\"A herd.\"\"\"\nimport rules\n"),
            ("python/rules.py", "# Rules.\na = 1\nb = 2\n"),
            ("src/lib.rs", "//! A node.\nmod deep;\n#[cfg(test)]\nmod tests;\n"),
            ("src/tests.rs", "fn a() {}\n"),
            ("src/deep/mod.rs", "fn b() {}\nfn c() {}\n"),
            ("src/deep/b_tests.rs", "fn a() {}\n"),
            ("src/deep/b_test.go", "func a() {}\n"),
            ("src/deep/data.json", "{}\n"),
        ];
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn counted(file: &str) -> Result<Models, ModelsError> {
        Models::read(&folder(file).path().join("report/models.toml"))
    }

    #[test]
    fn own_and_shared_lines_are_counted_without_tests() {
        let Models { models, defects } = counted(FILE).unwrap();
        let [node, asyncio] = &models[..] else { panic!("{models:?}") };
        assert_eq!((node.files, node.own), (2, Lines { code: 3, comments: 1, blank: 0, tests: 2 }));
        assert_eq!((node.shared_files, node.shared, node.defects), (0, Lines::default(), 0));
        assert_eq!(asyncio.own, Lines { code: 1, comments: 1, ..Lines::default() });
        assert_eq!((asyncio.shared_files, asyncio.shared.code, asyncio.defects), (1, 2, 1));
        assert_eq!(defects[0].mended, None);
    }

    #[test]
    fn the_table_has_a_row_a_model_and_a_defect() {
        let table = counted(FILE).unwrap().to_string();
        assert!(table.contains("| node | 3 | 1 | 0 | 3 | 2 | 0 | 0 |\n"), "{table}");
        assert!(table.contains("| asyncio | 1 | 1 | 2 | 3 | 2 | 1 | 0 |\n"), "{table}");
        assert!(table.contains("| asyncio | it forgets | a test | no |\n"), "{table}");
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        for (right, wrong, told) in [
            ("shared = [\"rules\"]", "shared = [\"laws\"]", "laws"),
            ("own = [\"herd.py\"]", "own = [\"flock.py\"]", "flock.py"),
            ("own = [\"herd.py\"]", "own = [\"src/deep/data.json\"]", "cannot be counted"),
            ("model = \"asyncio\"\nwhat", "model = \"trio\"\nwhat", "trio"),
            ("found_by", "seen_by", "seen_by"),
        ] {
            assert!(FILE.contains(right));
            let error = counted(&FILE.replace(right, wrong)).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
