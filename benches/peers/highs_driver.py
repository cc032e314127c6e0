"""The naive model in plain HiGHS: one binary variable for each VM and host where it may be, levels of the
objective one after the other."""
import common
import highspy
import numpy as np

MOST_VARIABLES = 3_000_000


class Model:
    """Columns and rows as lists, given to HiGHS at once."""

    def __init__(self):
        self.upper, self.starts, self.index, self.value, self.low, self.high = [], [0], [], [], [], []

    def column(self, upper=1.0):
        self.upper.append(upper)
        return len(self.upper) - 1

    def row(self, terms, low, high):
        for column, factor in terms:
            self.index.append(column)
            self.value.append(factor)
        self.starts.append(len(self.index))
        self.low.append(low)
        self.high.append(high)


def build(p, clock):
    m, inf = Model(), highspy.kHighsInf
    if sum(len(v.allowed) for v in p.vms) > MOST_VARIABLES:
        raise common.Late(f"more than {MOST_VARIABLES} variables")
    x, down = [], {}
    on = [[] for _ in p.hosts]
    for i, vm in enumerate(p.vms):
        if i % 256 == 0:
            clock.check()
        row = {h: m.column() for h in vm.allowed}
        x.append(row)
        for h, column in row.items():
            on[h].append((i, column))
        terms = [(c, 1.0) for c in row.values()]
        if vm.home is None:
            down[i] = m.column()
            terms.append((down[i], 1.0))
        m.row(terms, 1.0, 1.0)
    over = {key: m.column() for key in p.over}
    for h in range(len(p.hosts)):
        clock.check()
        for r in range(len(p.resources)):
            terms = [(c, p.vms[i].need[r]) for i, c in on[h] if p.vms[i].need[r]]
            if not terms:
                continue
            if (h, r) in over:
                slack = p.used[h][r] - p.usable[h][r]
                m.row(terms + [(over[h, r], -slack)], -inf, p.usable[h][r])
                for i, c in on[h]:
                    if p.vms[i].home != h and p.vms[i].need[r]:
                        m.row([(c, 1.0), (over[h, r], 1.0)], -inf, 1.0)
            else:
                m.row(terms, -inf, p.usable[h][r])
    for kind, vms, scope, most in p.rules:
        clock.check()
        if kind == "lonely":
            inside = set(vms)
            for h in {h for v in vms for h in x[v]}:
                mark = m.column()
                for i, c in on[h]:
                    if i in inside:
                        m.row([(c, 1.0), (mark, -1.0)], -inf, 0.0)
                    else:
                        m.row([(c, 1.0), (mark, 1.0)], -inf, 1.0)
            continue
        by_value = {}
        for v in vms:
            for h, c in x[v].items():
                by_value.setdefault(scope[h], []).append(c)
        if kind == "spread":
            for columns in by_value.values():
                m.row([(c, 1.0) for c in columns], -inf, most)
        else:
            marks = {value: m.column() for value in by_value}
            m.row([(c, 1.0) for c in marks.values()], -inf, 1.0)
            for value, columns in by_value.items():
                for c in columns:
                    m.row([(c, 1.0), (marks[value], -1.0)], -inf, 0.0)
    moved = [(i, x[i].get(vm.home)) for i, vm in enumerate(p.vms) if vm.home is not None]
    if p.max_migrations is not None:
        stay = [(c, -1.0) for _, c in moved if c is not None]
        m.row(stay, -inf, int(p.max_migrations) - len(moved))
    levels = [({c: 1000.0 for c in over.values()} | {c: p.vms[i].priority for i, c in down.items()}, 0.0)]
    for name in p.levels[1:]:
        clock.check()
        if name in ("MIGRATIONS", "MIGRATION_COST"):
            weight = lambda i: 1.0 if name == "MIGRATIONS" else float(p.vms[i].memory)
            levels.append(({c: -weight(i) for i, c in moved if c is not None}, sum(weight(i) for i, _ in moved)))
        elif name == "ACTIVE_HOSTS":
            cost = {}
            for h in range(len(p.hosts)):
                if on[h]:
                    mark = m.column()
                    cost[mark] = 1.0
                    for _, c in on[h]:
                        m.row([(c, 1.0), (mark, -1.0)], -inf, 0.0)
            levels.append((cost, 0.0))
        else:
            cost, reals = {}, []
            for r, hosts in enumerate(p.online_shares()):
                if not hosts:
                    continue
                top = m.column(inf)
                reals.append(top)
                cost[top] = cost.get(top, 0.0) + 1000.0
                for h in hosts:
                    parts = [(c, p.vms[i].need[r] / p.usable[h][r]) for i, c in on[h] if p.vms[i].need[r]]
                    m.row(parts + [(top, -1.0)], -inf, 0.0)
                    for c, share in parts:
                        cost[c] = cost.get(c, 0.0) - 1000.0 * share / len(hosts)
            levels.append((cost, 0.0))
            m.reals = reals
    return m, x, levels


def solve(p, clock, threads, _variant):
    m, x, levels = build(p, clock)
    n = len(m.upper)
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", threads)
    h.setOptionValue("mip_rel_gap", 0.0)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, len(m.low)
    lp.col_cost_, lp.col_lower_ = np.zeros(n), np.zeros(n)
    lp.col_upper_ = np.array(m.upper, dtype=float)
    lp.row_lower_, lp.row_upper_ = np.array(m.low, dtype=float), np.array(m.high, dtype=float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.array(m.starts)
    lp.a_matrix_.index_ = np.array(m.index)
    lp.a_matrix_.value_ = np.array(m.value, dtype=float)
    reals = set(getattr(m, "reals", []))
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kContinuous if c in reals else kinds.kInteger for c in range(n)]
    h.passModel(lp)
    best, bound = None, None
    columns = np.arange(n, dtype=np.int32)
    for cost, constant in levels:
        if not cost:
            continue
        if clock.left() <= 0.05:
            break
        costs = np.zeros(n)
        for c, value in cost.items():
            costs[c] = value
        h.changeColsCost(n, columns, costs)
        # The clock of HiGHS runs on over several runs.
        h.setOptionValue("time_limit", h.getRunTime() + clock.left())
        h.run()
        info = h.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            break
        values = np.array(h.getSolution().col_value)
        best = [next((host for host, c in row.items() if values[c] > 0.5), None) for row in x]
        bound = info.mip_dual_bound + constant
        if h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        limit = float(costs @ values)
        used = np.array(sorted(cost), dtype=np.int32)
        h.addRow(-highspy.kHighsInf, limit + 1e-6 * max(1.0, abs(limit)), len(used), used, costs[used])
        solution = highspy.HighsSolution()
        solution.col_value = list(values)
        h.setSolution(solution)
    return best, bound


if __name__ == "__main__":
    common.main(__doc__, {"ACTIVE_HOSTS", "IMBALANCE", "MIGRATION_COST", "MIGRATIONS"}, solve)
