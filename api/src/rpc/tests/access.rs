//! Who gets in, asked of a live server over its own routes.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::super::{METHODS, Needs};
use crate::{
    gateway::Door,
    testing::{PASSWORD, Server},
};

const AUTHORIZATION: i32 = 34;

fn call(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": {} }).to_string()
}

async fn ask(server: &Server, header: (&str, &str), method: &str) -> Value {
    let request = Request::post("/rpc/v1")
        .header("content-type", "application/json")
        .header(header.0, header.1);
    let request = request.body(Body::from(call(method))).unwrap();
    server.send(Door::Edge, request).await.json()
}

async fn result(server: &Server, session: &str, method: &str, params: Value) -> Value {
    let answer = server.call(session, method, params).await.json();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

async fn token(server: &Server, session: &str) -> (String, String) {
    let params = json!({ "name": "a test", "scope": "read", "expiresIn": 600 });
    let made = result(server, session, "auth.token.create", params).await;
    let of = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("Bearer {}", of("token")), of("id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_closed_to_what_opens_nothing() {
    let server = Server::start().await;
    server.set_password().await;
    let (ended, session) = (server.log_in().await, server.log_in().await);
    result(&server, &ended, "auth.logout", json!({})).await;
    let (bearer, id) = token(&server, &session).await;
    let subscribed = server.send(
        Door::Edge,
        Request::post("/rpc/v1")
            .header("authorization", &bearer)
            .body(Body::from(call("db.subscribe")))
            .unwrap(),
    );
    let guid = subscribed.await.json()["result"]["guid"].clone();
    result(
        &server,
        &session,
        "auth.token.revoke",
        json!({ "ids": [id] }),
    )
    .await;
    let ended = format!("session={ended}");
    for shown in [
        ("accept", "*/*"),
        ("cookie", ended.as_str()),
        ("authorization", bearer.as_str()),
        ("x-startos-auth-sig", "timestamp=1"),
    ] {
        for method in METHODS.iter().filter(|one| one.needs != Needs::Nobody) {
            let answer = ask(&server, shown, method.name).await;
            assert_eq!(
                answer["error"]["code"], AUTHORIZATION,
                "{shown:?} {}",
                method.name
            );
        }
    }
    // Neither a ticket of what was revoked nor one that nobody has leads anywhere.
    let unknown = "A".repeat(32);
    for guid in [guid.as_str().unwrap(), &unknown] {
        let upload = Request::post(format!("/rest/rpc/{guid}"));
        let upload = upload.body(Body::from("magic")).unwrap();
        let answer = server.send(Door::Edge, upload).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_audit_trail_or_the_document_and_each_deed_is() {
    let server = Server::start().await;
    server.set_password().await;
    let session = server.log_in().await;
    let (bearer, id) = token(&server, &session).await;
    let password = json!({ "password": PASSWORD });
    let offered = result(&server, &session, "auth.totp.enrol", password.clone()).await;
    let secret = offered["secret"].as_str().unwrap();
    let code = crate::auth::app_shows(secret);
    let codes = result(
        &server,
        &session,
        "auth.totp.confirm",
        json!({ "code": code }),
    )
    .await;
    result(&server, &session, "auth.totp.disable", password).await;
    result(
        &server,
        &session,
        "auth.token.revoke",
        json!({ "ids": [id] }),
    )
    .await;
    let root = |method: &'static str| server.post(Door::Root, None, call(method));
    let rows = root("auth.audit").await.json()["result"].clone();
    let whole = root("db.export").await.json()["result"].to_string() + &rows.to_string();
    let mut secrets = vec![
        PASSWORD.to_owned(),
        session,
        bearer[7..].to_owned(),
        secret.to_owned(),
    ];
    let codes = codes["recoveryCodes"].as_array().unwrap().iter();
    secrets.extend(codes.map(|code| code.as_str().unwrap().to_owned()));
    for secret in secrets {
        assert!(!whole.contains(&secret), "`{secret}` is written down");
    }
    for method in [
        "auth.login",
        "auth.token.create",
        "auth.totp.enrol",
        "auth.totp.confirm",
        "auth.totp.disable",
        "auth.token.revoke",
    ] {
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["method"] == method);
        let row = row.unwrap_or_else(|| panic!("no row of {method}"));
        assert_eq!(
            (&row["account"], &row["role"]),
            (&json!("admin"), &json!("admin"))
        );
        assert_eq!(row["with"]["kind"], "session", "{row}");
        if method.starts_with("auth.token") {
            assert!(row["object"].is_string(), "{row}");
        }
    }
}
