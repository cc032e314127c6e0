"""First-fit decreasing, as scripts do it: largest VMs first, each on the first host with room.

REPAIR: VMs of hosts that are over, failed or to be emptied are taken off, the largest ones that are needed, and
placed anew. CONSOLIDATE: everything is placed anew, or hosts are emptied one after the other, whichever comes out
better. BALANCE: everything is placed anew, each VM on the least loaded host.
"""
import common


class Packing:
    def __init__(self, problem):
        self.p = problem
        self.free = [list(u) for u in problem.usable]
        self.at = [None] * len(problem.vms)
        self.rules_of = [[] for _ in problem.vms]
        self.inside = [dict() for _ in problem.rules]  # value -> count
        self.on = [0] * len(problem.hosts)
        self.lonely = [i for i, rule in enumerate(problem.rules) if rule[0] == "lonely"]
        self.set_of = [None] * len(problem.vms)
        self.lonely_on = [dict() for _ in problem.hosts]  # set -> VMs
        for i, (kind, vms, _, _) in enumerate(problem.rules):
            for v in vms:
                if kind == "lonely":
                    self.set_of[v] = i
                else:
                    self.rules_of[v].append(i)

    def fits(self, v, h):
        if any(need and need > free for need, free in zip(self.p.vms[v].need, self.free[h])):
            return False
        own = self.set_of[v]
        if any(other != own for other in self.lonely_on[h]):
            return False
        if own is not None and self.on[h] > self.lonely_on[h].get(own, 0):
            return False
        for i in self.rules_of[v]:
            kind, _, scope, most = self.p.rules[i]
            inside = self.inside[i]
            if kind == "spread" and inside.get(scope[h], 0) >= most:
                return False
            if kind == "gather" and inside and scope[h] not in inside:
                return False
        return True

    def put(self, v, h, sign=1):
        for r, need in enumerate(self.p.vms[v].need):
            self.free[h][r] -= sign * need
        self.at[v] = h if sign > 0 else None
        self.on[h] += sign
        counts = [(self.inside[i], self.p.rules[i][2][h]) for i in self.rules_of[v]]
        if self.set_of[v] is not None:
            counts.append((self.lonely_on[h], self.set_of[v]))
        for counter, key in counts:
            counter[key] = counter.get(key, 0) + sign
            if counter[key] == 0:
                del counter[key]

    def size(self, v):
        total = [sum(u[r] for u in self.p.usable) or 1 for r in range(len(self.p.resources))]
        return max(need / t for need, t in zip(self.p.vms[v].need, total))

    def decreasing(self, vms):
        # VMs that must be together come one after the other, the rest by size.
        group = {v: i for i, (kind, vms, _, _) in enumerate(self.p.rules) if kind == "gather" for v in vms}
        size = {v: self.size(v) for v in vms}
        total = {}
        for v in vms:
            total[group.get(v, ("alone", v))] = total.get(group.get(v, ("alone", v)), 0) + size[v]
        key = {v: group.get(v, ("alone", v)) for v in vms}
        return sorted(vms, key=lambda v: (self.set_of[v] is None, -total[key[v]], str(key[v]), -size[v]))


def stay(p):
    packing = Packing(p)
    for v, vm in enumerate(p.vms):
        if vm.home is not None:
            packing.put(v, vm.home)
    return packing


def first_fit(p, packing, clock, vms, order, goal=""):
    """Puts VMs on the first host with room; gives those that found none."""
    stuck = []
    for v in packing.decreasing(vms):
        clock.check()
        allowed = set(p.vms[v].allowed)
        if goal == "IMBALANCE":
            order = sorted(order, key=lambda h: max(1 - f / u if u else 0
                                                    for f, u in zip(packing.free[h], p.usable[h])))
        host = next((h for h in order if h in allowed and packing.fits(v, h)), None)
        if host is None:
            stuck.append(v)
        else:
            packing.put(v, host)
    return stuck


def anew(p, clock, order, goal):
    """Everything from scratch; None where first fit does not find a place for what runs."""
    packing = Packing(p)
    fixed = [v for v, vm in enumerate(p.vms) if vm.pinned and vm.home is not None]
    for v in fixed:
        packing.put(v, p.vms[v].home)
    stuck = first_fit(p, packing, clock, sorted(set(range(len(p.vms))) - set(fixed)), order, goal)
    return None if any(p.vms[v].home is not None for v in stuck) else packing


def emptied(p, clock, order):
    """Hosts are emptied one after the other, the least loaded first, as long as all of their VMs fit elsewhere."""
    packing = stay(p)
    load = lambda h: max(1 - f / u if u else 0 for f, u in zip(packing.free[h], p.usable[h]))
    for h in sorted((h for h in range(len(p.hosts)) if packing.on[h]), key=load):
        clock.check()
        here = [v for v in range(len(p.vms)) if packing.at[v] == h]
        if any(p.vms[v].pinned for v in here):
            continue
        for v in here:
            packing.put(v, h, -1)
        used = [other for other in order if other != h and packing.on[other]]
        if first_fit(p, packing, clock, here, used):
            for v in here:
                if packing.at[v] is not None:
                    packing.put(v, packing.at[v], -1)
            for v in here:
                packing.put(v, h)
    return packing


def repaired(p, clock, order):
    packing = stay(p)
    todo = [v for v, vm in enumerate(p.vms) if vm.home is None or vm.home not in vm.allowed]
    for v in todo:
        if p.vms[v].home is not None:
            packing.put(v, p.vms[v].home, -1)
    for h, r in p.over:
        here = [v for v, vm in enumerate(p.vms) if packing.at[v] == h and not vm.pinned]
        for v in sorted(here, key=lambda v: -p.vms[v].need[r]):
            if packing.free[h][r] >= 0:
                break
            packing.put(v, h, -1)
            todo.append(v)
    stuck = first_fit(p, packing, clock, todo, order)
    # First fit has no second thought.
    return None if any(p.vms[v].home is not None for v in stuck) else packing


def solve(p, clock, _threads, _variant):
    goal = p.levels[1] if len(p.levels) > 1 else ""
    order = sorted(range(len(p.hosts)), key=lambda h: (-max(p.usable[h] or [0]), h))
    if goal == "IMBALANCE":
        found = [anew(p, clock, order, goal)]
    elif goal == "ACTIVE_HOSTS":
        found = [anew(p, clock, order, goal), emptied(p, clock, order)]
    else:
        found = [repaired(p, clock, order)]
    found = [packing for packing in found if packing is not None] or [stay(p)]
    best = min(found, key=lambda packing: (sum(h is None for h in packing.at), len(set(packing.at))))
    return best.at, None


if __name__ == "__main__":
    common.main(__doc__, {"ACTIVE_HOSTS", "IMBALANCE", "MIGRATION_COST", "MIGRATIONS"}, solve, ["ffd"])
