//! What the documentation tells people to type is typed here.

use super::cluster::{Agents, QUIET, SMALL, Server};
use super::command::{finish, in_root, root, run};
use super::grpcurl::grpcurl;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A block of commands.
#[derive(Debug, PartialEq)]
struct Block {
    /// File and line.
    place: String,
    commands: Vec<String>,
    /// Why it is not run.
    not_run: Option<String>,
}

/// The blocks of a text that are marked as `sh`.
fn blocks(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut reason: Option<String> = None;
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        let place = format!("{file}:{}", i + 1);
        if let Some(rest) = line.trim().strip_prefix("<!-- not run:") {
            let rest =
                rest.strip_suffix("-->").unwrap_or_else(|| panic!("{place}: the marker ends in -->")).trim();
            assert!(rest.split(' ').count() >= 3, "{place}: a block that is not run says why: {rest:?}");
            reason = Some(rest.to_owned());
        } else if let Some(language) = line.trim().strip_prefix("```") {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            let body = body.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
            let commands =
                body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            match language {
                "sh" => blocks.push(Block {
                    place,
                    commands: commands.map(str::to_owned).collect(),
                    not_run: reason.take(),
                }),
                // Commands that nobody tests grow stale.
                "bash" | "shell" | "console" | "" => {
                    panic!("{place}: commands are marked as sh, text as text")
                }
                _ => assert!(reason.is_none(), "{place}: not a block of commands, it is never run"),
            }
        } else if !line.trim().is_empty() {
            assert!(reason.is_none(), "{place}: a marker stands right before its block");
        }
    }
    blocks
}

fn documentation() -> Vec<Block> {
    let mut files = vec![root().join("README.md")];
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        blocks(name, &std::fs::read_to_string(path).unwrap())
    };
    files.iter().flat_map(read).collect()
}

/// Words of a command line, with quotes; no more of a shell than the documentation needs.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote is left open in {line}");
    words.extend(word);
    words
}

/// Runs a command in a folder as a reader of the documentation would, against a server.
fn type_in(
    command: &str,
    folder: &Path,
    server: &Server,
    runtime: &tokio::runtime::Runtime,
) -> Result<String, String> {
    let address = server.address.trim_start_matches("http://");
    let command =
        command.replace("127.0.0.1:7600", address).replace("127.0.0.1:7601/metrics", &server.metrics);
    let first = command.split(' ').next().unwrap_or_default();
    match first {
        "dvms" => {
            let mut shell = Command::new("sh");
            let binary = Path::new(env!("CARGO_BIN_EXE_dvms")).parent().unwrap().display().to_string();
            let path = format!("{binary}:{}", std::env::var("PATH").unwrap_or_default());
            shell
                .args(["-c", &command])
                .current_dir(folder)
                .env("PATH", path)
                .env("DVMS_SERVER", &server.address);
            shell.env_remove("NO_COLOR").env_remove("DVMS_CONFIG");
            let done = finish(shell, "");
            if done.code == Some(0) {
                Ok(done.stdout)
            } else {
                Err(format!("{:?}: {}", done.code, done.stderr))
            }
        }
        "grpcurl" => {
            let mut all = words(&command);
            let stdin = all.iter().position(|word| word == "<").map(|at| {
                let file = all[at + 1].clone();
                all.truncate(at);
                std::fs::read_to_string(folder.join(file)).unwrap()
            });
            runtime.block_on(grpcurl(&all[1..], &stdin.unwrap_or_default()))
        }
        other => Err(format!("this test cannot run {other}; mark the block with <!-- not run: why -->")),
    }
}

#[test]
fn every_command_of_the_documentation_works() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let _agents = Agents::start(&server, SMALL);
    let folder = tempfile::tempdir().unwrap();
    for name in ["docs", "deploy", "experiments"] {
        std::os::unix::fs::symlink(in_root(name), folder.path().join(name)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let blocks = documentation();
    let mut failures = Vec::new();
    let mut count = 0;
    for block in blocks.iter().filter(|block| block.not_run.is_none()) {
        for command in &block.commands {
            count += 1;
            match type_in(command, folder.path(), &server, &runtime) {
                Ok(printed) if printed.trim().is_empty() => {
                    failures.push(format!("{}: {command}: printed nothing", block.place));
                }
                Ok(_) => {}
                Err(error) => failures.push(format!("{}: {command}: {error}", block.place)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 10, "there are {count} commands only; has the documentation changed its form?");
    let not_run: Vec<_> = blocks.iter().filter_map(|block| block.not_run.as_ref()).collect();
    assert!(not_run.len() < count, "more is left out than run: {not_run:?}");
}

#[test]
fn the_readme_lists_exactly_the_commands_that_there_are() {
    let readme = std::fs::read_to_string(in_root("README.md")).unwrap();
    let row = |line: &str| line.strip_prefix("| `dvms ")?.split_once('`').map(|(name, _)| name.to_owned());
    let listed: BTreeSet<_> = readme.lines().filter_map(row).collect();
    let help = run(&["--help"]).expect(0).stdout;
    let commands = help.split("Commands:\n").nth(1).expect("the help has a list of commands");
    let commands = commands.lines().take_while(|line| !line.is_empty());
    // Longer descriptions go on in lines that begin with more blanks.
    let name = |line: &str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    let there: BTreeSet<_> =
        commands.filter_map(name).map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(listed, there, "README.md (left) and dvms --help (right)");
}

#[test]
fn blocks_are_read_as_they_stand() {
    let text = "a\n```sh\ndvms a \\\n  --b\n\n# c\n```\n<!-- not run: it has a reason -->\n```sh\nmake x\n```\n```json\n{}\n```\n";
    let expected = [
        Block { place: "f:2".into(), commands: vec!["dvms a    --b".into()], not_run: None },
        Block {
            place: "f:9".into(),
            commands: vec!["make x".into()],
            not_run: Some("it has a reason".into()),
        },
    ];
    assert_eq!(blocks("f", text), expected);
    assert_eq!(words("a -d '{\"x\": 1}' \"b c\" ''"), ["a", "-d", "{\"x\": 1}", "b c", ""]);
    for bad in
        ["<!-- not run: -->\n```sh\nx\n```", "<!-- not run: some good reason -->\ntext", "```\ndvms x\n```"]
    {
        assert!(std::panic::catch_unwind(|| blocks("f", bad)).is_err(), "{bad}");
    }
}
