//! Troubles: told to people, and answered with plans.

use super::journal::event;
use super::plans::{Cause, Draft, Stage};
use super::solves::Search;
use super::{Core, Life};
use crate::coordinator::detect::{Key, Sighting, Trouble};
use crate::coordinator::inventory::{HostEntry, Now};
use crate::coordinator::planning::{self, Ask};
use crate::coordinator::settings::seconds;
use crate::record::{Event, EventKind, Mode, Pace, PlanState, Severity};
use std::time::Duration;

/// How long a trouble that a plan of before a restart answers may take to be seen again, beyond the hold time and
/// the time that hosts have to come back.
const SEEN_AGAIN_WITHIN: Duration = Duration::from_mins(1);

impl Core {
    /// Looks for troubles.
    pub(super) fn detect(&mut self, now: Now) {
        self.at_home(|core| core.detect_here(now));
    }

    fn detect_here(&mut self, now: Now) {
        let mut over = Vec::new();
        for sighting in self.detector.observe(&self.cell, &self.settings, now) {
            match sighting {
                Sighting::Began(trouble) => {
                    let key = trouble.key();
                    self.cell.touch(&trouble.host);
                    let id = self.tell(about(&trouble, trouble.kind, trouble.severity), now);
                    self.event_of.insert(key, id);
                }
                Sighting::Ended(trouble) => {
                    self.event_of.remove(&trouble.key());
                    over.push(trouble.key());
                    self.cell.touch(&trouble.host);
                    self.tell(about(&trouble, EventKind::Resolved, Severity::Info), now);
                }
            }
        }
        self.calm(&over, now);
    }

    /// Makes plans for what is due, as many as there are solvers.
    pub(super) fn answer_troubles(&mut self, now: Now) {
        while self.may_plan() && self.solves.has_room(&self.settings) {
            let mut due = self.detector.due(now);
            due.retain(|trouble| !self.is_too_early_for(trouble, now));
            if due.is_empty() {
                return;
            }
            let ask = self.ask_for("", &due, 0);
            // Each one takes troubles out of what is due, so that this ends.
            let Some(ask) = ask else { return };
            let answered = if ask.short && self.neighbours_help_first(&ask.keys) {
                self.raise_all(&ask.keys, now)
            } else {
                self.answer_trouble(ask, 0, None, now)
            };
            if !answered {
                return;
            }
        }
    }

    /// Whether VMs are to be started that others have not been asked for.
    fn is_too_early_for(&self, trouble: &Trouble, now: Now) -> bool {
        match trouble.kind {
            EventKind::VmWaiting => self.is_being_asked_for(&trouble.vm, now),
            EventKind::HostFailed => {
                let missing = self.cell.hosts.get(&trouble.host);
                let mut missing = missing.into_iter().flat_map(HostEntry::living).map(|(vm, _)| vm);
                self.may_be_elsewhere(&trouble.host)
                    || !missing.any(|vm| self.cell.is_down(vm) && !self.is_being_asked_for(vm, now))
            }
            _ => false,
        }
    }

    /// Which hosts the first of these troubles that can be worked on needs; thrift comes last.
    fn ask_for(&self, id: &str, troubles: &[Trouble], wider: u32) -> Option<Ask> {
        let ask = |kind: EventKind| {
            let busy = self.busy_for_trouble(id, kind);
            let thrift = |trouble: &Trouble| trouble.kind == EventKind::Underload;
            let these: Vec<Trouble> =
                troubles.iter().filter(|t| thrift(t) == (kind == EventKind::Underload)).cloned().collect();
            planning::ask(&self.cell, &these, &busy, &self.settings, wider)
        };
        ask(EventKind::Overload).or_else(|| ask(EventKind::Underload))
    }

    /// Makes a plan; says whether its hosts could be reserved.
    fn answer_trouble(&mut self, ask: Ask, replans: u32, mode: Option<Mode>, now: Now) -> bool {
        let Some(&(kind, _)) = ask.keys.first() else { return false };
        let draft = Draft {
            trigger: kind.name().to_owned(),
            mode: mode.unwrap_or(self.settings.planning.mode),
            purpose: ask.purpose,
            hosts: ask.hosts.clone(),
            cause: Cause::Troubles(ask.keys),
            replans,
            request: (String::new(), String::new()),
            pace: Pace::default(),
        };
        let id = self.new_plan(draft, now);
        if let Err(why) = self.reserve_for_trouble(&id, &ask.hosts, kind) {
            self.end(&id, PlanState::Cancelled, &format!("its hosts are not free: {why}"), now);
            return false;
        }
        self.search(
            &id,
            &ask.objective,
            Search { whole: ask.whole, only: ask.only, ..Search::default() },
            now,
        );
        true
    }

