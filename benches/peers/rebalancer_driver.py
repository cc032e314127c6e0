"""Meta's Rebalancer, by local search or by its HiGHS back-end, with the specs that its documentation gives for each
kind of rule. VMs that do not run are objects of a container of their own, which is to be freed."""
import math

import common
from rebalancer import ProblemSolver

DOWN = "down"  # no host is called so: names of hosts get a prefix
# The binding takes the numbers of Thrift's enumerations.
ABSOLUTE, RELATIVE = 1, 2
FORMULA_MAX, HIGHS = 3, 2


def solve(p, clock, _threads, variant):
    host = lambda h: f"h:{p.hosts[h]}"
    up = [h for h in range(len(p.hosts)) if p.up[h]]
    solver = ProblemSolver(service_name="rebalancer", service_scope="bench")
    solver.set_object_name("vm").set_container_name("host").set_log_level("ERROR")
    assignment = {host(h): [] for h in up}
    # Without VMs that wait there is no need of it.
    waiting = [vm for vm in p.vms if vm.home is None]
    down = [DOWN] if waiting else []
    assignment.update({name: [] for name in down})
    for vm in p.vms:
        assignment[DOWN if vm.home is None else host(vm.home)].append(vm.name)
    solver.set_assignment(assignment)
    only_hosts = {"filter": {"itemsBlacklist": down}} if down else {}
    for r, name in enumerate(p.resources):
        solver.add_object_dimension(name, {vm.name: float(vm.need[r]) for vm in p.vms})
        outside = {one: float(sum(vm.need[r] for vm in waiting)) for one in down}
        solver.add_container_dimension(name, {host(h): float(p.usable[h][r]) for h in up} | outside)
        solver.add_constraint({"capacitySpec": {"name": f"capacity-{name}", "scope": "host", "dimension": name,
                                                "limit": {"type": RELATIVE, "globalLimit": 1.0}} | only_hosts})
    if waiting:
        solver.add_object_dimension("priority", {vm.name: float(vm.priority) for vm in p.vms})
        solver.add_goal({"toFreeSpec": {"name": "start", "containers": [DOWN], "dimension": "priority"}},
                        tuple_pos=0)
    closed = [host(h) for h in up if p.state[h] != "ONLINE"] + down
    if closed:
        solver.add_constraint({"nonAcceptingSpec": {"name": "closed", "scope": "host", "items": closed}})
    drained = [host(h) for h in up if p.state[h] == "DRAINING"]
    if drained:
        solver.add_constraint({"toFreeSpec": {"name": "drain", "containers": drained}})
    pinned = [vm.name for vm in p.vms if vm.pinned]
    if pinned:
        solver.add_constraint({"avoidMovingSpec": {"name": "pinned", "objects": pinned}})
    clock.check()
    entered = [h for h in up if p.state[h] == "ONLINE"]
    avoid = []
    for vm in p.vms:
        allowed = set(vm.allowed)
        banned = [host(h) for h in entered if h not in allowed]
        if banned and not vm.pinned:
            avoid.append({"object": vm.name, "scopeItems": banned})
    clock.check()
    if avoid:
        solver.add_constraint({"avoidAssignmentsSpec": {"name": "fences", "scope": "host", "assignments": avoid}})
    rules(p, solver, host, up, down, only_hosts)
    clock.check()
    solver.add_object_dimension("cost", {vm.name: 0.0 if vm.home is None else float(vm.memory) for vm in p.vms})
    solver.add_object_dimension("one", {vm.name: 0.0 if vm.home is None else 1.0 for vm in p.vms})
    if p.max_migrations is not None:
        solver.add_constraint({"minimizeMovementSpec": {
            "name": "limit", "scope": "host", "dimension": "one", "doNotNormalize": True,
            "allowance": float(p.max_migrations)}})
    for at, name in enumerate(p.levels[1:], 1):
        if name in ("MIGRATION_COST", "MIGRATIONS"):
            dimension = "cost" if name == "MIGRATION_COST" else "one"
            solver.add_goal({"minimizeMovementSpec": {"name": name, "scope": "host", "dimension": dimension,
                                                      "doNotNormalize": True}}, tuple_pos=at)
        elif name == "ACTIVE_HOSTS":
            solver.add_goal({"minimizeContainersSpec": {"name": name, "scope": "host", "dimension": "vm_count"}
                             | only_hosts}, tuple_pos=at)
        else:
            online = {"filter": {"itemsBlacklist": closed}} if closed else {}
            for resource in p.resources:
                solver.add_goal({"balanceSpec": {
                    "name": f"balance-{resource}", "scope": "host", "dimension": resource, "formula": FORMULA_MAX,
                    "boundType": ABSOLUTE, "upperBound": 0.0} | online}, tuple_pos=at)
    left = max(1, math.ceil(clock.left()))
    if variant == "local":
        solver.add_solver({"localSearchSolverSpec": {"solveTime": left, "moveTypeList": [
            {"singleMoveTypeSpec": {}}, {"swapMoveTypeSpec": {}}, {"singleEndChainMoveTypeSpec": {}}]}})
    else:
        solver.add_solver({"optimalSolverSpec": {"solveTime": left, "solverPackage": HIGHS, "suppressLogs": True}})
    solution = solver.solve()
    numbers = {host(h): h for h in up}
    assigned = solution["assignment"]
    return [numbers.get(assigned[vm.name]) for vm in p.vms], None


