//! Parts that fail alone: what goes on without them, and what does not.

use super::super::faults::{Changes, Part};
use super::super::*;
use crate::simulator::injector::{Crashes, Outages};
use crate::simulator::world::{HostSetup, Links, MIB, MigrationModel, Power, VmSetup};

/// A coordinator beside the agent of the first host asks all hosts by message and by collecting, each second; agents count their
/// own seconds.
#[derive(Default)]
struct Asks {
    /// Seconds, and who answered by message.
    pongs: Vec<(u32, u32)>,
    /// Seconds, and how many hosts were seen.
    seen: Vec<(u32, usize)>,
    /// Of each host, how often its timer came.
    ticks: Vec<u32>,
    /// Plans of which something was not begun, and which were done.
    plans: Vec<(u32, Outcome)>,
    told: Vec<String>,
    /// When VM 0 is sent to the last host.
    sends_at: u32,
    /// How often the coordinator has begun anew.
    life: u32,
}

const TICK: u32 = 0;
const ASK: u32 = 1;

impl Strategy for Asks {
    type Message = bool;

    fn monitor_period(&self) -> Option<f64> {
        Some(1.0)
    }

    fn start(&mut self, context: &mut Context<bool>) {
        self.ticks = vec![0; context.host_count()];
        for host in 0..context.host_count() as u32 {
            context.timer(Agent(host), 1.0, TICK);
        }
        context.timer(Agent(0), 0.5, ASK);
    }

    fn coordinators(&self, _: &Context<bool>) -> Vec<Agent> {
        vec![Agent(0)]
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<bool>) {
        let second = context.now() as u32;
        if timer == TICK {
            if context.agent_runs(HostId(agent.0)) {
                self.ticks[agent.index()] += 1;
                context.timer(agent, 1.0, TICK);
            }
            return;
        }
        if timer != ASK + self.life {
            return;
        }
        context.timer(agent, 1.0, timer);
        let hosts: Vec<HostId> = (1..context.host_count() as u32).map(HostId).collect();
        for host in &hosts {
            context.send(agent, host.agent(), true, 0);
        }
        context.collect(agent, self.life, hosts);
        if second == self.sends_at {
            let to = HostId(context.host_count() as u32 - 1);
            context.migrate(agent, 7, VmId(0), to);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, asks: bool, context: &mut Context<bool>) {
        if asks {
            context.send(to, from, false, 0);
        } else {
            self.pongs.push((context.now() as u32, from.0));
        }
    }

    fn collected(&mut self, _: Agent, _: u32, view: View, context: &mut Context<bool>) {
        self.seen.push((context.now() as u32, view.hosts.len()));
    }

    fn executed(&mut self, _: Agent, _: u32, outcome: Outcome, context: &mut Context<bool>) {
        self.plans.push((context.now() as u32, outcome));
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<bool>) {
        self.told.push(format!("{} over at {}", host.0, context.now() as u32));
    }

    fn agent_came_up(&mut self, host: HostId, context: &mut Context<bool>) {
        self.told.push(format!("agent {} up at {}", host.0, context.now() as u32));
        context.timer(host.agent(), 1.0, TICK);
    }

    fn agent_went_down(&mut self, host: HostId, context: &mut Context<bool>) {
        self.told.push(format!("agent {} down at {}", host.0, context.now() as u32));
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<bool>) {
        self.told.push(format!("host {} up at {}", host.0, context.now() as u32));
        context.timer(host.agent(), 1.0, TICK);
    }

    fn coordinator_went_down(&mut self, number: u32, context: &mut Context<bool>) {
        self.told.push(format!("coordinator {number} down at {}", context.now() as u32));
        self.life += 1;
    }

    fn coordinator_came_up(&mut self, number: u32, context: &mut Context<bool>) {
        self.told.push(format!("coordinator {number} up at {}", context.now() as u32));
        context.timer(Agent(0), 0.5, ASK + self.life);
    }
}

/// Three hosts, the last at another site; a VM of 20 s to send on the first.
fn setup() -> Setup {
    let host = |site| HostSetup { cpu: 1000, memory: 8192, power: 0, site };
    Setup {
        hosts: vec![host(0), host(0), host(1)],
        vms: vec![VmSetup { host: HostId(0), cpu: 300, memory: 2000, dirty: 0.0 }],
        powers: vec![Power::linear(100.0, 200.0, 0.0)],
        links: Links { nic: f64::INFINITY, site: f64::INFINITY, backbone: f64::INFINITY },
        migration: MigrationModel { limit: 100.0 * MIB, switch_s: 0.0, shared_core: false, slowdown: 0.0 },
    }
}

/// Plays 60 s with changes at times that are not those of timers.
fn played(sends_at: u32, changes: &[(f64, Part, bool)], demands: Vec<Demand>) -> Simulation<Asks> {
    let story = Story { demands: Box::new(demands.into_iter()), ..Story::default() };
    let strategy = Asks { sends_at, ..Asks::default() };
    let simulation = Simulation::new(&setup(), Conditions::default(), story, strategy, 60.0, 10.0);
    let mut simulation = simulation.with_changes(changes);
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
    }
    simulation
}

