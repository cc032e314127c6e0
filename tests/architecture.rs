//! Holds the rules of docs/ARCHITECTURE.md over the packages, the sources and the built binaries.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sources longer than this are to be split.
const MOST_LINES: usize = 600;

struct Source {
    /// From the workspace root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Lines (from 1) without comments and the contents of strings.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, code_of(line)))
    }

    /// Unit tests in a file of their own may do what the code beside them may not.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

/// A line without its comment and without what is between quotes. Line by line is enough for rules about
/// names: a string over several lines can only make a rule too strict.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => code.push(c),
        }
    }
    code
}

/// Whether code has `name` as a whole path: not as part of a longer identifier.
fn mentions(code: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        !code[..at].ends_with(part_of_name) && !code[at + name.len()..].starts_with(part_of_name)
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files of the repository with one of the extensions; nothing that git ignores or that is hidden.
fn files(extensions: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                walk(&path, extensions, found);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extensions, &mut found);
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
    };
    found.into_iter().map(source).collect()
}

fn sources_in(folder: &str) -> Vec<Source> {
    let found: Vec<_> = files(&["rs"]).into_iter().filter(|source| source.path.starts_with(folder)).collect();
    assert!(!found.is_empty(), "there are no sources in {folder}; has it moved? Then move its rule along");
    found
}

/// Fails with each place where one of `forbidden` is mentioned.
fn assert_without(sources: &[Source], forbidden: &[&str], because: &str) {
    let mut breaches = Vec::new();
    for source in sources {
        for (line, code) in source.code() {
            for name in forbidden.iter().filter(|name| mentions(&code, name)) {
                breaches.push(format!("{}:{line}: {name}", source.path));
            }
        }
    }
    assert!(breaches.is_empty(), "{because}:\n{}", breaches.join("\n"));
}

#[test]
fn the_solver_is_pure() {
    let mut sources = sources_in("solver/src/");
    // Tests ask the judge of the contract, which is a process.
    sources.retain(|source| !source.is_test());
    let forbidden =
        ["tokio", "tonic", "prost", "dvms_proto", "dvms_agent", "dvms", "rand", "std::net", "std::process"];
    assert_without(&sources, &forbidden, "the solver takes a problem and returns a plan, nothing else");
}

#[test]
fn the_solver_reads_the_clock_in_budget_only() {
    let mut sources = sources_in("solver/src/");
    sources.retain(|source| !source.path.ends_with("/budget.rs") && !source.is_test());
    let forbidden = ["Instant::now", "SystemTime", "elapsed", "UNIX_EPOCH"];
    assert_without(
        &sources,
        &forbidden,
        "the clock is read in solver/src/budget.rs only, so that a work limit gives the same plan each time",
    );
}

#[test]
fn modules_point_at_purer_code() {
    // Who may not know whom. `cli` is on top of all.
    let rules: &[(&str, &[&str])] = &[
        (
            "src/partition",
            &[
                "crate::api",
                "crate::cli",
                "crate::coordinator",
                "crate::store",
                "crate::config",
                "crate::metrics",
                "crate::simulator",
            ],
        ),
        ("src/store", &["crate::api", "crate::cli", "crate::coordinator"]),
        ("src/coordinator", &["crate::api", "crate::cli"]),
        ("src/api", &["crate::cli"]),
        ("src/config", &["crate::api", "crate::cli"]),
    ];
    for (module, forbidden) in rules.iter().filter(|(module, _)| root().join(module).is_dir()) {
        let because = format!("{module} may not know what stands above it");
        assert_without(&sources_in(&format!("{module}/")), forbidden, &because);
    }
}

