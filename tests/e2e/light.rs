//! What an agent costs its host. A benchmark: `make bench`.

use crate::cluster::Cluster;
use std::time::{Duration, Instant};

/// Seconds for which is measured.
const SECONDS: u64 = 60;

/// Resident KiB, and seconds of processor time since its start.
fn cost(pid: &str) -> (u64, f64) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let status = read("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let resident = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // After the name in parentheses; user and system time are fields 14 and 15 of proc(5), in 1/100 s.
    let stat = read("stat");
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|&field| fields[field].parse::<f64>().unwrap()).sum();
    (resident, ticks / 100.0)
}

/// An agent with 20 guests and a report each second.
#[test]
#[ignore = "a benchmark of a minute: make bench"]
fn an_agent_is_light() {
    let Some(cluster) = Cluster::boot(1) else { return };
    for i in 0..20 {
        cluster.guest(1, &format!("g{i}"), 16, "c=1 d=4 r=0");
    }
    cluster.serve("[detection]\nunderload = 0\n");
    cluster.attach();
    std::thread::sleep(Duration::from_secs(10));
    let pid = cluster.agent_pid(1);
    let (began, (_, before)) = (Instant::now(), cost(&pid));
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (resident, after) = cost(&pid);
    let share = (after - before) / began.elapsed().as_secs_f64();
    println!("agent with 20 guests, a report each second, over {SECONDS} s:");
    println!("  resident {:.1} MiB, {:.2} % of a core", resident as f64 / 1024.0, share * 100.0);
    assert!(resident < 20 * 1024, "promised are less than 20 MiB");
    assert!(share < 0.01, "promised is less than 1 % of a core");
}
