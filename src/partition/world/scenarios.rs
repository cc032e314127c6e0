//! Scenario files: what happens in named situations, those of the literature among them, step by step as people
//! reviewed it. After a change that is meant, `DVMS_BLESS=1 cargo test scenarios` writes them anew.

use super::steps::Step;
use super::*;
use std::path::PathBuf;

/// Where the files are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/partition")
}

/// What divides the script from what is expected.
const RULE: &str = "----";

/// The world that the first lines of a script describe.
fn world(script: &str) -> World {
    let mut plan =
        Plan { cells: Vec::new(), least: Vec::new(), kinds: Vec::new(), faults: Faults::default(), skew: 0 };
    for line in script.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("member") => {
                let member = leak(words.next().expect("a name"));
                let host = |word: &str| {
                    let (name, room) = word.split_once(':').expect("HOST:ROOM");
                    (leak(name), room.parse().expect("a number"))
                };
                plan.cells.push((member, words.map(host).collect()));
            }
            Some("least") => {
                let host = leak(words.next().expect("a host"));
                plan.least.push((host, words.next().and_then(|word| word.parse().ok()).expect("a number")));
            }
            _ => {}
        }
    }
    let mut world = World::new_quiet(&plan);
    world.seen.keep_log = true;
    world.raise_all();
    world
}

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// Does what a line says.
fn play(world: &mut World, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] | ["#" | "member" | "least", ..] => {}
        ["until", member, stage] => {
            let member = Member::from(*member);
            let reached = |world: &World| {
                let node = world.nodes.get(&member);
                node.is_some_and(|node| node.partitions().any(|(_, led)| led.stage().name() == *stage))
            };
            for _ in 0..10_000 {
                if reached(world) {
                    return;
                }
                next(world);
            }
            panic!("{line}: it never is; {}", world.summary());
        }
        ["rest"] => {
            world.settle(20_000).unwrap_or_else(|why| panic!("{why}"));
        }
        ["pass", millis] => {
            let until = Time(world.now.0 + millis.parse::<u64>().expect("milliseconds"));
            while world.is_busy() || world.next().is_some_and(|due| due <= until) {
                next(world);
            }
            world.now = world.now.max(until);
        }
        ["act"] => {
            let begins = |step: &Step| matches!(step, Step::Act(_));
            while let Some(step) = world.steps().into_iter().find(begins) {
                world.take(&step);
            }
        }
        ["crash", member] => world.crash(&(*member).into()),
        ["restart", member] => world.restart(&(*member).into()),
        ["cut", a, b] => world.cut(a, b, true),
        ["heal", a, b] => world.cut(a, b, false),
        ["room", host, room] => {
            let host = Host::from(*host);
            world.room.insert(host.clone(), room.parse().expect("a number"));
            world.truth_changed(&[host]);
        }
        _ => panic!("{line:?}: no such command"),
    }
    if let Some(why) = world.violated() {
        panic!("{line}: {why}");
    }
}

/// What comes next when nothing goes wrong.
fn next(world: &mut World) {
    let steps = world.steps();
    let step = steps.iter().find(|step| !matches!(step, Step::Restart(_))).cloned();
    match step {
        Some(step) => world.take(&step),
        None => world.pass(),
    }
    if let Some(why) = world.violated() {
        panic!("{why}\n{}", world.seen.log.join("\n"));
    }
}

#[test]
fn scenarios_go_as_reviewed() {
    let bless = std::env::var_os("DVMS_BLESS").is_some();
    let mut files: Vec<_> =
        std::fs::read_dir(folder()).expect("scenarios").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 12, "scenarios are missing");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario");
        let script = text.split_once(RULE).map_or(text.as_str(), |(script, _)| script);
        let mut world = world(script);
        for line in script.lines() {
            if !matches!(line.split_whitespace().next(), None | Some("#" | "member" | "least")) {
                world.seen.log.push(format!("> {line}"));
                play(&mut world, line);
            }
        }
        let seen = &world.seen;
        let (plans, merges, largest, messages) = (seen.executed, seen.merges, seen.largest, seen.messages);
        let sums = format!("{plans} plans, {merges} merges, at most {largest} hosts, {messages} messages");
        let now = format!("{script}{RULE}\n{}\n{sums}\n", world.seen.log.join("\n"));
        if bless {
            std::fs::write(&file, now).expect("written");
        } else {
            assert_eq!(
                text,
                now,
                "{}: another course; if it is meant, DVMS_BLESS=1 writes it",
                file.display()
            );
        }
    }
}
