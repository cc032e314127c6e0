//! No command writes over what it reads, or twice to the same file.

use super::command::{dvms, finish, in_root, run};
use std::process::Stdio;

/// A folder with a problem, a plan of it, and what else is read.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        std::fs::copy(in_root("docs/examples/rack.json"), desk.at("problem.json")).unwrap();
        let arguments =
            ["solve", &desk.at("problem.json"), "--time-limit", "5", "--out", &desk.at("plan.json")];
        run(&arguments).expect(0);
        let rule = r#"{"name": "off", "ban": {"vms": ["db1"], "hosts": ["h1"]}}"#;
        std::fs::write(desk.at("rule.json"), rule).unwrap();
        std::os::unix::fs::symlink("problem.json", desk.at("link.json")).unwrap();
        desk
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What every file holds.
    fn all(&self) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        let mut all: Vec<_> =
            files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
        all.sort();
        all
    }

    /// A command, where names of files begin with `@`, that is refused and leaves all files as they are.
    fn refused(&self, line: &str, says: &str) {
        let before = self.all();
        let words: Vec<String> = line
            .split(' ')
            .map(|word| word.strip_prefix('@').map_or_else(|| word.to_owned(), |name| self.at(name)))
            .collect();
        let done = run(&words.iter().map(String::as_str).collect::<Vec<_>>()).expect(2);
        assert!(done.stdout.is_empty(), "{line}: {}", done.stdout);
        assert!(done.stderr.contains(says), "{line}: {}", done.stderr);
        assert!(self.all() == before, "{line}: a file has changed");
    }
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let desk = Desk::new();
    for line in [
        "solve @problem.json --out @problem.json",
        "solve @problem.json --out @link.json",
        "solve @link.json --trace @problem.json",
        "solve @problem.json --plot @problem.json",
        "solve @problem.json --svg @problem.json",
        "solve @problem.json --html @problem.json",
        "whatif @problem.json --add-hosts 1 --out @problem.json",
        "whatif @problem.json --add-hosts 1 --out-problem @problem.json",
        "whatif @problem.json --compare @plan.json --out @plan.json",
        "whatif @problem.json --add-rule @rule.json --out @rule.json",
        "gantt @problem.json @plan.json --svg @problem.json",
        "gantt @problem.json @plan.json --html @plan.json",
        "export btrplace @problem.json --out @problem.json",
        "export btrplace @problem.json --plan @plan.json --out @plan.json",
        "import btrplace @problem.json --out @problem.json",
        "bench --problems @ --out @problem.json",
    ] {
        desk.refused(line, "which is read");
    }
    // Standard input is a file, too.
    let before = desk.all();
    let mut shell = std::process::Command::new("sh");
    let line = "\"$0\" solve - --out \"$1\" < \"$1\"";
    let program = dvms(&[]).get_program().to_owned();
    shell.args(["-c", line]).arg(program).arg(desk.at("problem.json")).stdin(Stdio::null());
    let done = finish(shell, "").expect(2);
    assert!(done.stderr.contains("would be written over standard input, which is read"), "{}", done.stderr);
    assert!(desk.all() == before);
}

#[test]
fn nothing_is_written_twice() {
    let desk = Desk::new();
    for (line, option) in [
        ("solve @problem.json --plot @x --out @x", "--plot"),
        ("solve @problem.json --trace @x --out @x", "--trace"),
        ("solve @problem.json --out @x --html @x", "--html"),
        ("solve @problem.json --svg @x --html @x", "--html"),
        ("whatif @problem.json --add-hosts 1 --out @x --out-problem @x", "--out-problem"),
        ("gantt @problem.json @plan.json --svg @x --html @x", "--html"),
    ] {
        desk.refused(line, "would be written over what is written for --");
        desk.refused(line, &format!("dvms: {option} "));
    }
    // Where nothing is lost, as much goes as is wanted.
    let problem = desk.at("problem.json");
    run(&["solve", &problem, "--time-limit", "5", "--out", "/dev/null", "--plot", "/dev/null"]).expect(0);
}

/// The files beside a report and those of `--csv` count, and so does what an experiment begins with.
#[test]
fn reports_and_series_of_an_experiment_keep_apart() {
    let desk = Desk::new();
    let run = "[[run]]\nstrategy = \"none\"\n";
    let start = "[start]\nproblem = \"problem.json\"\n";
    std::fs::write(desk.at("plain.toml"), format!("seconds = 1\n{run}")).unwrap();
    std::fs::write(desk.at("start.toml"), format!("seconds = 1\n{start}{run}")).unwrap();
    desk.refused(
        "simulate @plain.toml --report @none.html --csv @",
        "none-series.csv would be written over what is written for --report",
    );
    desk.refused("simulate @start.toml --report @problem.json", "problem.json, which is read");
}

#[test]
fn problems_that_are_measured_are_not_written_over_each_other() {
    let desk = Desk::new();
    let folder = desk.at("rack");
    std::fs::create_dir(&folder).unwrap();
    for name in ["a.json", "rack-a.json"] {
        std::fs::copy(desk.at("problem.json"), desk.at(&format!("rack/{name}"))).unwrap();
    }
    desk.refused("bench --problems @rack --write @", "rack-a.json, which is read");
}
