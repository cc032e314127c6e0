//! How rules look.

use crate::api::convert::constraint_from_wire;
use crate::cli::format::safe;
use crate::cli::paint::Tone;
use crate::cli::table::{Cell, Column, Look, Table};
use dvms_proto::v1::{Policies, Policy, PolicyPlace, Ring, RingMember};
use dvms_solver::file::{Body, Constraint, Hosts, Labels, Vms};
use std::fmt::Write as _;

/// Where rules are kept that can be changed, in words.
pub(super) fn place(place: PolicyPlace) -> &'static str {
    match place {
        PolicyPlace::Etcd => "in etcd, for all coordinators",
        PolicyPlace::Coordinator => "by this coordinator",
        PolicyPlace::File | PolicyPlace::Unspecified => "in the configuration files alone",
    }
}

/// The rules as a table.
pub(super) fn picture(look: Look, policies: &Policies) -> String {
    let columns = [
        Column::Left("NAME"),
        Column::Left("FROM"),
        Column::Left("STATE"),
        Column::Left("KIND"),
        Column::Text("ABOUT"),
    ];
    let mut table = Table::new(look, &columns);
    for policy in &policies.policies {
        let rule = policy.rule.clone().map(constraint_from_wire);
        table.row([
            safe(&policy.name).into(),
            from(policy.source()).into(),
            state(policy),
            rule.as_ref().map(kind).unwrap_or_default().into(),
            [rule.as_ref().map(about).unwrap_or_default(), safe(&policy.refused)].join(" ").trim().into(),
        ]);
    }
    let mut text =
        if policies.policies.is_empty() { "There are no rules.\n".to_owned() } else { table.render() };
    let _ = writeln!(
        text,
        "\nRules can be changed {}; {} has revision {} of them in force.",
        place(policies.place()),
        safe(&policies.coordinator),
        policies.revision
    );
    text
}

fn from(source: PolicyPlace) -> &'static str {
    match source {
        PolicyPlace::Etcd => "etcd",
        PolicyPlace::Coordinator => "coordinator",
        PolicyPlace::File => "file",
        PolicyPlace::Unspecified => "",
    }
}

fn state(policy: &Policy) -> Cell {
    match (policy.refused.is_empty(), &policy.rule) {
        (true, _) => Cell::toned(Tone::Good, "in force"),
        (false, Some(_)) => Cell::toned(Tone::Warning, "OLD in force"),
        (false, None) => Cell::toned(Tone::Bad, "REFUSED"),
    }
}

fn kind(rule: &Constraint) -> String {
    let kind = rule.body.as_ref().map(Body::kind).unwrap_or_default();
    match rule.soft_weight {
        Some(weight) => format!("{kind}, soft {weight}"),
        None if rule.continuous => format!("{kind}, at all times"),
        None => kind.to_owned(),
    }
}

fn about(rule: &Constraint) -> String {
    let vms = |set: &Vms| named("VMs", &set.vms, &set.vm_selector);
    let hosts = |set: &Hosts| named("hosts", &set.hosts, &set.host_selector);
    let scope = |scope: &Option<String>| scope.clone().unwrap_or_else(|| "host".to_owned());
    match &rule.body {
        Some(Body::Spread { vms: set, scope: over, max }) => {
            format!("{}: at most {} on one {}", vms(set), max.unwrap_or(1), safe(&scope(over)))
        }
        Some(Body::Gather { vms: set, scope: over }) => {
            format!("{}: on one {}", vms(set), safe(&scope(over)))
        }
        Some(Body::Fence { vms: set, hosts: on }) => format!("{}: only on {}", vms(set), hosts(on)),
        Some(Body::Ban { vms: set, hosts: on }) => format!("{}: not on {}", vms(set), hosts(on)),
        Some(Body::Before { first, second }) => format!("{} before {}", vms(first), vms(second)),
        _ => String::new(),
    }
}

fn named(what: &str, names: &[String], selector: &Labels) -> String {
    let labels = selector.iter().map(|(key, value)| format!("{key}={value}"));
    let all: Vec<String> = names.iter().cloned().chain(labels).map(|name| safe(&name)).collect();
    format!("{what} {}", all.join(" "))
}

/// Where coordinators differ in their rules, or hear nothing from etcd; empty = nowhere.
pub(crate) fn differences(ring: &Ring) -> String {
    let known = || ring.members.iter().filter(|member| member.reachable);
    let mut text = String::new();
    let newest = known().map(|member| member.rules_revision).max().unwrap_or(0);
    let behind = |member: &&RingMember| member.rules_revision != newest;
    for member in known().filter(behind) {
        let _ = writeln!(
            text,
            "Rules: {} has revision {} in force, the newest is {newest}.",
            safe(&member.name),
            member.rules_revision
        );
    }
    for member in known() {
        for (rule, why) in &member.rules_refused {
            let _ = writeln!(text, "Rules: {} refuses {}: {}", safe(&member.name), safe(rule), safe(why));
        }
        if !member.etcd_silent.is_empty() {
            let _ = writeln!(
                text,
                "etcd: {} hears nothing from it ({}); its members and rules are those last known.",
                safe(&member.name),
                safe(&member.etcd_silent)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::convert::constraint_to_wire;

    fn policy(name: &str, refused: &str, rule: Option<Body>) -> Policy {
        let body = |body| Constraint {
            name: name.into(),
            soft_weight: Some(2.0),
            continuous: false,
            body: Some(body),
        };
        Policy {
            name: name.into(),
            source: PolicyPlace::Etcd.into(),
            rule: rule.map(body).as_ref().map(constraint_to_wire),
            refused: refused.into(),
        }
    }

    #[test]
    fn rules_are_told_in_words() {
        let vms = Vms { vms: vec!["a".into(), "b".into()], ..Vms::default() };
        let hosts =
            Hosts { host_selector: [("rack".to_owned(), "r1".to_owned())].into(), ..Hosts::default() };
        let policies = Policies {
            coordinator: "east".into(),
            place: PolicyPlace::Etcd.into(),
            revision: 7,
            policies: vec![
                policy("one", "", Some(Body::Fence { vms: vms.clone(), hosts })),
                policy("two", "max: must be at least 1", Some(Body::Spread { vms, scope: None, max: None })),
                policy("three", "it cannot be read", None),
            ],
        };
        let text = picture(Look::PLAIN, &policies);
        for words in [
            "fence, soft 2",
            "VMs a b: only on hosts rack=r1",
            "in force",
            "OLD in force",
            "VMs a b: at most 1 on one host max: must be at least 1",
            "REFUSED",
            "Rules can be changed in etcd, for all coordinators; east has revision 7 of them in force.",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        assert!(picture(Look::PLAIN, &Policies::default()).starts_with("There are no rules."));
    }

    #[test]
    fn where_coordinators_differ_is_said() {
        let member = |name: &str, rules_revision| RingMember {
            name: name.into(),
            reachable: true,
            rules_revision,
            ..RingMember::default()
        };
        let (east, mut west) = (member("east", 7), member("west", 7));
        let ring = |west: &RingMember| Ring {
            name: "east".into(),
            members: vec![east.clone(), west.clone()],
            departed: vec![],
        };
        assert_eq!(differences(&ring(&west)), "");
        west.rules_revision = 5;
        west.etcd_silent = "connection refused".into();
        west.rules_refused.insert("one".into(), "the file has it".into());
        let text = differences(&ring(&west));
        for words in
            ["west has revision 5 in force, the newest is 7", "west refuses one", "connection refused"]
        {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        west.reachable = false;
        assert_eq!(differences(&ring(&west)), "");
    }
}
