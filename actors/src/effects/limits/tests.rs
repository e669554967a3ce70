//! Each limit: what is legitimate passes, one more does not, and what is replaced counts once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{super::*, *};
use crate::{
    hosts,
    model::{
        AddSsl, BindOptions, DependencyKind, PackageEntry, ServiceInterface, StateInfo, Task,
        TaskEntry,
    },
    service::Subcontainer,
};

fn entry() -> PackageEntry {
    PackageEntry::bare(StateInfo::Installed {
        manifest: Value::Null,
    })
}

/// The refusal of something over a limit: it names the object, the limit and the next step.
fn assert_says(result: Result<(), impl std::fmt::Display>, words: &[&str]) {
    let Err(over) = result else {
        panic!("nothing was refused, where `{words:?}` should have been said")
    };
    let text = over.to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
    assert!(text.len() < 400, "a refusal quotes too much: {text}");
}

fn action(description: &str) -> crate::model::ActionMetadata {
    serde_json::from_value(json!({
        "name": "Reset the password", "description": description, "visibility": "enabled",
        "allowedStatuses": "any", "hasInput": true,
    }))
    .unwrap()
}

#[test]
fn a_service_has_as_many_actions_as_may_be_and_not_one_more() {
    let mut entry = entry();
    for at in 0..256 {
        actions::store(&mut entry, format!("a{at}"), action("Does it.")).unwrap();
    }
    let more = actions::store(&mut entry, "one-more".into(), action("Does it."));
    assert_says(more, &["action `one-more`", "256", "clear"]);
    assert_eq!(entry.actions.len(), 256);
    // Every init exports all of them again.
    actions::store(&mut entry, "a7".into(), action("Does it otherwise.")).unwrap();
}

#[test]
fn actions_are_limited_in_length_each_and_together() {
    let mut entry = entry();
    let long = "x".repeat(17 * KIB);
    let one = actions::store(&mut entry, "long".into(), action(&long));
    assert_says(one, &["action `long`", "16384", "shorter"]);
    let mut stored = 0;
    let full = loop {
        let text = "x".repeat(15 * KIB);
        match actions::store(&mut entry, format!("a{stored}"), action(&text)) {
            Ok(()) => stored += 1,
            Err(full) => break full,
        }
    };
    assert_says(Err(full), &["262144", "shorten or clear"]);
    assert_eq!(stored, 16);
}

#[test]
fn names_that_a_package_chooses_are_limited_in_length() {
    let endless = "n".repeat(4_000_000);
    let words = ["nnn", "256", "choose a shorter one"];
    assert_says(
        actions::store(&mut entry(), endless.clone(), action("")),
        &words,
    );
    assert_says(
        network::admit(&entry(), &endless, 80, &options(false)),
        &words,
    );
    assert_says(
        interfaces::store(&mut entry(), interface(&endless, 80)),
        &words,
    );
    assert_says(maybe_name("event id", Some(&endless)), &words);
    assert_says(replay_id(&endless), &["nnn", "513", "choose a shorter one"]);
    assert!(name("package id", &"n".repeat(256)).is_ok());
    assert!(maybe_name("event id", None).is_ok());
}

fn task(accept: &str) -> Task {
    serde_json::from_value(json!({
        "packageId": "db", "actionId": "config", "severity": "critical",
        "input": { "kind": "partial", "accept": [{ "text": accept }], "set": {} },
    }))
    .unwrap()
}

fn store_task(entry: &mut PackageEntry, id: &str, task: Task) -> Result<(), OverLimit> {
    actions::admit_task(entry, id, &task)?;
    let active = false;
    entry.tasks.insert(id.into(), TaskEntry { task, active });
    Ok(())
}

#[test]
fn a_service_has_as_many_tasks_as_may_be_and_not_one_more() {
    let mut entry = entry();
    for at in 0..256 {
        store_task(&mut entry, &format!("t{at}"), task("x")).unwrap();
    }
    let more = store_task(&mut entry, "one-more", task("x"));
    assert_says(more, &["task `one-more`", "256", "clear"]);
    store_task(&mut entry, "t7", task("y")).unwrap();
}

