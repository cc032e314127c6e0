//! Virtual time: what happens next, and how it reaches the core.

use super::agent::{self, SimHost, SimVm};
use super::solver;
use crate::coordinator::core::{Answer, Core, Effect, Input, Restored, Ticket};
use crate::coordinator::handle::Change;
use crate::coordinator::inventory::Now;
use crate::coordinator::peers::Frame;
use crate::coordinator::settings::Settings;
use crate::coordinator::view::View;
use crate::record::{
    ActionKey, ActionProgress, Delta, Event, EventKind, FailureReason, Inventory, Mode, Order, OrderKind,
    PlanRecord, PlanState, ProgressState, Report, VmReport, VmState,
};
use crate::store::{self, Store};
use dvms_solver::file::{Plan, Problem};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Where the wall clock stands when the world begins.
const BEGIN: u64 = 1_800_000_000;

#[derive(Debug, Clone)]
pub(super) enum Happening {
    Order { host: String, epoch: u64, order: Order },
    Report { host: String, epoch: u64, report: Report },
    Detach { host: String, epoch: u64 },
    Connect { host: String },
    Beat { host: String },
    Ends { host: String, key: ActionKey },
    Flush { member: String, life: u32 },
    Solved { member: String, life: u32, solve: u64, outcome: Result<Plan, String> },
    Frame { from: (String, u32), to: (String, u32), frame: Frame },
    LinkUp { member: String, life: u32, to: String },
    Restart { member: String },
    Over { member: String, life: u32 },
}

/// One coordinator of several, while another one has its turn.
pub(super) struct Seat {
    pub(super) core: Core,
    pub(super) view: View,
    pub(super) store: Store,
    pub(super) life: u32,
    pub(super) began: Duration,
    pub(super) disk: VecDeque<(u64, Vec<store::Change>)>,
    pub(super) settings: Settings,
}

/// How a solve goes.
pub(super) type Script = Box<dyn FnMut(&Problem) -> Option<Result<Plan, String>>>;

pub(super) struct World {
    /// Whose turn it is; the others' states are in `seats`. Empty where there is one coordinator only.
    pub(super) member: String,
    pub(super) seats: BTreeMap<String, Seat>,
    /// Coordinators that do not run.
    pub(super) dead: BTreeSet<String>,
    /// Links that let nothing through.
    pub(super) cut: BTreeSet<(String, String)>,
    /// Share of frames that are lost.
    pub(super) losing: f64,
    /// When the next frame of each link arrives at the earliest.
    pub(super) frames_at: BTreeMap<(String, String), Duration>,
    pub(super) frames: u64,
    pub(super) settings: Settings,
    pub(super) core: Core,
    pub(super) view: View,
    pub(super) store: Store,
    pub(super) hosts: BTreeMap<String, SimHost>,
    pub(super) vms: BTreeMap<String, SimVm>,
    pub(super) at: Duration,
    pub(super) rng: StdRng,
    /// Which process of the coordinator it is.
    pub(super) life: u32,
    /// When it began.
    pub(super) began: Duration,
    pub(super) queue: BTreeMap<(Duration, u64), Happening>,
    count: u64,
    pub(super) answers: BTreeMap<Ticket, Answer>,
    last_ticket: Ticket,
    /// MiB of each host that is made from now on.
    pub(super) memory: i64,
    /// When the use of a VM was last another one.
    pub(super) steady_since: Duration,
    /// Longest delay of a message, a write, a solve.
    pub(super) slow: Duration,
    /// How long a migration takes.
    pub(super) migration: Duration,
    /// Share of the bandwidth that migrations really reach, each with two seconds besides; 0 = they take `migration`.
    pub(super) speed: f64,
    /// How long actions really take.
    lasts: BTreeMap<ActionKey, Duration>,
    /// Share of actions that fail.
    pub(super) failing: f64,
    /// VMs whose next action fails.
    pub(super) fail_next: Vec<String>,
    /// An operator is there who approves every other plan that is proposed.
    pub(super) approves: bool,
    pub(super) disk_full: bool,
    /// What waits for the disk.
    pub(super) disk: VecDeque<(u64, Vec<store::Change>)>,
    /// Answers instead of the solver; `None` = the solver does.
    pub(super) script: Script,
    /// After how long coordinators begin again that were stopped in good order.
    pub(super) back_after: BTreeMap<String, f64>,
    /// How often one has stopped in good order.
    pub(super) retired: usize,
    /// VMs that were down when the coordinator was restarted, and had not been stored: nobody tells it of them.
    pub(super) forgotten: Vec<String>,
    /// How much longer solves take than messages.
    pub(super) solving: Duration,
    /// Longest time limit of a solve.
    pub(super) longest_solve: Duration,
    /// Solves that were to be stopped.
    pub(super) stopped: Vec<u64>,
    /// What agents were told.
    pub(super) told: Vec<(String, Order)>,
}

