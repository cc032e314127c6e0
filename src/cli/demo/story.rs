//! The story: three acts on one site. Each changes the world, waits until the world (not dvms) shows that all is
//! well again, and notes what it took.

use super::outcome::{ActReport, Goal, Outcome};
use super::plans;
use super::site::{Hour, Site};
use super::stage::Stage;
use super::truth::Truth;
use crate::cli::format::count;
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::coordinator::Coordinator;
use crate::record::{AdminState, Connection, EventKind};
use anyhow::{Context as _, bail};
use std::time::{Duration, Instant, SystemTime};

/// How long agents have to connect and report everything.
const ARRIVE_WITHIN: Duration = Duration::from_secs(30);
/// An act is over when all has been well for so long.
const SETTLED_FOR: Duration = Duration::from_secs(1);
/// Before an act, so that one can see how things are.
const PAUSE: Duration = Duration::from_millis(1500);

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Overload,
    Drain,
    Night,
}

impl Act {
    const ALL: [Self; 3] = [Self::Overload, Self::Drain, Self::Night];

    /// One word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Drain => "drain",
            Self::Night => "night",
        }
    }

    fn title(self, site: &impl Site) -> String {
        match self {
            Self::Overload => format!("{} is overloaded", site.hot_host()),
            Self::Drain => format!("{} is drained by an operator", site.leaving_host()),
            Self::Night => "the night comes, little is to do".to_owned(),
        }
    }

    /// What dvms is expected to notice, and about which host (`None` = any).
    fn notices(self, site: &impl Site) -> (EventKind, Option<String>) {
        match self {
            Self::Overload => (EventKind::Overload, Some(site.hot_host().to_owned())),
            Self::Drain => (EventKind::Drain, Some(site.leaving_host().to_owned())),
            Self::Night => (EventKind::Underload, None),
        }
    }

    async fn begin(self, site: &mut impl Site, coordinator: &Coordinator) -> anyhow::Result<()> {
        match self {
            Self::Overload => site.turn(Hour::Rush).await,
            Self::Night => site.turn(Hour::Night).await,
            Self::Drain => {
                let host = site.leaving_host().to_owned();
                let asked = coordinator.set_host_state(&host, AdminState::Draining, "maintenance").await;
                asked.map(drop).with_context(|| format!("cannot drain {host}"))
            }
        }
    }

    /// What the world is to look like at the end of the act.
    fn goal(self, site: &impl Site, before: &Truth, now: &Truth) -> Goal {
        match self {
            Self::Overload => {
                let host = site.hot_host();
                let (was, is) = (before.cpu_share(host) * 100.0, now.cpu_share(host) * 100.0);
                Goal {
                    what: format!("{host} is within its limit again"),
                    met: was > 100.0 && is <= 100.0,
                    seen: format!("its VMs wanted {was:.0} % of the limit, now {is:.0} %"),
                }
            }
            Self::Drain => {
                let host = site.leaving_host();
                let (was, is) = (before.vms_on(host).count(), now.vms_on(host).count());
                Goal {
                    what: format!("{host} is empty"),
                    met: was > 0 && is == 0,
                    seen: format!("{was} VMs before, {is} now"),
                }
            }
            Self::Night => {
                let least = now.least_hosts(site.rules());
                let (was, is) = (before.hosts_in_use(), now.hosts_in_use());
                Goal {
                    what: format!("all VMs fit on {} hosts or fewer", least + 1),
                    met: is < was && is <= least + 1,
                    seen: format!("{was} in use before, {is} now; fewer than {least} cannot hold them"),
                }
            }
        }
    }
}

