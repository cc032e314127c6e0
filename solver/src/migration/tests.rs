use super::course::{steps, totals};
use super::fit::{cross_validated, error, error_of, fit, groups, predicted};
use super::learned::Estimate;
use super::measured::{Measured, read};
use super::rivals::{btrplace_s, naive_s};
use super::{Calibration, Forecast, Mode, Path, Policy, Workload, forecast};
use crate::file::{Plan, Problem};
use proptest::prelude::*;
use std::process::Command;

const PLAIN: Policy = Policy { auto_converge: false, post_copy: false, downtime_limit_s: 0.3 };
const SLOWED: Policy = Policy { auto_converge: true, ..PLAIN };
const FETCHED: Policy = Policy { post_copy: true, ..PLAIN };

fn of(memory_mib: f64, hot_mib: f64, cold_mib_s: f64) -> Workload {
    Workload { memory_mib, hot_mib, hot_s: 2.0, cold_mib_s }
}

fn over(bandwidth_mib_s: f64) -> Path {
    Path { bandwidth_mib_s }
}

fn plain(workload: &Workload, bandwidth: f64) -> Forecast {
    forecast(workload, over(bandwidth), &PLAIN, &Calibration::CONTRACT)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_forecast_ends_and_is_of_this_world(
        memory in 0.0..1e6_f64, hot in 0.0..1e6_f64, hot_s in 0.0..100.0_f64, cold in 0.0..1e5_f64,
        bandwidth in prop_oneof![Just(0.0), 1e-6..1e5_f64], auto_converge: bool, post_copy: bool,
        limit in 0.0..10.0_f64, efficiency in 0.01..2.0_f64, setup in 0.0..10.0_f64,
    ) {
        let workload = Workload { memory_mib: memory, hot_mib: hot, hot_s, cold_mib_s: cold };
        let policy = Policy { auto_converge, post_copy, downtime_limit_s: limit };
        let calibration = Calibration { efficiency, setup_s: setup, ..Calibration::CONTRACT };
        let found = forecast(&workload, over(bandwidth), &policy, &calibration);
        prop_assert!(found.moved_mib >= memory * (1.0 - 1e-12));
        prop_assert!(found.duration_s.is_finite() && found.duration_s >= setup);
        prop_assert!(found.downtime_s >= 0.0 && found.downtime_s <= limit + calibration.switch_s + 1e-9);
        prop_assert!(found.downtime_s <= found.duration_s + 1e-9);
        prop_assert!(found.rounds < 500, "{} passes", found.rounds);
        // Who may be helped is, slowed down as far as that helps; and who needs no help gets none.
        prop_assert!(found.converges() || !post_copy);
        let slowed = 0.01 * (cold + if hot_s > 0.0 { hot / hot_s } else { f64::INFINITY * hot });
        let slow_enough = slowed < 0.79 * bandwidth * efficiency;
        prop_assert!(found.converges() || !auto_converge || !slow_enough, "{found:?}");
        let alone = forecast(&workload, over(bandwidth), &Policy { auto_converge: false, post_copy: false, ..policy }, &calibration);
        prop_assert!(!alone.converges() || alone == found);
    }

    #[test]
    fn more_memory_takes_longer_and_more_bandwidth_does_not(
        memory in 1.0..1e5_f64, hot in 0.0..500.0_f64, cold in 0.0..50.0_f64, bandwidth in 1.0..2000.0_f64, more in 1.0..3.0_f64,
    ) {
        let workload = of(memory, hot, cold);
        let larger = of(memory * more, hot, cold);
        let (here, there, wide) = (plain(&workload, bandwidth), plain(&larger, bandwidth), plain(&workload, bandwidth * more));
        if here.converges() && there.converges() {
            prop_assert!(there.duration_s >= here.duration_s * (1.0 - 1e-9), "{here:?} {there:?}");
            prop_assert!(there.moved_mib >= here.moved_mib * (1.0 - 1e-9));
        }
        if here.converges() && wide.converges() {
            prop_assert!(wide.duration_s <= here.duration_s * (1.0 + 1e-9), "{here:?} {wide:?}");
            prop_assert!(wide.moved_mib <= here.moved_mib * (1.0 + 1e-9));
        }
    }

    /// A guest that writes only pages that it has not written yet is what the contract speaks of: the forecast is the
    /// contract's time but for what is sent while it stands still, and both refuse the same.
    #[test]
    fn the_plain_case_is_the_contracts(memory in 100.0..1e5_f64, share in 0.0..1.0_f64, bandwidth in 1.0..2000.0_f64) {
        let cold = share * bandwidth;
        let found = plain(&of(memory, 0.0, cold), bandwidth);
        let left = memory * share;
        prop_assert_eq!(found.converges(), share < 0.8 || left <= bandwidth * 0.3, "{}", share);
        if share < 0.8 {
            let contract = memory / bandwidth / (1.0 - share) + 0.03;
            let rest = 0.3 * share / (1.0 - share);
            prop_assert!(found.duration_s <= contract + 1e-9 && found.duration_s >= contract - rest - 1e-9);
        }
    }

    #[test]
    fn the_worse_the_link_the_less_of_it_is_told(nominal in 0.1..1000.0_f64, took in 0.1..1000.0_f64, times in 1_usize..30) {
        let mut estimate = Estimate::default();
        for _ in 0..times {
            estimate.learn(&Calibration::KVM, nominal, took);
        }
        let told = estimate.calibration(&Calibration::KVM);
        prop_assert!(told.efficiency > 0.0 && told.setup_s >= 0.0 && told.setup_s.is_finite());
        prop_assert!((0.0..=1.0).contains(&estimate.usable_share(&Calibration::KVM)));
        prop_assert_eq!(estimate.samples, times as u64);
    }
}

