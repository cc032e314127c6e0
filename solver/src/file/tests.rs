use super::{ActionKind, Body, Plan, Problem, ReadError, Statistic, Status};

/// The examples of the contract, as they stand there.
const PROBLEM: &str = r#"{
  "name": "rack-7",
  "hosts": [
    {"name": "h1", "capacity": {"cpu": 16000, "memory": 65536},
     "state": "ONLINE", "labels": {"rack": "r1", "zone": "a"},
     "overcommit": {"cpu": 2.0},
     "migration_bandwidth": 1000.0, "max_migrations": 2,
     "idle_watts": 100, "peak_watts": 200}
  ],
  "vms": [
    {"name": "vm1", "host": "h1", "demand": {"cpu": 1200, "memory": 2048},
     "pinned": false, "memory_dirty_rate": 40.0, "labels": {"app": "web"},
     "arrival_demand": {"cpu": 1400}}
  ],
  "constraints": [ {"name": "web-spread", "spread": {"vms": ["vm1", "vm2"]}} ],
  "objectives": ["VIOLATIONS", "ACTIVE_HOSTS", "MIGRATION_COST"],
  "limits": {"max_migrations": 50, "time_limit_s": 5.0,
             "backbone_bandwidth": 10000.0}
}"#;

const PLAN: &str = r#"{
  "status": "FEASIBLE",
  "reason": "",
  "actions": [
    {"id": 1, "type": "MIGRATE", "vm": "vm1", "source": "h1", "destination": "h2",
     "start_s": 0.0, "end_s": 2.4, "after": [], "because": "h1 is 1400 milli-cores over its cpu capacity"},
    {"id": 2, "type": "MIGRATE", "vm": "vm9", "source": "h3", "destination": "h1",
     "start_s": 2.4, "end_s": 6.0, "after": [1], "because": "..."}
  ],
  "placement": {"vm1": "h2", "vm9": "h1"},
  "unplaced": [],
  "objectives": [{"name": "VIOLATIONS", "before": 1000, "value": 0, "bound": 0}],
  "statistics": {"solve_s": 0.04, "first_plan_s": 0.01, "backend": "highs", "nodes": 1}
}"#;

fn refused(text: &str) -> ReadError {
    Problem::from_json(text).expect_err("the text must be refused")
}

#[test]
fn the_contracts_problem_is_read_and_written_again() {
    let problem = Problem::from_json(PROBLEM).unwrap();
    assert_eq!(problem.hosts[0].capacity["memory"], 65536);
    assert_eq!(problem.hosts[0].overcommit["cpu"], 2.0);
    assert_eq!(problem.vms[0].arrival_demand["cpu"], 1400);
    assert!(matches!(&problem.constraints[0].body, Some(Body::Spread { vms, scope: None, max: None })
        if vms.vms == ["vm1", "vm2"]));
    assert_eq!(problem.limits.as_ref().unwrap().max_migrations, Some(50));
    assert_eq!(Problem::from_json(&problem.to_json()).unwrap(), problem);
}

#[test]
fn the_contracts_plan_is_read_and_written_again() {
    let plan = Plan::from_json(PLAN).unwrap();
    assert_eq!(plan.status, Status::Feasible);
    assert_eq!(plan.actions[1].after, [1]);
    assert_eq!(plan.actions[0].kind, ActionKind::Migrate);
    assert_eq!(plan.statistics["backend"], Statistic::Text("highs".into()));
    let text = plan.to_json();
    assert_eq!(Plan::from_json(&text).unwrap(), plan);
    for field in ["reason", "after", "unplaced", "placement", "start_s", "because", "statistics", "bound"] {
        assert!(text.contains(&format!("\"{field}\"")), "{field} is part of the contract's example: {text}");
    }
}

