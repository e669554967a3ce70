//! Every method of a server, called with thousands of parameters that its own `rpc.discover` says are right,
//! and with some that are not.
//!
//! `COPPICE_DRIVER_SEED` draws others than usual, `COPPICE_DRIVER_ROUNDS` more; a failure says which seed it had.

use std::{env, fmt::Display, str::FromStr};

use axum::http::StatusCode;
use coppice_actors::Kind;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use super::{super::wire, validator::misfit};
use crate::{
    gateway::Door,
    testing::{Answer, ID, Server},
};

const SEED: u64 = 20_261_127;
/// Calls of one method by one caller.
const ROUNDS: usize = 30;
/// The same where each call may hash a password, which takes a quarter of a second.
const SLOW_ROUNDS: usize = 3;
/// What is nested deeper is no longer drawn.
const DEPTH: usize = 4;

/// Texts that get further than others, or have broken something somewhere.
const TEXTS: [&str; 24] = [
    ID,
    ID,
    ID,
    "",
    "/",
    "/public",
    "/public/packageData/seedling",
    "/public/~2",
    "/private",
    "..",
    "../../etc/passwd",
    "/nowhere/at/all.s9pk",
    "0:0",
    "correct horse battery",
    "2026-11-27T04:00:00Z",
    "null",
    "\0",
    "a\u{0301}\u{202e}",
    "'; DROP TABLE sessions; --",
    "%00%2e",
    "{{}}",
    "-1",
    "18446744073709551616",
    "\u{10ffff}",
];

struct Driver {
    random: StdRng,
    document: Value,
}

impl Driver {
    fn text(&mut self) -> String {
        match self.random.random_range(0..10) {
            0 => "x".repeat(self.random.random_range(1..5000)),
            1 => {
                let length = self.random.random_range(0..40);
                (0..length).map(|_| self.random.random::<char>()).collect()
            }
            _ => (*TEXTS.choose(&mut self.random).unwrap()).to_owned(),
        }
    }