#[test]
fn a_hot_set_is_sent_again_until_the_rest_is_small() {
    // 1000 MiB at 100 MiB/s take 10 s, the 40 MiB hot set is written meanwhile; sent in 0.4 s, 8 MiB are written again.
    let found = plain(&of(1000.0, 40.0, 0.0), 100.0);
    assert_eq!((found.rounds, found.mode), (2, Mode::PreCopy), "{found:?}");
    assert!((found.moved_mib - 1048.0).abs() < 1e-9 && (found.duration_s - 10.51).abs() < 1e-9, "{found:?}");
    assert!((found.downtime_s - 0.11).abs() < 1e-9, "{found:?}");
}

#[test]
fn a_guest_that_writes_too_fast_is_slowed_down_or_fetched_or_stays() {
    // 200 MiB/s of writes over 100 MiB/s.
    let workload = of(4000.0, 400.0, 0.0);
    let never = forecast(&workload, over(100.0), &PLAIN, &Calibration::CONTRACT);
    assert_eq!((never.mode, never.converges()), (Mode::Never, false));
    let slowed = forecast(&workload, over(100.0), &SLOWED, &Calibration::CONTRACT);
    assert_eq!(slowed.mode, Mode::AutoConverge);
    assert!((20..=99).contains(&slowed.throttle_percent), "{slowed:?}");
    let fetched = forecast(&workload, over(100.0), &FETCHED, &Calibration::CONTRACT);
    assert_eq!((fetched.mode, fetched.throttle_percent), (Mode::PostCopy, 0));
    assert!(fetched.downtime_s < 0.1 && fetched.duration_s < slowed.duration_s, "{fetched:?} {slowed:?}");
}

fn own() -> Vec<Measured> {
    read(include_str!("../../../docs/examples/migrations.csv")).unwrap()
}

#[test]
fn the_default_calibration_is_near_the_means_of_what_was_measured() {
    let off = error_of(&Calibration::KVM, &own());
    assert!(off < 0.03, "{off}");
    let naive = error(&own(), |row| naive_s(&row.workload, row.path()));
    assert!(naive > 3.0 * off, "{naive} {off}");
    for group in groups(&own(), &Calibration::KVM) {
        assert!(group.model.1 < 0.05, "{group:?}");
    }
}

/// The 2,000 timed migrations, where they are.
fn timed() -> Option<Vec<Measured>> {
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/btrplace.tar.xz");
    let mut tar = Command::new("tar");
    tar.args(["xJOf", archive, "btrplace/kvm_migrations.csv"]);
    let text = tar.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)?;
    Some(read(&String::from_utf8(text).unwrap()).unwrap())
}

