//! Loads against their own laws, and traces that can be summed by hand.

use super::*;
use std::collections::BTreeSet;

fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

fn near(value: f64, expected: f64, within: f64) -> bool {
    (value - expected).abs() <= within
}

#[test]
fn gaussian_steps_have_their_mean_deviation_and_period() {
    let load = Gaussian { mean: 50.0, sd: 10.0, period_s: 300.0 };
    let needs: Vec<Need> = load.needs(500, 30_000.0, 7).collect();
    let values: Vec<f64> = needs.iter().map(|need| need.percent).collect();
    let (mean, sd) = mean_and_sd(&values);
    assert!(near(mean, 50.0, 0.2) && near(sd, 10.0, 0.2), "{mean} ± {sd}");
    let within_one = values.iter().filter(|value| near(**value, 50.0, 10.0)).count() as f64;
    assert!(near(within_one / values.len() as f64, 0.6827, 0.01), "{within_one}");
    let of: Vec<f64> = needs.iter().filter(|need| need.vm == 3).map(|need| need.time).collect();
    assert!(of[0] == 0.0 && of[1] < 300.0 && (100..=102).contains(&of.len()), "{}", of.len());
    assert!(of[1..].windows(2).all(|two| near(two[1] - two[0], 300.0, 1e-6)));
    let again: Vec<Need> = load.needs(500, 30_000.0, 7).collect();
    assert!(needs == again && needs.is_sorted_by(|a, b| a.time <= b.time));
    assert!(needs != load.needs(500, 30_000.0, 8).collect::<Vec<_>>());
    let full = Gaussian { mean: 100.0, ..load }.needs(100, 3000.0, 7).map(|need| need.percent);
    assert!(full.fold(0.0, f64::max) == 100.0);
}

#[test]
fn poisson_steps_have_the_deviation_of_their_clients() {
    let load = Poisson { mean: 30.0, client: 5.0, period_s: 200.0 };
    let needs: Vec<Need> = load.needs(500, 20_000.0, 7).collect();
    let (mean, sd) = mean_and_sd(&needs.iter().map(|need| need.percent).collect::<Vec<_>>());
    assert!(near(mean, 30.0, 0.3) && near(sd, (30.0_f64 * 5.0).sqrt(), 0.2), "{mean} ± {sd}");
    // The first of each is at the start.
    let changes = (needs.len() - 500) as f64;
    assert!(near(changes, 50_000.0, 4.0 * 50_000.0_f64.sqrt()), "{changes}");
    let none = needs.iter().filter(|need| need.percent == 0.0).count() as f64 / needs.len() as f64;
    assert!(near(none, (-6.0_f64).exp(), 0.001), "{none}");
}

#[test]
fn days_and_nights_reach_their_extremes_when_they_should() {
    let load = Day { low: 20.0, high: 80.0, sd: 0.0, period_s: 60.0, peak_s: 50_400.0, ..Day::default() };
    let needs: Vec<Need> = load.needs(20, 2.0 * 86_400.0, 7).collect();
    let about = |time: f64| {
        let then: Vec<f64> =
            needs.iter().filter(|need| near(need.time, time, 30.0)).map(|need| need.percent).collect();
        assert!(then.len() >= 20, "{time}");
        mean_and_sd(&then).0
    };
    for day in [0.0, 86_400.0] {
        assert!(near(about(day + 50_400.0), 80.0, 0.01) && near(about(day + 7200.0), 20.0, 0.01));
        assert!(near(about(day + 28_800.0), 50.0, 0.1), "half-way at eight");
    }
    let all = |by: fn(f64, f64) -> f64| needs.iter().map(|need| need.percent).reduce(by).unwrap();
    assert!(near(all(f64::max), 80.0, 1e-3) && near(all(f64::min), 20.0, 1e-3));
    let spread = Day { spread_s: 86_400.0, ..load };
    let noon: Vec<f64> =
        spread.needs(400, 60.0, 7).filter(|need| need.time == 0.0).map(|need| need.percent).collect();
    let (mean, sd) = mean_and_sd(&noon);
    assert!(near(mean, 50.0, 4.0) && near(sd, 30.0 / 2.0_f64.sqrt(), 2.0), "of all hours: {mean} ± {sd}");
}

