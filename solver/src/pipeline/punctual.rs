//! A solve that is on time whatever its parts do.
//!
//! Most of a solve looks at the budget often. What goes over all of a problem at once (reading it, the rules, a plan and
//! its judge) does not, and takes longer the larger it is and the busier the machine; nor do all rules, of which some
//! have a thousand parts. So a problem is solved on a thread of its own: when that is late, the best plan that it has
//! told is the answer, and it is left to find out by itself that nobody waits.

use super::best::REST;
use crate::Options;
use crate::answer;
use crate::behind::{Behind, Waiting};
use crate::budget::Budget;
use crate::file::{self, Plan, Status};
use crate::model::Rejected;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// So late it may be, after its deadline and after somebody has asked to stop.
const GRACE: Duration = Duration::from_millis(25);
const GRACE_AFTER_STOP: Duration = Duration::from_millis(40);

/// As long as so many solves of the process are left behind and still run, no new one begins: each has its problem and
/// what was made of it in memory.
static LATE: Behind = Behind::new(8);

/// How often the one who waits looks whether somebody has asked to stop.
const LOOK: Duration = Duration::from_millis(10);

/// How all of a solve is done.
type Whole = fn(&file::Problem, &Options, &Budget, &mut dyn FnMut(&Plan)) -> Result<Plan, Rejected>;

enum News {
    Better(Plan),
    End(Result<Plan, Rejected>),
}

/// Solves by `whole`, but returns soon after the deadline of the budget or a request to stop.
pub(crate) fn solve(
    whole: Whole,
    problem: &file::Problem,
    options: &Options,
    budget: &Budget,
    better: &mut dyn FnMut(&Plan),
) -> Result<Plan, Rejected> {
    if !may_begin(&LATE, budget) {
        return Ok(crowded(&LATE, budget));
    }
    let (waiting, ended) = LATE.begin();
    let (give, take) = mpsc::channel();
    let (copy, own_options, own) = (problem.clone(), options.clone(), budget.clone());
    let work = move || {
        let _ended = ended;
        // Nobody may be waiting any more.
        let mut tell = |plan: &Plan| drop(give.send(News::Better(plan.clone())));
        let result = whole(&copy, &own_options, &own, &mut tell);
        let _ = give.send(News::End(result));
    };
    match std::thread::Builder::new().name("solve".to_owned()).spawn(work) {
        Ok(thread) => follow(thread, &take, waiting, budget, better),
        // No thread is to be had.
        Err(_) => whole(problem, options, budget, &mut |plan| drop(told(plan.clone(), better))),
    }
}

