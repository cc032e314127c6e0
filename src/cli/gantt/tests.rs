use super::marks::Marks;
use super::rows::{By, rows};
use super::*;
use crate::cli::table::Look;
use dvms_solver::timeline::Real;

const PROBLEM: &str = r#"{"name": "rack", "hosts": [
    {"name": "a", "capacity": {"cpu": 10000, "memory": 8000}, "state": "DRAINING"},
    {"name": "b", "capacity": {"cpu": 10000, "memory": 8000}},
    {"name": "c", "capacity": {"cpu": 10000, "memory": 8000}, "state": "OFFLINE", "boot_s": 5}],
    "vms": [{"name": "web1", "host": "a", "demand": {"cpu": 6000, "memory": 4000}},
            {"name": "db1", "host": "b", "demand": {"cpu": 8000, "memory": 3000}},
            {"name": "new1", "demand": {"cpu": 1000, "memory": 500}}],
    "limits": {"power_actions": true}}"#;
const PLAN: &str = r#"{"status": "FEASIBLE", "placement": {"web1": "b", "db1": "c", "new1": "b"}, "actions": [
    {"id": 1, "type": "BOOT", "destination": "c", "start_s": 0, "end_s": 5, "because": "there is no room"},
    {"id": 2, "type": "START", "vm": "new1", "destination": "b", "start_s": 0, "end_s": 0, "because": "new1 waits"},
    {"id": 3, "type": "MIGRATE", "vm": "db1", "source": "b", "destination": "c", "start_s": 5, "end_s": 8.03, "after": [1],
     "because": "makes room for web1"},
    {"id": 4, "type": "MIGRATE", "vm": "web1", "source": "a", "destination": "b", "start_s": 8.03, "end_s": 12.06,
     "after": [3], "because": "a is drained"}]}"#;

fn files() -> (Problem, Plan) {
    (Problem::from_json(PROBLEM).unwrap(), Plan::from_json(PLAN).unwrap())
}

fn drawn() -> Timeline {
    let (problem, plan) = files();
    // It lists no objectives, which is no matter here.
    let wrong: Vec<_> =
        check(&problem, &plan).violations.into_iter().filter(|wrong| wrong.rule > 0).collect();
    assert_eq!(wrong, []);
    timeline(&problem, &plan, None).unwrap()
}

fn ascii() -> Marks {
    Marks::new(true)
}

const CHART: &str = "\
makespan 12.1 s, bound 8 s: way of db1 once there is room, port of c in: 8 s; longest chain of `after` 12.1 s (3 actions)
               0 s                        5 s                        10 s
               +--------------------------+--------------------------+----------
b              | start new1 >b            {db1 b>c=======}
c              {boot c===================}
a                                                         {web1 a>b============}

port of a out                                             x#####################
  at most 1000 of 1000 MiB/s
port of b in                                              x#####################
  at most 1000 of 1000 MiB/s
port of b out                            .################:
  at most 1000 of 1000 MiB/s
port of c in                             .################:
  at most 1000 of 1000 MiB/s
b cpu          ############################################xxxxxxxxxxxxxxxxxxxxx
  at most 9000 of 10000
c cpu                                    XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX
  at most 8000 of 10000
a cpu          iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii
  at most 6000 of 10000
b memory       ;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;iiiiiiiiiiiiiiiiiiiiii
  at most 4500 of 8000
a memory       ;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;
  at most 4000 of 8000

The end waits for:
    1 boot c, 0 s to 5 s
    3 db1 b > c, 5 s to 8 s, after 1
    4 web1 a > b, 8 s to 12.1 s, after 3
";