    /// Any JSON.
    fn anything(&mut self, depth: usize) -> Value {
        let kinds = if depth == 0 { 6 } else { 8 };
        match self.random.random_range(0..kinds) {
            0 => Value::Null,
            1 => json!(self.random.random::<bool>()),
            2 => json!(self.random.random::<i64>()),
            3 => json!(self.random.random_range(-1e18..1e18)),
            4 | 5 => json!(self.text()),
            6 => (0..self.random.random_range(0..4))
                .map(|_| self.anything(depth - 1))
                .collect(),
            _ => {
                let members = (0..self.random.random_range(0..4))
                    .map(|_| (self.text(), self.anything(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }

    /// Something that fits a schema.
    fn fitting(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(&reference[1..]).unwrap().clone();
            return self.fitting(&target, depth);
        }
        if let Some(of) = schema["anyOf"].as_array() {
            let one = of.choose(&mut self.random).unwrap().clone();
            return self.fitting(&one, depth);
        }
        if let Some(of) = schema["enum"].as_array() {
            return of.choose(&mut self.random).unwrap().clone();
        }
        if let Some(one) = schema.get("const") {
            return one.clone();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (None, _) => self.anything(depth),
            (Some("null"), _) => Value::Null,
            (Some("boolean"), _) => json!(self.random.random::<bool>()),
            (Some("integer"), _) => {
                let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
                let usual = self.random.random_range(0..100);
                json!(
                    *[usual, 0, 1, most, self.random.random_range(0..=most)]
                        .choose(&mut self.random)
                        .unwrap()
                )
            }
            (Some("number"), _) => json!(self.random.random_range(-1000..1000)),
            (Some("string"), Some("date-time")) => json!("2026-11-27T04:00:00Z"),
            (Some("string"), _) => json!(self.text()),
            (Some("array"), _) => (0..self.random.random_range(0..4))
                .map(|_| self.fitting(&schema["items"], depth.saturating_sub(1)))
                .collect(),
            (Some("object"), _) => {
                let mut members = Map::new();
                for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                    let must = schema["required"]
                        .as_array()
                        .is_some_and(|all| all.contains(&json!(name)));
                    if must || self.random.random() {
                        members.insert(name.clone(), self.fitting(of, depth.saturating_sub(1)));
                    }
                }
                for _ in 0..self.random.random_range(0..2) {
                    // What is not declared may be there.
                    let name = format!("x{}", self.text());
                    members.insert(name, self.anything(depth));
                }
                Value::Object(members)
            }
            (Some(other), _) => panic!("{other} is no type"),
        }
    }

    /// Parameters that fit a method.
    fn params(&mut self, method: &Value) -> Map<String, Value> {
        let mut params = Map::new();
        for param in method["params"].as_array().unwrap() {
            if param["required"] == true || self.random.random() {
                let name = param["name"].as_str().unwrap().to_owned();
                params.insert(name, self.fitting(&param["schema"], DEPTH));
            }
        }
        if self.random.random_ratio(1, 4) {
            params.insert("__Auth_session".to_owned(), self.anything(DEPTH));
        }
        params
    }

    /// The same, with something done to it.
    fn spoil(&mut self, params: &mut Map<String, Value>) {
        let names: Vec<String> = params.keys().cloned().collect();
        match (
            names.choose(&mut self.random),
            self.random.random_ratio(1, 4),
        ) {
            (Some(name), true) => {
                params.remove(name);
            }
            (Some(name), false) => {
                let other = self.anything(DEPTH);
                params.insert(name.clone(), other);
            }
            (None, _) => {
                params.insert(self.text(), self.anything(DEPTH));
            }
        }
    }

    /// A body with some of its bytes changed.
    fn garble(&mut self, body: &str) -> Vec<u8> {
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..self.random.random_range(1..6) {
            let at = self.random.random_range(0..bytes.len());
            match self.random.random_range(0..3) {
                0 => bytes[at] = self.random.random(),
                1 => bytes.truncate(at + 1),
                _ => {
                    let piece = *[
                        b"[[[[".as_slice(),
                        b"{\"",
                        b"\\u",
                        b"\"id\":",
                        b",",
                        b"\xff",
                    ]
                    .choose(&mut self.random)
                    .unwrap();
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    }
}

fn chosen<T: FromStr>(name: &str, usual: T) -> T
where
    T::Err: Display,
{
    env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    })
}

/// What holds of every answer, whatever was asked.
fn sound(answer: &Answer, asked: &str) {
    let well = matches!(answer.status, StatusCode::OK | StatusCode::NO_CONTENT);
    assert!(well, "{}: {asked}", answer.status);
    if answer.status == StatusCode::NO_CONTENT {
        assert!(answer.body.is_empty(), "{asked}");
        return;
    }
    let body = answer.json();
    for one in body.as_array().unwrap_or(&vec![body.clone()]) {
        assert_eq!(one["jsonrpc"], "2.0", "{asked}");
        assert!(one.get("id").is_some(), "{asked}");
        assert_ne!(
            one.get("result").is_some(),
            one.get("error").is_some(),
            "{asked}"
        );
        if let Some(error) = one.get("error") {
            assert!(error["code"].is_i64(), "{asked}: {error}");
            let details = error["data"]["details"].as_str().unwrap_or_default();
            let crashed = details.contains("failed inside Coppice");
            assert!(!crashed, "{asked}: {error}");
            assert!(!error["message"].as_str().unwrap().is_empty(), "{asked}");
        }
    }
}

/// Whether a call may hash a password, end the session, or make a container.
fn is_slow(name: &str) -> bool {
    name.contains("password")
        || name.starts_with("auth.totp.")
        || matches!(name, "auth.login" | "auth.logout" | "package.rebuild")
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Root,
    Session,
    Stranger,
}

impl By {
    fn may(self, needs: &Value) -> bool {
        match self {
            Self::Root => true,
            Self::Session => needs != "root",
            Self::Stranger => needs == "nobody",
        }
    }
}

/// Begins another session when this one has ended.
async fn renew(server: &Server, session: &mut String) {
    let known = server.call(session, "git-info", json!({})).await.json();
    if known.get("error").is_some() {
        server.set_password().await;
        *session = server.log_in().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_keeps_to_what_it_declares_whatever_it_is_sent() {
    let seed = chosen("COPPICE_DRIVER_SEED", SEED);
    let rounds = chosen("COPPICE_DRIVER_ROUNDS", ROUNDS);
    // Shown when it fails.
    println!("COPPICE_DRIVER_SEED={seed} COPPICE_DRIVER_ROUNDS={rounds}");
    let server = Server::start().await;
    server.set_password().await;
    let mut session = server.log_in().await;
    server.install(&session).await;
    let discover = json!({ "jsonrpc": "2.0", "id": 0, "method": "rpc.discover" });
    let document = server.post(Door::Root, None, discover.to_string()).await;
    let document = document.json()["result"].clone();
    let mut driver = Driver {
        random: StdRng::seed_from_u64(seed),
        document: document.clone(),
    };
    let mut methods = document["methods"].as_array().unwrap().clone();
    // The one that ends what the others are about comes last.
    methods.sort_by_key(|method| {
        (
            method["name"] == "package.uninstall",
            is_slow(method["name"].as_str().unwrap()),
        )
    });
    let (mut calls, mut results) = (0, 0);
    for method in &methods {
        let name = method["name"].as_str().unwrap();
        let rounds = if is_slow(name) {
            rounds.min(SLOW_ROUNDS)
        } else {
            rounds
        };
        for by in [By::Root, By::Session, By::Stranger] {
            let door = if by == By::Root {
                Door::Root
            } else {
                Door::Edge
            };
            for round in 0..rounds {
                let mut params = driver.params(method);
                let fits = round % 3 != 0;
                if !fits {
                    driver.spoil(&mut params);
                }
                let body =
                    json!({ "jsonrpc": "2.0", "id": round, "method": name, "params": params });
                let text = body.to_string();
                let asked = format!("{by:?}: {}", text.chars().take(2000).collect::<String>());
                let token = (by == By::Session).then_some(session.as_str());
                let answer = server.post(door, token, text).await;
                sound(&answer, &asked);
                calls += 1;
                let answer = answer.json();
                assert_eq!(answer["id"], round);
                let code = answer["error"]["code"].as_i64();
                let refused = code == Some(i64::from(Kind::Authorization.code()));
                assert_eq!(refused, !by.may(&method["x-needs"]), "{asked}: {answer}");
                if let Some(result) = answer.get("result") {
                    results += 1;
                    let misfit = misfit(result, &method["result"]["schema"], &document);
                    assert_eq!(misfit, None, "{asked}");
                }
                let misread = code == Some(i64::from(wire::PARAMS));
                assert!(!(fits && misread), "{asked}: {answer}");
                if is_slow(name) {
                    renew(&server, &mut session).await;
                }
            }
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": {} });
            let token = (by == By::Session).then_some(session.as_str());
            for _ in 0..rounds {
                let garbled = driver.garble(&body.to_string());
                let asked = String::from_utf8_lossy(&garbled).into_owned();
                sound(&server.post(door, token, garbled).await, &asked);
                calls += 1;
            }
            if is_slow(name) {
                // What was garbled may still have been that call.
                renew(&server, &mut session).await;
            }
        }
    }
    println!("{calls} calls, {results} results");
    assert!(
        calls > 4000 && results * 10 > calls,
        "{calls} calls, {results} results"
    );
}
