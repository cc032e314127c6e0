//! What can happen next, and what happens then.

use super::*;

/// One thing that can happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::partition) enum Step {
    /// A message arrives.
    Deliver(Way, usize),
    /// A message is lost.
    Lose(Way),
    /// A message arrives, and will once more.
    Double(Way),
    /// A solver returns.
    Solved(Member, PartitionId, u64),
    /// Agents get the actions of a plan.
    Act(PartitionId),
    /// They have carried them out.
    Done(PartitionId),
    /// Time passes until somebody is due.
    Pass,
    /// A member dies.
    Crash(Member),
    /// It comes back.
    Restart(Member),
    /// A host is not over any more.
    Calm(Host),
    /// A host attaches to another member.
    Move(Host, Member),
    /// The one it has left notices.
    Notice(Host),
}

impl World {
    /// All that can happen.
    pub(in crate::partition) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (way, messages) in &self.net {
            let most = if self.faults.overtake > 0 { messages.len() } else { 1 };
            steps.extend((0..most).map(|place| Step::Deliver(way.clone(), place)));
            if self.faults.lose > 0 {
                steps.push(Step::Lose(way.clone()));
            }
            if self.faults.double > 0 {
                steps.push(Step::Double(way.clone()));
            }
        }
        for (member, partition, version) in self.solves.keys() {
            steps.push(Step::Solved(member.clone(), partition.clone(), *version));
        }
        for (partition, run) in &self.runs {
            steps.push(if run.begun { Step::Done(partition.clone()) } else { Step::Act(partition.clone()) });
        }
        steps.extend(self.leaving.keys().map(|host| Step::Notice(host.clone())));
        // None of those who are to notice by now has.
        let overdue = self.leaving.values().any(|(_, by, _)| *by <= self.now);
        let waits = steps.is_empty() && (self.down.is_empty() || self.faults.absent > 0);
        let dawdles = self.faults.slow > 0 && !overdue;
        if (waits || dawdles) && self.next().is_some() {
            steps.push(Step::Pass);
        }
        steps.extend(self.down.iter().map(|member| Step::Restart(member.clone())));
        if self.faults.crash > 0 {
            steps.extend(self.nodes.keys().map(|member| Step::Crash(member.clone())));
        }
        if self.faults.moves > 0 {
            for (owner, hosts) in &self.cells {
                let others = self.cells.keys().filter(|other| *other != owner);
                for other in others.filter(|other| self.nodes.contains_key(*other)) {
                    let here = hosts.iter().filter(|host| !self.leaving.contains_key(*host));
                    steps.extend(here.map(|host| Step::Move(host.clone(), other.clone())));
                }
            }
        }
        if self.faults.change > 0 {
            let over = self.room.iter().filter(|(host, room)| **room < 0 && !self.aloft.contains_key(*host));
            steps.extend(over.map(|(host, _)| Step::Calm(host.clone())));
        }
        steps
    }

    /// When somebody is due next.
    pub(in crate::partition) fn next(&self) -> Option<Time> {
        let due = |(member, node): (&Member, &Node)| {
            let ahead = self.clock(member).at.0 - self.now.0;
            node.next_timeout().map(|at| Time(at.0.saturating_sub(ahead)))
        };
        self.nodes.iter().filter_map(due).min()
    }

    /// Whether something is under way that needs no time.
    pub(in crate::partition) fn is_busy(&self) -> bool {
        !(self.net.is_empty() && self.solves.is_empty() && self.runs.is_empty())
    }

    pub(in crate::partition) fn take(&mut self, step: &Step) {
        match step {
            Step::Deliver(way, place) => {
                self.faults.overtake -= u8::from(*place > 0);
                let message = self.arrives(way, *place);
                self.deliver(way, message);
            }
            Step::Lose(way) => {
                self.faults.lose -= 1;
                let lost = self.arrives(way, 0);
                self.note(|| format!("{} → {} is lost: {}", way.0, way.1, brief::said(&lost.body)));
            }
            Step::Double(way) => {
                self.faults.double -= 1;
                let message = self.net[way][0].clone();
                self.deliver(way, message);
            }
            Step::Solved(member, partition, version) => self.solver_returns(member, partition, *version),
            Step::Act(partition) => self.act(partition),
            Step::Done(partition) => self.done(partition),
            Step::Pass => {
                if self.is_busy() || !(self.down.is_empty() || self.faults.absent > 0) {
                    self.faults.slow -= 1;
                } else if !self.down.is_empty() {
                    self.faults.absent -= 1;
                }
                self.pass();
            }
            Step::Crash(member) => {
                self.faults.crash -= 1;
                self.crash(member);
            }
            Step::Restart(member) => self.restart(member),
            Step::Move(host, to) => self.moves(host, to),
            Step::Notice(host) => {
                let (from, _, life) = self.leaving.remove(host).expect("it has left");
                let kind = self.kinds.get(host).copied().unwrap_or(Kind::Overload);
                let key = EventKey::from(format!("{kind:?} {host}").as_str());
                self.tell(&from, Input::Calmed { event: key });
                // It says so to the one that has the host now, unless that one has begun anew since.
                let free = self.nodes.get(&from).is_some_and(|node| node.ledger().nobody_has(host));
                self.tell(&from, Input::HostGone { host: host.clone() });
                let to = self.owner(host);
                if free
                    && self.nodes.contains_key(&to)
                    && life == self.lives[&to]
                    && !self.aloft.contains_key(host)
                {
                    self.tell(&to, Input::Settled { host: host.clone() });
                }
            }
            Step::Calm(host) => {
                self.faults.change -= 1;
                self.room.insert(host.clone(), 0);
                self.truth_changed(std::slice::from_ref(host));
            }
        }
    }

    /// A host attaches to another member; the one it leaves has not noticed yet.
    fn moves(&mut self, host: &Host, to: &Member) {
        self.faults.moves -= 1;
        self.note(|| format!("{host} goes to {to}"));
        let from = self.owner(host);
        self.cells.get_mut(&from).expect("a cell").remove(host);
        self.cells.get_mut(to).expect("a cell").insert(host.clone());
        if self.nodes.contains_key(&from) {
            let life = self.lives[to];
            self.leaving.insert(host.clone(), (from, self.now + settings().notice, life));
        }
        let facts = self.facts(host);
        self.tell(to, Input::Host { host: host.clone(), facts, fresh: false });
        self.raise(host);
    }

    /// Lets time pass until somebody is due.
    pub(in crate::partition) fn pass(&mut self) {
        let noticed = self.leaving.values().map(|(_, by, _)| *by);
        let next = self.next().into_iter().chain(noticed).min().expect("somebody is due");
        self.now = self.now.max(next);
        self.wake();
    }

    /// Lets those act who are due.
    fn wake(&mut self) {
        for member in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let now = self.clock(&member);
            let Some(node) = self.nodes.get_mut(&member) else { continue };
            if node.next_timeout().is_some_and(|due| due <= now.at) {
                node.handle_timeout(now);
                self.take_effects(&member);
            }
        }
    }

    /// Takes a message out of the network.
    fn arrives(&mut self, way: &Way, place: usize) -> Message {
        let messages = self.net.get_mut(way).expect("a message on the way");
        let message = messages.remove(place);
        if messages.is_empty() {
            self.net.remove(way);
        }
        message
    }

    fn deliver(&mut self, way: &Way, message: Message) {
        let (from, to) = way;
        let cut = self.cut.contains(way);
        let lost = if cut || !self.nodes.contains_key(to) { " is lost" } else { "" };
        self.note(|| format!("{from} → {to}{lost}: {}", brief::said(&message.body)));
        let now = self.clock(to);
        if let Some(node) = self.nodes.get_mut(to).filter(|_| !cut) {
            node.handle_message(now, from, message);
            self.take_effects(to);
        }
    }

    pub(in crate::partition) fn crash(&mut self, member: &Member) {
        self.note(|| format!("{member} dies"));
        self.nodes.remove(member);
        self.down.insert(member.clone());
        self.leaving.retain(|_, (from, _, _)| from != member);
        self.solves.retain(|(leader, ..), _| leader != member);
    }

    pub(in crate::partition) fn restart(&mut self, member: &Member) {
        self.note(|| format!("{member} comes back"));
        self.down.remove(member);
        self.start(member, false);
        for host in self.cells[member].clone() {
            self.raise(&host);
        }
    }

    /// Lets nothing pass between two members any more, or lets it pass again.
    pub(in crate::partition) fn cut(&mut self, a: &str, b: &str, cut: bool) {
        for pair in [(a.into(), b.into()), (b.into(), a.into())] {
            if cut {
                self.cut.insert(pair);
            } else {
                self.cut.remove(&pair);
            }
        }
    }

    /// What a complete solver would say.
    fn solver_returns(&mut self, member: &Member, partition: &PartitionId, version: u64) {
        let asked = self.solves.remove(&(member.clone(), partition.clone(), version)).expect("it was asked");
        if self.lives[member] != asked.life {
            return;
        }
        let found = match self.transfers(&asked.hosts) {
            Some(touched) if touched.is_empty() => Found::Nothing,
            Some(touched) => Found::Plan { touched: touched.into_keys().collect() },
            None => {
                let sum: i64 = asked.hosts.iter().map(|host| self.room[host]).sum();
                Found::None { need: Need { room: [-sum, 0], hosts: 0, ..Need::default() } }
            }
        };
        let (partition, version) = (partition.clone(), version);
        self.tell(member, Input::Solved { partition, version, found });
    }

    /// How the room of these hosts changes when all of them are brought below; `None` when there is not enough.
    fn transfers(&self, hosts: &BTreeSet<Host>) -> Option<BTreeMap<Host, i64>> {
        let mut over: i64 = hosts.iter().map(|host| (-self.room[host]).max(0)).sum();
        let mut change: BTreeMap<Host, i64> = hosts
            .iter()
            .filter(|host| self.room[*host] < 0)
            .map(|host| (host.clone(), -self.room[host]))
            .collect();
        for host in hosts.iter().filter(|host| self.room[*host] > 0) {
            let some = over.min(self.room[host]);
            if some > 0 {
                change.insert(host.clone(), -some);
                over -= some;
            }
        }
        let least =
            hosts.iter().filter(|host| self.room[*host] < 0).filter_map(|host| self.least.get(host)).max();
        (over == 0 && least.is_none_or(|least| hosts.len() >= *least)).then_some(change)
    }

    /// Owners let actions begin, or do not.
    fn act(&mut self, partition: &PartitionId) {
        let run = self.runs.get(partition).expect("a plan").clone();
        let mut refused = !self.nodes.contains_key(&run.leader) || self.lives[&run.leader] != run.life;
        for (host, held) in &run.hosts {
            let now = self.clock(&held.owner).at;
            let allows = |node: &Node| node.ledger().may_act(host, partition, held.epoch, now);
            // An agent does what the coordinator says that it is attached to, and nobody else.
            let attached = self.owner(host) == held.owner;
            refused |=
                !attached || !self.nodes.get(&held.owner).is_some_and(allows) || run.fenced.contains(host);
        }
        if refused {
            self.note(|| format!("owners refuse actions of {partition}"));
        }
        if !refused {
            for host in run.hosts.keys() {
                let before = self.aloft.insert(host.clone(), partition.clone());
                assert!(before.is_none(), "{host} is acted on by {partition} and {before:?}");
            }
            let hosts: Vec<Host> = run.hosts.keys().cloned().collect();
            // What a plan needs was checked when it was made.
            self.least.retain(|host, _| !hosts.contains(host));
            self.facts_changed(&hosts);
        }
        if let Some(run) = self.runs.get_mut(partition) {
            (run.begun, run.refused) = (true, refused);
        }
    }

    /// Agents have carried out a plan: it changes the truth whether its leader lives or not.
    fn done(&mut self, partition: &PartitionId) {
        let run = self.runs.remove(partition).expect("a plan");
        let hosts: BTreeSet<Host> = run.hosts.keys().cloned().collect();
        if !run.refused {
            self.seen.executed += 1;
            self.aloft.retain(|_, by| by != partition);
            let before = self.total();
            for (host, change) in self.transfers(&hosts).unwrap_or_default() {
                *self.room.entry(host).or_default() += change;
            }
            assert_eq!(self.total(), before, "load has come or gone by {partition}");
            let hosts: Vec<Host> = hosts.into_iter().collect();
            self.truth_changed(&hosts);
        }
        if self.lives[&run.leader] == run.life {
            self.tell(&run.leader, Input::Executed { partition: partition.clone() });
        }
    }

    pub(in crate::partition) fn truth_changed(&mut self, hosts: &[Host]) {
        self.facts_changed(hosts);
        for host in hosts {
            self.raise(host);
        }
    }

    fn facts_changed(&mut self, hosts: &[Host]) {
        for host in hosts {
            let (owner, facts) = (self.owner(host), self.facts(host));
            self.tell(&owner, Input::Host { host: host.clone(), facts, fresh: false });
        }
    }

    pub(in crate::partition) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.seen.keep_log {
            let line = format!("{:>5} {}", self.now.0 - 1_000, text());
            self.seen.log.push(line);
        }
    }
}
