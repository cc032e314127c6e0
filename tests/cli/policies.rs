//! Rules that are changed from the command line.

use super::cluster::{QUIET, Server};
use super::command::Done;
use serde_json::Value;
use std::path::Path;

const OF_FILE: &str = "[[constraints]]\nname = \"file\"\nban = { vms = [\"v1\"], hosts = [\"h9\"] }\n";

const GOOD: &str = "\
[[constraints]]
name = \"apart\"
soft_weight = 2.0
spread = { vm_selector = { app = \"web\" }, scope = \"rack\", max = 2 }

[[constraints]]
name = \"near\"
fence = { vms = [\"db1\"], hosts = [\"h1\", \"h2\"] }
";

fn stop(server: &mut Server) {
    server.signal("TERM");
    assert_eq!(server.end(), Some(0), "{}", server.log());
}

fn policies(listed: &Done) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    listed["policies"].as_array().cloned().unwrap_or_default()
}

#[test]
fn rules_are_kept_listed_and_taken_away() {
    let state = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = state.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let folder = |name: &str| state.path().join(name);
    let start = |folder: &Path| Server::start(folder, &format!("{QUIET}{OF_FILE}"));
    let mut server = start(&folder("a"));
    let good = file("good.toml", GOOD);
    let kept = server.run(&["policies", "apply", &good]).expect(0).stdout;
    assert!(kept.contains("2 rules kept, by this coordinator") && kept.contains("revision 1"), "{kept}");
    let listed = server.run(&["policies", "list"]).expect(0).stdout;
    for words in
        ["VMs app=web: at most 2 on one rack", "spread, soft 2", "only on hosts h1 h2", "file", "in force"]
    {
        assert!(listed.contains(words), "{words} in\n{listed}");
    }

    // They outlive the coordinator; what is written out can be kept again, elsewhere too.
    stop(&mut server);
    let mut server = start(&folder("a"));
    let written = server.run(&["policies", "list", "--toml"]).expect(0).stdout;
    let json = server.run(&["policies", "list", "-o", "json"]).expect(0);
    assert_eq!(policies(&json).len(), 3);
    let mut other = start(&folder("b"));
    other.run(&["policies", "apply", &file("written.toml", &written)]).expect(0);
    assert_eq!(policies(&other.run(&["policies", "list", "-o", "json"]).expect(0)), policies(&json));
    stop(&mut other);

    // JSON does as well, and replaces the one of the name.
    let text = r#"{"constraints": [{"name": "near", "gather": {"vms": ["db1", "db2"]}}]}"#;
    server.run(&["policies", "apply", &file("good.json", text)]).expect(0);
    let gone = server.run(&["policies", "delete", "apart"]).expect(0).stdout;
    assert!(gone.contains("1 rule taken away: apart") && gone.contains("revision 3"), "{gone}");
    let listed = policies(&server.run(&["policies", "list", "-o", "json"]).expect(0));
    let names: Vec<&str> = listed.iter().map(|policy| policy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["file", "near"]);
    assert_eq!(listed[0]["source"], "POLICY_PLACE_FILE");
    assert!(listed[1]["rule"]["gather"].is_object(), "{listed:?}");
    stop(&mut server);
}

#[test]
fn what_cannot_be_kept_is_said_with_its_place() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), &format!("{QUIET}{OF_FILE}"));
    let refused = |name: &str, text: &str, exit: i32, words: &[&str]| {
        let path = state.path().join(name);
        std::fs::write(&path, text).unwrap();
        let told = server.run(&["policies", "apply", path.to_str().unwrap()]).expect(exit).stderr;
        for words in words {
            assert!(told.contains(words), "{words} in\n{told}");
        }
    };
    let bad = GOOD.replace("max = 2", "max = -2");
    refused("bad.toml", &bad, 2, &["line 4", "constraints[0].spread"]);
    refused(
        "lonely.toml",
        "[[constraints]]\nname = \"x\"\nlonely = { vms = [\"a\"] }\n",
        2,
        &["spread, gather, fence, ban and before"],
    );
    refused("settings.toml", "state_dir = \"/x\"\n", 2, &["for rules alone"]);
    refused("none.toml", "# nothing\n", 2, &["has no rules"]);
    let json = "{\"constraints\": [\n{\"name\": \"a\", \"gather\": {}}]}";
    refused("bad.json", json, 2, &["line 2", "constraints[0]"]);
    refused("same.toml", OF_FILE, 2, &["rules[0].name", "configuration file of this coordinator"]);
    let told = server.run(&["policies", "delete", "file"]).expect(1).stderr;
    assert!(told.contains("take it out there"), "{told}");
    let told = server.run(&["policies", "delete", "nothing"]).expect(1).stderr;
    assert!(told.contains("there is no policy \"nothing\""), "{told}");
    assert!(server.run(&["policies", "list", "--toml"]).expect(0).stdout.trim().ends_with("[]"));
}