#[test]
fn the_partition_protocol_is_a_pure_state_machine() {
    if !root().join("src/partition").is_dir() {
        return;
    }
    let mut sources = sources_in("src/partition/");
    // What it is tried in keeps the states that it has seen, and reads scenarios.
    sources.retain(|source| !source.path.starts_with("src/partition/world"));
    let forbidden = [
        "dvms_solver",
        "dvms_proto",
        "dvms_agent",
        "tokio",
        "tonic",
        "prost",
        "rusqlite",
        "rand",
        "std::net",
        "std::fs",
        "std::io",
        "std::thread",
        "Instant",
        "SystemTime",
        "HashMap",
        "HashSet",
    ];
    assert_without(
        &sources,
        &forbidden,
        "src/partition has no I/O, no clock, no random source and no unordered maps",
    );
}

#[test]
fn the_simulator_is_pure() {
    let sources = sources_in("src/simulator/");
    let forbidden = [
        "crate::api",
        "crate::btrplace",
        "crate::cli",
        "crate::config",
        "crate::coordinator",
        "crate::metrics",
        "crate::record",
        "crate::solving",
        "crate::store",
        "dvms_proto",
        "dvms_agent",
        "tokio",
        "tonic",
        "rand",
        "std::net",
        "std::fs",
        "std::io",
        "std::process",
        "std::thread",
        "SystemTime",
        "HashMap",
        "HashSet",
    ];
    assert_without(&sources, &forbidden, "the same experiment and seed give the same report");
    let mut timeless = sources;
    timeless.retain(|source| source.path != "src/simulator/decision/stopwatch.rs");
    timeless.retain(|source| source.path != "src/simulator/decision/calibration.rs");
    assert_without(&timeless, &["Instant"], "only measured compute times read the clock");
}

#[test]
fn what_the_coordinator_decides_is_a_pure_state_machine() {
    let mut sources = sources_in("src/coordinator/");
    sources.retain(|source| !source.path.starts_with("src/coordinator/driver") && !source.is_test());
    sources.retain(|source| !source.path.starts_with("src/coordinator/handle/"));
    let forbidden = [
        "tokio",
        "tonic",
        "prost",
        "rand",
        "std::net",
        "std::fs",
        "std::io",
        "std::thread",
        "Instant",
        "SystemTime::now",
    ];
    assert_without(
        &sources,
        &forbidden,
        "only the driver and the handle of the coordinator have I/O, a clock and threads",
    );
}

#[test]
fn wire_types_stay_at_the_edge() {
    let mut sources = files(&["rs"]);
    let edges = [
        "src/api/",
        "src/cli/",
        "src/json.rs",
        "agent/src/link",
        "proto/",
        "tests/",
        "agent/tests/",
        "agent/benches/",
    ];
    sources.retain(|source| !edges.iter().any(|edge| source.path.starts_with(edge)));
    assert_without(
        &sources,
        &["dvms_proto"],
        "wire types are for src/api, the client in src/cli and the agent's link",
    );
}

#[test]
fn unsafe_code_is_in_the_audited_modules_only() {
    let audited = ["agent/src/hypervisor/libvirt/ffi", "solver/src/milp/callback.rs"];
    let mut sources = files(&["rs"]);
    sources.retain(|source| !audited.iter().any(|place| source.path.starts_with(place)));
    assert_without(&sources, &["unsafe"], "unsafe code belongs into the modules that call libvirt and HiGHS");
}

#[test]
fn files_are_small() {
    let kinds = ["rs", "proto", "sh", "py", "c"];
    let long: Vec<_> = files(&kinds)
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines, to be split:\n{}", long.join("\n"));
}

#[test]
fn promises_name_tests_that_exist() {
    let specification = std::fs::read_to_string(root().join("docs/SPECIFICATION.md")).unwrap();
    let sources = files(&["rs"]);
    let mut named = 0;
    for line in specification.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let (_, tests) = line.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        for test in tests.split('`').skip(1).step_by(2).filter(|word| !word.contains(' ')) {
            let head = format!("fn {test}(");
            let found = sources.iter().any(|source| source.text.contains(&head));
            assert!(found, "docs/SPECIFICATION.md names {test}, which is no test");
            named += 1;
        }
    }
    assert!(named > 50, "{named} tests are named");
}

