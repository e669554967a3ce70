//! JSON-RPC 2.0 over HTTP, and what keeps one caller from taking everything.

use std::{future::pending, sync::Arc};

use axum::http::StatusCode;
use coppice_actors::Kind;
use serde_json::{Map, Value, json};

use super::super::{
    audit::Leaves,
    call::{self, Cookies},
    method::{Effect, Method, Needs, Reply, Within},
    schema::Shape,
    shapes::Nothing,
    turns::Who,
};
use crate::{caller::Caller, gateway::Door, rpc::Context, testing::Server};

async fn root(server: &Server, body: Value) -> crate::testing::Answer {
    server.post(Door::Root, None, body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_done_and_not_answered() {
    let server = Server::start().await;
    let notification = json!({ "jsonrpc": "2.0", "method": "echo", "params": { "message": "x" } });
    let unknown = json!({ "jsonrpc": "2.0", "method": "no.such.method" });
    for body in [
        notification.clone(),
        unknown.clone(),
        json!([notification, unknown]),
    ] {
        let answer = root(&server, body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty() && !answer.headers.contains_key("content-type"));
    }
    let call = json!({ "jsonrpc": "2.0", "method": "state", "id": "a" });
    let mixed = root(&server, json!([notification, call, 7, unknown])).await;
    let answers = mixed.json();
    assert_eq!(answers.as_array().unwrap().len(), 2);
    assert_eq!(
        answers[0],
        json!({ "jsonrpc": "2.0", "result": "running", "id": "a" })
    );
    assert_eq!(
        (&answers[1]["error"]["code"], &answers[1]["id"]),
        (&json!(-32600), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_takes_effect() {
    let server = Server::start().await;
    server.set_password().await;
    let session = server.log_in().await;
    let leave = json!({ "jsonrpc": "2.0", "method": "auth.logout" });
    let left = server
        .post(Door::Edge, Some(&session), leave.to_string())
        .await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    let after = server
        .call(&session, "package.list", json!({}))
        .await
        .json();
    assert_eq!(after["error"]["code"], Kind::Authorization.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_id_and_version_is_of_the_older_shape_and_answered() {
    let server = Server::start().await;
    let answer = root(&server, json!({ "method": "state", "params": {} })).await;
    assert_eq!(
        answer.json(),
        json!({ "jsonrpc": "2.0", "result": "running", "id": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_a_method_does_not_know_are_not_looked_at() {
    let server = Server::start().await;
    let params = json!({ "message": "x", "newer": [1], "__Auth_session": "forged" });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "echo", "params": params });
    assert_eq!(root(&server, call).await.json()["result"], "x");
    let wrong = json!({ "jsonrpc": "2.0", "id": 1, "method": "echo", "params": { "message": 7 } });
    let refused = root(&server, wrong).await.json();
    assert_eq!(refused["error"]["code"], -32602);
    let words = refused["error"]["message"].as_str().unwrap();
    assert!(words.contains("`echo`"), "{words}");
}

fn as_root(server: &Server) -> Arc<Context> {
    Arc::new(Context {
        gate: Arc::clone(&server.gate),
        caller: Caller::Root,
        refusal: None,
        from: None,
        device: None,
        user_agent: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_batch_is_not_made_when_its_answer_is_full() {
    let server = Server::start().await;
    // 32 answers of this are what a batch may have, and 16 are under way at once.
    let message = "x".repeat(1024 * 1024);
    let context = as_root(&server);
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "echo", "params": { "message": message } });
    let body = Value::Array(vec![call; 64]).to_string();
    let answered = super::super::answer(&context, body.as_bytes()).await;
    let answers: Vec<Value> = serde_json::from_str(&answered.body.unwrap()).unwrap();
    assert_eq!(answers.len(), 64);
    let made = answers
        .iter()
        .filter(|answer| answer["result"].is_string())
        .count();
    assert!((32..=49).contains(&made), "{made}");
    let refused = answers.last().unwrap();
    assert_eq!(refused["error"]["code"], Kind::InvalidRequest.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_caller_does_not_keep_another_waiting() {
    let server = Server::start().await;
    server.set_password().await;
    let other = server.log_in().await;
    let lane = server.gate.turns.of(Within::Moment);
    let mut held = Vec::new();
    for _ in 0..16 {
        let turn = lane.take(Who::Known(Caller::Root)).await;
        held.push(turn.unwrap_or_else(|full| panic!("{full}")));
    }
    let list = json!({ "jsonrpc": "2.0", "id": 0, "method": "package.list" });
    let waits = root(&server, list);
    tokio::pin!(waits);
    assert!(futures_util::poll!(&mut waits).is_pending());
    let answered = server.call(&other, "package.list", json!({})).await;
    assert_eq!(answered.json()["result"], json!([]));
    assert!(futures_util::poll!(&mut waits).is_pending());
    held.pop();
    assert_eq!(waits.await.json()["result"], json!([]));
}

static ENDLESS: Method = Method {
    name: "test.endless",
    about: "Never ends.",
    needs: Needs::Root,
    effect: Effect::Reads,
    within: Within::Moment,
    leaves: Leaves::Nothing,
    reply: Reply::Bare,
    params: Shape::of::<Nothing>(),
    result: Shape::of::<()>(),
    run: |_, _| Box::pin(pending()),
};
static ENDLESS_WITH_A_ROW: Method = Method {
    name: "test.endless-with-a-row",
    about: "Never ends.",
    needs: Needs::Root,
    effect: Effect::Acts,
    within: Within::Moment,
    leaves: Leaves::Row,
    reply: Reply::Bare,
    params: Shape::of::<Nothing>(),
    result: Shape::of::<()>(),
    run: |_, _| Box::pin(pending()),
};

#[tokio::test]
async fn every_call_has_an_end_that_says_what_to_do() {
    let server = Server::start().await;
    let context = as_root(&server);
    tokio::time::pause();
    for (method, next) in [(&ENDLESS, "try again"), (&ENDLESS_WITH_A_ROW, "it goes on")] {
        let late = call::call(&context, method, Map::new(), Cookies::default()).await;
        let late = late.unwrap_err().object();
        assert_eq!(late["code"], Kind::Timeout.code());
        let words = late["data"]["details"].as_str().unwrap();
        assert!(words.contains(next), "{words}");
    }
}
