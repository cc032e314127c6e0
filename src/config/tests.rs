use super::{Config, ConfigError};
use std::collections::BTreeMap;
use std::path::Path;

fn faults(text: &str) -> Vec<String> {
    Config::from_toml(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_needed() {
    let config = Config::from_toml("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7600");
    assert_eq!(config.metrics.listen.to_string(), "127.0.0.1:7601");
}

#[test]
fn the_effective_configuration_reads_back() {
    let text = r#"
state_dir = "/tmp/x"
[server]
listen = "[::1]:0"
[log]
format = "json"
[[constraints]]
name = "web"
spread = { vm_selector = { app = "web" }, scope = "rack", max = 2 }
[[constraints]]
name = "db"
soft_weight = 2.5
fence = { vms = ["db1"], hosts = ["h1", "h2"] }
"#;
    let config = Config::from_toml(text).unwrap();
    assert_eq!(config.constraints.len(), 2);
    assert_eq!(Config::from_toml(&config.to_toml()).unwrap(), config);
    let default = Config::default();
    assert_eq!(Config::from_toml(&default.to_toml()).unwrap(), default);
}

#[test]
fn all_faults_are_reported_with_line_and_path() {
    let text = r#"state_dir = 7
colour = "red"
[server]
listen = "nowhere"
lisen = "127.0.0.1:1"
stop_timeout_s = 0.0
[metrics]
listen = "0.0.0.0:7601"
[log]
format = "xml"
filter = "dvms=loud"
[solve]
threads = 0
[inventory]
cpu_reserve = 2.0
[planning]
mode = "yolo"
[execution]
restart_dead = true
[[constraints]]
name = "web"
spread = { vms = ["a"], vm_selector = { app = "web" } }
[[constraints]]
name = "web"
spread = { vms = ["a", "b"], most = 2 }
"#;
    let found = faults(text);
    let all = found.join("\n");
    for expected in [
        "line 1: state_dir: invalid type: integer `7`",
        "line 2: colour: there is no such setting; there are state_dir, server",
        "line 4: server.listen: invalid socket address",
        "line 5: server.lisen: unknown field `lisen`, expected one of `listen`",
        "line 6: server.stop_timeout_s: must be from 0.1 to 3600, is 0",
        "line 8: metrics.listen: is not a loopback address",
        "line 10: log.format: unknown variant `xml`",
        "line 11: log.filter: \"dvms=loud\" is not a filter",
        "line 13: solve.threads: must be from 1 to 256, is 0",
        "line 15: inventory.cpu_reserve: must be from 0 to 0.9, is 2",
        "line 17: planning.mode: unknown variant `yolo`",
        "line 19: execution.restart_dead: unknown field `restart_dead`",
        "line 22: constraints[0].spread",
        "unknown field `most`",
    ] {
        assert!(all.contains(expected), "{expected:?} is not in:\n{all}");
    }
    assert!(found.len() >= 14);
}

#[test]
fn faults_of_syntax_have_a_line() {
    let found = faults("[server]\nlisten = \n");
    assert!(found[0].starts_with("line 2: "), "{found:?}");
}

#[test]
fn plain_text_is_served_on_loopback_only() {
    let text = "[server]\nlisten = \"0.0.0.0:7600\"\n";
    assert!(faults(text)[0].contains("server.insecure_plaintext = true"));
    Config::from_toml(&format!("{text}insecure_plaintext = true\n")).unwrap();
}

#[test]
fn rules_that_cannot_be_planned_with_are_refused_by_name() {
    let found = faults("[[constraints]]\nname = \"x\"\nsync = { vms = [\"a\"] }\n");
    assert!(found[0].starts_with("line 3: constraints[0].sync"), "{found:?}");
    let found = faults("[[constraints]]\nname = \"x\"\n");
    assert!(found[0].starts_with("line 1: constraints[0]"), "{found:?}");
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&path, inner, into),
            other => drop(into.insert(path, other.to_string())),
        }
    }
}

#[test]
fn the_documentation_lists_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("## Settings of the coordinator").nth(1).expect("a section of that name");
    let section = section.split("\n## ").next().unwrap();
    let cell = |cell: &str| cell.trim_matches([' ', '|', '`']).to_owned();
    let row = |row: &str| {
        row.split_once(" | ").map(|(name, rest)| (cell(name), cell(rest.split(" | ").next().unwrap())))
    };
    let listed: BTreeMap<_, _> =
        section.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect();
    // The default of this one is of the machine; the documentation says of a service.
    let config = Config { state_dir: "/var/lib/dvms".into(), ..Config::default() };
    let mut settings = BTreeMap::new();
    flatten("", &config.to_toml().parse().unwrap(), &mut settings);
    assert_eq!(listed, settings, "docs/OPERATIONS.md (left) and the program (right)");
}