    /// Tries a plan's troubles with more hosts. False when there are none.
    pub(super) fn try_wider(&mut self, id: &str, now: Now) -> bool {
        let Some(Life { cause: Cause::Troubles(keys), stage: Stage::Solving(search), .. }) =
            self.lives.get(id)
        else {
            return false;
        };
        let troubles = self.standing(keys);
        let Some(own) = self.partitions.hosts(id) else { return false };
        let mut wider = search.wider;
        if search.whole || !self.may_plan() {
            return false;
        }
        let ask = loop {
            wider += 1;
            let ask = self.ask_for(id, &troubles, wider);
            match ask {
                Some(ask) if !ask.hosts.is_subset(own) => break ask,
                Some(ask) if !ask.whole => {}
                _ => return false,
            }
        };
        let thrift = ask.objective == "CONSOLIDATE";
        let grown = if thrift {
            self.partitions.grow(id, &ask.hosts)
        } else {
            self.partitions.grow_ahead(id, &ask.hosts)
        };
        if grown.is_err() {
            return false;
        }
        self.touch_hosts(&ask.hosts);
        let hosts = self.partitions.hosts(id).cloned().unwrap_or_default();
        tracing::info!(plan = id, hosts = hosts.len(), "no plan for fewer hosts; trying more");
        self.change_for_good(id, |record| record.hosts = hosts.into_iter().collect());
        let Some(Stage::Solving(search)) = self.stage(id) else { return false };
        let search = Search { wider, whole: ask.whole, only: ask.only, ..std::mem::take(search) };
        self.search(id, &ask.objective, search, now);
        true
    }

    /// A plan for what a failed one has left undone, in another mode where one is given; false when there will be none.
    pub(super) fn succeed(&mut self, id: &str, life: &Life, mode: Option<Mode>, now: Now) -> bool {
        if life.replans >= self.settings.execution.max_replans || !self.may_plan() {
            return false;
        }
        let successor = match &life.cause {
            Cause::Troubles(keys) => {
                let troubles = self.standing(keys);
                let ask = self.ask_for("", &troubles, 0);
                let Some(ask) = ask else { return false };
                let answered = ask.keys.clone();
                let before = self.last_plan;
                if !self.answer_trouble(ask, life.replans + 1, mode, now) {
                    return false;
                }
                debug_assert!(self.last_plan > before);
                // The others wait their turn.
                let rest: Vec<Key> = keys.iter().filter(|key| !answered.contains(key)).cloned().collect();
                self.detector.released(&rest, false, now, &self.settings);
                self.last_plan_id()
            }
            Cause::Request(request) => match self.request_again(request, life.replans + 1, mode, now) {
                Some(successor) => successor,
                None => return false,
            },
            // The protocol raises its troubles again.
            Cause::Shared(_) | Cause::Past => return false,
        };
        self.change_for_good(id, |record| record.successor.clone_from(&successor));
        true
    }

    fn standing(&self, keys: &[Key]) -> Vec<Trouble> {
        self.detector.standing().filter(|trouble| keys.contains(&trouble.key())).cloned().collect()
    }