fn seconds_of(pongs: &[(u32, u32)], host: u32) -> Vec<u32> {
    pongs.iter().filter(|(_, from)| *from == host).map(|(second, _)| *second).collect()
}

fn all_but(gap: std::ops::Range<u32>) -> Vec<u32> {
    (0..60).filter(|second| !gap.contains(second)).collect()
}

#[test]
fn without_its_agent_a_host_goes_on_and_nobody_tells_of_it() {
    let agent = Part::Agent(HostId(1));
    let overload = vec![Demand { time: 12.2, vm: VmId(0), cpu: 1500 }];
    let it = played(5, &[(10.2, agent, false), (40.2, agent, true)], overload);
    let strategy = it.strategy();
    assert_eq!(seconds_of(&strategy.pongs, 1), all_but(10..40));
    assert_eq!(seconds_of(&strategy.pongs, 2), all_but(0..0));
    let seen = |second: u32| if (10..40).contains(&second) { 1 } else { 2 };
    assert_eq!(strategy.seen, (0..60).map(|second| (second, seen(second))).collect::<Vec<_>>());
    // Its timers were forgotten; it has begun anew once it ran again.
    assert_eq!(strategy.ticks, [59, 10 + 19, 59]);
    assert!(strategy.told.contains(&"agent 1 down at 10".to_owned()));
    assert!(strategy.told.contains(&"agent 1 up at 40".to_owned()));
    assert_eq!(it.world().violations.faults(), [10.2, 40.2]);
}

#[test]
fn migrations_go_on_without_an_agent_and_none_begins_nor_is_an_overload_known() {
    let agent = Part::Agent(HostId(2));
    let rise = vec![Demand { time: 45.2, vm: VmId(0), cpu: 1500 }];
    let it = played(5, &[(10.2, agent, false), (50.2, agent, true)], rise);
    assert_eq!(it.strategy().plans, [(25, Outcome { done: 1, ..Outcome::default() })]);
    // It is over from 45.2 on, and known when its agent is back.
    let violation = it.world().violations.log()[0];
    assert_eq!(violation.host, HostId(2));
    assert!((50.2..51.3).contains(&violation.detected), "{violation:?}");
    let late = played(15, &[(10.2, agent, false)], Vec::new());
    assert_eq!(late.strategy().plans, [(15, Outcome { not_begun: 1, ..Outcome::default() })]);
    assert_eq!(late.world().vm(VmId(0)).host, HostId(0));
}

#[test]
fn over_a_link_that_has_failed_nothing_goes_and_what_was_on_its_way_is_lost() {
    let link = Part::Link(HostId(2));
    let it = played(5, &[(10.2, link, false), (30.2, link, true)], Vec::new());
    assert_eq!(seconds_of(&it.strategy().pongs, 2), all_but(10..30));
    assert_eq!(seconds_of(&it.strategy().pongs, 1), all_but(0..0));
    assert_eq!(it.strategy().plans, [(10, Outcome { failed: 1, ..Outcome::default() })]);
    // Its agent runs.
    assert_eq!(it.strategy().ticks, [59, 59, 59]);
    let late = played(15, &[(10.2, link, false)], Vec::new());
    assert_eq!(late.strategy().plans, [(15, Outcome { not_begun: 1, ..Outcome::default() })]);
    // The coordinator is cut off.
    let alone = played(5, &[(10.2, Part::Link(HostId(0)), false)], Vec::new());
    assert_eq!(seconds_of(&alone.strategy().pongs, 1), all_but(10..60));
    assert_eq!(alone.strategy().seen.last(), Some(&(59, 0)));
}

#[test]
fn between_sites_nothing_goes_where_the_link_of_one_has_failed() {
    for site in [0, 1] {
        let it = played(5, &[(10.2, Part::Site(site), false), (30.2, Part::Site(site), true)], Vec::new());
        assert_eq!(seconds_of(&it.strategy().pongs, 2), all_but(10..30));
        assert_eq!(seconds_of(&it.strategy().pongs, 1), all_but(0..0));
        assert_eq!(it.strategy().plans, [(10, Outcome { failed: 1, ..Outcome::default() })]);
        assert_eq!(it.world().violations.faults(), [10.2, 30.2]);
    }
}

#[test]
fn a_coordinator_fails_alone_and_begins_anew_or_with_its_host() {
    let (one, host) = (Part::Coordinator(0), Part::Host(HostId(0)));
    let it = played(5, &[(10.2, one, false), (40.2, one, true)], Vec::new());
    let strategy = it.strategy();
    assert_eq!(seconds_of(&strategy.pongs, 1), all_but(10..40));
    // The agent beside it goes on, and so does what was under way; nobody hears of its end.
    assert_eq!(strategy.ticks, [59, 59, 59]);
    assert_eq!((it.world().vm(VmId(0)).host, strategy.plans.len()), (HostId(2), 1));
    let down = "coordinator 0 down at 10".to_owned();
    assert_eq!(strategy.told, [down.clone(), "coordinator 0 up at 40".to_owned()]);
    // Its host fails meanwhile, and is up before: it began with it.
    let both = [(10.2, one, false), (15.2, host, false), (20.2, host, true), (40.2, one, true)];
    let it = played(50, &both, Vec::new());
    assert_eq!(it.strategy().told, [down, "host 0 up at 20".to_owned()]);
    // Its host is up after: it begins with it, too.
    let after = [(10.2, host, false), (15.2, one, false), (20.2, one, true), (30.2, host, true)];
    assert_eq!(played(50, &after, Vec::new()).strategy().told, ["host 0 up at 30".to_owned()]);
}