#[test]
fn the_shipped_sample_is_valid() {
    Config::from_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/dvms.toml")).unwrap();
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let error = Config::from_file(Path::new("/nonexistent/dvms.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }));
}

#[test]
fn limits_and_hours_are_read_and_judged() {
    let text = r#"[execution]
max_concurrent = 20
[[execution.uplinks]]
label = "rack"
max_concurrent = 4
bandwidth_mib_s = 500.0
[[execution.windows]]
name = "night"
from = "22:00"
to = "06:00"
zone = "Europe/Paris"
triggers = ["UNDERLOAD", "request"]
[[execution.blackouts]]
name = "closing"
days = ["fri"]
from = "17:00"
to = "09:00"
"#;
    let config = Config::from_toml(text).unwrap();
    assert_eq!(Config::from_toml(&config.to_toml()).unwrap(), config);
    let wrong = text
        .replace("max_concurrent = 4", "max_concurrent = 0")
        .replace("22:00", "22 h")
        .replace("Europe/Paris", "Paris")
        .replace("\"UNDERLOAD\"", "\"IDLE\"");
    let found = faults(&wrong).join("\n");
    for expected in [
        "line 5: execution.uplinks[0].max_concurrent: must be at least 1",
        "line 9: execution.windows[0].from: must be a time of day such as 22:30, is \"22 h\"",
        "line 11: execution.windows[0].zone: must be the name of a time zone such as Europe/Paris, is \"Paris\"",
        "line 12: execution.windows[0].triggers: must be \"request\" or one of OVERLOAD",
    ] {
        assert!(found.contains(expected), "{expected:?} is not in:\n{found}");
    }
    assert!(faults(&text.replace("\"fri\"", "\"friday\"")).join("").contains("unknown variant `friday`"));
}

#[test]
fn a_ring_is_a_fixed_list_or_told_by_etcd() {
    let fixed = r#"
[ring]
name = "east"
[[ring.members]]
name = "east"
address = "10.0.1.1:7600"
site = "paris"
[[ring.members]]
name = "west"
address = "10.0.2.1:7600"
"#;
    let told = r#"
[ring]
name = "east"
address = "10.0.1.1:7600"
site = "paris"
[ring.etcd]
endpoints = ["10.0.1.9:2379"]
"#;
    for text in [fixed, told] {
        let config = Config::from_toml(text).unwrap();
        assert_eq!(Config::from_toml(&config.to_toml()).unwrap(), config);
    }
    assert_eq!(Config::from_toml(fixed).unwrap().ring.members.len(), 2);
}

#[test]
fn what_is_no_ring_is_refused_with_its_place() {
    let text = r#"
[ring]
name = "south"
lease_s = 0.5
address = "10.0.1.1:7600"
[[ring.members]]
name = "east"
address = "10.0.1.1"
[[ring.members]]
name = "east"
address = "10.0.2.1:0"
[[ring.members]]
name = "no way"
address = "10.0.3.1:7600"
[ring.etcd]
prefix = "dvms"
ttl_s = 0
"#;
    let found = faults(text);
    for place in [
        "line 3: ring.name: south is none of ring.members",
        "line 4: ring.lease_s: must be from 2 to 600",
        "line 5: ring.address: is for ring.etcd only",
        "line 8: ring.members[0].address: must be host:port",
        "line 10: ring.members[1].name: east is there twice",
        "line 11: ring.members[1].address: must be host:port",
        "line 13: ring.members[2].name: must be",
        "line 16: ring.etcd.prefix: must begin with /",
        "line 17: ring.etcd.ttl_s: must be from 2 to 600",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(place)), "{place} in {found:#?}");
    }
    assert_eq!(found.len(), 9, "{found:#?}");
    let both = "[ring]\nname = \"a\"\nmembers = [{ name = \"a\", address = \"h:1\" }]\n[ring.etcd]\nendpoints = [\"e\"]\n";
    let both = faults(both);
    for place in [
        "ring.members: cannot be set together",
        "ring.address: must be host:port",
        "ring.etcd.endpoints[0]: must be",
    ] {
        assert!(both.iter().any(|fault| fault.contains(place)), "{place} in {both:#?}");
    }
    let nameless = faults("[[ring.members]]\nname = \"a\"\naddress = \"h:1\"\n");
    assert!(nameless.iter().any(|fault| fault.contains("which of them is this one?")), "{nameless:#?}");
}

#[test]
fn an_address_that_two_members_have_is_refused_with_its_line() {
    let text = r#"[ring]
name = "east"
[[ring.members]]
name = "east"
address = "10.0.1.1:7600"
[[ring.members]]
name = "west"
address = "10.0.1.1:7600"
"#;
    let twice = "line 8: ring.members[1].address: 10.0.1.1:7600 is there twice: east has it too";
    assert_eq!(faults(text), [twice]);
}

#[test]
fn a_bound_that_is_refused_itself_judges_nothing() {
    for (value, shown) in [("nan", "NaN"), ("-1.0", "-1"), ("1e300", "1e300")] {
        let found = faults(&format!("[detection]\ncpu_overload = {value}\n"));
        let fault = format!("line 2: detection.cpu_overload: must be from 0.01 to 1, is {shown}");
        assert_eq!(found, [fault]);
    }
    let others = "[detection]\ncpu_target = nan\nmemory_overload = nan\n[inventory]\nreport_interval_s = -1.0\n\
        [solve]\nmax_time_limit_s = nan\n[ring]\nlease_s = 1e300\n";
    let found = faults(others);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found[4].ends_with("ring.lease_s: must be from 2 to 600, is 1e300"), "{found:#?}");
    let still = faults("[detection]\ncpu_overload = 0.5\ncpu_target = 0.6\n");
    assert_eq!(still, ["line 3: detection.cpu_target: must be from 0.01 to 0.5, is 0.6"]);
}