    /// Whether anything that a plan is for still stands.
    pub(super) fn is_needed(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Troubles(keys) => keys.iter().any(|key| self.detector.stands(key)),
            Cause::Shared(shared) => {
                let foreign = shared.all.len() > shared.own.len();
                foreign || shared.own.iter().any(|key| self.detector.stands(key))
            }
            Cause::Request(_) | Cause::Past => true,
        }
    }

    /// Withdraws proposals that nobody needs any more, or that do not fit any more.
    pub(super) fn check_proposals(&mut self, now: Now) {
        let patience = seconds(self.settings.detection.hold_s)
            .saturating_add(seconds(self.settings.inventory.failed_after_s))
            .saturating_add(SEEN_AGAIN_WITHIN);
        let mut withdrawn = Vec::new();
        let mut seen = Vec::new();
        for (id, life) in &self.lives {
            let Stage::Proposed(proposal) = &life.stage else { continue };
            let needed = self.is_needed(&life.cause);
            if needed && !proposal.seen {
                seen.push(id.clone());
            }
            if !needed && (proposal.seen || now.at > proposal.since.saturating_add(patience)) {
                withdrawn.push((id.clone(), "what it was made for has ended".to_owned()));
            } else if let Some(why) =
                self.why_stale(id).filter(|_| !self.is_shared(id) && self.hosts_are_back(id))
            {
                withdrawn.push((id.clone(), format!("it does not fit any more: {why}")));
            } else if proposal.claimed.is_none() && self.is_asked_in_vain(id, life, now) {
                let why = "an operator need not be asked any more; it is planned anew".to_owned();
                withdrawn.push((id.clone(), why));
            }
        }
        for id in seen {
            if let Some(Stage::Proposed(proposal)) = self.stage(&id) {
                proposal.seen = true;
            }
        }
        for (id, why) in withdrawn {
            if self.plans.get(&id).is_some_and(|record| record.scheduled) {
                self.end_closed(&id, &why, now);
            } else {
                self.end(&id, PlanState::Cancelled, &why, now);
            }
        }
        self.begin_scheduled(now);
    }

    /// Whether a plan for troubles would not be put before an operator as things are now.
    fn is_asked_in_vain(&self, id: &str, life: &Life, now: Now) -> bool {
        let Some(record) = self.plans.get(id).filter(|record| record.mode == Mode::Auto && !record.scheduled)
        else {
            return false;
        };
        let for_troubles = matches!(life.cause, Cause::Troubles(_) | Cause::Shared(_));
        for_troubles
            && record.plan.as_ref().is_some_and(|plan| self.why_it_must_be_asked(plan, now).is_none())
    }

    /// Carries out plans that have waited until VMs may be moved.
    fn begin_scheduled(&mut self, now: Now) {
        if !self.may_plan() {
            return;
        }
        let proposed = self.lives.iter().filter(|(_, life)| matches!(life.stage, Stage::Proposed(_)));
        let proposed = proposed.filter_map(|(id, _)| self.plans.get(id)).filter(|record| record.scheduled);
        let open = proposed.filter(|record| self.closed(&record.trigger, now).is_none());
        let open: Vec<_> =
            open.map(|record| (record.id.clone(), record.hosts.iter().cloned().collect())).collect();
        for (id, hosts) in open {
            match self.lives.get(&id).map(|life| &life.cause) {
                // After a restart its trouble may not have been seen again yet.
                Some(cause) if !self.is_needed(cause) => continue,
                Some(Cause::Past) if self.plans[&id].trigger != "request" => {
                    let why = "what it was made for is not known any more since a restart";
                    self.end(&id, PlanState::Cancelled, why, now);
                    continue;
                }
                _ => {}
            }
            // Those whose hosts others have wait on.
            if self.hosts_are_back(&id) && self.why_stale(&id).is_none() && self.reserve(&id, &hosts).is_ok()
            {
                self.execute(&id, false, now);
            }
        }
    }

    /// Why a plan cannot be carried out any more.
    pub(super) fn why_stale(&self, id: &str) -> Option<String> {
        let record = self.plans.get(id)?;
        let (problem, plan) = (record.problem.as_ref()?, record.plan.as_ref()?);
        planning::stale(&self.cell, &self.settings, problem, plan).or_else(|| self.why_not_kept(id))
    }

    /// Why a plan that waits, or waited, does not have the hosts that keep plans for VMs of the same rules apart.
    pub(super) fn why_not_kept(&self, id: &str) -> Option<String> {
        let record = self.plans.get(id)?;
        let waits = matches!(self.lives.get(id)?.stage, Stage::Proposed(_));
        let (hosts, shared) = (record.hosts.iter().cloned().collect(), self.is_shared(id));
        let mut actions = record.plan.as_ref().filter(|_| waits)?.actions.iter();
        actions.find_map(|action| self.why_still(&action.vm, &hosts, shared))
    }

    /// Whether all is known that a plan is about; after a restart agents need a moment.
    fn hosts_are_back(&self, id: &str) -> bool {
        let patience = seconds(self.settings.inventory.failed_after_s);
        let Some(record) = self.plans.get(id) else { return true };
        record.hosts.iter().all(|host| match self.cell.hosts.get(host) {
            Some(entry) => entry.is_known() || self.looked > entry.seen.saturating_add(patience),
            None => true,
        })
    }
}

fn about(trouble: &Trouble, kind: EventKind, severity: Severity) -> Event {
    Event {
        host: trouble.host.clone(),
        vm: trouble.vm.clone(),
        constraint: trouble.constraint.clone(),
        ..event(kind, severity, trouble.message.clone())
    }
}
