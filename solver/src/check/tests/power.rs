//! Rules about which hosts are online, while hosts are booted and shut down.

use super::{boot, breaks, judge, problem, shutdown, start, valid};
use crate::file::{Limits, Problem};

/// Hosts a and b run VMs, c is empty and d is off.
fn ruled(rule: &str) -> Problem {
    let mut problem = problem(&format!(r#", "constraints": [{{"name": "r", {rule}}}]"#));
    let off = crate::file::Host { name: "d".into(), state: "OFFLINE".into(), ..problem.hosts[2].clone() };
    problem.hosts.push(off);
    problem.limits = Some(Limits { power_actions: true, ..Limits::default() });
    problem
}

#[test]
fn states_at_the_end_are_those_after_all_switches() {
    let most = |max: u32| ruled(&format!(r#""max_online": {{"hosts": ["a", "b", "c", "d"], "max": {max}}}"#));
    valid(&most(2), vec![shutdown(1, "c", 0.0, &[])]);
    breaks(5, "constraints[r]", "3 hosts are online, at most 2 may be", &judge(&most(2), vec![]));
    breaks(
        5,
        "constraints[r]",
        "4 hosts are online",
        &judge(&most(3), vec![boot(1, "d", [0.0, 120.0], &[])]),
    );
    let spare = |min: u32| ruled(&format!(r#""spare_hosts": {{"hosts": ["a", "c", "d"], "min": {min}}}"#));
    valid(&spare(2), vec![boot(1, "d", [0.0, 120.0], &[])]);
    breaks(5, "constraints[r]", "1 hosts are spare, not 2", &judge(&spare(2), vec![]));
    breaks(5, "constraints[r]", "0 hosts are spare", &judge(&spare(1), vec![shutdown(1, "c", 0.0, &[])]));
}

#[test]
fn a_boot_waits_where_no_more_hosts_may_be_online() {
    let most = ruled(r#""continuous": true, "max_online": {"hosts": ["a", "b", "c", "d"], "max": 3}"#);
    valid(&most, vec![shutdown(1, "c", 0.0, &[]), boot(2, "d", [0.0, 120.0], &[1])]);
    // In time, but by no order.
    let judgement = judge(&most, vec![shutdown(1, "c", 0.0, &[]), boot(2, "d", [0.0, 120.0], &[])]);
    breaks(7, "constraints[r]", "actions 2 begin before enough has left: 4 of 3 hosts be online", &judgement);
    // Too late.
    let judgement = judge(&most, vec![shutdown(1, "c", 130.0, &[]), boot(2, "d", [0.0, 120.0], &[])]);
    breaks(5, "constraints[r]", "does not hold when action 2 ends: 4 hosts are online", &judgement);
}

#[test]
fn a_spare_host_is_there_before_another_one_is_given_up() {
    let spare = ruled(r#""continuous": true, "spare_hosts": {"hosts": ["a", "c", "d"], "min": 1}"#);
    let booted = || boot(1, "d", [0.0, 120.0], &[]);
    let late = |after: &[u64]| {
        let mut late = start(2, "z", "c");
        (late.start_s, late.end_s, late.after) = (120.0, 121.0, after.to_vec());
        late
    };
    valid(&spare, vec![booted(), late(&[1])]);
    valid(&spare, vec![booted(), shutdown(2, "c", 120.0, &[1])]);
    let judgement = judge(&spare, vec![booted(), late(&[])]);
    breaks(7, "constraints[r]", "`after` lets only 0 hosts be spare", &judgement);
    let judgement = judge(&spare, vec![booted(), shutdown(2, "c", 120.0, &[])]);
    breaks(7, "constraints[r]", "`after` lets only 0 hosts be spare", &judgement);
    let judgement = judge(&spare, vec![booted(), shutdown(2, "c", 60.0, &[])]);
    breaks(5, "constraints[r]", "does not hold when action 2 starts: 0 hosts are spare", &judgement);
}