def rules(p, solver, host, up, down, only_hosts):
    lonely = {}
    scopes = {}
    spreads, gathers = {}, {}
    for number, (kind, vms, scope, most) in enumerate(p.rules):
        if kind == "lonely":
            lonely[f"r{number}"] = [p.vms[v].name for v in vms]
            continue
        key = tuple(scope)
        name = scopes.setdefault(key, "host" if scope == list(range(len(p.hosts))) else f"scope{len(scopes)}")
        (spreads if kind == "spread" else gathers).setdefault(name, []).append((f"r{number}", vms, most))
    for key, name in scopes.items():
        if name != "host":
            solver.add_scope(name, {host(h): f"v{key[h]}" for h in up} | {name: name for name in down})
    for kind, by_scope in (("spread", spreads), ("gather", gathers)):
        for scope, all_groups in by_scope.items():
            # A VM may be in one group of a partition only.
            for at, groups in enumerate(layers(all_groups)):
                partition = f"{kind}-{scope}-{at}"
                members = {name: [p.vms[v].name for v in vms] for name, vms, _ in groups}
                solver.add_partition(partition, members)
                if kind == "spread":
                    solver.add_constraint({"groupCountSpec": {
                        "name": partition, "scope": scope, "partitionName": partition,
                        "limit": {"type": ABSOLUTE, "globalLimit": 1.0,
                                  "groupLimits": {name: float(most) for name, _, most in groups}}} | only_hosts})
                else:
                    solver.add_constraint({"colocateGroupsSpec": {
                        "name": partition, "scope": scope, "partitionName": partition,
                        "limits": {"type": ABSOLUTE, "globalLimit": 1.0}} | only_hosts})
    if lonely:
        inside = {name for names in lonely.values() for name in names}
        groups = dict(lonely)
        groups["others"] = [vm.name for vm in p.vms if vm.name not in inside]
        solver.add_partition("lonely", groups)
        solver.add_constraint({"groupIsolationLimitSpec": {
            "name": "lonely", "scope": "host", "partitionName": "lonely", "groupsAllowed": 1}
            | only_hosts})


def layers(groups):
    result = []
    for group in groups:
        vms = set(group[1])
        for used, layer in result:
            if not used & vms:
                used |= vms
                layer.append(group)
                break
        else:
            result.append((set(vms), [group]))
    return [layer for _, layer in result]


if __name__ == "__main__":
    common.main(__doc__, {"ACTIVE_HOSTS", "IMBALANCE", "MIGRATION_COST", "MIGRATIONS"}, solve, ["local", "highs"])