#[test]
fn a_chart_is_drawn_as_text() {
    let look = Look { width: Some(80), ..Look::PLAIN };
    assert_eq!(text::chart(&drawn(), By::Host, look, ascii()), CHART);
    let by_vm = text::chart(&drawn(), By::Vm, look, ascii());
    assert!(by_vm.lines().any(|line| line.starts_with("web1 ") && line.contains("{a>b=")), "{by_vm}");
    for line in CHART.lines().chain(by_vm.lines()).take_while(|line| !line.is_empty()).skip(1) {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn only_what_is_coloured_is_coloured() {
    let (plain, colour) = (
        Look { width: Some(80), ..Look::PLAIN },
        Paint::for_stdout(super::super::paint::ColorChoice::Always),
    );
    let painted = text::chart(&drawn(), By::Host, Look { paint: colour, ..plain }, ascii());
    let mut bare = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        bare += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(bare + rest, text::chart(&drawn(), By::Host, plain, ascii()));
    assert!(painted.contains("\x1b[33m{"), "{painted}");
}

#[test]
fn each_step_is_told() {
    let timeline = drawn();
    let expected = "\
Step 3 of 4, at 8 s
  ends     3 db1 b → c
  begins   4 web1 a → b, as 3 ended
  changes  b cpu 9 cores → 7 cores of 10 cores (70 %)
  changes  b memory 3.4 GiB → 4.4 GiB of 7.8 GiB (56 %)
";
    assert_eq!(steps::one(&timeline, 2, Look::PLAIN, Marks::UNICODE), expected);
    let plain = steps::all(&timeline, Look::PLAIN, ascii());
    assert!(plain.is_ascii() && plain.contains("3 db1 b > c"), "{plain}");
    let first = steps::one(&timeline, 0, Look::PLAIN, Marks::UNICODE);
    assert!(
        first.contains("  begins   2 start new1 → b\n") && first.contains("  waits    4 web1 a → b for 3\n"),
        "{first}"
    );
    let all = steps::all(&timeline, Look::PLAIN, Marks::UNICODE);
    assert_eq!(all.matches("Step ").count(), 4);
    assert_eq!(steps::value(&timeline, 0)["waits"][1], serde_json::json!({"id": 4, "for": [3]}));
    let hosts = steps::hosts(&timeline, 0, Look::PLAIN, 10);
    assert!(hosts.contains("BOOTING") && hosts.contains("90 %"), "{hosts}");
}

#[test]
fn every_action_stands_in_one_row() {
    let timeline = drawn();
    for by in [By::Host, By::Vm] {
        let shown = rows(&timeline, by, 100);
        let mut all: Vec<usize> = shown.list.iter().flat_map(|row| row.tracks.concat()).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3], "{by:?}");
        assert_eq!((shown.left_out, shown.left_out_actions), (0, 0));
    }
    // The start and the migration of b do not overlap.
    let by_host = rows(&timeline, By::Host, 100);
    assert_eq!(by_host.list.iter().map(|row| row.tracks.len()).collect::<Vec<_>>(), [1, 1, 1]);
}

