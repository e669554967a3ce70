//! The API as a browser on another machine uses it.

use std::time::Duration;

use hyper::{
    Request, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE},
};
use serde_json::{Value, json};

use crate::{
    client::{DASHBOARD, Frame, Session, Stream},
    until::{patiently, seconds},
    world::{PASSWORD, World},
};

const AUTHORIZATION: i64 = 34;
const INCORRECT_PASSWORD: i64 = 7;

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

pub(super) fn a_wrong_password_opens_nothing(world: &mut World) {
    let nobody = Session::none(world.client());
    let answer = nobody.post(
        "auth.login",
        json!({ "password": "a birch, an alder and an elm" }),
    );
    assert!(answer.headers.get(SET_COOKIE).is_none());
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["error"]["code"], INCORRECT_PASSWORD, "{answer:#}");
    assert_eq!(answer["error"]["data"]["details"], "the password is wrong");
}

pub(super) fn a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use(world: &mut World) {
    let nobody = Session::none(world.client());
    let answer = nobody.post("auth.login", json!({ "password": PASSWORD }));
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap().to_owned();
    let flags: Vec<&str> = cookie.split("; ").skip(1).collect();
    for flag in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(flags.contains(&flag), "{flag} is missing: {cookie}");
    }
    let token = cookie
        .split(';')
        .next()
        .unwrap()
        .strip_prefix("session=")
        .unwrap();
    assert!(
        token.len() >= 40 && !answer.text().contains(token),
        "the token is in the cookie only"
    );
    let session = Session {
        client: world.client(),
        cookie: format!("session={token}"),
    };
    assert_eq!(session.call("echo", json!({ "message": "tree" })), "tree");
    let listed = session.call("auth.session.list", json!({}));
    assert!(
        listed["sessions"][listed["current"].as_str().unwrap()].is_object(),
        "{listed:#}"
    );
}

pub(super) fn without_a_session_nothing_is_told(world: &mut World) {
    let nobody = Session::none(world.client());
    assert_eq!(nobody.call("state", json!({})), "running");
    let stranger = Session {
        cookie: "session=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        ..nobody.clone()
    };
    for session in [nobody, stranger] {
        for (method, params) in [
            ("package.list", json!({})),
            ("db.dump", json!({})),
            ("db.subscribe", json!({})),
            ("package.stop", json!({ "id": "hello" })),
            ("package.sideload", json!({})),
        ] {
            let error = session.refused(method, params);
            assert_eq!(error["code"], AUTHORIZATION, "{method}: {error:#}");
            assert_eq!(error["data"]["details"], "sign in first", "{method}");
        }
    }
}

pub(super) fn a_session_cannot_do_what_is_for_root_or_for_another_origin(world: &mut World) {
    let session = world.session();
    for method in ["server.stop", "auth.set-password", "package.install-file"] {
        let error = session.refused(method, json!({ "path": "/etc/shadow", "password": "x" }));
        assert_eq!(error["code"], AUTHORIZATION, "{method}: {error:#}");
    }
    assert_eq!(session.refused("no.such-method", json!({}))["code"], -32601);
    assert_eq!(
        session.refused("package.status", json!({ "id": 7 }))["code"],
        -32602
    );
    let from_elsewhere = Request::post("/rpc/v1")
        .header(HOST, DASHBOARD)
        .header(ORIGIN, "https://hello-coppice.local")
        .header(COOKIE, &session.cookie)
        .body(
            r#"{"jsonrpc":"2.0","id":1,"method":"package.list","params":{}}"#
                .to_owned()
                .into(),
        )
        .unwrap();
    assert_eq!(
        session.client.send(from_elsewhere).unwrap().status,
        StatusCode::FORBIDDEN
    );
}

/// A copy of the document that follows its stream.
struct Replica {
    id: u64,
    value: Value,
    stream: Stream,
    frames: usize,
}

impl Replica {
    fn open(session: &Session) -> Self {
        let started = session.call("db.subscribe", json!({}));
        let dump = &started["dump"];
        let stream = session.stream(started["guid"].as_str().unwrap());
        Self {
            id: dump["id"].as_u64().unwrap(),
            value: dump["value"].clone(),
            stream,
            frames: 0,
        }
    }

    /// Takes what comes until nothing has come for a moment.
    fn follow(&mut self) {
        while let Some(frame) = self.stream.next(Duration::from_millis(300)) {
            let Frame::Json(revision) = frame else {
                panic!("the stream ended: {frame:?}")
            };
            let id = revision["id"].as_u64().unwrap();
            if id > self.id {
                let patch: json_patch::Patch =
                    serde_json::from_value(revision["patch"].clone()).unwrap();
                json_patch::patch(&mut self.value, &patch)
                    .unwrap_or_else(|error| panic!("{error}: {revision:#}"));
                (self.id, self.frames) = (id, self.frames + 1);
            }
        }
    }
}

pub(super) fn the_document_streams_a_dump_and_then_what_changes(world: &mut World) {
    let session = world.session();
    let mut replica = Replica::open(&session);
    assert_eq!(
        replica.value["packageData"]["hello"]["statusInfo"]["desired"]["main"],
        "running"
    );
    assert!(replica.value.get("private").is_none() && replica.value.get("public").is_none());
    let before = replica.value["packageData"]["hello"]["statusInfo"]["started"].clone();
    session.call("package.restart", json!({ "id": "hello" }));
    let same = patiently(seconds(20), Duration::from_millis(50), || {
        replica.follow();
        let now = session.call("db.dump", json!({}));
        let status = &replica.value["packageData"]["hello"]["statusInfo"];
        let restarted = status["started"].is_string()
            && status["started"] != before
            && status["desired"]["main"] == "running";
        (restarted && now["id"] == replica.id && now["value"] == replica.value).then_some(())
    });
    assert!(
        same.is_some(),
        "what was streamed differs from what is dumped: {:#}",
        replica.value["packageData"]["hello"]["statusInfo"]
    );
    assert!(
        replica.frames >= 3,
        "a restart is more than {} changes",
        replica.frames
    );
    world.healthy("hello");
}

pub(super) fn an_ended_session_ends_its_streams(world: &mut World) {
    let session = Session::sign_in(world.client(), PASSWORD);
    let mut replica = Replica::open(&session);
    replica.follow();
    session.call("auth.logout", json!({}));
    let closed = patiently(seconds(5), Duration::ZERO, || {
        match replica.stream.next(seconds(1)) {
            Some(Frame::Closed(..)) => Some(()),
            _ => None,
        }
    });
    assert!(closed.is_some(), "the stream of an ended session goes on");
    assert_eq!(
        session.refused("package.list", json!({}))["code"],
        AUTHORIZATION
    );
}

pub(super) fn the_dashboard_is_served_under_its_own_policy(world: &mut World) {
    let client = world.client();
    let page = client.get(DASHBOARD, "/").unwrap();
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("<script"), "{}", page.text());
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let script = page
        .text()
        .split("src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .map(str::to_owned)
        .unwrap();
    let script = client
        .get(DASHBOARD, &format!("/{}", script.trim_start_matches('/')))
        .unwrap();
    assert_eq!(script.status, StatusCode::OK);
    assert!(
        script.headers[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/javascript")
    );
}

pub(super) fn the_edge_has_no_privileges(world: &mut World) {
    let edge = world.server.child("edge");
    let status = std::fs::read_to_string(format!("/proc/{}/status", edge.pid)).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .to_owned()
    };
    assert_eq!(
        field("Uid:"),
        ["1879048190"; 4].join("\t"),
        "a user of its own"
    );
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
}