fn follow(
    thread: std::thread::JoinHandle<()>,
    take: &mpsc::Receiver<News>,
    waiting: Waiting,
    budget: &Budget,
    better: &mut dyn FnMut(&Plan),
) -> Result<Plan, Rejected> {
    let mut best = None;
    let mut asked_at = None;
    loop {
        match take.recv_timeout(LOOK) {
            Ok(News::Better(plan)) => best = Some(told(plan, better)),
            Ok(News::End(result)) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                let panic = thread.join().expect_err("it tells its end unless it panics");
                std::panic::resume_unwind(panic);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if budget.is_cancelled() {
            asked_at.get_or_insert_with(|| budget.since_start());
        }
        let after_stop = asked_at.map(|at| budget.since_start().saturating_sub(at));
        if budget.is_overdue(GRACE) || after_stop.is_some_and(|after| after >= GRACE_AFTER_STOP) {
            // What is there already counts.
            while let Ok(news) = take.try_recv() {
                match news {
                    News::Better(plan) => best = Some(told(plan, better)),
                    News::End(result) => return result,
                }
            }
            waiting.leave();
            return Ok(late(best, budget));
        }
    }
}

/// Waits until one of those left behind has ended, where there are too many, as long as the solve itself may take.
fn may_begin(behind: &Behind, budget: &Budget) -> bool {
    while behind.is_full() {
        if budget.is_cancelled() || budget.expired() {
            return false;
        }
        std::thread::sleep(LOOK.min(budget.remaining()));
    }
    true
}

/// The answer when nothing could be begun.
fn crowded(behind: &Behind, budget: &Budget) -> Plan {
    let reason = format!(
        "not begun: {} solves of this process ran over their limits and have not ended yet; ask again later",
        behind.count()
    );
    let mut plan = answer::without(Status::Unknown, reason, None);
    plan.statistics.extend(answer::statistics(budget, None, "heuristic"));
    plan
}

/// Tells a plan, but for the one that nothing is done, which is for those who are late.
fn told(plan: Plan, better: &mut dyn FnMut(&Plan)) -> Plan {
    if plan.statistics.get("phase") != Some(&file::Statistic::Text(REST.to_owned())) {
        better(&plan);
    }
    plan
}

/// What there is when the thread is late.
fn late(best: Option<Plan>, budget: &Budget) -> Plan {
    let mut plan = best.unwrap_or_else(|| {
        let reason = if budget.is_cancelled() {
            "the solve was cancelled before a plan was found"
        } else {
            "time ran out before a plan was found"
        };
        answer::without(Status::Unknown, reason.to_owned(), None)
    });
    let backend = match plan.statistics.get("backend") {
        Some(file::Statistic::Text(backend)) => backend.clone(),
        _ => "heuristic".to_owned(),
    };
    plan.statistics.remove("phase");
    plan.statistics.extend(answer::statistics(budget, None, &backend));
    plan
}

#[cfg(test)]
mod tests {
    use super::{Behind, crowded, may_begin, solve};
    use crate::Options;
    use crate::budget::{Budget, Cancel};
    use crate::file::{self, Plan, Status};
    use crate::model::Rejected;
    use std::time::Duration;

    const LONG: Duration = Duration::from_hours(1);

    fn plan(reason: &str) -> Plan {
        Plan { status: Status::Feasible, reason: reason.to_owned(), ..Plan::default() }
    }

    /// Finds a plan, then hangs until it is asked to stop and for a while more.
    #[expect(clippy::unnecessary_wraps, reason = "it stands for a whole solve")]
    fn deaf(
        _: &file::Problem,
        _: &Options,
        budget: &Budget,
        better: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected> {
        better(&plan("in time"));
        while !budget.expired() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_secs(1));
        Ok(plan("too late"))
    }

    #[test]
    fn who_is_late_is_left_behind_and_its_best_plan_taken() {
        let mut told = 0;
        let budget = Budget::new(Duration::from_millis(50), None, &Cancel::default());
        let found =
            solve(deaf, &file::Problem::default(), &Options::default(), &budget, &mut |_| told += 1).unwrap();
        assert_eq!((found.reason.as_str(), told), ("in time", 1));
        let cancel = Cancel::default();
        let budget = Budget::new(LONG, None, &cancel);
        let found =
            solve(deaf, &file::Problem::default(), &Options::default(), &budget, &mut |_| cancel.now())
                .unwrap();
        assert_eq!(found.reason, "in time");
    }

    #[test]
    fn nothing_is_begun_while_too_many_are_left_behind() {
        static FULL: Behind = Behind::new(1);
        let (waiting, ended) = FULL.begin();
        waiting.leave();
        let budget = Budget::new(Duration::from_millis(30), None, &Cancel::default());
        assert!(!may_begin(&FULL, &budget), "one is left behind, and does not end in time");
        let plan = crowded(&FULL, &budget);
        assert_eq!(plan.status, Status::Unknown);
        assert!(plan.reason.contains("1 solves of this process"), "{}", plan.reason);
        let cancel = Cancel::default();
        cancel.now();
        assert!(!may_begin(&FULL, &Budget::new(LONG, None, &cancel)));
        // One that ends makes room for one who waits.
        let budget = Budget::new(LONG, None, &Cancel::default());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                drop(ended);
            });
            assert!(may_begin(&FULL, &budget));
        });
    }

    #[test]
    fn that_nothing_need_be_done_is_the_answer_of_who_is_late_and_is_told_to_nobody() {
        let rests = |_: &file::Problem, _: &Options, _: &Budget, better: &mut dyn FnMut(&Plan)| {
            let mut plan = Plan { status: Status::NoChange, ..Plan::default() };
            plan.statistics.insert("phase".to_owned(), file::Statistic::Text("start".to_owned()));
            better(&plan);
            std::thread::sleep(Duration::from_secs(1));
            Ok(plan)
        };
        let budget = Budget::new(Duration::from_millis(5), None, &Cancel::default());
        let problem = file::Problem::default();
        let found =
            solve(rests, &problem, &Options::default(), &budget, &mut |_| panic!("it is no better plan"))
                .unwrap();
        assert_eq!((found.status, found.statistics.contains_key("phase")), (Status::NoChange, false));
    }

    #[test]
    fn without_a_plan_in_time_nothing_is_claimed() {
        let silent = |_: &file::Problem, _: &Options, _: &Budget, _: &mut dyn FnMut(&Plan)| {
            std::thread::sleep(Duration::from_secs(1));
            Ok(plan("too late"))
        };
        let budget = Budget::new(Duration::from_millis(5), None, &Cancel::default());
        let found =
            solve(silent, &file::Problem::default(), &Options::default(), &budget, &mut |_| ()).unwrap();
        assert_eq!(found.status, Status::Unknown);
        assert!(found.reason.starts_with("time ran out"), "{}", found.reason);
    }

    #[test]
    #[should_panic(expected = "so it ends")]
    fn a_panic_is_not_hidden() {
        let budget = Budget::new(LONG, None, &Cancel::default());
        let _ = solve(
            |_, _, _, _| panic!("so it ends"),
            &file::Problem::default(),
            &Options::default(),
            &budget,
            &mut |_| (),
        );
    }
}