fn manifest(package: &str) -> toml::Table {
    let path = root().join(package).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let members = manifest("")["workspace"]["members"].as_array().unwrap().clone();
    let members = members.iter().map(|member| member.as_str().unwrap().to_owned()).chain([String::new()]);
    for member in members {
        let lints = manifest(&member).get("lints").and_then(|lints| lints.get("workspace")).cloned();
        assert_eq!(lints, Some(true.into()), "{member}/Cargo.toml lacks `[lints] workspace = true`");
    }
}

/// Names of all packages that a package is built from with its default features, tests' ones left out.
fn built_from(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--offline", "--package", package, "--edges", "normal,build", "--prefix", "none"]);
    let output = tree.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    names.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn packages_depend_on_purer_ones() {
    // package, what it must never be built from, what it must be built from (or the rule looks at nothing)
    let rules: &[(&str, &[&str], &str)] = &[
        ("dvms-proto", &["dvms", "dvms-solver", "dvms-agent"], "prost"),
        // The CP solver brings `rand`, with a fixed seed; the solver's own sources do not mention it.
        ("dvms-solver", &["dvms", "dvms-proto", "dvms-agent", "tokio", "tonic", "prost"], "highs"),
        (
            "dvms-agent",
            &["dvms", "dvms-solver", "highs", "highs-sys", "good_lp", "pumpkin-core", "rusqlite"],
            "virt",
        ),
        ("dvms", &["virt", "virt-sys", "openssl-sys"], "highs"),
    ];
    for (package, forbidden, wanted) in rules {
        let packages = built_from(package);
        assert!(packages.contains(*wanted), "{package} is no longer built from {wanted}");
        let found: Vec<_> = forbidden.iter().filter(|name| packages.contains(**name)).collect();
        assert!(found.is_empty(), "{package} must not be built from {found:?}");
    }
}

#[test]
fn dvms_uses_the_agent_without_libvirt() {
    let Some(agent) = manifest("")["dependencies"].get("dvms-agent").cloned() else { return };
    assert_eq!(agent.get("default-features"), Some(&false.into()), "default features bring libvirt");
    let features =
        agent.get("features").and_then(|features| features.as_array()).cloned().unwrap_or_default();
    assert!(!features.contains(&"libvirt".into()), "dvms must not link libvirt");
}

/// The shared libraries that a binary names.
fn shared_libraries(binary: &Path) -> Vec<String> {
    let output = Command::new("readelf").arg("--dynamic").arg(binary).output().unwrap();
    assert!(
        output.status.success(),
        "readelf {}: {}",
        binary.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    needed.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
}

fn contains(binary: &Path, symbol: &str) -> bool {
    let bytes = std::fs::read(binary).unwrap();
    bytes.windows(symbol.len()).any(|window| window == symbol.as_bytes())
}

#[test]
fn the_dvms_binary_links_no_libvirt() {
    let binary = Path::new(env!("CARGO_BIN_EXE_dvms"));
    let libraries = shared_libraries(binary);
    assert!(libraries.iter().any(|name| name.starts_with("libc.so")), "{libraries:?}");
    let libvirt: Vec<_> = libraries.iter().filter(|name| name.starts_with("libvirt")).collect();
    assert!(
        libvirt.is_empty(),
        "{} needs {libvirt:?}. Built together with dvms-agent? `make build` builds them apart, as cargo gives \
         packages that are built together the union of their features",
        binary.display()
    );
}

#[test]
fn the_agent_binary_has_libvirt_and_no_solver() {
    let dvms = Path::new(env!("CARGO_BIN_EXE_dvms"));
    let agent = dvms.with_file_name("dvms-agent");
    if !agent.is_file() {
        eprintln!("SKIPPED: {} is not built; `make build` builds it", agent.display());
        return;
    }
    let libraries = shared_libraries(&agent);
    assert!(libraries.iter().any(|name| name.starts_with("libvirt.so")), "{libraries:?}");
    assert!(!contains(&agent, "Highs_run"), "the agent must not carry HiGHS");
}