#[test]
fn a_crowd_comes_stays_and_leaves() {
    let load = Crowd { mean: 40.0, sd: 0.0, peak: 90.0, part: 0.3, period_s: 10.0, ..Crowd::default() };
    let mut now = vec![f64::NAN; 1000];
    let mut seen = Vec::new();
    let mut times = [590.0, 660.0, 1000.0, 1620.0, 2000.0].into_iter().peekable();
    for need in load.needs(1000, 2100.0, 7) {
        while let Some(time) = times.next_if(|time| *time <= need.time) {
            let wanted = now.iter().filter(|percent| **percent > 40.0).count();
            seen.push((time, wanted, now.iter().copied().fold(0.0, f64::max)));
        }
        now[need.vm as usize] = need.percent;
    }
    let [before, rising, there, falling, after] = seen[..] else { panic!("{seen:?}") };
    assert_eq!((before.1, before.2, after.1, after.2), (0, 40.0, 0, 40.0));
    assert!((250..=350).contains(&there.1) && there.2 == 90.0, "{there:?}");
    assert!(rising.1 == there.1 && near(rising.2, 65.0, 0.1), "{rising:?}");
    assert!(falling.1 == there.1 && (65.0..=70.0).contains(&falling.2), "{falling:?}");
}

#[test]
fn as_many_come_as_go_and_each_stays_its_time() {
    let load = Arrivals { life_s: 1000.0, ..Arrivals::default() };
    let lives = load.lives(400, 20_000.0, 7);
    assert!(lives.is_sorted_by(|a, b| a.time <= b.time));
    let comes = lives.iter().filter(|life| life.comes).count();
    assert!(near(comes as f64, 8000.0, 4.0 * 8000.0_f64.sqrt()), "{comes}");
    let mut there: BTreeSet<u32> = (0..400).collect();
    let mut sizes = Vec::new();
    for life in &lives {
        let changed = if life.comes { there.insert(life.vm.0) } else { there.remove(&life.vm.0) };
        assert!(changed, "{life:?}");
        sizes.push(there.len() as f64);
    }
    let (mean, sd) = mean_and_sd(&sizes);
    // As many as there are in a queue with a server for each: Poisson-distributed.
    assert!(near(mean, 400.0, 30.0) && near(sd, 20.0, 8.0), "{mean} ± {sd}");
    let gone: std::collections::BTreeMap<u32, f64> =
        lives.iter().filter(|life| !life.comes).map(|life| (life.vm.0, life.time)).collect();
    let late = |need: &Need| gone.get(&need.vm).is_some_and(|gone| need.time >= *gone);
    let mut needs = load.needs(400, 20_000.0, 7).peekable();
    assert!(needs.peek().is_some() && !needs.any(|need| late(&need)));
    let few = Arrivals { gap_s: Some(1000.0), ..load }.lives(400, 20_000.0, 7);
    assert!((5..=40).contains(&few.iter().filter(|life| life.comes).count()));
}

fn text(name: &str, text: &str) -> Text {
    Text { name: name.to_owned(), text: text.to_owned() }
}

#[test]
fn a_trace_is_what_its_files_say() {
    let table = planetlab(&[text("d/20110303.csv", "a,10,20,20\nb,50,0,100\n")]).unwrap();
    let alone = planetlab(&[text("d/a", "10\n20\n20\n"), text("d/b", "50\n0\n100\n")]).unwrap();
    assert_eq!(table, alone);
    assert_eq!((table.rows[1].name.as_str(), &table.rows[1].points[2]), ("b", &(600.0, 100.0)));
    let needs: Vec<_> = table.needs(2, 900.0, 0).map(|it| (it.time, it.vm, it.percent)).collect();
    let expected = [(0.0, 0, 10.0), (0.0, 1, 50.0), (300.0, 0, 20.0), (300.0, 1, 0.0), (600.0, 1, 100.0)];
    assert_eq!(needs, expected, "what stays is no event");
    // 0.5 hours of a percent each: (10 + 20 + 20 + 50 + 0 + 100) × 300 s.
    let mut hours = [0.0; 2];
    for vm in 0..2 {
        let of: Vec<_> = needs.iter().filter(|need| need.1 == vm).collect();
        let ends = of.iter().skip(1).map(|need| need.0).chain([900.0]);
        hours[vm as usize] =
            of.iter().zip(ends).map(|(need, end)| need.2 * (end - need.0)).sum::<f64>() / 3.6e5;
    }
    assert!(near(hours[0], 50.0 * 300.0 / 3.6e5, 1e-12) && near(hours[1], 150.0 * 300.0 / 3.6e5, 1e-12));
    assert_eq!(table.needs(1, 300.0, 0).count(), 1);
}