#[test]
fn camel_case_strings_for_numbers_and_null_are_read_as_proto3_json() {
    let snake = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 9007199254740992}, "max_migrations": 3,
        "migration_bandwidth": 12.5, "overcommit": {"cpu": 2}}],
        "vms": [{"name": "v", "memory_dirty_rate": 1e2, "priority": 7}],
        "constraints": [{"name": "s", "soft_weight": 2.5, "spread": {"vm_selector": {"app": "web"}, "max": 2}}],
        "limits": {"time_limit_s": 3}}"#;
    let camel = r#"{"name": null, "hosts": [{"name": "a", "capacity": {"cpu": "9007199254740992"},
        "maxMigrations": "3", "migrationBandwidth": "12.5", "overcommit": {"cpu": "2.0"}, "labels": null}],
        "vms": [{"name": "v", "memoryDirtyRate": "1e2", "priority": 7.0, "host": null, "pinned": null}],
        "constraints": [{"name": "s", "softWeight": "2.5", "gather": null,
            "spread": {"vmSelector": {"app": "web"}, "max": "2", "vms": null, "scope": null}}],
        "limits": {"timeLimitS": 3, "maxMigrations": null}, "network": null, "objective": null}"#;
    assert_eq!(Problem::from_json(snake).unwrap(), Problem::from_json(camel).unwrap());
    let plan = r#"{"status": "NO_CHANGE", "numaPlacement": {"v": ["0", 1]}, "statistics": {"deep": {"x": [1]}},
        "actions": [{"id": "12", "type": "START", "startS": "1.5", "endS": null, "after": ["3", 4]}]}"#;
    let plan = Plan::from_json(plan).unwrap();
    assert_eq!((plan.actions[0].id, plan.actions[0].start_s, plan.actions[0].end_s), (12, 1.5, 0.0));
    assert_eq!(plan.actions[0].after, [3, 4]);
    assert_eq!(plan.numa_placement["v"], [0, 1]);
    assert_eq!(plan.statistics["deep"], Statistic::Text(r#"{"x":[1]}"#.into()));
}

#[test]
fn every_fault_names_its_place() {
    for (text, path, says) in [
        (r#"{"hots": []}"#, "hots", "unknown field `hots`"),
        (r#"{"hosts": [{"name": "a"}, {"nam": "b"}]}"#, "hosts[1].nam", "unknown field `nam`"),
        (r#"{"vms": [{"demand": {"cpu": 1.5}}]}"#, "vms[0].demand.cpu", "not an integer"),
        (r#"{"vms": [{"demand": {"cpu": "x"}}]}"#, "vms[0].demand.cpu", "\"x\" is not an integer"),
        (r#"{"vms": [{"demand": {"cpu": "+1"}}]}"#, "vms[0].demand.cpu", "not an integer"),
        (r#"{"vms": [{"demand": {"cpu": 18446744073709551615}}]}"#, "vms[0].demand.cpu", "larger than 2^63"),
        (r#"{"vms": [{"demand": {"cpu": 99999999999999999999999}}]}"#, "vms[0].demand.cpu", "not an integer"),
        (r#"{"vms": [{"demand": {"cpu": null}}]}"#, "vms[0].demand.cpu", "expected an integer"),
        (r#"{"vms": [{"demand": {"cpu": true}}]}"#, "vms[0].demand.cpu", "expected an integer"),
        (r#"{"vms": [{"demand": {"cpu": 1, "cpu": 2}}]}"#, "vms[0].demand", "\"cpu\" is given twice"),
        (r#"{"vms": [{"host": "a", "host": "b"}]}"#, "vms[0]", "duplicate field `host`"),
        (r#"{"vms": [{"memory_dirty_rate": 1, "memoryDirtyRate": 1}]}"#, "vms[0]", "duplicate field"),
        (r#"{"vms": [{"labels": {"a": 1}}]}"#, "vms[0].labels.a", "expected a string"),
        (r#"{"vms": [{"pinned": "yes"}]}"#, "vms[0].pinned", "expected a boolean"),
        (r#"{"vms": {"name": "a"}}"#, "vms", "expected a sequence"),
        (r#"{"vms": [null]}"#, "vms[0]", "null"),
        (r#"{"hosts": [{"overcommit": {"cpu": "NaN"}}]}"#, "hosts[0].overcommit.cpu", "not a finite number"),
        (
            r#"{"hosts": [{"migration_bandwidth": "inf"}]}"#,
            "hosts[0].migration_bandwidth",
            "not a finite number",
        ),
        (r#"{"hosts": [{"migration_bandwidth": []}]}"#, "hosts[0].migration_bandwidth", "expected a number"),
        (r#"{"hosts": [{"boot_s": 1e999}]}"#, "hosts[0].boot_s", "out of range"),
        (r#"{"limits": {"max_migration": 1}}"#, "limits.max_migration", "unknown field"),
        (r#"{"constraints": [{"name": "c", "spred": {}}]}"#, "constraints[0].spred", "unknown field `spred`"),
        (
            r#"{"constraints": [{"name": "c", "spread": {"vm": []}}]}"#,
            "constraints[0].spread.vm",
            "unknown field",
        ),
        (
            r#"{"constraints": [{"name": "c", "ban": {"vms": ["a", 1]}}]}"#,
            "constraints[0].ban.vms[1]",
            "expected a string",
        ),
        (
            r#"{"constraints": [{"name": "c", "soft_weight": "x"}]}"#,
            "constraints[0].soft_weight",
            "not a finite",
        ),
        (
            r#"{"constraints": [{"spread": {}, "ban": {}}]}"#,
            "constraints[0]",
            "exactly one body, this one has spread and ban",
        ),
        ("[]", ".", "expected an object"),
        (r#"{"hosts": [["a"]]}"#, "hosts[0]", "expected an object"),
        (r#"{"limits": [1, 2]}"#, "limits", "expected an object"),
        (
            r#"{"constraints": [{"name": "c", "spread": [["a"]]}]}"#,
            "constraints[0].spread",
            "expected an object",
        ),
        ("", ".", "EOF"),
        (r#"{"name": NaN}"#, "name", "expected value"),
        (r"{} {}", ".", "trailing characters"),
    ] {
        let error = refused(text);
        assert_eq!(error.path, path, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
        assert!(error.line == 1 && !error.message.contains(" at line "), "{text}: {error}");
    }
}

#[test]
fn line_and_column_are_those_of_the_fault() {
    let error = refused("{\n  \"hosts\": [\n    {\"name\": \"a\", \"sate\": \"ONLINE\"}\n  ]\n}");
    assert_eq!((error.line, error.path.as_str()), (3, "hosts[0].sate"));
    assert_eq!(error.column, 24, "{error}");
    assert!(
        error.to_string().starts_with("line 3, column 24: hosts[0].sate: unknown field `sate`"),
        "{error}"
    );
}

#[test]
fn garbage_never_panics() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    for cut in 0..PROBLEM.len() {
        if PROBLEM.is_char_boundary(cut) && cut < PROBLEM.len() - 1 {
            assert!(Problem::from_json(&PROBLEM[..cut]).is_err());
        }
    }
    for _ in 0..2000 {
        let mut bytes = PROBLEM.as_bytes().to_vec();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = b"{}[]\",:0-9eE.nulltrue x"[(state >> 20) as usize % 23];
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Problem::from_json(&text), Plan::from_json(&text));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Problem::from_json(&deep).is_err());
    assert!(Problem::from_json(&format!("{{\"network\": {deep}}}")).is_err());
}

#[test]
fn a_plan_says_its_status_and_its_ids() {
    for (text, path, says) in [
        ("{}", ".", "missing field `status`"),
        (r#"{"status": "DONE"}"#, "status", "unknown variant `DONE`"),
        (r#"{"status": "FEASIBLE", "actions": [{"type": "MIGRATE"}]}"#, "actions[0]", "missing field `id`"),
        (r#"{"status": "FEASIBLE", "actions": [{"id": 1}]}"#, "actions[0]", "missing field `type`"),
        (
            r#"{"status": "FEASIBLE", "actions": [{"id": -1, "type": "MIGRATE"}]}"#,
            "actions[0].id",
            "negative",
        ),
        (
            r#"{"status": "FEASIBLE", "actions": [{"id": 1, "type": "MOVE"}]}"#,
            "actions[0].type",
            "unknown variant",
        ),
        (
            r#"{"status": "FEASIBLE", "actions": [{"id": 1, "type": "START", "after": [-2]}]}"#,
            "actions[0].after",
            "negative",
        ),
        (
            r#"{"status": "FEASIBLE", "objectives": [{"name": "A", "value": "x"}]}"#,
            "objectives[0].value",
            "finite",
        ),
        (r#"{"status": "FEASIBLE", "placement": {"a": "b", "a": "c"}}"#, "placement", "given twice"),
    ] {
        let error = Plan::from_json(text).expect_err(text);
        assert_eq!(error.path, path, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_list_of_objectives_that_names_none_is_refused() {
    let error = refused(r#"{"hosts": [], "objectives": []}"#);
    assert_eq!(error.path, "objectives");
    assert!(error.message.contains("names nothing"), "{error}");
    assert!(Problem::from_json(r#"{"hosts": [], "objectives": null}"#).unwrap().objectives.is_empty());
}
