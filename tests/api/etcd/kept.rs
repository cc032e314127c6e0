//! Rules and wishes in etcd.

use super::{Etcd, all_have, all_know_each_other, apply, delete, spread};
use crate::ring::{Members, add_host, run_agent};
use crate::support::{assert_fields, failure, until};
use dvms::api::convert::constraint_to_wire;
use dvms::record::{AdminState, EventKind};
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use dvms_proto::v1 as pb;
use pb::policy_service_client::PolicyServiceClient;
use tokio_util::sync::CancellationToken;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_changed_anywhere_holds_everywhere() {
    let Some(etcd) = Etcd::start(1) else { return };
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    add_host(&world, "n1", &[("v1", 500.0), ("v2", 500.0)]);
    add_host(&world, "n2", &[]);
    let mut members = Members::told_by(Some(etcd.endpoints())).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    for host in ["n1", "n2"] {
        run_agent(&world, &members, host, "north", &stop);
    }
    until("north has them", async || members.of("north").vms().len() == 2).await;
    // Said at east, done at north.
    let told = apply(&members, "east", &spread("apart", &["v1", "v2"])).await.unwrap();
    assert_eq!((told.coordinator.as_str(), told.place()), ("east", pb::PolicyPlace::Etcd));
    until("all have it in force", async || all_have(&members, told.revision)).await;
    until("they are apart", async || world.vms_on("n1").len() == 1 && world.vms_on("n2").len() == 1).await;

    // What cannot be used is refused, by the call and where it was written past it, and takes nothing away.
    let mut bad = spread("apart", &["v1", "v2"]);
    bad.body = None;
    let refused = apply(&members, "west", &bad).await.unwrap_err();
    assert_eq!(failure(&refused).0, Code::InvalidArgument);
    assert_fields(&refused, &["rules[0]"]);
    etcd.put("/dvms/rules/apart", r#"{"name": "apart", "spread": {"vms": ["v1", "v2"], "max": -1}}"#).await;
    until("all have refused it", async || {
        members.running.keys().all(|name| members.of(name).policies().refused.contains_key("apart"))
    })
    .await;
    let alarm = members.of("west").events().into_iter().find(|event| event.kind == EventKind::Alarm).unwrap();
    assert!(alarm.constraint == "apart" && alarm.message.contains("spread"), "{}", alarm.message);
    assert_eq!(members.of("north").policies().in_force(), [spread("apart", &["v1", "v2"])]);
    let ring = members.get_ring("east").await;
    assert!(ring.members.iter().all(|member| member.rules_refused.contains_key("apart")), "{ring:?}");

    // It goes everywhere, too, and a member that begins without etcd has what was last known.
    let gone = delete(&members, "west", "apart").await.unwrap();
    until("nobody has it", async || all_have(&members, gone.revision)).await;
    assert!(members.running.keys().all(|name| members.of(name).policies().in_force().is_empty()));
    let missing = delete(&members, "west", "apart").await.unwrap_err();
    assert_eq!(failure(&missing).0, Code::NotFound);
    for name in ["east", "north", "west"] {
        members.stop(name).await;
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_want_of_a_host_outlives_the_disk_of_its_coordinator() {
    let Some(etcd) = Etcd::start(1) else { return };
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    add_host(&world, "e1", &[("v1", 500.0)]);
    let mut members = Members::told_by(Some(etcd.endpoints())).await;
    run_agent(&world, &members, "e1", "east", &stop);
    until("east has it", async || members.of("east").host("e1").is_some_and(|host| host.epoch > 0)).await;
    members.of("east").set_host_state("e1", AdminState::Cordoned, "a test").await.unwrap();
    until("it is kept", async || {
        let kept = etcd.keys("/dvms/hosts/").await;
        matches!(kept.as_slice(), [(key, value)] if key == "/dvms/hosts/e1" && value.contains("CORDONED") && value.contains("east"))
    })
    .await;
    // All coordinators end, and none has its disk any more.
    for name in ["east", "north", "west"] {
        members.stop(name).await;
        std::fs::remove_dir_all(members.folder.path().join(name)).unwrap();
    }
    for name in ["west", "north", "east"] {
        members.start_again(name).await;
    }
    until("it has a coordinator, and is what it was", async || {
        let hosts = ["east", "north", "west"].map(|name| members.of(name).host("e1"));
        hosts.into_iter().flatten().any(|host| host.epoch > 0 && host.state == AdminState::Cordoned)
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(etcd.keys("/dvms/hosts/e1").await[0].1.contains("CORDONED"), "nothing else was written");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_list_of_members_has_no_rules_that_can_be_changed() {
    let members = Members::start().await;
    let mut client = PolicyServiceClient::new(members.channel("east").await);
    let request = pb::ApplyPoliciesRequest { rules: vec![constraint_to_wire(&spread("one", &["a", "b"]))] };
    let refused = client.apply_policies(request).await.unwrap_err();
    let (code, reason, _) = failure(&refused);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "WRONG_STATE"));
    assert!(refused.message().contains("configuration files"), "{}", refused.message());
    let listed = client.list_policies(pb::ListPoliciesRequest {}).await.unwrap().into_inner();
    assert_eq!((listed.place(), listed.revision), (pb::PolicyPlace::File, 0));
}
