"""What the drivers of other engines share: reading a problem, the clock, writing an answer.

A driver is called as DRIVER PROBLEM --time-limit S --threads N --out FILE. It writes one JSON object:
    {"placement": {vm: host}, "seconds": s, "bound": b}   where every VM ends; a VM that is not named ends down
    {"cannot": why}                                       the engine has no words for something in the problem
    {"nothing": why, "seconds": s}                        no answer in time
The clock runs from the problem read to the answer: building the engine's model is part of it.
"""
import argparse
import json
import math
import time

LEVELS = {"REPAIR": ["MIGRATION_COST"], "CONSOLIDATE": ["ACTIVE_HOSTS", "MIGRATION_COST"],
          "BALANCE": ["IMBALANCE", "MIGRATION_COST"], "POWER": ["ENERGY", "MIGRATION_COST"]}


class Cannot(Exception):
    """The engine cannot say this."""


class Late(Exception):
    """Time ran out before there was a model."""


class Vm:
    """A virtual machine: `home` is the number of the host where it runs, None = it does not run."""

    def __init__(self, problem, data):
        self.name = data["name"]
        demand = {k: int(v) for k, v in data.get("demand", {}).items()}
        self.memory = demand.get("memory", 0)
        demand.update({k: int(v) for k, v in data.get("arrival_demand", {}).items()})
        self.need = [demand.get(r, 0) for r in problem.resources]
        home = problem.host_number.get(data.get("host", "")) if data.get("host") else None
        self.home = home if home is not None and problem.up[home] else None
        self.pinned = bool(data.get("pinned", False))
        self.priority = int(data.get("priority", 100))
        self.labels = data.get("labels", {})
        self.allowed = []  # numbers of hosts, in order


