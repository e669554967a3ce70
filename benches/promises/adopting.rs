//! The death of the core among twenty services: from the kill to a core that has them all again.
//!
//! It has one when it knows the processes of each (the agent has called) and each runtime answers a call.

use std::time::Duration;

use serde_json::json;

use crate::{
    adoption::is_adopted,
    api::Api,
    now, pass,
    samples::{Samples, load, millis, tell, verdict},
    scratch::Scratch,
    server::Server,
    start::SUCCESS,
    twenty::{SERVICES, removed, started},
    until::{patiently, seconds, until},
};

/// A little longer than a core has to live for its next death to be its first again.
const PROVEN: Duration = Duration::from_secs(11);

pub(crate) fn measure(server: &Server, scratch: &Scratch, kills: usize) {
    let api = Api::of(server);
    let ids = started(server, scratch, "hello", seconds(120));
    for id in &ids {
        until(&format!("`{id}` is healthy"), seconds(60), || {
            let status = api.call("package.status", json!({ "id": id }));
            let health = &status["entry"]["statusInfo"]["health"];
            health.to_string().contains(SUCCESS).then_some(())
        });
    }
    println!(
        "\ncore killed among {SERVICES} services, {kills} kills; load {}",
        load()
    );
    let daemons: Vec<_> = ids.iter().map(|id| server.process(id, "hello")).collect();
    let (mut answers, mut adopted) = (Samples::default(), Samples::default());
    for _ in 0..kills {
        let core = server.child("core");
        let began = now();
        core.shoot();
        // The first call waits in the socket for the new core.
        api.call("state", json!({}));
        answers.push(now().duration_since(began));
        let all = patiently(seconds(30), Duration::from_millis(5), || {
            let tree = api.call("server.tree", json!({}));
            ids.iter().all(|id| is_adopted(&tree, id)).then_some(())
        });
        all.expect("every service is adopted");
        for id in &ids {
            let form = json!({ "packageId": id, "actionId": "set-greeting" });
            api.call("package.action.get-input", form);
        }
        adopted.push(now().duration_since(began));
        // The heart starts a core that had lived for a while at once; one that dies sooner waits, which is not measured.
        pass(PROVEN);
    }
    assert!(daemons.iter().all(|daemon| daemon.lives()));
    tell(
        "kill to the first answer, median (least to most)",
        &answers.words(),
    );
    tell("kill to every service adopted", &adopted.words());
    let worst = adopted.percentile(99);
    tell(
        "p50, p99",
        &format!("{} ms, {} ms", millis(adopted.median()), millis(worst)),
    );
    verdict("p99", worst.as_secs_f64() * 1000.0, 1000.0, " ms");
    tell("load after", &load());
    removed(server, &ids);
}