/// Many drained hosts, each with one VM, and one with two.
fn many(count: usize) -> (Problem, Plan) {
    let (mut hosts, mut vms, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..count {
        hosts.push(format!(r#"{{"name": "h{i}", "capacity": {{"memory": 4000}}, "state": "DRAINING"}}"#));
        hosts.push(format!(r#"{{"name": "to{i}", "capacity": {{"memory": 4000}}}}"#));
        vms.push(format!(r#"{{"name": "v{i}", "host": "h{i}", "demand": {{"memory": 2000}}}}"#));
        let (id, end) = (i + 1, if i == 7 { 4.03 } else { 2.03 });
        actions.push(format!(
            r#"{{"id": {id}, "type": "MIGRATE", "vm": "v{i}", "source": "h{i}", "destination": "to{i}", "end_s": {end}, "because": "it is drained"}}"#
        ));
    }
    let problem = format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts.join(","), vms.join(","));
    let plan = format!(r#"{{"status": "FEASIBLE", "actions": [{}]}}"#, actions.join(","));
    (Problem::from_json(&problem).unwrap(), Plan::from_json(&plan).unwrap())
}

#[test]
fn of_large_plans_the_busiest_rows_are_shown_and_the_rest_is_counted() {
    let (problem, plan) = many(10_000);
    let timeline = timeline(&problem, &plan, None).unwrap();
    let shown = text::chart(&timeline, By::Host, Look::PLAIN, ascii());
    assert!(shown.lines().count() < 80, "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("h7 ")), "{shown}");
    assert!(shown.contains("\n9960 hosts with less to do, 9960 actions, not shown"), "{shown}");
    let page = page::page(&problem, &plan, &timeline, "many", "many");
    assert!(page.contains("9000 actions more not shown") && page.contains("19940 hosts not shown"));
    assert!(page.len() < 4_000_000, "{}", page.len());
}

/// What ends an attribute, an element or a script.
const HOSTILE: &str = "</script><b title=\"x\" onclick='y'>&amp;]]>\u{1}";

fn hostile() -> (Problem, Plan, Timeline) {
    let (mut problem, mut plan) = files();
    let mut timeline = drawn();
    problem.name = HOSTILE.to_owned();
    problem.vms[0].name = HOSTILE.to_owned();
    for (bar, action) in timeline.actions.iter_mut().zip(&mut plan.actions) {
        bar.action.because = HOSTILE.to_owned();
        if !bar.action.vm.is_empty() {
            bar.action.vm = HOSTILE.to_owned();
            action.vm = HOSTILE.to_owned();
        }
        let (id, state) = (bar.action.id, HOSTILE.to_owned());
        bar.real = Some(Real { id, state, start_s: Some(1.0), end_s: None });
    }
    timeline.real_s = Some(20.0);
    timeline.hosts[0].name = HOSTILE.to_owned();
    (problem, plan, timeline)
}

#[test]
fn pictures_are_well_formed_whatever_the_names() {
    let (problem, plan, timeline) = hostile();
    for by in [By::Host, By::Vm] {
        let svg = draw::picture(&timeline, HOSTILE, by, 100);
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert!(!document.descendants().any(|node| node.has_tag_name("b")));
        let bars = document.descendants().filter(|node| node.attribute("data-action").is_some());
        assert_eq!(bars.count(), 4);
    }
    let page = page::page(&problem, &plan, &timeline, HOSTILE, HOSTILE);
    assert_eq!(page.matches("</script>").count(), 2, "none but its own ends a script");
    // It is written so that readers of XML can read it, but for its script.
    let (before, script) = page.split_once("<script>\n").unwrap();
    let text = before.replacen("<!DOCTYPE html>", "", 1) + "</body></html>";
    assert!(!script.contains(HOSTILE));
    let document = roxmltree::Document::parse(&text).unwrap();
    assert!(!document.descendants().any(|node| node.has_tag_name("b")));
    let data = document.descendants().find(|node| node.attribute("id") == Some("data")).unwrap();
    let data: serde_json::Value = serde_json::from_str(data.text().unwrap()).unwrap();
    assert_eq!(data["hosts"][0]["name"], HOSTILE);
    assert_eq!(data["steps"].as_array().unwrap().len(), 4);
    for foreign in ["http://", "https://", "src=", "@import", "url("] {
        let mine = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!mine.contains(foreign), "the page needs {foreign}");
    }
    let shown = text::chart(&timeline, By::Vm, Look::PLAIN, ascii());
    assert!(!shown.contains('\u{1}'), "{shown}");
}

#[test]
fn what_really_happened_is_drawn_beside_the_plan() {
    let (problem, plan) = files();
    let real = |id, state: &str, start, end| Real { id, state: state.to_owned(), start_s: start, end_s: end };
    let actions = vec![
        real(1, "DONE", Some(0.0), Some(6.0)),
        real(3, "RUNNING", Some(6.0), None),
        real(4, "WAITING", None, None),
    ];
    let run = Run { actions, now_s: 14.0 };
    let timeline = timeline(&problem, &plan, Some(&run)).unwrap();
    let shown = text::chart(&timeline, By::Host, Look::PLAIN, ascii());
    assert!(shown.starts_with("makespan 12.1 s, really 14 s, bound"), "{shown}");
    assert!(shown.contains("%done%") || shown.contains("%%"), "{shown}");
    assert!(shown.contains("running%"), "{shown}");
    let svg = draw::picture(&timeline, "x", By::Host, 100);
    assert!(svg.contains("really 6 s to 14 s, RUNNING"), "{svg}");
}

#[test]
fn a_plan_without_actions_is_no_fault() {
    let (problem, _) = files();
    let plan = Plan::from_json(r#"{"status": "INFEASIBLE", "reason": "x"}"#).unwrap();
    let timeline = timeline(&problem, &plan, None).unwrap();
    assert!(text::chart(&timeline, By::Host, Look::PLAIN, ascii()).contains("nothing to draw"));
    assert!(roxmltree::Document::parse(&draw::picture(&timeline, "x", By::Host, 9)).is_ok());
    assert!(page::page(&problem, &plan, &timeline, "x", "y").ends_with("</html>\n"));
    assert!(steps::all(&timeline, Look::PLAIN, Marks::UNICODE).contains("no steps"));
}
