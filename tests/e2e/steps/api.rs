//! The API as a browser on another machine uses it.

use std::time::Duration;

use hyper::{
    Request, StatusCode,
    header::{
        CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, SET_COOKIE, UPGRADE,
    },
};
use serde_json::{Value, json};

use crate::{
    client::{DASHBOARD, Frame, Session, Stream},
    until::{patiently, seconds},
    world::{PASSWORD, World},
};

pub(super) use super::startos::{
    a_test_mail_that_nobody_takes_is_refused_with_the_reason,
    mail_settings_reach_the_package_that_asked_and_their_password_nobody_else,
    notifications_are_told_listed_marked_and_removed,
    packages_are_listed_and_measured_in_the_shapes_of_startos,
    what_the_server_and_the_kernel_wrote_is_read_and_followed,
};

const NOT_FOUND: i64 = 6;
const AUTHORIZATION: i64 = 34;
const INCORRECT_PASSWORD: i64 = 7;
const RATE_LIMITED: i64 = 37;

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
    let details = answer["error"]["data"]["details"].as_str().unwrap();
    assert!(details.starts_with("the password is wrong; "), "{details}");
}

pub(super) fn of_passwords_tried_at_once_from_one_machine_one_is_looked_at(world: &mut World) {
    // As many as one caller may have under way; the rest of a longer batch would wait for its turn.
    let calls: Vec<Value> = (0..16)
        .map(|id| {
            let params = json!({ "password": format!("a birch, an alder and oak {id}") });
            json!({ "jsonrpc": "2.0", "id": id, "method": "auth.login", "params": params })
        })
        .collect();
    let batch = Request::post("/rpc/v1")
        .header(HOST, DASHBOARD)
        .body(json!(calls).to_string().into())
        .unwrap();
    let answer = world.client().send(batch).unwrap();
    let answers: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    let of_kind = |code: i64| {
        let codes = answers.iter().map(|answer| &answer["error"]["code"]);
        codes.filter(|one| **one == code).count()
    };
    assert_eq!(
        (of_kind(INCORRECT_PASSWORD), of_kind(RATE_LIMITED)),
        (1, 15),
        "{answers:#?}"
    );
    // Whoever knows the password gets in all the same.
    Session::sign_in(world.client(), PASSWORD);
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
            let details = error["data"]["details"].as_str().unwrap();
            assert!(details.ends_with("; sign in first"), "{method}: {details}");
            assert!(details.contains(method), "{details}");
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

/// Whether the stream is closed within a few seconds.
fn is_closed(stream: &mut Stream) -> bool {
    let closed = patiently(seconds(5), Duration::ZERO, || {
        match stream.next(seconds(1)) {
            Some(Frame::Closed(..)) => Some(()),
            _ => None,
        }
    });
    closed.is_some()
}

pub(super) fn an_ended_session_ends_its_streams(world: &mut World) {
    let session = Session::sign_in(world.client(), PASSWORD);
    let mut replica = Replica::open(&session);
    replica.follow();
    session.call("auth.logout", json!({}));
    assert!(
        is_closed(&mut replica.stream),
        "the stream of an ended session goes on"
    );
    assert_eq!(
        session.refused("package.list", json!({}))["code"],
        AUTHORIZATION
    );
}

pub(super) fn a_password_that_root_sets_ends_streams_and_tickets_of_browsers(world: &mut World) {
    let session = Session::sign_in(world.client(), PASSWORD);
    let mut replica = Replica::open(&session);
    replica.follow();
    let unopened = session.call("db.subscribe", json!({}));
    let tickets = session.call("package.sideload", json!({}));
    world
        .server
        .cli_with_input(&["auth", "set-password"], PASSWORD);
    world.sign_out();
    assert!(
        is_closed(&mut replica.stream),
        "the stream goes on under the old password"
    );
    let guid = unopened["guid"].as_str().unwrap();
    let open = Request::get(format!("/ws/rpc/{guid}"))
        .header(HOST, DASHBOARD)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Vec::new().into())
        .unwrap();
    let answer = session.client.send(open).unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
    let sent = session
        .upload(tickets["upload"].as_str().unwrap(), b"magic".to_vec())
        .unwrap();
    assert_eq!(sent.status, StatusCode::NOT_FOUND);
    assert!(
        sent.text().contains("ask for a new ticket"),
        "{}",
        sent.text()
    );
    assert_eq!(
        session.refused("package.list", json!({}))["code"],
        AUTHORIZATION
    );
}

pub(super) fn who_asked_for_what_is_on_record_and_for_root_alone(world: &mut World) {
    let session = Session::sign_in(world.client(), PASSWORD);
    session.refused("package.stop", json!({ "id": "no-such-service" }));
    world
        .server
        .try_cli(&["service", "stop", "no-such-service"]);
    let error = session.refused("auth.audit", json!({}));
    assert_eq!(error["code"], AUTHORIZATION, "{error:#}");
    let rows = world.server.json(&["auth", "audit"]);
    let mut newest = rows.as_array().unwrap().iter().rev();
    let by_root = newest.next().unwrap();
    let by_session = newest.next().unwrap();
    for (row, account) in [(by_root, "root"), (by_session, "admin")] {
        assert_eq!(row["method"], "package.stop", "{row:#}");
        assert_eq!(row["object"], "no-such-service", "{row:#}");
        assert_eq!(
            (&row["account"], &row["role"]),
            (&json!(account), &json!(account))
        );
        assert_eq!(row["error"], NOT_FOUND, "{row:#}");
    }
    assert!(by_root["from"].is_null(), "{by_root:#}");
    let from = by_session["from"].as_str().unwrap();
    assert!(from.starts_with("192.168.77."), "{from}");
    let login = newest.next().unwrap();
    assert_eq!(
        (&login["method"], &login["account"], &login["error"]),
        (&json!("auth.login"), &json!("admin"), &Value::Null)
    );
    let wrong = newest.find(|row| row["account"] == "anonymous").unwrap();
    assert_eq!(wrong["error"], INCORRECT_PASSWORD, "{wrong:#}");
    assert!(!rows.to_string().contains("a birch"), "no password is kept");
    let document = world.server.cli(&["db", "dump"]);
    assert!(!document.contains("no-such-service"), "nor is it public");
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
    // Its user alone, without the rest of its sandbox, gets at nothing of the server.
    let (data, run) = (&world.server.data, world.server.run_folder());
    let user = format!("--reuid={0} --regid={0} --clear-groups", 0x6FFF_FFFE);
    let as_edge = |words: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args(user.split(' ')).args(words).output().unwrap()
    };
    for path in [
        data.join("state/data.mdb"),
        data.join("secrets/data.mdb"),
        data.join("services/hello/volumes"),
    ] {
        assert!(path.exists(), "{}", path.display());
        let read = as_edge(&["ls", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&read.stderr).into_owned();
        assert!(
            said.contains("Permission denied"),
            "{}: {said}",
            path.display()
        );
    }
    for socket in ["api.sock", "services/hello/host.sock"] {
        let path = run.join(socket);
        assert!(path.exists(), "{}", path.display());
        let path = path.to_str().unwrap();
        let asked = as_edge(&["curl", "-sS", "--unix-socket", path, "http://localhost/"]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(7), "{path}: {said}");
    }
}
