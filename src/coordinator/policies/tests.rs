use super::*;
use dvms_solver::file::{Body, Vms};

fn spread(name: &str, max: i64) -> Constraint {
    let vms = Vms { vms: vec!["a".into(), "b".into()], ..Vms::default() };
    let body = Some(Body::Spread { vms, scope: None, max: Some(max) });
    Constraint { name: name.into(), soft_weight: None, continuous: false, body }
}

fn told(policies: &mut Policies, revision: u64, rules: &[(&str, String)]) {
    policies.told(revision, rules.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect());
}

fn names(policies: &Policies) -> Vec<String> {
    policies.in_force().into_iter().map(|rule| rule.name).collect()
}

#[test]
fn a_bad_rule_is_refused_with_its_place_and_takes_nothing_away() {
    let mut policies = Policies::new(Place::Etcd, vec![spread("file", 1)], KeptRules::default());
    told(&mut policies, 7, &[("one", write(&spread("one", 1))), ("two", write(&spread("two", 1)))]);
    assert_eq!(
        (names(&policies), policies.kept.revision),
        (["file", "one", "two"].map(String::from).into(), 7)
    );
    let before = policies.clone();
    told(
        &mut policies,
        9,
        &[
            ("one", r#"{"name": "one", "spread": {"vms": ["a", "b"], "max": -3}}"#.into()),
            ("three", "{".into()),
            ("four", write(&spread("five", 1))),
            ("six", r#"{"name": "six", "lonely": {"vms": ["a"]}}"#.into()),
            ("file", write(&spread("file", 2))),
        ],
    );
    assert_eq!(names(&policies), ["file", "one"], "what is in force stays, what was deleted goes");
    assert_eq!(policies.kept.rules["one"], spread("one", 1));
    let why = |name: &str| policies.refused[name].as_str();
    assert!(why("one").starts_with("spread") && why("one").ends_with("the one of before stays in force"));
    assert!(why("three").starts_with("it cannot be read: "), "{}", why("three"));
    assert!(why("four").starts_with("name: "), "{}", why("four"));
    assert!(why("six").contains("spread, gather, fence, ban and before only"), "{}", why("six"));
    assert!(why("file").contains("which holds"));
    assert_eq!(policies.news(&before), "gone: two");
    told(&mut policies, 10, &[("one", write(&spread("one", 2))), ("seven", write(&spread("seven", 1)))]);
    assert!(policies.refused.is_empty());
    assert_eq!(policies.news(&before), "new: seven; changed: one; gone: two");
}

#[test]
fn an_etcd_that_has_lost_its_data_takes_no_rules_away() {
    let kept = KeptRules { revision: 57, rules: [("one".to_owned(), spread("one", 1))].into() };
    let mut policies = Policies::new(Place::Etcd, Vec::new(), kept);
    told(&mut policies, 0, &[]);
    assert_eq!((names(&policies), policies.kept.revision), (vec!["one".to_owned()], 57));
    assert!(policies.refused["one"].contains("stays in force"));
    // As soon as somebody has changed rules there, those hold.
    told(&mut policies, 3, &[("two", write(&spread("two", 1)))]);
    assert_eq!((names(&policies), policies.kept.revision), (vec!["two".to_owned()], 3));
    assert!(policies.refused.is_empty());
    told(&mut policies, 4, &[]);
    assert!(policies.in_force().is_empty(), "the last one was taken away");
}

#[test]
fn what_is_to_be_kept_is_judged_with_places() {
    let policies = Policies::new(Place::Here, vec![spread("file", 1)], KeptRules::default());
    assert_eq!(policies.judge(&[spread("one", 1), spread("two", 2)]), []);
    let wrong = policies.judge(&[spread("one", 1), spread("one", -1), spread("file", 1)]);
    let places: Vec<&str> = wrong.iter().map(|(path, _)| path.as_str()).collect();
    assert!(
        places.contains(&"rules[2].name") && places.iter().any(|p| p.starts_with("rules[1]")),
        "{wrong:?}"
    );
}

#[test]
fn a_fixed_list_of_members_has_rules_of_files_alone() {
    use super::super::settings::{Etcd, RingMember};
    let members = |count: usize| vec![RingMember::default(); count];
    assert_eq!(Place::of(&Ring::default()), Place::Here);
    assert_eq!(Place::of(&Ring { members: members(1), ..Ring::default() }), Place::Here);
    assert_eq!(Place::of(&Ring { members: members(2), ..Ring::default() }), Place::Files);
    let etcd = Etcd { endpoints: vec!["e:1".into()], ..Etcd::default() };
    assert_eq!(Place::of(&Ring { etcd, ..Ring::default() }), Place::Etcd);
    let kept = KeptRules { revision: 3, rules: [("a".to_owned(), spread("a", 1))].into() };
    assert!(Policies::new(Place::Files, Vec::new(), kept.clone()).in_force().is_empty());
    assert_eq!(Policies::new(Place::Etcd, Vec::new(), kept).in_force(), [spread("a", 1)]);
}
