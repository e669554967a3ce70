//! Requests as StartOS's command line sends them, and the shapes of `rpc-api.md` in the answers.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    gateway::Door,
    testing::{Answer, ID, PASSWORD, Server},
};

/// What it sends: always an id, never less than an object of parameters, and sometimes more in it than a method takes.
fn sent(method: &str, params: &Value) -> String {
    json!({ "id": 0, "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

async fn log_in(server: &Server) -> String {
    server.set_password().await;
    let params =
        json!({ "password": PASSWORD, "ephemeral": false, "metadata": { "platforms": ["cli"] } });
    let answer = server
        .post(Door::Edge, None, sent("auth.login", &params))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(result(&answer)["session"].is_string());
    answer.session()
}

/// The result of an answer in the envelope.
fn result(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(0)));
    assert!(body.get("error").is_none(), "{body:#}");
    body["result"].clone()
}

fn is_guid(value: &Value) -> bool {
    let guid = value.as_str().unwrap();
    guid.len() == 32
        && guid
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_sent_listed_started_and_stopped() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    let none = server.call(&session, "package.list", json!({})).await;
    assert_eq!(result(&none), json!([]));

    let tickets = result(&server.call(&session, "package.sideload", json!({})).await);
    assert!(is_guid(&tickets["upload"]) && is_guid(&tickets["progress"]));
    let upload = format!("/rest/rpc/{}", tickets["upload"].as_str().unwrap());
    let package = Request::post(upload)
        .body(Body::from(Server::package()))
        .unwrap();
    let sent = server.send(Door::Edge, package).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT);
    let progress = tickets["progress"].as_str().unwrap();
    let (frames, close) = server.follow(progress, usize::MAX).await;
    for frame in &frames {
        assert!(frame["overall"].is_boolean());
        assert!(frame["phases"][0]["name"].is_string());
    }
    assert_eq!(frames.last().unwrap()["overall"], true);
    let close = close.unwrap();
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (1000, "complete")
    );

    let list = result(&server.call(&session, "package.list", json!({})).await);
    let expected = json!([{ "status": "installed", "id": ID, "version": "1.0.0:0" }]);
    assert_eq!(list, expected);
    let stats = result(&server.call(&session, "package.stats", json!({})).await);
    let of_container = &stats[ID]["container_id"];
    assert!(of_container.is_string(), "{stats:#}");
    let version = json!({ "id": ID });
    let version = server
        .call(&session, "package.installed-version", version)
        .await;
    assert_eq!(result(&version), "1.0.0:0");
    let version = json!({ "id": "missing" });
    let version = server
        .call(&session, "package.installed-version", version)
        .await;
    assert_eq!(result(&version), Value::Null);

    for (method, params) in [
        ("package.start", json!({ "id": ID, "force": null })),
        ("package.restart", json!({ "id": ID })),
        ("package.stop", json!({ "id": ID, "__Auth_session": "x" })),
        (
            "package.uninstall",
            json!({ "id": ID, "soft": false, "force": false }),
        ),
    ] {
        let answer = server.call(&session, method, params).await;
        assert_eq!(result(&answer), Value::Null, "{method}");
        let sequence = answer.headers["x-patch-sequence"].to_str().unwrap();
        assert!(sequence.parse::<u64>().is_ok(), "{method}");
    }
    let none = server.call(&session, "package.list", json!({})).await;
    assert_eq!(result(&none), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_dumped_with_its_revision() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    let whole = result(&server.call(&session, "db.dump", json!({})).await);
    assert!(whole["id"].is_u64());
    assert!(whole["value"]["serverInfo"]["version"].is_string());
    let part = json!({ "pointer": "/public/serverInfo/hostname" });
    let part = result(&server.call(&session, "db.dump", part).await);
    assert_eq!(part["value"], "coppice");
    let put = json!({ "pointer": "/theme", "value": { "dark": true } });
    let put = server.call(&session, "db.put.ui", put).await;
    assert_eq!(result(&put), Value::Null);
    assert!(put.headers.contains_key("x-patch-sequence"));
    let kept = json!({ "pointer": "/public/ui" });
    let kept = result(&server.call(&session, "db.dump", kept).await);
    assert_eq!(kept["value"], json!({ "theme": { "dark": true } }));
    for refused in [
        json!({ "pointer": "/no/parent", "value": 1 }),
        json!({ "pointer": "/large", "value": "x".repeat(256 * 1024) }),
        json!({ "pointer": "x", "value": 1 }),
    ] {
        let answer = server.call(&session, "db.put.ui", refused).await.json();
        assert_eq!(answer["error"]["code"], 38);
    }
    let private = json!({ "pointer": "/private" });
    let private = server.call(&session, "db.dump", private).await.json();
    assert_eq!(private["error"]["code"], 38);
    assert!(private["error"]["data"]["details"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_and_followed() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    server.install(&session).await;
    let line = |number: i64| {
        json!({ "t": 1_700_000_000_000_i64 + number, "run": "1f7e", "src": "main", "stream": "out", "line": format!("line {number}") })
            .to_string()
    };
    let folder = server.data().join("services").join(ID).join("logs");
    std::fs::create_dir_all(&folder).unwrap();
    let segment = folder.join(coppice_wire::logs::segment_name(0));
    let lines: String = (0..3).map(|number| line(number) + "\n").collect();
    std::fs::write(segment, lines).unwrap();

    let params = json!({ "id": ID, "limit": 2, "cursor": null, "before": false });
    let page = result(&server.call(&session, "package.logs", params).await);
    let messages: Vec<&str> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["message"].as_str().unwrap())
        .collect();
    assert_eq!(messages, ["line 1", "line 2"]);
    let entry = &page["entries"][0];
    assert!(entry["timestamp"].is_string() && entry["bootId"].is_string());
    let older = json!({ "id": ID, "cursor": page["startCursor"], "before": true });
    let older = result(&server.call(&session, "package.logs", older).await);
    assert_eq!(older["entries"][0]["message"], "line 0");

    let params = json!({ "id": ID, "limit": 2 });
    let follow = result(&server.call(&session, "package.logs.follow", params).await);
    assert!(follow["startCursor"].is_string() && is_guid(&follow["guid"]));
    let (frames, _) = server.follow(follow["guid"].as_str().unwrap(), 2).await;
    assert_eq!(frames[1]["message"], "line 2");
    assert!(frames[1]["timestamp"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_made_listed_marked_and_removed() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    server.install(&session).await;
    let call =
        async |method: &str, params: Value| result(&server.call(&session, method, params).await);
    for number in 0..45 {
        let package = if number % 2 == 0 {
            json!(ID)
        } else {
            Value::Null
        };
        let new = json!({ "package": package, "level": "info", "title": format!("T{number}"), "message": "M" });
        assert_eq!(call("notification.create", new).await, Value::Null);
    }
    let unknown = json!({ "package": "missing", "level": "info", "title": "T", "message": "M" });
    let unknown = server.call(&session, "notification.create", unknown).await;
    assert_eq!(unknown.json()["error"]["code"], 6);

    let all = call(
        "notification.list",
        json!({ "before": null, "limit": null }),
    )
    .await;
    let newest = &all[0];
    assert!(newest["createdAt"].is_string());
    let expected = json!({
        "id": 44, "packageId": ID, "createdAt": newest["createdAt"], "code": 0, "level": "info",
        "title": "T44", "message": "M", "data": null, "seen": false,
    });
    assert_eq!(*newest, expected);
    let ids = |list: &Value| {
        let list = list.as_array().unwrap().iter();
        Vec::from_iter(list.map(|one| one["id"].as_u64().unwrap()))
    };
    assert_eq!(ids(&all), Vec::from_iter((5..45).rev()));
    let page = json!({ "before": 44, "limit": 2 });
    assert_eq!(ids(&call("notification.list", page).await), [43, 42]);

    for (method, params) in [
        ("mark-seen", json!({ "ids": [44, 7] })),
        ("mark-seen-before", json!({ "before": 40 })),
        ("mark-unseen", json!({ "ids": [39] })),
        ("remove-before", json!({ "before": 38 })),
        ("remove", json!({ "ids": [42] })),
    ] {
        let done = call(&format!("notification.{method}"), params).await;
        assert_eq!(done, Value::Null, "{method}");
    }
    let left = call("notification.list", json!({})).await;
    let seen = left.as_array().unwrap().iter();
    let seen = seen.map(|one| (one["id"].as_u64().unwrap(), one["seen"] == true));
    let expected = [
        (44, true),
        (43, false),
        (41, false),
        (40, true),
        (39, false),
        (38, true),
    ];
    assert_eq!(Vec::from_iter(seen), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_settings_are_kept_and_no_password_comes_out_again() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    let settings = json!({
        "host": "mail.example.com", "port": 587, "from": "server@example.com", "username": "server",
        "password": "a birch", "security": "starttls",
    });
    let set = server.call(&session, "server.set-smtp", settings).await;
    assert_eq!(result(&set), Value::Null);
    let host = server.gate.coppice.host();
    let kept = host.smtp().unwrap().unwrap();
    assert_eq!(kept.password.as_deref(), Some("a birch"));
    let shown = result(&server.call(&session, "server.smtp", json!({})).await);
    let expected = json!({
        "host": "mail.example.com", "port": 587, "from": "server@example.com", "username": "server",
        "hasPassword": true, "security": "starttls",
    });
    assert_eq!(shown, expected);

    let nonsense = json!({
        "host": "", "port": 587, "from": "a", "username": "b", "password": null, "security": "tls",
    });
    let refused = server.call(&session, "server.set-smtp", nonsense).await;
    assert_eq!(refused.json()["error"]["code"], 38);
    let misplaced = json!({
        "host": "mail.example.com", "port": 465, "from": "server@example.com", "to": "a birch",
        "username": "server", "password": "a birch", "security": "tls",
    });
    let refused = server.call(&session, "server.test-smtp", misplaced).await;
    assert_eq!(refused.json()["error"]["code"], 38);

    // Neither the document nor the trail of who did what has it.
    let whole = host.document.store().snapshot();
    let whole: Value = whole.get("").unwrap().unwrap();
    let calls = whole.to_string().matches("server.set-smtp").count();
    assert!(calls >= 2 && !whole.to_string().contains("a birch"));

    let cleared = server.call(&session, "server.clear-smtp", json!({})).await;
    assert_eq!(result(&cleared), Value::Null);
    assert_eq!(host.smtp().unwrap(), None);
    let shown = result(&server.call(&session, "server.smtp", json!({})).await);
    assert_eq!(shown, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_server_are_read_by_boot_and_followed() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    let none = result(&server.call(&session, "server.logs", json!({})).await);
    assert_eq!(
        none,
        json!({ "entries": [], "startCursor": null, "endCursor": null })
    );
    let folder = server.data().join("logs");
    std::fs::create_dir_all(&folder).unwrap();
    let lines = ["before", "now"].map(|boot| {
        json!({ "t": 1_700_000_000_000_i64, "run": boot, "src": "core", "stream": "err", "line": format!("said {boot}") })
            .to_string()
            + "\n"
    });
    let segment = folder.join(coppice_wire::logs::segment_name(1));
    std::fs::write(segment, lines.concat()).unwrap();
    for (boot, expected) in [
        (Value::Null, &["said before", "said now"][..]),
        (json!(0), &["said now"]),
        (json!(-1), &["said before"]),
        (json!("before"), &["said before"]),
    ] {
        let params = json!({ "limit": null, "cursor": null, "boot": boot, "before": false });
        let page = result(&server.call(&session, "server.logs", params).await);
        let entries = page["entries"].as_array().unwrap().iter();
        let messages = Vec::from_iter(entries.map(|entry| entry["message"].as_str().unwrap()));
        assert_eq!(messages, expected, "{boot}");
        assert!(
            page["entries"][0]["timestamp"].is_string() && page["entries"][0]["bootId"].is_string()
        );
        assert!(page["startCursor"].is_string() && page["endCursor"].is_string());
    }
    let follow = result(
        &server
            .call(&session, "server.logs.follow", json!({ "limit": 1 }))
            .await,
    );
    assert!(follow["startCursor"].is_string() && is_guid(&follow["guid"]));
    let (frames, _) = server.follow(follow["guid"].as_str().unwrap(), 1).await;
    assert_eq!(frames[0]["message"], "said now");
    let old = server
        .call(&session, "server.logs.follow", json!({ "boot": -1 }))
        .await;
    assert_eq!(old.json()["error"]["code"], 38);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_registries_what_it_is() {
    let server = Server::start().await;
    let session = log_in(&server).await;
    let info = result(&server.call(&session, "server.device-info", json!({})).await);
    let ram = &info["hardware"]["ram"];
    assert!(ram.as_u64().unwrap() > 1 << 20);
    let expected = json!({
        "os": { "version": "0.4.0", "compat": "<=0.4.0", "platform": std::env::consts::ARCH, "language": "en_US" },
        "hardware": { "arch": std::env::consts::ARCH, "ram": ram, "devices": null },
    });
    assert_eq!(info, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_is_told_so_with_the_number_that_means_it() {
    let server = Server::start().await;
    for method in ["package.list", "db.dump", "package.start"] {
        let answer = server
            .post(Door::Edge, None, sent(method, &json!({})))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], 34, "{method}");
        assert!(error["message"].is_string() && error["data"]["details"].is_string());
    }
}
