//! Fills the placeholders of a template.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde::Deserialize;

use super::{
    figure::Wanted,
    folder,
    form::{Form, grouped},
};
use crate::rounds::read::Recorded;

/// One of the compared servers: its lines of code, its own and those it shares, and the defects listed for it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Model {
    own: u32,
    shared: u32,
    defects: u32,
    /// Without those in parts only it has.
    comparable: u32,
}

/// What placeholders are filled from.
#[derive(Debug)]
pub(super) struct Sources {
    runs: PathBuf,
    root: PathBuf,
    models: HashMap<String, Model>,
    /// Those that were asked for.
    read: RefCell<HashMap<String, Rc<Recorded>>>,
}

/// A placeholder that cannot be filled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) reason: String,
}

impl Sources {
    pub(super) fn new(runs: &Path, models: HashMap<String, Model>, root: &Path) -> Self {
        Self { runs: runs.to_owned(), root: root.to_owned(), models, read: RefCell::default() }
    }

    /// The text with all placeholders filled in. A line that holds only claims is gone.
    pub(super) fn fill(&self, template: &str) -> Result<String, Fault> {
        let mut filled = String::new();
        for (line, number) in template.split_inclusive('\n').zip(1..) {
            let (mut rest, mut out, mut is_filled) = (line, String::new(), false);
            while let Some(start) = rest.find("{{") {
                let fault = |text: &str, reason| Fault { line: number, text: text.to_owned(), reason };
                let after = &rest[start + 2..];
                let Some(end) = after.find("}}") else {
                    return Err(fault(after.trim_end(), "there is no }} behind it on its line".to_owned()));
                };
                out.push_str(&rest[..start]);
                let text = &after[..end];
                out.push_str(&self.value(text).map_err(|reason| fault(text, reason))?);
                rest = &after[end + 2..];
                is_filled = true;
            }
            out.push_str(rest);
            if !is_filled || !out.trim().is_empty() {
                filled.push_str(&out);
            }
        }
        Ok(filled)
    }

    fn value(&self, text: &str) -> Result<String, String> {
        let fields: Vec<&str> = text.split(';').map(str::trim).collect();
        match fields[..] {
            ["text", path, key] => self.text(path, key),
            ["lines", model, which] => {
                let model = self.model(model)?;
                let count = match which {
                    "own" => model.own,
                    "all" => model.own + model.shared,
                    _ => return Err(format!("{which:?} is neither own nor all")),
                };
                Ok(grouped(&count.to_string()))
            }
            ["defects", model, which] => {
                let model = self.model(model)?;
                match which {
                    "all" => Ok(model.defects.to_string()),
                    "comparable" => Ok(model.comparable.to_string()),
                    _ => Err(format!("{which:?} is neither all nor comparable")),
                }
            }
            ["code", path, lines] => self.code(path, lines),
            ["disturbed", run] => {
                let run = self.run(run)?;
                let all: usize = run.series.iter().map(|series| series.values.len()).sum();
                Ok(format!("{:.1}", 100.0 * run.disturbed as f64 / all.max(1) as f64))
            }
            [run, part, server, what, form] => {
                let form = Form::parse(form)?;
                form.of(Wanted { part, server, what }.in_run(&*self.run(run)?)?)
            }
            _ => Err("these are not the fields of anything; give RUN; PART; SERVER; WHAT; FORM".to_owned()),
        }
    }

    fn run(&self, name: &str) -> Result<Rc<Recorded>, String> {
        if let Some(run) = self.read.borrow().get(name) {
            return Ok(Rc::clone(run));
        }
        let run = Recorded::read(&folder(&self.runs, name)?).map_err(|error| error.to_string())?;
        let run = Rc::new(run);
        self.read.borrow_mut().insert(name.to_owned(), Rc::clone(&run));
        Ok(run)
    }

    fn model(&self, name: &str) -> Result<Model, String> {
        self.models.get(name).copied().ok_or_else(|| format!("there is no model {name:?}"))
    }

    fn text(&self, path: &str, key: &str) -> Result<String, String> {
        let (run, file) = path.split_once('/').ok_or("give RUN/FILE")?;
        let text = read(&folder(&self.runs, run)?.join(file))?;
        let start = format!("{key}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map(str::to_owned).ok_or_else(|| format!("no line of it begins with {start:?}"))
    }

    fn code(&self, path: &str, lines: &str) -> Result<String, String> {
        let text = read(&self.root.join(path))?;
        let wrong = || format!("{lines:?} is no FROM-TO of its {} lines", text.lines().count());
        let (from, to) = lines.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
        if !(1..=to).contains(&from) || to > text.lines().count() {
            return Err(wrong());
        }
        let lines: Vec<&str> = text.lines().skip(from - 1).take(to + 1 - from).collect();
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        let lines: Vec<&str> = lines.iter().map(|line| line.get(common..).unwrap_or("")).collect();
        Ok(lines.join("\n"))
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "\
        {\"part\":\"p\",\"server\":\"a\",\"what\":\"rate\",\"unit\":\"/s\",\"value\":1234.5}\n\
        {\"part\":\"p\",\"server\":\"b\",\"what\":\"rate\",\"unit\":\"/s\",\"value\":1,\"disturbance\":{\"disturbed\":true}}\n";

    fn fill(template: &str) -> Result<String, Fault> {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("runs/2026-01-01-r");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("raw.jsonl"), RAW).unwrap();
        fs::write(run.join("machine.txt"), "cpu: fast\ncores: 2\n").unwrap();
        fs::write(root.path().join("a.rs"), "//! A.\n  fn one() {\n\n    }\n").unwrap();
        let model = Model { own: 1_200, shared: 34, defects: 3, comparable: 1 };
        let models = HashMap::from([("m".to_owned(), model)]);
        Sources::new(&root.path().join("runs"), models, root.path()).fill(template)
    }

    #[test]
    fn placeholders_are_filled_from_runs_and_sources() {
        let filled = fill(
            "# T\n{{r; p; a; rate; > 1000}}\n{{r; p; a; rate; k1}} k/s on {{text; r/machine.txt; cpu}}\n\n\
             {{lines; m; own}} {{lines; m; all}} {{defects; m; all}}-{{defects; m; comparable}} {{disturbed; r}}\n{{code; a.rs; 2-4}}\n",
        );
        assert_eq!(
            filled.as_deref(),
            Ok("# T\n1.2 k/s on fast\n\n1,200 1,234 3-1 50.0\nfn one() {\n\n  }\n")
        );
    }

    #[test]
    fn what_cannot_be_filled_is_told_with_its_line() {
        let cases = [
            ("\n{{r; p; a; rate}}", 2, "not the fields of anything"),
            ("{{q; p; a; rate; 0}}", 1, "no run \"q\""),
            ("{{r; p; a; rate; < 1000}}", 1, "not below 1000"),
            ("{{text; r/machine.txt; ram}}", 1, "begins with \"ram: \""),
            ("{{lines; n; own}}", 1, "no model \"n\""),
            ("{{defects; m; some}}", 1, "neither all nor comparable"),
            ("{{code; a.rs; 2-9}}", 1, "no FROM-TO of its 4 lines"),
            ("{{code; a.rs; 0-1}}", 1, "no FROM-TO"),
            ("x {{r; p; a", 1, "no }} behind it"),
        ];
        for (template, line, reason) in cases {
            let fault = fill(template).unwrap_err();
            assert!(fault.line == line && fault.reason.contains(reason), "{template:?}: {fault:?}");
        }
    }
}
