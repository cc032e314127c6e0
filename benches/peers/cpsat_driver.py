"""OR-tools CP-SAT: one variable for each VM and host where it may be, levels of the objective one after the other,
each from the best solution of the one before."""
import common
from ortools.sat.python import cp_model

SCALE = 1_000_000  # parts of a host, for utilisation
MOST_VARIABLES = 3_000_000


def build(p, clock):
    m = cp_model.CpModel()
    if sum(len(v.allowed) for v in p.vms) > MOST_VARIABLES:
        raise common.Late(f"more than {MOST_VARIABLES} variables")
    x, down = [], {}
    for i, vm in enumerate(p.vms):
        if i % 256 == 0:
            clock.check()
        row = {h: m.new_bool_var("") for h in vm.allowed}
        x.append(row)
        terms = list(row.values())
        if vm.home is None:
            down[i] = m.new_bool_var("")
            terms.append(down[i])
        m.add_exactly_one(terms)
    on = [[] for _ in p.hosts]
    for i, row in enumerate(x):
        for h, var in row.items():
            on[h].append((i, var))
    over = {key: m.new_bool_var("") for key in p.over}
    for h in range(len(p.hosts)):
        clock.check()
        for r in range(len(p.resources)):
            terms = [(var, p.vms[i].need[r]) for i, var in on[h] if p.vms[i].need[r]]
            if not terms:
                continue
            use = cp_model.LinearExpr.weighted_sum([t[0] for t in terms], [t[1] for t in terms])
            if (h, r) in over:
                m.add(use <= p.usable[h][r] + (p.used[h][r] - p.usable[h][r]) * over[h, r])
                for i, var in on[h]:
                    if p.vms[i].home != h and p.vms[i].need[r]:
                        m.add_implication(over[h, r], ~var)
            else:
                m.add(use <= p.usable[h][r])
    for kind, vms, scope, most in p.rules:
        clock.check()
        if kind == "lonely":
            inside = set(vms)
            for h in {h for v in vms for h in x[v]}:
                mark = m.new_bool_var("")
                for i, var in on[h]:
                    m.add_implication(var, mark if i in inside else ~mark)
            continue
        by_value = {}
        for v in vms:
            for h, var in x[v].items():
                by_value.setdefault(scope[h], []).append(var)
        if kind == "spread":
            for variables in by_value.values():
                if len(variables) > most:
                    m.add(sum(variables) <= most)
        else:
            marks = {value: m.new_bool_var("") for value in by_value}
            m.add_at_most_one(marks.values())
            for value, variables in by_value.items():
                for var in variables:
                    m.add_implication(var, marks[value])
    moved = [(i, 1 - x[i][vm.home] if vm.home in x[i] else 1) for i, vm in enumerate(p.vms) if vm.home is not None]
    if p.max_migrations is not None:
        m.add(sum(e for _, e in moved) <= int(p.max_migrations))
    levels = [1000 * sum(over.values()) + sum(p.vms[i].priority * var for i, var in down.items())]
    for name in p.levels[1:]:
        clock.check()
        if name == "MIGRATIONS":
            levels.append(sum(e for _, e in moved))
        elif name == "MIGRATION_COST":
            levels.append(sum(p.vms[i].memory * e for i, e in moved))
        elif name == "ACTIVE_HOSTS":
            active = []
            for h in range(len(p.hosts)):
                if on[h]:
                    mark = m.new_bool_var("")
                    active.append(mark)
                    for _, var in on[h]:
                        m.add_implication(var, mark)
            levels.append(sum(active))
        else:
            total = 0
            for r, hosts in enumerate(p.online_shares()):
                if not hosts:
                    continue
                top = m.new_int_var(0, 2 * SCALE * len(hosts), "")
                loads = []
                for h in hosts:
                    parts = [(var, p.vms[i].need[r] * SCALE // p.usable[h][r]) for i, var in on[h]]
                    load = cp_model.LinearExpr.weighted_sum([t[0] for t in parts], [t[1] for t in parts])
                    m.add(top >= load)
                    loads.append(load)
                # The mean as a share, kept whole by the number of hosts.
                total += len(hosts) * top - sum(loads)
            levels.append(total)
    return m, x, levels


def solve(p, clock, threads, _variant):
    m, x, levels = build(p, clock)
    for i, vm in enumerate(p.vms):
        for h, var in x[i].items():
            m.add_hint(var, h == vm.home)
    best, bound = None, None
    for level in levels:
        if isinstance(level, int):
            continue
        if clock.left() <= 0.05:
            break
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = clock.left()
        solver.parameters.num_workers = threads
        m.minimize(level)
        status = solver.solve(m)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            break
        best = [next((h for h, var in row.items() if solver.value(var)), None) for row in x]
        bound = solver.best_objective_bound
        m.add(level <= int(solver.objective_value))
        m.clear_hints()
        for row, host in zip(x, best):
            for h, var in row.items():
                m.add_hint(var, h == host)
        if status != cp_model.OPTIMAL:
            break
    return best, bound


if __name__ == "__main__":
    common.main(__doc__, {"ACTIVE_HOSTS", "IMBALANCE", "MIGRATION_COST", "MIGRATIONS"}, solve)