#[test]
fn timed_migrations_of_kvm_are_predicted_within_8_percent() {
    let Some(rows) = timed() else {
        eprintln!("SKIPPED: the 2,000 timed migrations are not in ../shared/data");
        return;
    };
    assert_eq!(rows.len(), 2000);
    let off = error_of(&Calibration::KVM, &rows);
    assert!(off < 0.05, "{off}");
    // What is in the code is what the data give.
    let fitted = fit(&rows);
    let near = |a: f64, b: f64, by: f64| assert!((a - b).abs() <= by, "{fitted:?}");
    near(fitted.efficiency, Calibration::KVM.efficiency, 0.006);
    near(fitted.setup_s, Calibration::KVM.setup_s, 0.1);
    near(fitted.hot_share, Calibration::KVM.hot_share, 0.05);
    let folds = cross_validated(&rows);
    assert_eq!(folds.iter().map(|fold| fold.judged.clone()).collect::<Vec<_>>(), [[3, 4], [1, 2]]);
    for fold in folds {
        assert!(fold.error < 0.065, "{fold:?}");
    }
    let btrplace = error(&rows, |row| btrplace_s(&row.workload, row.mbit_s));
    let naive = error(&rows, |row| naive_s(&row.workload, row.path()));
    assert!(off < btrplace && off < naive, "{off} {btrplace} {naive}");
}

#[test]
fn a_fit_finds_what_made_the_measurements() {
    let truth = Calibration { efficiency: 0.8, setup_s: 4.0, hot_share: 0.5, ..Calibration::CONTRACT };
    let mut rows = Vec::new();
    for (i, mbit_s) in [200.0, 500.0, 1000.0, 2500.0, 10_000.0].into_iter().enumerate() {
        for memory in [500.0, 2000.0, 8000.0] {
            let row = Measured {
                workload: of(memory, 30.0, 3.0),
                mbit_s,
                duration_s: 1.0,
                execution: (i % 2) as i64,
            };
            let duration_s = predicted(&truth, &row).unwrap();
            rows.push(Measured { duration_s, ..row });
        }
    }
    // One that went wrong moves nothing.
    rows[4].duration_s *= 10.0;
    let found = fit(&rows);
    assert!((found.efficiency - 0.8).abs() < 0.01, "{found:?}");
    assert!((found.setup_s - 4.0).abs() < 0.2, "{found:?}");
    assert!(error_of(&found, &rows) < 0.9 / 15.0 + 0.01);
    assert_eq!(fit(&[]), Calibration::default());
    assert_eq!(cross_validated(&rows[..1]), []);
}

#[test]
fn every_fault_of_a_table_names_its_place() {
    let heading = "bandwidth_mbit_s,memory_mb,start_s,end_s";
    for (text, says) in [
        ("", "line 1, column 1: the file has no line of column names"),
        ("a,b\n1,2", "line 1, column 1: there is no column bandwidth_mbit_s, memory_mb, start_s, end_s"),
        (heading, "line 2, column 1: there are no migrations after the column names"),
        (&format!("{heading}\n500,2000,0"), "line 2, column 11: ends before end_s, its value 4"),
        (&format!("{heading}\n\n500,2 GB,0,9"), "line 3, column 5: memory_mb: \"2 GB\" is not a number"),
        (&format!("{heading}\n500,nan,0,9"), "memory_mb: \"nan\" is not a number"),
        (&format!("{heading}\n0,2000,0,9"), "line 2, column 1: bandwidth_mbit_s: must be more than 0, is 0"),
        (&format!("{heading}\n500,2000,9,9"), "line 2, column 12: end_s: 9 is not after start_s, 9"),
        (&format!("{heading},cold_dirty_mb_s\n500,2000,0,9,-1"), "cold_dirty_mb_s: must be 0 or more, is -1"),
    ] {
        let faults = read(text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.to_string().contains(says)), "{says:?} is not in {faults:?}");
    }
    let rows = read("end_s, memory_mb ,start_s,bandwidth_mbit_s,note\r\n12,2000,2,500,x\r\n").unwrap();
    assert_eq!((rows[0].duration_s, rows[0].mbit_s, rows[0].workload), (10.0, 500.0, of0(2000.0)));
}

fn of0(memory_mib: f64) -> Workload {
    Workload { memory_mib, ..Workload::default() }
}

const PROBLEM: &str = r#"{
    "hosts": [{"name": "a", "capacity": {"memory": 10000}, "migration_bandwidth": 100},
              {"name": "b", "capacity": {"memory": 10000}, "migration_bandwidth": 100}],
    "vms": [{"name": "v", "host": "a", "demand": {"memory": 1000}},
            {"name": "w", "host": "a", "demand": {"memory": 2000}, "memory_dirty_rate": 50}]}"#;
const PLAN: &str = r#"{"status": "FEASIBLE", "actions": [
    {"id": 1, "type": "MIGRATE", "vm": "v", "source": "a", "destination": "b", "start_s": 0, "end_s": 10.03},
    {"id": 2, "type": "MIGRATE", "vm": "w", "source": "a", "destination": "b", "start_s": 10.03, "end_s": 50.06}]}"#;