impl World {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let store = Store::open_in_memory().unwrap();
        let now = Now { at: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_secs(BEGIN) };
        let (core, view) = Core::new(settings.clone(), Restored::read(&store).unwrap(), now);
        Self {
            member: String::new(),
            seats: BTreeMap::new(),
            dead: BTreeSet::new(),
            cut: BTreeSet::new(),
            losing: 0.0,
            frames_at: BTreeMap::new(),
            frames: 0,
            settings,
            core,
            view,
            store,
            hosts: BTreeMap::new(),
            vms: BTreeMap::new(),
            at: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            life: 1,
            began: Duration::ZERO,
            queue: BTreeMap::new(),
            count: 0,
            answers: BTreeMap::new(),
            last_ticket: 0,
            memory: 20_000,
            steady_since: Duration::ZERO,
            slow: Duration::from_millis(20),
            migration: Duration::from_secs(3),
            speed: 0.0,
            lasts: BTreeMap::new(),
            failing: 0.0,
            fail_next: Vec::new(),
            approves: false,
            disk_full: false,
            disk: VecDeque::new(),
            script: Box::new(|_| None),
            back_after: BTreeMap::new(),
            retired: 0,
            forgotten: Vec::new(),
            solving: Duration::ZERO,
            longest_solve: Duration::ZERO,
            stopped: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Quick detection, no smoothing; everything else as by default.
    pub(super) fn quick() -> Settings {
        let mut settings = Settings::default();
        settings.inventory.smoothing_s = 0.0;
        settings.inventory.memory_reserve = 0.0;
        settings.detection.hold_s = 2.0;
        settings.detection.underload = 0.0;
        settings
    }

    /// A host, and VMs that each use so much cpu, and 1000 MiB.
    pub(super) fn host(&mut self, name: &str, vms: &[(&str, i64)]) {
        self.hosts.insert(name.to_owned(), SimHost::new(name, 10_000, self.memory));
        for (vm, cpu) in vms {
            let vm_there = SimVm { cpu: *cpu, memory: 1000, host: Some(name.to_owned()) };
            self.vms.insert((*vm).to_owned(), vm_there);
        }
        self.after(Duration::ZERO, Happening::Connect { host: name.to_owned() });
        self.after(Duration::from_secs(1), Happening::Beat { host: name.to_owned() });
    }

    pub(super) fn after(&mut self, wait: Duration, happening: Happening) {
        self.count += 1;
        self.queue.insert((self.at + wait, self.count), happening);
    }

    pub(super) fn now(&self) -> Now {
        let wall = UNIX_EPOCH + Duration::from_secs(BEGIN) + self.at;
        Now { at: self.at.saturating_sub(self.began), wall }
    }

    pub(super) fn delay(&mut self) -> Duration {
        self.slow.mul_f64(self.rng.random::<f64>())
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.at + Duration::from_secs_f64(seconds);
        loop {
            let (tick, whose) = self.next_tick();
            let next = self.queue.keys().next().copied();
            match next.filter(|(at, _)| *at <= tick) {
                Some((at, _)) if at > end => break,
                Some(key) => {
                    self.at = self.at.max(key.0);
                    let happening = self.queue.remove(&key).unwrap();
                    self.happen(happening);
                }
                None if tick > end => break,
                None => {
                    self.at = tick;
                    self.sit(&whose);
                    self.feed(Input::Tick);
                }
            }
            self.check();
        }
        self.at = end;
    }

    /// Lets time pass until something is so, or panics.
    pub(super) fn until(&mut self, what: &str, seconds: f64, so: impl Fn(&Self) -> bool) {
        let end = self.at + Duration::from_secs_f64(seconds);
        while !so(self) {
            assert!(self.at < end, "waited in vain until {what}; events:\n{}", self.story());
            self.run(0.05);
        }
    }

    pub(super) fn feed(&mut self, input: Input) {
        let effects = self.core.handle(input, self.now());
        for effect in effects {
            self.carry_out(effect);
        }
        let before = self.view.revision;
        let changes = self.core.publish(&mut self.view);
        for (_, change) in &changes {
            if let Change::Event(event) = change
                && event.kind == EventKind::ActionStarted
            {
                self.judge_begin(&event.vm);
            }
        }
        assert!(changes.iter().zip(before + 1..).all(|((revision, _), expected)| *revision == expected));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Tell { host, epoch, order } => {
                self.judge_order(&order);
                self.told.push((host.clone(), order.clone()));
                let wait = self.delay();
                let Some(to) = self.hosts.get_mut(&host).filter(|h| h.session == Some(epoch)) else { return };
                to.orders_at = to.orders_at.max(self.at + wait);
                let wait = to.orders_at.saturating_sub(self.at);
                self.after(wait, Happening::Order { host, epoch, order });
            }
            Effect::EndSession { host, epoch } => {
                if self.hosts.get(&host).is_some_and(|h| h.session == Some(epoch)) {
                    self.lose_session(&host);
                    self.after(Duration::from_secs(1), Happening::Connect { host });
                }
            }
            Effect::Write { seq, changes } => {
                let wait = self.delay();
                self.disk.push_back((seq, changes));
                self.after(wait, Happening::Flush { member: self.member.clone(), life: self.life });
            }
            Effect::Solve { solve, problem, order } => {
                self.longest_solve = self.longest_solve.max(order.time_limit);
                let outcome = (self.script)(&problem).unwrap_or_else(|| Ok(solver::solve(&problem)));
                let wait = self.delay() * 4 + self.solving;
                let (member, life) = (self.member.clone(), self.life);
                self.after(wait, Happening::Solved { member, life, solve, outcome });
            }
            Effect::Peer { to, frame } => self.send_frame(&to, &frame),
            Effect::StopSolve(solve) => self.stopped.push(solve),
            Effect::Stopped => self.has_stopped(),
            Effect::Prune => {}
            Effect::Answer { ticket, answer } => {
                assert!(self.answers.insert(ticket, answer).is_none(), "answered twice");
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(member) = self.whose(&happening) {
            self.sit(&member);
        }
        match happening {
            Happening::Order { host, epoch, order } => self.order(&host, epoch, order),
            Happening::Report { host, epoch, report } => {
                self.feed(Input::Report { host, epoch, report });
            }
            Happening::Detach { host, epoch } => self.feed(Input::Detach { host, epoch }),
            Happening::Connect { host } => self.connect(&host),
            Happening::Beat { host } => {
                self.beat(&host);
                if self.approves {
                    self.approve_some();
                }
                self.after(Duration::from_secs(1), Happening::Beat { host });
            }
            Happening::Ends { host, key } => self.action_ends(&host, &key),
            Happening::Frame { from, to, frame } => self.frame_arrives(&from, &to, frame),
            Happening::LinkUp { member, life, to } => self.link_up(&member, life, &to),
            Happening::Restart { member } => self.revive_member(&member),
            Happening::Over { member, life } => self.is_over(&member, life),
            Happening::Flush { member, life } if life == self.life && self.disk_full => {
                if !self.disk.is_empty() {
                    self.feed(Input::NotStored { message: "the disk is full".to_owned() });
                    self.after(Duration::from_secs(1), Happening::Flush { member, life });
                }
            }
            Happening::Flush { life, .. } if life == self.life => {
                let Some((seq, _)) = self.disk.back() else { return };
                let seq = *seq;
                let changes: Vec<_> = self.disk.drain(..).flat_map(|(_, changes)| changes).collect();
                self.store.write(&changes).unwrap();
                self.feed(Input::Stored { seq });
            }
            Happening::Flush { .. } => {}
            Happening::Solved { life, solve, outcome, .. } => {
                if life == self.life {
                    self.feed(Input::Solved { solve, outcome, took: Duration::from_millis(5) });
                }
            }
        }
    }

    // Agents.

    fn say(&mut self, host: &str, report: Report) {
        let wait = self.delay();
        let Some(from) = self.hosts.get_mut(host) else { return };
        let Some(epoch) = from.session else { return };
        from.reports_at = from.reports_at.max(self.at + wait);
        let wait = from.reports_at.saturating_sub(self.at);
        self.after(wait, Happening::Report { host: host.to_owned(), epoch, report });
    }

    fn connect(&mut self, name: &str) {
        let host = &self.hosts[name];
        if !host.up || host.session.is_some() || !self.attach_somewhere(name) {
            return;
        }
        let host = self.hosts.get_mut(name).unwrap();
        let hello = Box::new(host.hello());
        let epoch = self.store.next_epoch(host.seen_epoch).unwrap();
        (host.session, host.seen_epoch) = (Some(epoch), epoch);
        self.feed(Input::Attach { hello, epoch });
        self.tell_all(name);
    }

    fn tell_all(&mut self, name: &str) {
        let actions = self.hosts[name].journal.values().map(|act| act.progress.clone()).collect();
        let reports = self.reports_of(name);
        let vms: Vec<VmReport> = reports.values().cloned().collect();
        self.hosts.get_mut(name).unwrap().told = reports;
        self.say(name, Report::Inventory(Inventory { vms, actions, ..Inventory::default() }));
    }

    /// The stream breaks: what is under way is lost.
    pub(super) fn lose_session(&mut self, name: &str) {
        let Some(epoch) = self.hosts.get_mut(name).and_then(|host| host.session.take()) else { return };
        self.queue.retain(|_, happening| match happening {
            Happening::Order { host, .. } | Happening::Report { host, .. } => host != name,
            _ => true,
        });
        self.after(Duration::ZERO, Happening::Detach { host: name.to_owned(), epoch });
    }

    /// The agent loses its session and comes back after a while.
    pub(super) fn reconnect(&mut self, name: &str, seconds: f64) {
        self.lose_session(name);
        self.after(Duration::from_secs_f64(seconds), Happening::Connect { host: name.to_owned() });
    }

    /// The host goes down; its VMs with it. It comes back after a while.
    pub(super) fn crash(&mut self, name: &str, back_after: Option<f64>) {
        self.lose_session(name);
        let host = self.hosts.get_mut(name).unwrap();
        (host.up, host.boot) = (false, host.boot + 1);
        for act in host.journal.values_mut().filter(|act| !act.progress.state.is_terminal()) {
            agent::end(act, ProgressState::Failed, Some(FailureReason::VmEnded));
        }
        for vm in self.vms.values_mut().filter(|vm| vm.host.as_deref() == Some(name)) {
            vm.host = None;
        }
        // What was on its way here stays where it is.
        let mut broken = Vec::new();
        for (source, other) in &mut self.hosts {
            for (key, act) in &mut other.journal {
                let to = matches!(&act.kind, OrderKind::Migrate { destination, .. } if destination == name);
                if to && !act.progress.state.is_terminal() {
                    agent::end(act, ProgressState::Failed, Some(FailureReason::DestinationUnreachable));
                    broken.push((source.clone(), key.clone()));
                }
            }
        }
        for (source, key) in broken {
            self.tell_progress(&source, &key);
        }
        if let Some(seconds) = back_after {
            self.boot(name, seconds);
        }
    }

    pub(super) fn boot(&mut self, name: &str, seconds: f64) {
        self.hosts.get_mut(name).unwrap().up = true;
        self.after(Duration::from_secs_f64(seconds), Happening::Connect { host: name.to_owned() });
    }

    fn order(&mut self, name: &str, epoch: u64, order: Order) {
        let host = self.hosts.get_mut(name).unwrap();
        if !host.up || host.session != Some(epoch) {
            return;
        }
        if matches!(order, Order::Resync(_)) {
            return self.tell_all(name);
        }
        let (mut fails, mut lasts) = (false, Duration::from_millis(500));
        if let Order::Execute { vm, kind, key, .. } = &order {
            fails = self.rng.random_bool(self.failing);
            if let Some(at) = self.fail_next.iter().position(|next| next == vm) {
                self.fail_next.remove(at);
                fails = true;
            }
            if matches!(kind, OrderKind::Migrate { .. }) {
                lasts = self.migration.mul_f64(self.rng.random_range(0.5..1.5));
            }
            if let OrderKind::Migrate { bandwidth_mib_s, .. } = kind
                && self.speed > 0.0
            {
                let memory = self.vms[vm].memory as f64;
                lasts = Duration::from_secs_f64(2.0 + memory / (bandwidth_mib_s * self.speed));
                self.lasts.insert(key.clone(), lasts);
            }
            if !host.journal.contains_key(key) {
                let ends = Happening::Ends { host: name.to_owned(), key: key.clone() };
                self.after(lasts, ends);
            }
        }
        let host = self.hosts.get_mut(name).unwrap();
        let progress = agent::take(host, &self.vms, epoch, order, fails);
        if let Some(progress) = progress {
            self.say(name, Report::Progress(progress));
        }
    }

    fn action_ends(&mut self, name: &str, key: &ActionKey) {
        let Some(act) = self.hosts.get_mut(name).and_then(|host| host.journal.get_mut(key)) else { return };
        if act.progress.state.is_terminal() {
            return;
        }
        let destination = match &act.kind {
            OrderKind::Migrate { destination, .. } => destination.clone(),
            OrderKind::Start { .. } => name.to_owned(),
        };
        if act.fails {
            agent::end(act, ProgressState::Failed, Some(FailureReason::HypervisorError));
        } else {
            agent::end(act, ProgressState::Done, None);
            act.progress.elapsed_s = self.lasts.get(key).map_or(3.0, Duration::as_secs_f64);
            act.progress.bytes_processed = (self.vms[&act.vm].memory as u64) << 20;
            let vm = self.vms.get_mut(&act.vm).unwrap();
            if matches!(act.kind, OrderKind::Start { .. }) {
                assert_eq!(vm.host, None, "{} is started while it runs", act.vm);
            }
            vm.host = Some(destination);
        }
        self.tell_progress(name, key);
    }

    fn tell_progress(&mut self, name: &str, key: &ActionKey) {
        let progress: ActionProgress = self.hosts[name].journal[key].progress.clone();
        self.say(name, Report::Progress(progress));
    }

    /// What a host sees of VMs.
    fn reports_of(&self, name: &str) -> BTreeMap<String, VmReport> {
        let mut reports = BTreeMap::new();
        let leaving = |vm: &str| {
            let mut acts = self.hosts[name].running();
            acts.any(|(_, act)| act.vm == vm && matches!(act.kind, OrderKind::Migrate { .. }))
        };
        for (vm, there) in self.vms.iter().filter(|(_, vm)| vm.host.as_deref() == Some(name)) {
            let state = if leaving(vm) { VmState::MigratingOut } else { VmState::Running };
            reports.insert(vm.clone(), agent::report(vm, there, state));
        }
        for act in self.hosts.values().flat_map(SimHost::running).map(|(_, act)| act) {
            let arrives = matches!(&act.kind, OrderKind::Migrate { destination, .. } if destination == name);
            if arrives && !reports.contains_key(&act.vm) {
                reports
                    .insert(act.vm.clone(), agent::report(&act.vm, &self.vms[&act.vm], VmState::MigratingIn));
            }
        }
        reports
    }

    fn beat(&mut self, name: &str) {
        let host = &self.hosts[name];
        if host.session.is_none() || host.silent {
            return;
        }
        let reports = self.reports_of(name);
        let gone = host.told.keys().filter(|vm| !reports.contains_key(*vm)).cloned().collect();
        let changed = reports.iter().filter(|(vm, report)| host.told.get(*vm) != Some(report));
        let changed = changed.map(|(_, report)| report.clone()).collect();
        self.hosts.get_mut(name).unwrap().told = reports;
        self.say(name, Report::Delta(Delta { changed, gone, ..Delta::default() }));
    }

    // The coordinator's process.

    /// The process ends without a word, and another begins with what the store holds.
    pub(super) fn restart(&mut self) {
        let names: Vec<String> = self.hosts.keys().cloned().collect();
        for name in &names {
            self.lose_session(name);
        }
        self.queue.retain(|_, happening| !matches!(happening, Happening::Detach { .. }));
        self.life += 1;
        self.disk.clear();
        self.began = self.at;
        let restored = Restored::read(&self.store).unwrap();
        let kept = |name: &String| {
            let mut all = restored.hosts.iter().flat_map(|host| host.vms.iter().chain(&host.waiting));
            all.any(|vm| vm.name == *name)
        };
        let down = self.vms.iter().filter(|(name, vm)| vm.host.is_none() && !kept(name));
        self.forgotten.extend(down.map(|(name, _)| name.clone()));
        let now = self.now();
        (self.core, self.view) = Core::new(self.settings.clone(), restored, now);
        for name in names {
            let wait = self.delay() + Duration::from_millis(200);
            self.after(wait, Happening::Connect { host: name });
        }
    }

    // Operators.

    pub(super) fn ask(&mut self, input: impl FnOnce(Ticket) -> Input) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.feed(input(ticket));
        ticket
    }

    pub(super) fn plans(&self) -> Vec<Arc<PlanRecord>> {
        self.view.plans.values().cloned().collect()
    }

    /// The only plan in a state.
    pub(super) fn only(&self, state: PlanState) -> Arc<PlanRecord> {
        let plans: Vec<_> = self.plans().into_iter().filter(|plan| plan.state == state).collect();
        assert_eq!(plans.len(), 1, "{state:?}; events:\n{}", self.events_text());
        plans.into_iter().next().unwrap()
    }

    pub(super) fn events(&self, kind: EventKind) -> Vec<Arc<Event>> {
        self.view.events.iter().filter(|event| event.kind == kind).cloned().collect()
    }

    pub(super) fn events_text(&self) -> String {
        Self::text_of(&self.view)
    }

    pub(super) fn text_of(view: &View) -> String {
        let line = |event: &Arc<Event>| {
            let since = event.time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - BEGIN as f64;
            format!("{since:8.2} {:14} {}\n", event.kind.name(), event.message)
        };
        view.events.iter().map(line).collect()
    }

    pub(super) fn place(&self, vm: &str) -> &str {
        self.vms[vm].host.as_deref().unwrap_or("")
    }

    pub(super) fn mode(mut settings: Settings, mode: Mode) -> Settings {
        settings.planning.mode = mode;
        settings
    }
}