#[test]
fn files_that_are_no_planetlab_are_refused_with_line_and_reason() {
    for (files, file, line, says) in [
        (vec![text("x.csv", "a,1,2\nb,1,x\n")], "x.csv", Some(2), "\"x\" is no number"),
        (vec![text("x.csv", "a,1,2\n\nb,1,101\n")], "x.csv", Some(3), "101 is not between 0 and 100"),
        (vec![text("x.csv", "a,1,2\nb,1\n")], "x.csv", Some(2), "b has 1 figures, but a has 2"),
        (vec![text("x.csv", "a\n")], "x.csv", Some(1), "is not a name and figures"),
        (vec![text("a", "1\n2\n"), text("b", "1\n-2\n")], "b", Some(2), "-2 is not between"),
        (vec![text("a", "")], "a", None, "is empty"),
        (vec![text("a", "1\n2\n"), text("b", "1\n")], "b", None, "b has 1 figures"),
        (vec![text("x.csv", "")], "x.csv", None, "has no VM"),
        (vec![], "", None, "has no VM"),
    ] {
        let faults = planetlab(&files).unwrap_err();
        let fault = &faults[0];
        assert!(
            fault.file == file && fault.line == line && fault.message.contains(says),
            "{files:?}: {faults:?}"
        );
    }
}

const HEADING: &str = "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];\tMemory \
                       capacity provisioned [KB];\tMemory usage [KB]\n";

#[test]
fn vms_of_bitbrains_come_and_go_and_have_their_sizes() {
    let first =
        "1376314846;\t2;\t5200;\t520;\t10;\t2097152;\t0\n1376315146;\t2;\t5200;\t5200;\t100;\t1048576;\t0\n";
    let second = "1376315146000;\t4;\t10000;\t2500;\t25;\t8388608;\t0\n1376315446000;\t4;\t10000;\t0;\t0;\t8388608;\t0\n";
    let files =
        [text("d/1.csv", &(HEADING.to_owned() + first)), text("d/2.csv", &(HEADING.to_owned() + second))];
    let trace = bitbrains(&files).unwrap();
    let sizes: Vec<_> = trace.rows.iter().map(|row| (row.name.as_str(), row.cpu, row.memory)).collect();
    assert_eq!(sizes, [("1", Some(2000), Some(2048)), ("2", Some(4000), Some(8192))]);
    let needs: Vec<_> = trace.needs(2, 1e6, 0).map(|it| (it.time, it.vm, it.percent)).collect();
    assert_eq!(needs, [(0.0, 0, 10.0), (300.0, 1, 25.0), (300.0, 0, 100.0), (600.0, 1, 0.0)]);
    let lives: Vec<_> = trace.lives(2, 1e6, 0).iter().map(|it| (it.time, it.vm.0, it.comes)).collect();
    assert_eq!(lives, [(300.0, 1, true), (600.0, 0, false)]);
}

#[test]
fn files_that_are_no_bitbrains_are_refused_with_line_and_reason() {
    for (body, line, says) in [
        ("", None, "a heading and nothing else"),
        ("1;\t1;\t2600;\tx;\t0;\t1;\t1\n", Some(2), "CPU usage [MHZ]: \"x\" is no number"),
        ("1;\t1;\t2600\n", Some(2), "CPU usage [MHZ]: \"\" is no number"),
        ("5;\t1;\t9;\t1;\t0;\t1;\t1\n5;\t1;\t9;\t1;\t0;\t1;\t1\n", Some(3), "not later"),
    ] {
        let faults = bitbrains(&[text("1.csv", &(HEADING.to_owned() + body))]).unwrap_err();
        assert!(faults[0].line == line && faults[0].message.contains(says), "{body}: {faults:?}");
    }
    let faults = bitbrains(&[text("meta.csv", "id,start_time\n1,2\n")]).unwrap_err();
    assert!(faults[0].line == Some(1) && faults[0].message.contains("no column \"Timestamp\""), "{faults:?}");
    assert_eq!(bitbrains(&[text("1.csv", "")]).unwrap_err()[0].message, "is empty");
}
