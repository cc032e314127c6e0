//! Whom an agent takes, when it goes to another one, and that it always goes on.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A round trip as it is measured.
#[expect(clippy::unnecessary_wraps, reason = "it stands beside `None`")]
fn ms(milliseconds: f64) -> Option<Duration> {
    Some(Duration::from_secs_f64(milliseconds / 1000.0))
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn choice(settings: Nearness) -> Choice {
    Choice::new(NAMES.map(str::to_owned).to_vec(), settings)
}

/// One that has measured.
fn measured(round_trips: [Option<Duration>; 3]) -> Choice {
    let mut choice = choice(Nearness::default());
    assert_eq!(choice.next(s(0.0), 0.0), Step::Measure);
    choice.measured(&round_trips, s(0.0));
    choice
}

/// Whom it takes, and why.
fn taken(choice: &mut Choice, now: Duration) -> (usize, String) {
    match choice.next(now, 0.5) {
        Step::Take { at, why } => (at, why),
        other => panic!("at {now:?}: {other:?}"),
    }
}

/// A session with whoever is taken at that time.
fn session(choice: &mut Choice, now: Duration) -> usize {
    let (at, _) = taken(choice, now);
    choice.begun(now);
    at
}

#[test]
fn the_nearest_is_taken_and_it_is_said_why() {
    let (at, why) = taken(&mut measured([ms(12.0), None, ms(3.0)]), s(0.0));
    assert_eq!((at, why.as_str()), (2, "the nearest: c 3.0 ms, a 12.0 ms, b does not answer"));
    // Nobody answers: it is tried nevertheless, by the list.
    let (at, why) = taken(&mut measured([None; 3]), s(0.0));
    assert!(at == 0 && why.starts_with("none that answers is left: a does not answer"), "{why}");
}

#[test]
fn those_that_are_equally_near_are_taken_by_the_list() {
    let order = |round_trips| measured(round_trips).order();
    // Within 1 ms, within 20 %.
    assert_eq!(order([ms(0.9), ms(0.4), ms(0.1)]), [0, 1, 2]);
    assert_eq!(order([ms(119.0), ms(110.0), ms(100.0)]), [0, 1, 2]);
    assert_eq!(order([ms(121.0), ms(110.0), ms(100.0)]), [1, 2, 0]);
    // What counts as equal is measured from the nearest that is left, so that a row of small steps does not reach far.
    assert_eq!(order([ms(3.0), ms(2.2), ms(1.3)]), [1, 2, 0]);
    assert_eq!(order([None, ms(50.0), ms(2.0)]), [2, 1, 0]);
}

#[test]
fn agents_of_one_rack_take_the_same_whatever_the_noise() {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..1000 {
        let mut noisy = |least: f64| ms(least + random.random_range(0.0..0.9));
        let round_trips = [noisy(5.0), noisy(0.1), noisy(0.1)];
        assert_eq!(measured(round_trips).order(), [1, 2, 0]);
    }
}

#[test]
fn one_that_is_lost_is_followed_by_the_next_nearest_at_once() {
    let mut choice = measured([ms(30.0), ms(10.0), ms(1.0)]);
    assert_eq!(session(&mut choice, s(0.0)), 2);
    choice.ended(End::Lost, s(100.0), 1.0);
    assert_eq!(choice.next(s(100.0), 0.5), Step::Wait(SPREAD), "agents come apart, by no more than that");
    let (at, why) = taken(&mut choice, s(100.1));
    assert_eq!((at, why.as_str()), (1, "the nearest: b 10.0 ms, a 30.0 ms, c does not answer"));
    // It cannot be had: what was measured is old, so it is measured once more.
    choice.ended(End::Lost, s(100.2), 0.5);
    assert_eq!(choice.next(s(100.2), 0.5), Step::Measure);
    choice.measured(&[ms(30.0), None, None], s(100.3));
    assert_eq!(taken(&mut choice, s(100.3)).0, 0);
    choice.ended(End::Lost, s(100.4), 0.5);
    // All were tried: a pause that grows, and a new measurement.
    let Step::Wait(first) = choice.next(s(100.4), 0.0) else { panic!("a pause") };
    assert_eq!(choice.next(s(100.4) + first, 0.0), Step::Measure);
    choice.measured(&[None; 3], s(101.0));
    for _ in 0..3 {
        taken(&mut choice, s(101.0));
        choice.ended(End::Lost, s(101.0), 0.5);
    }
    let Step::Wait(second) = choice.next(s(101.0), 0.0) else { panic!("a pause") };
    assert_eq!((first, second), (s(0.1), s(0.2)));
}

#[test]
fn who_refuses_sessions_is_not_taken_again_before_all_others() {
    // The nearest answers, but its sessions end at once: it speaks another version.
    let mut choice = measured([ms(1.0), ms(20.0), ms(30.0)]);
    let mut order = Vec::new();
    for at in 1..=3 {
        let now = s(f64::from(at) * 0.1);
        let (at, _) = taken(&mut choice, now);
        order.push(at);
        choice.ended(End::Lost, now, 0.5);
    }
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn who_is_sent_away_goes_to_the_next_nearest_at_once() {
    let near = [ms(1.0), ms(20.0), ms(30.0)];
    let mut choice = measured(near);
    assert_eq!(session(&mut choice, s(0.0)), 0);
    choice.ended(End::Away(s(2.0)), s(60.0), 1.0);
    assert_eq!(taken(&mut choice, s(60.0)).0, 1);
    choice.ended(End::Lost, s(60.0), 0.5);
    assert_eq!(taken(&mut choice, s(60.0)).0, 2);
    choice.ended(End::Lost, s(60.0), 0.5);
    assert_eq!(choice.next(s(60.0), 0.5), Step::Measure);
    choice.measured(&near, s(60.5));
    // The others cannot be had: the first one is waited for, as long as it has said.
    assert_eq!(choice.next(s(60.5), 0.5), Step::Wait(s(1.5)));
    assert_eq!(taken(&mut choice, s(62.0)).0, 0);
    // Who wants the session anew gets it, once; then it is as any other.
    choice.begun(s(62.0));
    choice.ended(End::Away(s(0.2)), s(80.0), 1.0);
    assert_eq!(choice.next(s(80.0), 0.5), Step::Wait(s(0.2)));
    assert_eq!(session(&mut choice, s(80.2)), 0);
    choice.ended(End::Away(s(0.2)), s(80.3), 1.0);
    assert_eq!(taken(&mut choice, s(80.3)).0, 1);
}

#[test]
fn one_alone_is_not_measured_and_tried_for_ever() {
    let mut choice = Choice::new(vec!["a".to_owned()], Nearness::default());
    let (mut now, mut pauses) = (s(0.0), Vec::new());
    for _ in 0..9 {
        assert_eq!(taken(&mut choice, now), (0, "the only one".to_owned()));
        choice.ended(End::Lost, now, 0.5);
        let Step::Wait(pause) = choice.next(now, 1.0) else { panic!("a pause") };
        pauses.push(pause);
        now += pause;
    }
    assert!(pauses.is_sorted() && pauses[0] == s(0.2) && pauses[8] == s(10.0), "{pauses:?}");
    // A good session makes the next failure a new one.
    assert_eq!(session(&mut choice, now), 0);
    now += GOOD_SESSION;
    choice.ended(End::Lost, now, 0.5);
    assert_eq!(choice.next(now, 1.0), Step::Wait(s(0.2)));
    now += s(0.2);
    taken(&mut choice, now);
    choice.ended(End::Away(s(2.0)), now, 1.0);
    assert_eq!(choice.next(now, 0.5), Step::Wait(s(2.0)));
}

#[test]
fn without_measurements_the_list_is_the_order() {
    let mut choice = choice(Nearness { measure: false, ..Nearness::default() });
    for at in 0..3 {
        let (taken, why) = taken(&mut choice, s(0.0));
        assert_eq!((taken, why), (at, format!("{} of 3 in the order of the list", at + 1)));
        choice.ended(End::Lost, s(0.0), 0.5);
    }
    assert!(matches!(choice.next(s(0.0), 0.5), Step::Wait(_)));
}

/// Looks each five minutes; when it leaves.
fn leaves(choice: &mut Choice, looks: &[[f64; 3]], from: Duration) -> Option<usize> {
    let round_trips = |look: &[f64; 3]| look.map(ms);
    (0..looks.len()).find(|i| choice.look(&round_trips(&looks[*i]), from + s(300.0) * (*i as u32 + 1)))
}

#[test]
fn it_sticks_unless_another_is_much_nearer_for_long() {
    let begin = || {
        let mut choice = measured([None, ms(20.0), ms(30.0)]);
        assert_eq!(session(&mut choice, s(0.0)), 1);
        choice
    };
    let (nearer, much_nearer) = ([12.0, 20.0, 30.0], [2.0, 20.0, 30.0]);
    assert_eq!(leaves(&mut begin(), &[nearer; 100], s(0.0)), None, "not for a little");
    let mut now_and_then = vec![much_nearer; 6];
    now_and_then.push(nearer);
    assert_eq!(
        leaves(&mut begin(), &now_and_then.repeat(20), s(0.0)),
        None,
        "not for half an hour less a look"
    );
    assert_eq!(leaves(&mut begin(), &[[0.1, 1.9, 3.0]; 100], s(0.0)), None, "not for two milliseconds");
    let mut choice = begin();
    assert_eq!(
        leaves(&mut choice, &[much_nearer; 100], s(0.0)),
        Some(6),
        "half an hour after the first look"
    );
    choice.moved(s(2100.0));
    assert_eq!(taken(&mut choice, s(2100.0)), (0, "it has been much nearer for long".to_owned()));
    // It cannot be had: back to where it was, at once; and it takes longer each time until that is tried again.
    let mut waits = Vec::new();
    let mut now = s(2100.0);
    for _ in 0..3 {
        choice.ended(End::Lost, now, 0.0);
        assert_eq!(session(&mut choice, now), 1);
        let looks = leaves(&mut choice, &[much_nearer; 100], now).expect("it tries again");
        waits.push(looks);
        now += s(300.0) * (looks as u32 + 1);
        choice.moved(now);
        assert_eq!(taken(&mut choice, now).0, 0);
    }
    assert_eq!(waits, [11, 17, 29]);
    // It holds a session now, and sticks to that.
    choice.begun(now);
    assert_eq!(leaves(&mut choice, &[much_nearer; 100], now), None);
}

#[test]
fn moving_can_be_switched_off() {
    let mut choice = choice(Nearness { move_after: None, ..Nearness::default() });
    choice.next(s(0.0), 0.5);
    choice.measured(&[None, ms(20.0), None], s(0.0));
    assert_eq!(session(&mut choice, s(0.0)), 1);
    assert_eq!(leaves(&mut choice, &[[0.1, 20.0, 0.1]; 100], s(0.0)), None);
    // What was measured is there when it is needed.
    choice.ended(End::Lost, s(1e6), 0.0);
    assert_eq!(taken(&mut choice, s(1e6)).0, 0);
}

#[test]
fn whatever_happens_it_goes_on_and_finds_who_serves() {
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..300 {
        let count = random.random_range(1..=5);
        let names = (0..count).map(|i| format!("c{i}")).collect();
        let measure = random.random_bool(0.8);
        let mut choice = Choice::new(names, Nearness { measure, ..Nearness::default() });
        let (mut now, mut waited) = (s(0.0), s(0.0));
        // For the last part one of them serves, and nothing is sent away any more.
        let good = random.random_range(0..count);
        let mut found = None;
        for step in 0..2000 {
            let calm = step >= 1000;
            match choice.next(now, random.random()) {
                Step::Wait(pause) => {
                    assert!(pause <= LONGEST_AWAY, "{pause:?}");
                    now += pause;
                    waited += pause;
                }
                Step::Measure => {
                    assert!(measure && count > 1);
                    let mut one = |at| {
                        let answers = if calm { at == good } else { random.random_bool(0.5) };
                        answers.then(|| Duration::from_micros(random.random_range(50..50_000)))
                    };
                    let round_trips: Vec<_> = (0..count).map(&mut one).collect();
                    now += s(0.1);
                    choice.measured(&round_trips, now);
                }
                Step::Take { at, .. } if calm && at == good => {
                    found = Some((step, waited));
                    break;
                }
                Step::Take { .. } => {
                    if random.random_bool(0.5) {
                        choice.begun(now);
                        now += s(random.random_range(0.0..20.0));
                    }
                    let away = !calm && random.random_bool(0.5);
                    let after = s(random.random_range(0.0..100.0));
                    choice.ended(if away { End::Away(after) } else { End::Lost }, now, random.random());
                }
            }
            if !calm {
                waited = s(0.0);
            }
        }
        let (step, waited) = found.expect("who serves is taken");
        assert!(step < 1100 && waited <= LONGEST_AWAY + s(30.0), "{step} steps, {waited:?}");
    }
}