#[test]
fn tasks_are_limited_in_length_each_and_together() {
    let mut entry = entry();
    let long = task(&"x".repeat(65 * KIB));
    assert_says(
        store_task(&mut entry, "long", long),
        &["task `long`", "65536"],
    );
    let whole_configuration = task(&"x".repeat(60 * KIB));
    for at in 0..4 {
        store_task(&mut entry, &format!("t{at}"), whole_configuration.clone()).unwrap();
    }
    let full = store_task(&mut entry, "full", whole_configuration);
    assert_says(full, &["task `full`", "262144"]);
}

fn options(tls: bool) -> BindOptions {
    BindOptions {
        preferred_external_port: 80,
        add_ssl: tls.then(|| AddSsl {
            preferred_external_port: 443,
            add_x_forwarded_headers: false,
            alpn: None,
            upstream_cert_validation: None,
            auth: None,
        }),
        secure: None,
    }
}

fn bind(
    entry: &mut PackageEntry,
    host: &str,
    port: u16,
    options: BindOptions,
) -> Result<(), OverLimit> {
    network::admit(entry, host, port, &options)?;
    let mut pool = hosts::PortPool::default();
    let host = entry.hosts.entry(host.into()).or_default();
    hosts::bind(host, "a", port, options, &mut pool).unwrap();
    Ok(())
}

#[test]
fn a_service_binds_as_many_ports_as_may_be_and_not_one_more() {
    let mut entry = entry();
    for port in 0..64 {
        bind(
            &mut entry,
            if port % 2 == 0 { "a" } else { "b" },
            port,
            options(false),
        )
        .unwrap();
    }
    let more = bind(&mut entry, "a", 1000, options(false));
    assert_says(more, &["bound port `1000 of a`", "64", "clear"]);
    // A port that the package no longer declares keeps what it was given, and counts.
    entry
        .hosts
        .get_mut("a")
        .unwrap()
        .bindings
        .get_mut(&0)
        .unwrap()
        .enabled = false;
    assert!(bind(&mut entry, "a", 1000, options(false)).is_err());
    bind(&mut entry, "a", 0, options(false)).unwrap();
}

#[test]
fn a_service_takes_no_more_than_its_part_of_the_edge_s_listeners() {
    let mut entry = entry();
    for port in 0..32 {
        bind(&mut entry, "a", port, options(true)).unwrap();
    }
    let more = bind(&mut entry, "a", 1000, options(true));
    assert_says(more, &["Coppice's TLS `1000 of a`", "32"]);
    bind(&mut entry, "a", 1000, options(false)).unwrap();
    bind(&mut entry, "a", 7, options(true)).unwrap();
}

#[test]
fn a_service_has_as_many_hosts_as_may_be_and_not_one_more() {
    let mut entry = entry();
    for at in 0..64 {
        entry.hosts.insert(format!("h{at}"), hosts_of_none());
    }
    let more = bind(&mut entry, "one-more", 80, options(false));
    assert_says(more, &["host `one-more`", "64"]);
    bind(&mut entry, "h7", 80, options(false)).unwrap();
}

fn hosts_of_none() -> crate::model::Host {
    crate::model::Host::default()
}

#[test]
fn what_a_binding_carries_is_limited_in_length() {
    let mut with_credentials = options(true);
    let tokens = vec!["t".repeat(1000); 40];
    with_credentials.add_ssl.as_mut().unwrap().auth = Some(json!({ "tokens": tokens }));
    let long = bind(&mut entry(), "a", 80, with_credentials);
    assert_says(long, &["bound port `80 of a`", "32768"]);
}

fn interface(id: &str, port: u16) -> ServiceInterface {
    serde_json::from_value(json!({
        "id": id, "name": "Web", "description": "The web pages.", "masked": false, "type": "ui",
        "addressInfo": {
            "username": null, "hostId": "a", "internalPort": port, "scheme": "http",
            "sslScheme": "https", "suffix": "/",
        },
    }))
    .unwrap()
}