#[test]
fn a_plan_comes_to_what_its_migrations_do() {
    let (problem, plan) = (Problem::from_json(PROBLEM).unwrap(), Plan::from_json(PLAN).unwrap());
    let told = |calibration: Calibration| {
        let steps =
            steps(&problem, &plan, |_, workload, path| forecast(workload, path, &PLAIN, &calibration));
        let totals = totals(&plan, steps.iter().map(|step| (step.id, &step.forecast)));
        (steps, totals)
    };
    let (steps, contract) = told(Calibration::CONTRACT);
    assert!(steps.iter().all(|step| (step.rate_mib_s - 100.0).abs() < 0.01), "{steps:?}");
    // All but what the second one sends while it stands still.
    assert!(contract.duration_s <= 50.06 && contract.duration_s > 50.06 - 0.3, "{contract:?}");
    assert!(contract.moved_mib > 4900.0 && contract.moved_mib < 5000.0, "{contract:?}");
    assert_eq!((contract.migrations, contract.endless), (2, 0));
    // The second one waits for the first, which takes longer than was planned.
    let (steps, real) = told(Calibration::KVM);
    let sum: f64 = steps.iter().map(|step| step.forecast.duration_s).sum();
    assert!((real.duration_s - sum).abs() < 1e-9 && real.duration_s > contract.duration_s + 4.0, "{real:?}");
    assert!(real.longest_downtime_s <= real.downtime_s);
    assert_eq!(real.statistics().len(), 5);
}

/// Nominal and real seconds of migrations from a host that reaches so much of its speed.
fn fleet(efficiency: f64, setup_s: f64) -> impl Iterator<Item = (f64, f64)> {
    let noise = [1.02, 0.98, 1.01, 0.97, 1.03, 1.0, 0.99];
    (0..).map(move |i: usize| {
        let nominal = 5.0 + 7.0 * ((i * 5) % 9) as f64;
        (nominal, (setup_s + nominal / efficiency) * noise[i % noise.len()])
    })
}

#[test]
fn after_some_migrations_at_70_percent_forecasts_are_within_5_percent() {
    let mut estimate = Estimate::default();
    let mut off = Vec::new();
    for (nominal, took) in fleet(0.7, 3.0).take(20) {
        let told = estimate.calibration(&Calibration::KVM);
        let expected = told.setup_s + nominal / told.efficiency;
        off.push((expected - took).abs() / took);
        estimate.learn(&Calibration::KVM, nominal, took);
    }
    assert!(off[0] > 0.2, "{off:?}");
    // They scatter by 3 % themselves.
    let mean = off[3..].iter().sum::<f64>() / off[3..].len() as f64;
    assert!(mean < 0.03 && off[3..].iter().all(|off| *off < 0.08), "{mean} {off:?}");
    assert!((estimate.calibration(&Calibration::KVM).efficiency - 0.7).abs() < 0.03, "{estimate:?}");
    assert!(
        (estimate.usable_share(&Calibration::KVM) - 0.7).abs() < 0.03 && estimate.error < 0.05,
        "{estimate:?}"
    );
}

#[test]
fn one_that_goes_wrong_does_not_upset_the_estimate_and_a_change_is_followed() {
    let mut estimate = Estimate::default();
    fleet(0.9, 2.0).take(15).for_each(|(nominal, took)| estimate.learn(&Calibration::KVM, nominal, took));
    let before = estimate.calibration(&Calibration::KVM);
    estimate.learn(&Calibration::KVM, 20.0, 2000.0);
    let after = estimate.calibration(&Calibration::KVM);
    assert!(after.efficiency > 0.8 * before.efficiency, "{before:?} {after:?}");
    // The same host over a worse network.
    fleet(0.3, 2.0).take(25).for_each(|(nominal, took)| estimate.learn(&Calibration::KVM, nominal, took));
    let changed = estimate.calibration(&Calibration::KVM);
    assert!((changed.efficiency - 0.3).abs() < 0.03, "{changed:?}");
    for nonsense in [(f64::NAN, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, f64::INFINITY)] {
        let before = estimate;
        estimate.learn(&Calibration::KVM, nonsense.0, nonsense.1);
        assert_eq!(estimate, before);
    }
    // One that is faster than it should be gets no more than there is.
    let mut quick = Estimate::default();
    fleet(3.0, 0.1).take(10).for_each(|(nominal, took)| quick.learn(&Calibration::KVM, nominal, took));
    assert!(
        quick.calibration(&Calibration::KVM).efficiency > 2.5 && quick.usable_share(&Calibration::KVM) == 1.0,
        "{quick:?}"
    );
}
