//! What the parts of a solve cost: `cargo bench -p dvms-solver`.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dvms_solver::check::check_placement;
use dvms_solver::generate::{Fleet, Recipe, Scenario};
use dvms_solver::{Problem, bench};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

/// Units of work of a local search that is measured.
const WORK: u64 = 20_000;

fn problem(
    scenario: Scenario,
    hosts: usize,
    load: f64,
    fleet: Fleet,
) -> (dvms_solver::file::Problem, Problem) {
    let recipe = Recipe { load, fleet, ..Recipe::new(scenario, hosts) };
    let file = recipe.problem().expect("a cluster of this load has room");
    let problem = Problem::new(&file).expect("it follows the contract");
    (file, problem)
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for hosts in [16, 64] {
        let (file, _) = problem(Scenario::Repair, hosts, 0.75, Fleet::Classes);
        group.bench_function(BenchmarkId::new("model", hosts), |b| b.iter(|| Problem::new(black_box(&file))));
        // Where hardly two VMs are alike, larger models are not built.
        let (_, problem) = problem(Scenario::Repair, hosts.min(24), 0.75, Fleet::Classes);
        bench::encode(&problem).expect("it is small enough");
        let id = BenchmarkId::new("milp", hosts.min(24));
        group.bench_function(id, |b| b.iter(|| bench::encode(black_box(&problem))));
    }
    group.finish();
}

fn search(c: &mut Criterion) {
    let mut group = c.benchmark_group("greedy");
    for (scenario, hosts, load) in
        [(Scenario::Repair, 64, 0.75), (Scenario::Repair, 1000, 0.85), (Scenario::Consolidate, 64, 0.45)]
    {
        let (_, problem) = problem(scenario, hosts, load, Fleet::Classes);
        let id = BenchmarkId::new(scenario.name(), hosts);
        group.bench_function(id, |b| b.iter(|| bench::greedy(black_box(&problem))));
    }
    group.finish();
    let mut group = c.benchmark_group("local-search");
    for (scenario, load) in
        [(Scenario::Repair, 0.87), (Scenario::Consolidate, 0.45), (Scenario::Balance, 0.6)]
    {
        let (_, problem) = problem(scenario, 64, load, Fleet::Classes);
        let first = bench::greedy(&problem);
        let id = BenchmarkId::new(scenario.name(), 64);
        group.bench_function(id, |b| b.iter(|| bench::local_search(black_box(&problem), &first, WORK)));
    }
    group.finish();
}

fn schedule(c: &mut Criterion) {
    let mut group = c.benchmark_group("schedule");
    for (scenario, hosts, load) in [(Scenario::Repair, 64, 0.75), (Scenario::Drain, 256, 0.7)] {
        let (_, problem) = problem(scenario, hosts, load, Fleet::Classes);
        let end = bench::greedy(&problem);
        let moves = bench::order(&problem, &end).expect("there is an order");
        let id = BenchmarkId::new(format!("{}-{moves}-moves", scenario.name()), hosts);
        group.bench_function(id, |b| b.iter(|| bench::order(black_box(&problem), &end)));
    }
    group.finish();
}

fn judge(c: &mut Criterion) {
    let (file, _) = problem(Scenario::Consolidate, 64, 0.45, Fleet::Classes);
    let stay: BTreeMap<String, String> =
        file.vms.iter().map(|vm| (vm.name.clone(), vm.host.clone())).collect();
    c.bench_function("check/end/64", |b| b.iter(|| check_placement(black_box(&file), &stay)));
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = encode, search, schedule, judge
}
criterion_main!(parts);
