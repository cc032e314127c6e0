//! The hashes that a Java program with the real `java.util.Random` and `HashMap` gives.

use super::{Crashes, Fault, Injector, Loads, Outages, placement};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

fn events(vms: u32, seconds: f64, mean: f64, sd: f64) -> (usize, String) {
    let mut hasher = Sha256::new();
    let (mut count, mut line) = (0, String::new());
    for change in Injector::new(vms, seconds, Loads { mean, sd, ..Loads::default() }).unwrap() {
        line.clear();
        let _ = writeln!(line, "{},vm-{},{}", change.time, change.vm, change.load);
        hasher.update(&line);
        count += 1;
    }
    (count, format!("{:x}", hasher.finalize()))
}

fn seats(hosts: u32, vms: u32) -> String {
    let mut hasher = Sha256::new();
    for (vm, seat) in placement(hosts, vms, 23).unwrap().iter().enumerate() {
        hasher.update(format!("vm-{vm},node{},{}\n", seat.host, seat.dirty_percent));
    }
    format!("{:x}", hasher.finalize())
}

#[test]
fn the_injector_is_that_of_vmplaces() {
    for (vms, seconds, mean, sd, count, hash) in [
        (640, 1800.0, 60.0, 20.0, 3786, "e104ef78b3690783860488e0f15c717280550f52f85fe884e357455a01f9cea2"),
        (640, 3600.0, 60.0, 20.0, 7608, "5728cae81eb501d4d7c13b964752b04fd8bc28e05f893ea5accec76bfc57defa"),
        (1280, 3600.0, 60.0, 20.0, 15364, "8a94484d3ee42d626df41597c957326da978874b91a8bcb5d0b2cd5d88aa9d53"),
        (2560, 3600.0, 60.0, 20.0, 30590, "ee5b38fe8f36243b3f9de07d24538c5cd99899ded9b606ec5c93b34283c0d750"),
        (5120, 3600.0, 60.0, 20.0, 61313, "7fae52247c2f4fa6d2a400b9ef1c77567d28d3864ca61d5baa7a206a9be30fbd"),
        (
            10240,
            3600.0,
            60.0,
            20.0,
            122604,
            "8f1d741cf265e6246e1530ecff4cbb2a885a1c7e137a4b6060efa7c67d8292e2",
        ),
        (1280, 3600.0, 70.0, 30.0, 15364, "53fd69dc05f118a08fc60dcd5cb8a896b5f5198dd0d30489e146af75367af2c3"),
        (
            10240,
            3600.0,
            70.0,
            30.0,
            122604,
            "035001f3d188c7d387c367827172dde8b94d02c0eeb4621696b26ee087780039",
        ),
    ] {
        assert_eq!(events(vms, seconds, mean, sd), (count, hash.to_owned()), "{vms} VMs, {seconds} s");
    }
}

#[test]
fn the_injector_is_that_of_vmplaces_at_large() {
    for (vms, count, hash) in [
        (20480, 245617, "8bcb8a552bc8cc02a5d52a7296c288e47a45ad5372ce791363738efc35271339"),
        (40960, 492037, "90732d93e88c41b231ab2af33742b314e813a07323b69ab6b6c3e613fc20964e"),
        (81920, 983322, "2b3aae979957c7aeb34fece92b3f99616d7b1acd90fa62a526f63bb8f1bb2b2f"),
    ] {
        assert_eq!(events(vms, 3600.0, 60.0, 20.0), (count, hash.to_owned()), "{vms} VMs");
    }
}

#[test]
fn vms_are_where_vmplaces_puts_them() {
    for (hosts, hash) in [
        (64, "66254308ef47f574896316ebcce0bcc6df6639e2feb60f33bae5b45a79734209"),
        (128, "637965f279dfcef415960a73678005da79c420baadb6a24c8742c17d5083433d"),
        (256, "34fbf48463472d42b0b265dab92ce24d809b2791e0613be38120fb6b153eeceb"),
        (512, "29259065e8877f33458e8176af1423a12b1c154c126c3263752258b1e910f48c"),
        (1024, "e85dbdd7aec699f6d8343df718c0cd595ee1fb5d02674942250ef0d8046ea02f"),
        (2048, "d9b2132882ba60876abfb934f39420898c1c852d262c1691c5ecb26df05f74f7"),
        (4096, "15ec6b1066dc038a188e39a05b54b8a6d4e5450b7930911cf10c422dd79e230c"),
        (8192, "eae52e1fb6ec6ebe885445658cfd13c4497c452196ab2b214acedc298cff7682"),
    ] {
        assert_eq!(seats(hosts, hosts * 10), hash, "{hosts} hosts");
    }
}

#[test]
fn what_crashes_comes_up_again_once_and_in_time() {
    let outages = Outages { period_s: 1000.0, down_s: 300.0, seed: 23 };
    let faults: Vec<Fault> = Crashes::new(16, 10000.0, outages).collect();
    assert!(faults.is_sorted_by(|a, b| a.time <= b.time));
    let crashes = faults.iter().filter(|fault| !fault.up).count();
    assert!((100..=220).contains(&crashes), "160 are to be expected: {crashes}");
    let mut down_since: [Option<f64>; 16] = [None; 16];
    let mut again = 0;
    for fault in &faults {
        let since = &mut down_since[fault.host as usize];
        if fault.up {
            let down = since.take().expect("who comes up was down");
            assert!((fault.time - down - 300.0).abs() < 1e-9);
        } else {
            again += usize::from(since.is_some());
            *since = Some(fault.time);
        }
    }
    assert!(again > 5, "some crash while they are down: {again}");
    assert!(down_since.iter().flatten().all(|time| *time > 9700.0));
    assert_eq!(Crashes::new(0, 1000.0, outages).count(), 0);
}
