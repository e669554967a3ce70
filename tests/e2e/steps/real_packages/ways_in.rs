//! Many ways into one service, as the document, the package itself and other machines know them.

use std::{io::Read, time::Duration};

use serde_json::{Value, json};

use super::{LIGHTHOUSE, OLD, install, start, told};
use crate::{
    console::succeeded,
    lan::{self, SERVER, neighbour_runs},
    probe::entry,
    world::World,
};

/// What a page says to the neighbour, on the port of the server's that a name stands for.
fn page(world: &World, url: &str, name: &str, port: u64) -> Value {
    let ca = world.ca();
    let resolve = format!("{name}:{port}:{SERVER}");
    let curl = neighbour_runs(
        "curl",
        &[
            "-sS",
            "--max-time",
            "20",
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &resolve,
            url,
        ],
    );
    serde_json::from_str(&succeeded(url, &curl)).unwrap()
}

/// What a port says by itself.
fn greeting(port: u16) -> String {
    let mut stream = lan::connect((SERVER, port).into(), Duration::from_secs(10)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

pub(in super::super) fn every_way_in_leads_where_the_package_says(world: &mut World) {
    install(world, LIGHTHOUSE, OLD);
    start(world, LIGHTHOUSE, &["lamps", "api"]);
    let hosts = entry(world, LIGHTHOUSE)["hosts"].clone();
    let bound = |host: &str, port: &str| hosts[host]["bindings"][port].clone();
    let keeper = &bound("ui", "8080")["interfaces"]["keeper"];
    assert_eq!(
        (&keeper["masked"], &keeper["addressInfo"]["username"]),
        (&json!(true), &json!("keeper"))
    );
    assert_eq!(keeper["addressInfo"]["suffix"], "/keeper?tab=lamp");

    let known = told(world, LIGHTHOUSE, "addresses");
    let links = |id: &str| -> Vec<String> { serde_json::from_value(known[id].clone()).unwrap() };
    let forward = bound("ui", "8080")["net"].clone();
    assert_eq!(known["forward"], forward);
    let bridge = known["os"].as_str().unwrap();
    assert_eq!(
        known["near"],
        format!("{bridge}:{}", forward["assignedPort"])
    );
    assert_eq!(known["own"], world.server.address(LIGHTHOUSE));
    assert_eq!(links("page")[0], "https://lighthouse-coppice.local");
    assert!(
        links("keeper")
            .iter()
            .all(|link| link.contains("keeper@") && link.ends_with("/keeper?tab=lamp"))
    );
    assert!(
        links("peers")
            .iter()
            .all(|link| link.starts_with("beam://")),
        "{known:#}"
    );

    // By its name; the proxy tells the page who asks, and how.
    let name = "lighthouse-coppice.local";
    let shown = page(world, &format!("https://{name}/a"), name, 443);
    let expected = json!({ "way": "ui", "path": "/a", "proto": "https", "from": true });
    assert_eq!(shown, expected);
    // TLS of Coppice's before a port that has none, and the package's own certificate, which goes through.
    let gate = bound("gate", "8081")["net"]["assignedSslPort"]
        .as_u64()
        .unwrap();
    let host = "coppice.local";
    let shown = page(world, &format!("https://{host}:{gate}/"), host, gate);
    assert_eq!(
        (&shown["way"], &shown["proto"]),
        (&json!("gate"), &json!("https"))
    );
    let api = bound("api", "8443")["net"]["assignedPort"]
        .as_u64()
        .unwrap();
    let host = "lighthouse.startos";
    let shown = page(world, &format!("https://{host}:{api}/"), host, api);
    assert_eq!(
        (&shown["way"], &shown["proto"]),
        (&json!("api"), &json!(null))
    );
    // Ports that speak for themselves: one, and one of a range.
    let peers = bound("peers", "9735")["net"]["assignedPort"]
        .as_u64()
        .unwrap();
    assert_eq!(greeting(u16::try_from(peers).unwrap()), "beam\n");
    let relay = known["relay"].as_u64().unwrap();
    assert_eq!(
        hosts["peers"]["bindingRanges"]["21000"]["externalStartPort"],
        relay
    );
    assert_eq!(greeting(u16::try_from(relay + 3).unwrap()), "relay\n");
}
