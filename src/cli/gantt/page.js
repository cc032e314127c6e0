"use strict";
// Steps through the plan: what has begun and ended by an instant tells where each VM is.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("step");
  const at = document.getElementById("at");
  const events = document.getElementById("events");
  const boxes = document.getElementById("boxes");
  const actions = new Map(data.actions.map((action) => [action.id, action]));
  const drawings = Array.from(document.querySelectorAll("svg"));

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // The value of a course from an instant on.
  function value(steps, time) {
    let found = steps[0][1];
    for (const [from, amount] of steps) {
      if (from > time) break;
      found = amount;
    }
    return found;
  }

  function line(what, ids, more) {
    const shown = ids.slice(0, 12).map((id) => {
      const action = actions.get(id);
      const said = action ? id + " " + action.name : String(id);
      return more ? said + more(action) : said;
    });
    if (ids.length > shown.length) shown.push("… and " + (ids.length - shown.length) + " more");
    return shown.length ? element("p", "", what + ": " + shown.join("; ")) : null;
  }

  // VMs that a host runs or that are on their way to it or away from it.
  function placement(begun, ended) {
    const on = new Map(data.hosts.map((host) => [host.name, new Map()]));
    for (const host of data.hosts) for (const vm of host.vms) on.get(host.name).set(vm, "");
    for (const action of data.actions) {
      if (!action.vm || !begun.has(action.id)) continue;
      const done = ended.has(action.id);
      const from = on.get(action.source), to = on.get(action.destination);
      if (done && from && action.source !== action.destination) from.delete(action.vm);
      if (!done && from) from.set(action.vm, "moving");
      if (to) to.set(action.vm, done ? "" : "moving");
    }
    return on;
  }

  function box(host, vms, time, before) {
    const state = value(host.states, time);
    const made = element("div", "box");
    made.append(element("b", "", host.name), element("span", "faint", state === "ONLINE" ? "" : " " + state));
    for (const use of host.uses) {
      const now = value(use.steps, time), share = use.usable > 0 ? now / use.usable : now > 0 ? 2 : 0;
      if (before !== null && value(use.steps, before) !== now) made.classList.add("changed");
      const row = element("div", share > 1 ? "use over" : "use");
      const bar = element("i"), fill = element("span");
      fill.style.width = Math.min(100, 100 * share) + "%";
      bar.append(fill);
      const node = use.node === undefined ? "" : " " + use.node;
      row.append(element("span", "", use.resource + node), bar, element("em", "", Math.round(100 * share) + " %"));
      row.title = now + " of " + use.usable;
      made.append(row);
    }
    for (const [vm, how] of vms) made.append(element("span", "chip " + how, vm));
    if (host.others > 0) made.append(element("span", "chip others", "+ " + host.others + " that stay"));
    return made;
  }

  function cursor(drawing, time) {
    let mark = drawing.querySelector(".cursor");
    if (!mark) {
      mark = document.createElementNS("http://www.w3.org/2000/svg", "line");
      mark.setAttribute("class", "cursor");
      mark.setAttribute("stroke", "var(--failed)");
      mark.setAttribute("y1", "0");
      mark.setAttribute("y2", "100%");
      drawing.append(mark);
    }
    const x = data.left + (data.until > 0 ? time / data.until : 0) * (data.right - data.left);
    mark.setAttribute("x1", x);
    mark.setAttribute("x2", x);
  }

  function show() {
    const number = Number(slider.value);
    const step = number > 0 ? data.steps[number - 1] : { at_s: 0, begins: [], ends: [] };
    const begun = new Set(), ended = new Set();
    for (const past of data.steps.slice(0, number)) {
      past.begins.forEach((id) => begun.add(id));
      past.ends.forEach((id) => ended.add(id));
    }
    const time = number > 0 ? step.at_s : -1;
    at.textContent = number > 0
      ? "step " + number + " of " + data.steps.length + ", at " + Math.round(step.at_s * 100) / 100 + " s"
      : "before the plan";
    const open = (action) => action.after.filter((id) => !ended.has(id));
    const waits = data.actions.filter((action) => !begun.has(action.id) && open(action).length > 0);
    events.replaceChildren(...[
      line("ends", step.ends),
      line("begins", step.begins),
      line("waits", waits.map((action) => action.id), (action) => " for " + open(action).join(", ")),
    ].filter(Boolean));
    const on = placement(begun, ended);
    const before = number > 1 ? data.steps[number - 2].at_s : number > 0 ? -1 : null;
    boxes.replaceChildren(...data.hosts.map((host) => box(host, on.get(host.name), time, before)));
    drawings.forEach((drawing) => cursor(drawing, Math.max(0, time)));
    for (const bar of document.querySelectorAll("[data-action]")) {
      const id = Number(bar.dataset.action);
      bar.classList.toggle("now", begun.has(id) && !ended.has(id));
      bar.classList.toggle("past", ended.has(id));
    }
  }

  function go(by) {
    slider.value = Number(slider.value) + by;
    show();
  }

  document.getElementById("next").addEventListener("click", () => go(1));
  document.getElementById("previous").addEventListener("click", () => go(-1));
  slider.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === slider) return;
    if (event.key === "n") go(1);
    if (event.key === "p") go(-1);
  });
  show();
})();