#[test]
fn a_service_has_as_many_interfaces_as_may_be_and_not_one_more() {
    let mut entry = entry();
    bind(&mut entry, "a", 80, options(false)).unwrap();
    bind(&mut entry, "a", 81, options(false)).unwrap();
    for at in 0..128 {
        interfaces::store(&mut entry, interface(&format!("i{at}"), 80 + at % 2)).unwrap();
    }
    let more = interfaces::store(&mut entry, interface("one-more", 80));
    assert_says(more, &["interface `one-more`", "128"]);
    interfaces::store(&mut entry, interface("i0", 80)).unwrap();
    // The same id on another port is another one.
    assert!(interfaces::store(&mut entry, interface("i0", 81)).is_err());
}

#[test]
fn an_interface_is_limited_in_length() {
    let mut entry = entry();
    bind(&mut entry, "a", 80, options(false)).unwrap();
    let mut long = interface("web", 80);
    long.address_info.suffix = "/".repeat(20 * KIB);
    assert_says(
        interfaces::store(&mut entry, long),
        &["interface `web`", "16384"],
    );
}

fn requirements(count: usize, range: &str, checks: usize) -> Vec<dependencies::Requirement> {
    let one = |at| {
        json!({
            "id": format!("p{at}"), "versionRange": range, "kind": "running",
            "healthChecks": vec!["web"; checks],
        })
    };
    serde_json::from_value(Value::Array((0..count).map(one).collect())).unwrap()
}

#[test]
fn a_service_depends_on_as_many_packages_as_may_be_and_not_one_more() {
    let admit =
        |count, range: &str, checks| dependencies::admit(&requirements(count, range, checks));
    admit(0, "*", 0).unwrap();
    admit(128, ">=1.0:0 <2:0", 3).unwrap();
    assert_says(admit(129, "*", 1), &["dependency `p128`", "128"]);
    assert_says(admit(1, "*", 3000), &["dependency `p0`", "8192"]);
    assert_says(admit(100, "*", 200), &["dependency `p99`", "65536"]);
}

#[test]
fn a_version_range_is_not_parsed_when_it_is_long() {
    let deep = "(".repeat(1_000_000);
    let admitted = dependencies::admit(&requirements(1, &deep, 0));
    assert_says(admitted, &["version or range", "1024"]);
    version(&"1.0:0 || ".repeat(100)).unwrap();
}

#[test]
fn a_dependency_s_kind_is_counted_with_it() {
    let one = DependencyKind::Running {
        health_checks: vec!["x".repeat(KIB); 9],
    };
    assert!(DEPENDENCIES.check("p", &one, [] as [&Value; 0]).is_err());
}

#[test]
fn lists_that_are_walked_in_the_store_s_writer_are_short() {
    list("actions", &vec!["a"; 1024]).unwrap();
    assert_says(list("actions", &vec!["a"; 1025]), &["1025 actions", "1024"]);
    id_mappings(&[0; 64]).unwrap();
    assert_says(id_mappings(&[0; 65]), &["65 id mappings", "64", "fewer"]);
}

#[test]
fn a_service_has_as_many_subcontainers_as_may_be_and_not_one_more() {
    let mut alive = BTreeMap::new();
    let made = |name: &str| Subcontainer {
        name: name.into(),
        image: "main".into(),
    };
    for at in 0..256 {
        subcontainers::reserve(&mut alive, at.to_string(), made("web")).unwrap();
    }
    let more = subcontainers::reserve(&mut alive, "x".into(), made("one-more"));
    assert_says(more, &["subcontainer `one-more`", "256"]);
    alive.remove("7");
    subcontainers::reserve(&mut alive, "x".into(), made("web")).unwrap();
}

#[test]
fn progress_is_measured_before_it_is_broadcast() {
    let phases = |count: usize| {
        let phase =
            json!({ "name": "Migrating the database", "progress": { "done": 1, "total": 9 } });
        json!({ "overall": null, "phases": vec![phase; count] })
    };
    progress(&phases(100)).unwrap();
    assert_says(progress(&phases(10_000)), &["progress", "16384", "shorter"]);
}
