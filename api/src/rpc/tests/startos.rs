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
    assert_eq!(
        (&list[0]["id"], &list[0]["version"]),
        (&json!(ID), &json!("1.0.0:0"))
    );
    assert!(list[0]["status"].is_string());
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