#[test]
fn what_fails_is_merged_in_order_of_time_and_one_site_has_no_link() {
    let outages = |seed| Some(Outages { period_s: 500.0, down_s: 20.0, seed });
    let failing =
        Failing { agents: outages(1), links: outages(2), sites: outages(3), coordinators: outages(4) };
    let all = |sites| {
        let hosts = Box::new(Crashes::new(5, 1000.0, Outages { period_s: 500.0, down_s: 20.0, seed: 9 }));
        Changes::new(hosts, failing, (5, sites, 2), 1000.0).collect::<Vec<_>>()
    };
    let (several, one) = (all(2), all(1));
    assert!(several.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let count = |of: &[faults::Change], kind: fn(Part) -> bool| {
        let those: Vec<_> = of.iter().filter(|change| kind(change.part)).collect();
        let up = those.iter().filter(|change| change.up).count();
        assert!(those.is_empty() || (up > 0 && up < those.len()), "{those:?}");
        those.len()
    };
    assert!(count(&several, |part| matches!(part, Part::Host(_))) > 4);
    assert!(count(&several, |part| matches!(part, Part::Agent(_))) > 4);
    assert!(count(&several, |part| matches!(part, Part::Link(_))) > 4);
    assert!(count(&several, |part| matches!(part, Part::Site(_))) > 1);
    assert!(count(&several, |part| matches!(part, Part::Coordinator(_))) > 1);
    assert_eq!(count(&one, |part| matches!(part, Part::Site(_))), 0);
}

/// A plan of two steps, one after the other, of an agent whose host fails in between and is back before the first one has ended.
struct TwoSteps;

impl Strategy for TwoSteps {
    type Message = ();

    fn start(&mut self, context: &mut Context<()>) {
        context.timer(Agent(1), 5.0, 0);
    }

    fn timer(&mut self, agent: Agent, _: u32, context: &mut Context<()>) {
        let step = |vm, after| crate::simulator::decision::Move {
            vm: VmId(vm),
            from: HostId(0),
            to: HostId(2),
            after,
        };
        context.execute(agent, 0, vec![step(0, Vec::new()), step(1, vec![0])], Ordering::Planned);
    }
}

#[test]
fn a_plan_ends_with_the_life_of_who_decided_it() {
    for (part, done) in [(None, 2), (Some(Part::Host(HostId(1))), 1), (Some(Part::Agent(HostId(1))), 1)] {
        let mut setup = setup();
        setup.vms.push(setup.vms[0]);
        let simulation =
            Simulation::new(&setup, Conditions::default(), Story::default(), TwoSteps, 90.0, 10.0);
        let changes: Vec<_> =
            part.into_iter().flat_map(|part| [(10.0, part, false), (12.0, part, true)]).collect();
        let mut simulation = simulation.with_changes(&changes);
        while simulation.step() {
            simulation.world().check().unwrap();
            simulation.context().check();
        }
        assert_eq!(simulation.world().moves.report().done.count, done, "{part:?}");
    }
}

/// What was on its way to somebody who has begun anew since is lost, as is every second question and answer where so many are.
#[test]
fn mail_to_an_earlier_life_and_questions_are_lost() {
    let agent = Part::Agent(HostId(1));
    let setup = setup();
    let conditions = Conditions { latency_s: 1.0, ..Conditions::default() };
    let run = |conditions: Conditions, changes: &[(f64, Part, bool)]| {
        let strategy = Asks { sends_at: 100, ..Asks::default() };
        let simulation = Simulation::new(&setup, conditions, Story::default(), strategy, 60.0, 10.0);
        let mut simulation = simulation.with_changes(changes);
        simulation.run(&mut |_| true);
        simulation
    };
    let heard = |it: &Simulation<Asks>| seconds_of(&it.strategy().pongs, 1).len();
    let well = run(conditions, &[]);
    // Of a question each second, on its way for one, the one is lost that was on its way when its receiver began anew.
    let again = run(conditions, &[(10.2, agent, false), (10.3, agent, true)]);
    assert_eq!(heard(&again), heard(&well) - 1);
    let lossy = run(Conditions { loss: 0.5, ..Conditions::default() }, &[]);
    let seen: usize = lossy.strategy().seen.iter().map(|(_, hosts)| hosts).sum();
    // Two hosts each second, a question and an answer of which half are lost each.
    assert!((15..45).contains(&seen), "{seen} of 120");
    let none = run(Conditions { loss: 1.0, ..Conditions::default() }, &[]);
    assert!(none.strategy().seen.iter().all(|(_, hosts)| *hosts == 0) && none.strategy().pongs.is_empty());
}