class Problem:
    """A problem by numbers of hosts and VMs, with the part of the contract that placements are about."""

    def __init__(self, data, supported):
        self.begun = time.monotonic()
        hosts = data.get("hosts", [])
        if any(h.get("numa_nodes") for h in hosts):
            raise Cannot("NUMA nodes")
        if data.get("network"):
            raise Cannot("a network")
        limits = data.get("limits") or {}
        if limits.get("power_actions"):
            raise Cannot("power actions")
        self.max_migrations = limits.get("max_migrations")
        names = {r for h in hosts for r in h.get("capacity", {})}
        names |= {r for v in data.get("vms", []) for d in ("demand", "arrival_demand") for r in v.get(d, {})}
        self.resources = sorted(names)
        self.hosts = [h["name"] for h in hosts]
        self.host_number = {name: i for i, name in enumerate(self.hosts)}
        self.host_labels = [h.get("labels", {}) for h in hosts]
        self.state = [h.get("state") or "ONLINE" for h in hosts]
        self.up = [s not in ("FAILED", "OFFLINE") for s in self.state]
        self.usable = [[math.floor(int(h.get("capacity", {}).get(r, 0)) * h.get("overcommit", {}).get(r, 1.0) + 1e-6)
                        for r in self.resources] for h in hosts]
        self.vms = [Vm(self, v) for v in data.get("vms", [])]
        self.number = {v.name: i for i, v in enumerate(self.vms)}
        self.used = [[0] * len(self.resources) for _ in hosts]
        for v in self.vms:
            if v.home is not None:
                for r, need in enumerate(v.need):
                    self.used[v.home][r] += need
        self.over = [(h, r) for h in range(len(hosts)) for r in range(len(self.resources))
                     if self.up[h] and self.used[h][r] > self.usable[h][r]]
        self.levels = self.read_levels(data, supported)
        self.rules = []
        enter = [s == "ONLINE" for s in self.state]
        stay = [s in ("ONLINE", "CORDONED") for s in self.state]
        outside = [None] * len(self.vms)  # sets of hosts that VMs may not be on
        for c in data.get("constraints", []):
            self.read_rule(c, outside)
        opened = [h for h in range(len(hosts)) if enter[h]]
        for i, v in enumerate(self.vms):
            banned = outside[i] or ()
            if v.pinned:
                v.allowed = [v.home] if v.home is not None else []
                continue
            v.allowed = [h for h in opened if h not in banned]
            if v.home is not None and not enter[v.home] and stay[v.home] and v.home not in banned:
                v.allowed = sorted(v.allowed + [v.home])

    def read_levels(self, data, supported):
        names = data.get("objectives") or ["VIOLATIONS"] + LEVELS[data.get("objective") or "REPAIR"]
        names = [n for n in names if n != "MAKESPAN"]
        if names[0] != "VIOLATIONS":
            raise Cannot(f"objectives that begin with {names[0]}")
        for name in names[1:]:
            if name not in supported:
                raise Cannot(f"the objective {name}")
        return names

    def select_vms(self, body):
        if body.get("vm_selector"):
            want = body["vm_selector"].items()
            return [i for i, v in enumerate(self.vms) if all(v.labels.get(k) == x for k, x in want)]
        return sorted({self.number[n] for n in body.get("vms", [])})

    def select_hosts(self, body):
        if body.get("host_selector"):
            want = body["host_selector"].items()
            return {i for i, h in enumerate(self.host_labels) if all(h.get(k) == x for k, x in want)}
        return {self.host_number[n] for n in body.get("hosts", [])}

    def read_rule(self, c, outside):
        if c.get("soft_weight"):
            raise Cannot("soft rules")
        kind = next((k for k in c if k not in ("name", "continuous", "soft_weight")), None)
        body = c.get(kind)
        if kind in ("fence", "ban"):
            hosts = self.select_hosts(body)
            if kind == "fence":
                hosts = set(range(len(self.hosts))) - hosts
            for v in self.select_vms(body):
                outside[v] = hosts if outside[v] is None else outside[v] | hosts
        elif kind == "root":
            for v in self.select_vms(body):
                self.vms[v].pinned = self.vms[v].pinned or self.vms[v].home is not None
        elif kind in ("spread", "gather"):
            scope = self.scope(body.get("scope") or "host")
            self.rules.append((kind, self.select_vms(body), scope, int(body.get("max", 1))))
            # In flight a VM runs on both hosts.
            if kind == "gather" and c.get("continuous") and (body.get("scope") or "host") == "host":
                for v in self.select_vms(body):
                    self.vms[v].pinned = self.vms[v].pinned or self.vms[v].home is not None
        elif kind == "lonely":
            self.rules.append((kind, self.select_vms(body), None, None))
        else:
            raise Cannot(f"the rule {kind}")

    def scope(self, label):
        """The value of a scope for each host, by number; a host without the label is a value of its own."""
        if label == "host":
            return list(range(len(self.hosts)))
        values = {}
        return [values.setdefault(labels.get(label, ("host", h)), len(values))
                for h, labels in enumerate(self.host_labels)]

    def elapsed(self):
        return time.monotonic() - self.begun

    def online_shares(self):
        """Hosts that count for IMBALANCE, by resource."""
        return [[h for h in range(len(self.hosts)) if self.state[h] == "ONLINE" and self.usable[h][r] > 0]
                for r in range(len(self.resources))]


class Clock:
    """What is left of a limit."""

    def __init__(self, problem, limit):
        self.problem, self.limit = problem, limit

    def left(self):
        return self.limit - self.problem.elapsed()

    def check(self):
        if self.left() <= 0:
            raise Late(f"no model within {self.limit} s")


def main(doc, supported, solve, variants=None):
    """Reads the arguments and the problem, solves, writes the answer.

    `solve(problem, clock, threads, variant)` gives the host number of each VM (None = down), or None, and a
    bound or None."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("problem")
    parser.add_argument("--time-limit", type=float, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", required=True)
    if variants:
        parser.add_argument("--variant", choices=variants, default=variants[0])
    args = parser.parse_args()
    with open(args.problem, encoding="utf-8") as file:
        data = json.load(file)
    try:
        problem = Problem(data, supported)
        clock = Clock(problem, args.time_limit)
        at, bound = solve(problem, clock, args.threads, getattr(args, "variant", None))
        seconds = problem.elapsed()
        if at is None:
            answer = {"nothing": "no solution in time", "seconds": seconds}
        else:
            placed = {v.name: problem.hosts[h] for v, h in zip(problem.vms, at) if h is not None}
            answer = {"placement": placed, "seconds": seconds, "bound": bound}
    except Cannot as why:
        answer = {"cannot": str(why)}
    except Late as why:
        answer = {"nothing": str(why), "seconds": args.time_limit}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(answer, file)