/// Plays all acts.
///
/// # Errors
/// Something that the story needs did not happen, or cannot be done.
pub(super) async fn play(
    site: &mut impl Site,
    coordinator: &Coordinator,
    stage: &Stage,
) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let (hosts, vms) = arrive(site, coordinator).await?;
    let line = Line::default().toned(Tone::Good, "ready").text(format!("  {hosts} agents, {vms} VMs"));
    stage.line(line).await;
    let mut acts = Vec::new();
    for act in Act::ALL {
        stage.act(acts.len() + 1, act.title(site)).await;
        tokio::time::sleep(PAUSE).await;
        let report = perform(act, site, coordinator).await?;
        let met = report.goals.iter().all(|goal| goal.met);
        stage.act_ended(&report).await;
        acts.push(report);
        if !met {
            break;
        }
    }
    let complete = acts.len() == Act::ALL.len();
    let mut goals = plans::judge(&coordinator.plans());
    let testimony = site.testimony().await.context("cannot look back at what has happened")?;
    let harm = testimony.harm.join("; ");
    goals.extend(testimony.watched.into_iter().map(|what| Goal {
        what,
        met: harm.is_empty(),
        seen: harm.clone(),
    }));
    goals.push(Goal {
        what: format!("{} arrived, none failed", count(testimony.arrived, "migration")),
        met: testimony.failed.unwrap_or(0) == 0 && testimony.arrived > 0,
        seen: testimony.failed.filter(|failed| *failed > 0).map_or(String::new(), |n| format!("{n} failed")),
    });
    Ok(Outcome { acts, goals, complete, took: begun.elapsed() })
}

/// Waits until the coordinator knows every host and every VM.
async fn arrive(site: &mut impl Site, coordinator: &Coordinator) -> anyhow::Result<(usize, usize)> {
    let truth = site.look().await?;
    let end = Instant::now() + ARRIVE_WITHIN;
    loop {
        let hosts = coordinator.hosts();
        let connected = hosts.iter().filter(|host| host.connection == Connection::Connected).count();
        let vms = coordinator.vms().iter().filter(|vm| !vm.host.is_empty()).count();
        if connected == truth.hosts.len() && vms == truth.vms.len() {
            return Ok((connected, vms));
        }
        if Instant::now() >= end {
            bail!(
                "not within {} s: all {} agents connected and all {} VMs known; {connected} agents and {vms} VMs \
                 have come",
                ARRIVE_WITHIN.as_secs(),
                truth.hosts.len(),
                truth.vms.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where a VM may not be at the end of the act counts from its beginning.
async fn look(act: Act, site: &mut impl Site) -> anyhow::Result<Truth> {
    let mut truth = site.look().await?;
    let leaving = site.leaving_host().to_owned();
    if let Some(host) = truth.hosts.get_mut(&leaving).filter(|_| act != Act::Overload) {
        host.draining = true;
    }
    Ok(truth)
}

async fn perform(act: Act, site: &mut impl Site, coordinator: &Coordinator) -> anyhow::Result<ActReport> {
    let last_event = coordinator.events().first().map_or(0, |event| event.id);
    let moved_before = site.arrived();
    let homes = site.look().await?.vms;
    let (begun, wall) = (Instant::now(), SystemTime::now());
    act.begin(site, coordinator).await?;
    let mut before = look(act, site).await?;
    // Should dvms be so fast that VMs have moved already, they do not count as having been elsewhere.
    for (name, vm) in homes {
        before.vms.entry(name).or_default().hosts = vm.hosts;
    }
    let mut well_since: Option<Instant> = None;
    let mut quiet_since: Option<Instant> = None;
    loop {
        tokio::time::sleep(site.pace()).await;
        let now = look(act, site).await?;
        let faults = now.faults(site.rules());
        let mut goal = act.goal(site, &before, &now);
        let fine = goal.met && faults.is_empty();
        let quiet = fine && plans::all_ended(coordinator);
        well_since = fine.then(|| well_since.unwrap_or_else(Instant::now));
        quiet_since = quiet.then(|| quiet_since.unwrap_or_else(Instant::now));
        let over = quiet_since.is_some_and(|since| since.elapsed() >= SETTLED_FOR);
        let late = begun.elapsed() >= site.patience();
        if !over && !late {
            continue;
        }
        if !over {
            goal.met = false;
            goal.seen = format!(
                "not within {} s: {}{}; {}",
                site.patience().as_secs(),
                goal.seen,
                faults.iter().map(|fault| format!("; {fault}")).collect::<Vec<_>>().concat(),
                plans::standing(coordinator, wall)
            );
        }
        let times = plans::times(coordinator, wall, last_event, &act.notices(site));
        return Ok(ActReport {
            act,
            faults: (before.faults(site.rules()).len(), faults.len()),
            hosts: (before.hosts_in_use(), now.hosts_in_use()),
            moves: site.arrived() - moved_before,
            times,
            well_after: well_since.map(|since| since.duration_since(begun)),
            goals: vec![goal],
        });
    }
}
