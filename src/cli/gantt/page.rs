//! The chart as one page that needs nothing else: rows by host or by VM, what links and hosts carry under them, and the
//! plan step by step.

use super::draw::{self, LEFT, Palette, RIGHT, WIDTH};
use super::rows::{By, named, rows};
use super::text::bound;
use crate::cli::format::{count, seconds};
use crate::cli::plot::page::document;
use crate::cli::plot::svg::{Svg, escaped};
use dvms_solver::file::{Plan, Problem};
use dvms_solver::timeline::{HostTrack, Timeline};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// More rows are no picture, more boxes no overview, more lines no table.
const MOST_TRACKS: usize = 200;
const MOST_BOXES: usize = 60;
const MOST_LINES: usize = 1000;

/// The page.
pub(super) fn page(
    problem: &Problem,
    plan: &Plan,
    timeline: &Timeline,
    title: &str,
    headline: &str,
) -> String {
    let (headline, bound) = (escaped(headline), escaped(&bound(timeline)));
    let drawn = |by: By| {
        let mut svg = Svg::new(WIDTH);
        let shown = rows(timeline, by, MOST_TRACKS);
        let bottom = draw::chart(&mut svg, timeline, &shown, by, &Palette::OF_PAGE, 22.0);
        svg.finish_on(bottom + 6.0, "none")
    };
    let (host, vm) = (drawn(By::Host), drawn(By::Vm));
    let mut below = Svg::new(WIDTH);
    let bottom = draw::loads(&mut below, timeline, &Palette::OF_PAGE, 30.0);
    let bottom = draw::uses(&mut below, timeline, &Palette::OF_PAGE, bottom + 40.0);
    let below = below.finish_on(bottom + 6.0, "none");
    let script = include_str!("page.js");
    let steps = timeline.steps.len();
    let (data, more) = data(problem, plan, timeline);
    let more = if more > 0 {
        format!("<p class=\"faint\">{} not shown.</p>", count(more, "host"))
    } else {
        String::new()
    };
    let real = if timeline.real_s.is_some() {
        "<span class=\"key\" style=\"background: var(--done)\"></span>as it really went"
    } else {
        ""
    };
    let body = format!(
        "<p>{headline}</p>
<p>{bound}</p>
<div>
<input type=\"radio\" name=\"by\" id=\"by-host\" checked=\"checked\"/> <label for=\"by-host\">by host</label>
<input type=\"radio\" name=\"by\" id=\"by-vm\"/> <label for=\"by-vm\">by VM</label>
<span class=\"faint\"><span class=\"key\" style=\"background: var(--critical)\"></span>the end waits for it
<span class=\"key\" style=\"background: var(--bar)\"></span>others {real}</span>
<div class=\"wide host\">
{host}</div>
<div class=\"wide vm\">
{vm}</div>
</div>
<div class=\"wide\">
{below}</div>
<h2 class=\"stepwise\">Step by step</h2>
<div class=\"steps\">
<button type=\"button\" id=\"previous\" aria-label=\"the step before\">◀</button>
<button type=\"button\" id=\"next\" aria-label=\"the next step\">▶</button>
<input type=\"range\" id=\"step\" min=\"0\" max=\"{steps}\" value=\"0\" aria-label=\"step\"/>
<output id=\"at\" for=\"step\"></output>
</div>
<div class=\"events\" id=\"events\"></div>
<div class=\"boxes\" id=\"boxes\"></div>
{more}
<h2>Actions</h2>
{table}<script type=\"application/json\" id=\"data\">{data}</script>
<script>
{script}</script>
",
        table = table(timeline),
    );
    document(title, include_str!("page.css"), &body)
}

fn table(timeline: &Timeline) -> String {
    let mut text = String::from(
        "<div class=\"wide\"><table>\n<tr><th>Id</th><th>Action</th><th>Start</th><th>End</th><th>After</th>\
         <th>Because</th></tr>\n",
    );
    for bar in timeline.actions.iter().take(MOST_LINES) {
        let action = &bar.action;
        let after: Vec<_> = action.after.iter().map(u64::to_string).collect();
        let class = if bar.critical { " class=\"critical\"" } else { "" };
        let _ = writeln!(
            text,
            "<tr{class}><td class=\"number\">{}</td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
            action.id,
            escaped(&named(bar, "→")),
            seconds(action.start_s),
            seconds(action.end_s),
            after.join(", "),
            escaped(&action.because)
        );
    }
    text.push_str("</table></div>\n");
    if let Some(more) = timeline.actions.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        let _ = writeln!(text, "<p class=\"faint\">{} more not shown.</p>", count(more, "action"));
    }
    text
}

/// What the script steps through, and how many hosts are not in it.
fn data(problem: &Problem, plan: &Plan, timeline: &Timeline) -> (String, usize) {
    let moved: BTreeSet<&str> = plan.actions.iter().map(|action| action.vm.as_str()).collect();
    let mut on: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let failed = |host: &str| problem.hosts.iter().any(|known| known.name == host && known.state == "FAILED");
    let down: BTreeSet<&str> =
        problem.hosts.iter().map(|host| host.name.as_str()).filter(|host| failed(host)).collect();
    for vm in problem.vms.iter().filter(|vm| !down.contains(vm.host.as_str())) {
        on.entry(vm.host.as_str()).or_default().push(&vm.name);
    }
    let host = |host: &HostTrack| {
        let vms = on.get(host.name.as_str()).map_or(&[][..], Vec::as_slice);
        let (go, stay): (Vec<&str>, Vec<&str>) = vms.iter().partition(|vm| moved.contains(**vm));
        json!({"name": host.name, "states": host.states, "uses": host.uses, "vms": go, "others": stay.len()})
    };
    let action = |bar: &dvms_solver::timeline::Bar| {
        json!({
            "id": bar.action.id, "name": named(bar, "→"), "vm": bar.action.vm, "source": bar.action.source,
            "destination": bar.action.destination, "after": bar.action.after,
        })
    };
    let touched = || timeline.hosts.iter().filter(|host| host.touched);
    // In the order in which VMs come and go, so that one looks at a host after the other is there.
    let mut ordered: Vec<usize> = (0..timeline.actions.len()).collect();
    ordered.sort_by(|a, b| {
        timeline.actions[*a].action.start_s.total_cmp(&timeline.actions[*b].action.start_s).then(a.cmp(b))
    });
    let step = |step: &dvms_solver::timeline::Step| json!({"at_s": step.at_s, "ends": step.ends, "begins": step.begins});
    let value: Value = json!({
        "left": LEFT, "right": RIGHT, "until": timeline.until_s(),
        "hosts": touched().take(MOST_BOXES).map(host).collect::<Vec<_>>(),
        "actions": ordered.iter().map(|i| action(&timeline.actions[*i])).collect::<Vec<_>>(),
        "steps": timeline.steps.iter().map(step).collect::<Vec<_>>(),
    });
    (harmless(&value.to_string()), touched().count().saturating_sub(MOST_BOXES))
}

/// JSON in which nothing ends its element, whatever the names.
fn harmless(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
