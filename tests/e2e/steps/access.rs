//! Tokens, signed requests and two-step login, as programs and people on other machines use them.

use std::{process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use coppice_api::rpc::{METHODS, Needs};
use coppice_clock::Wall;
use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePublicKey, spki::der::pem::LineEnding},
};
use hyper::{
    Request, StatusCode,
    header::{
        CONNECTION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        SET_COOKIE, UPGRADE,
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::{
    client::{Answer, DASHBOARD, Frame, Session},
    console::text,
    until::{patiently, seconds, until},
    world::{PASSWORD, World},
};

const AUTHORIZATION: i64 = 34;
const INCORRECT_PASSWORD: i64 = 7;
const CODE_NEEDED: i64 = 1001;
const WRONG_CODE: i64 = 1002;

pub(super) fn prepare(world: &mut World) {
    world.up();
}

fn send(world: &World, header: (&str, &str), body: &str) -> Answer {
    let request = Request::post("/rpc/v1")
        .header(HOST, DASHBOARD)
        .header(CONTENT_TYPE, "application/json")
        .header(header.0, header.1)
        .body(body.to_owned().into())
        .unwrap();
    world.client().send(request).unwrap()
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params })
}

/// The answer to one call by somebody who shows this.
fn ask(world: &World, header: (&str, &str), method: &str, params: Value) -> Value {
    let answer = send(world, header, &call(method, &params).to_string());
    serde_json::from_slice(&answer.body).unwrap()
}

/// Of all methods that fit, none is open to somebody who shows this.
fn refuses(world: &World, header: (&str, &str), fits: impl Fn(&coppice_api::rpc::Method) -> bool) {
    let methods: Vec<&str> = METHODS
        .iter()
        .filter(|one| fits(one))
        .map(|one| one.name)
        .collect();
    assert!(methods.len() > 10, "{methods:?}");
    for some in methods.chunks(16) {
        let calls: Vec<Value> = some.iter().map(|name| call(name, &json!({}))).collect();
        let answer = send(world, header, &json!(calls).to_string());
        let answers: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answers.len(), some.len());
        for answer in answers {
            assert_eq!(
                answer["error"]["code"], AUTHORIZATION,
                "{header:?}: {answer:#}"
            );
        }
    }
}

fn token(session: &Session, scope: &str, seconds: u64) -> (String, String) {
    let params = json!({ "name": "a test", "scope": scope, "expiresIn": seconds });
    let made = session.call("auth.token.create", params);
    let of = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("Bearer {}", of("token")), of("id"))
}

pub(super) fn no_method_is_open_to_who_shows_what_opens_nothing(world: &mut World) {
    let ended = Session::sign_in(world.client(), PASSWORD);
    ended.call("auth.logout", json!({}));
    let session = world.session();
    let (over, _) = token(&session, "admin", 1);
    let (revoked, id) = token(&session, "admin", 60);
    session.call("auth.token.revoke", json!({ "ids": [id] }));
    until("the token has ended", seconds(10), || {
        let answer = ask(world, ("authorization", &over), "package.list", json!({}));
        (answer["error"]["code"] == AUTHORIZATION).then_some(())
    });
    let now = Wall::now().as_seconds();
    let unknown = signature(&SigningKey::from_bytes(&[9; 32]), (now, 1), b"[]");
    for shown in [
        ("cookie", "session=aaaaaaaa"),
        ("cookie", ended.cookie.as_str()),
        ("authorization", over.as_str()),
        ("authorization", revoked.as_str()),
        ("authorization", "Bearer coppice_aaaa"),
        ("x-startos-auth-sig", unknown.as_str()),
        ("x-startos-auth-sig", "timestamp=1"),
        ("x-coppice-peer", "127.0.0.1"),
    ] {
        refuses(world, shown, |method| method.needs != Needs::Nobody);
    }
}

pub(super) fn a_token_does_what_its_scope_says_until_it_is_revoked(world: &mut World) {
    let session = world.session();
    let (reads, id) = token(&session, "read", 600);
    let shown = ("authorization", reads.as_str());
    let listed = ask(world, shown, "package.list", json!({}));
    assert!(listed["result"].is_array(), "{listed:#}");
    refuses(world, shown, |method| match method.needs {
        Needs::Nobody => false,
        Needs::Role(_) => method.scope() != coppice_api::Scope::Read,
        Needs::Person(_) | Needs::Root => true,
    });
    let subscribed = ask(world, shown, "db.subscribe", json!({}));
    let mut stream = session.stream(subscribed["result"]["guid"].as_str().unwrap());
    let unopened = ask(world, shown, "db.subscribe", json!({}));
    let listed = session.call("auth.token.list", json!({}));
    let listed = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == id.as_str());
    assert!(listed.unwrap()["lastUsed"].is_string());
    session.call("auth.token.revoke", json!({ "ids": [id] }));
    let closed = patiently(seconds(10), Duration::ZERO, || {
        match stream.next(seconds(1)) {
            Some(Frame::Closed(..)) => Some(()),
            _ => None,
        }
    });
    assert!(closed.is_some(), "the stream of a revoked token goes on");
    let guid = unopened["result"]["guid"].as_str().unwrap();
    let opened = world.client().send(upgrade(guid, None)).unwrap();
    assert_eq!(opened.status, StatusCode::NOT_FOUND, "{}", opened.text());
}

fn upgrade(guid: &str, origin: Option<&str>) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = Request::get(format!("/ws/rpc/{guid}"))
        .header(HOST, DASHBOARD)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header(ORIGIN, origin);
    }
    request.body(Vec::new().into()).unwrap()
}

pub(super) fn pages_of_other_addresses_open_no_stream_and_send_nothing(world: &mut World) {
    let session = world.session();
    let subscribed = session.call("db.subscribe", json!({}));
    let guid = subscribed["guid"].as_str().unwrap();
    let other = format!("https://hello-{DASHBOARD}");
    let foreign = session.client.send(upgrade(guid, Some(&other))).unwrap();
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let tickets = session.call("package.sideload", json!({}));
    let upload = Request::post(format!("/rest/rpc/{}", tickets["upload"].as_str().unwrap()))
        .header(HOST, DASHBOARD)
        .header("sec-fetch-site", "same-site")
        .body(b"magic".to_vec().into())
        .unwrap();
    let foreign = session.client.send(upload).unwrap();
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    // Neither has used up the ticket.
    session.stream(guid);
    let form = Request::post("/rpc/v1")
        .header(HOST, DASHBOARD)
        .header(COOKIE, &session.cookie)
        .header(CONTENT_TYPE, "text/plain")
        .body(call("package.list", &json!({})).to_string().into())
        .unwrap();
    let answer: Value = serde_json::from_slice(&session.client.send(form).unwrap().body).unwrap();
    assert_eq!(answer["error"]["code"], AUTHORIZATION, "{answer:#}");
}

/// A request's signature, as StartOS's clients make it.
fn signature(key: &SigningKey, (timestamp, nonce): (i64, u64), body: &[u8]) -> String {
    let hash = *blake3::hash(body).as_bytes();
    let mut message = timestamp.to_be_bytes().to_vec();
    message.extend(nonce.to_be_bytes());
    message.extend((body.len() as u64).to_be_bytes());
    message.extend(hash);
    let signature = key
        .sign_prehashed(Sha512::new_with_prefix(message), Some(DASHBOARD.as_bytes()))
        .unwrap();
    let der = [
        &[
            0x30, 0x49, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x40,
        ][..],
        &signature.to_bytes(),
    ];
    let pem = STANDARD.encode(der.concat());
    let (first, rest) = pem.split_at(64);
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("timestamp", &timestamp.to_string())
        .append_pair("nonce", &nonce.to_string())
        .append_pair("size", &body.len().to_string())
        .append_pair("blake3", STANDARD.encode(hash).trim_end_matches('='))
        .append_pair("signer", &public_pem(key))
        .append_pair(
            "signature",
            &format!("-----BEGIN SIGNATURE-----\n{first}\n{rest}\n-----END SIGNATURE-----\n"),
        )
        .finish()
}

fn public_pem(key: &SigningKey) -> String {
    let key = key.verifying_key();
    key.to_public_key_pem(LineEnding::LF).unwrap()
}

pub(super) fn a_signed_request_is_answered_once_also_by_the_next_core(world: &mut World) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let file = world.scratch.path("a-key.pem");
    std::fs::write(&file, public_pem(&key)).unwrap();
    let words = [
        "auth",
        "key",
        "add",
        file.to_str().unwrap(),
        "--name",
        "a test",
    ];
    let id = world.server.cli(&words).trim().to_owned();
    let body = call("package.list", &json!({})).to_string();
    let sign = |nonce| {
        let now = Wall::now().as_seconds();
        signature(&key, (now, nonce), body.as_bytes())
    };
    let answer = |header: &str| -> Value {
        let answer = send(world, ("x-startos-auth-sig", header), &body);
        serde_json::from_slice(&answer.body).unwrap()
    };
    let first = sign(1);
    assert!(answer(&first)["result"].is_array(), "{:#}", answer(&first));
    assert_eq!(answer(&first)["error"]["code"], AUTHORIZATION);
    world.server.child("core").shoot();
    assert_eq!(answer(&first)["error"]["code"], AUTHORIZATION);
    // What was signed in that very second it refuses too, since it cannot know better.
    let mut nonces = 2..;
    until("the next second's signature opens", seconds(20), || {
        let next = sign(nonces.next()?);
        answer(&next)["result"].is_array().then_some(())
    });
    world.server.cli(&["auth", "key", "remove", &id[..8]]);
    assert_eq!(answer(&sign(nonces.start))["error"]["code"], AUTHORIZATION);
}

/// What an authenticator app shows so many steps from now, by an implementation that is not ours.
fn app(secret: &str, step: i64) -> String {
    const SCRIPT: &str = "
import base64, hmac, struct, sys, time
secret, step = sys.argv[1], int(time.time()) // 30 + int(sys.argv[2])
digest = hmac.new(base64.b32decode(secret), struct.pack('>Q', step), 'sha1').digest()
at = digest[-1] & 15
print('%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000))
";
    let shown = Command::new("python3")
        .args(["-c", SCRIPT, secret, &step.to_string()])
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    text(&shown.stdout).trim().to_owned()
}

fn login(world: &World, params: Value) -> (Value, Option<String>) {
    let answer = Session::none(world.client()).post("auth.login", params);
    let cookie = answer.headers.get(SET_COOKIE);
    let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
    (serde_json::from_slice(&answer.body).unwrap(), cookie)
}

/// All of it happens, and everything that may have written something down is looked through.
pub(super) fn two_step_login_holds_and_no_secret_is_written_down_anywhere(world: &mut World) {
    let session = world.session();
    let subscribed = session.call("db.subscribe", json!({}));
    let mut stream = session.stream(subscribed["guid"].as_str().unwrap());
    let (bearer, _) = token(&session, "read", 600);
    ask(world, ("authorization", &bearer), "package.list", json!({}));
    let wrong = session.refused(
        "auth.totp.enrol",
        json!({ "password": "a marked wrong password" }),
    );
    assert_eq!(wrong["code"], INCORRECT_PASSWORD, "{wrong:#}");
    let offered = session.call("auth.totp.enrol", json!({ "password": PASSWORD }));
    let secret = offered["secret"].as_str().unwrap().to_owned();
    // The one before, so that the one of now is left for the login; it may just become too old.
    let codes: Vec<String> = until("the app's code is accepted", seconds(20), || {
        let confirm = json!({ "code": app(&secret, -1) });
        let answer: Value =
            serde_json::from_slice(&session.post("auth.totp.confirm", confirm).body).unwrap();
        serde_json::from_value(answer["result"]["recoveryCodes"].clone()).ok()
    });

    let with = |code: &str| login(world, json!({ "password": PASSWORD, "code": code }));
    let (alone, _) = login(world, json!({ "password": PASSWORD }));
    assert_eq!(alone["error"]["code"], CODE_NEEDED, "{alone:#}");
    assert_eq!(with("no code").0["error"]["code"], WRONG_CODE);
    let code = app(&secret, 0);
    let (signed_in, cookie) = with(&code);
    assert!(signed_in["result"]["session"].is_string(), "{signed_in:#}");
    assert_eq!(
        with(&code).0["error"]["code"],
        WRONG_CODE,
        "each opens once"
    );
    assert!(with(&codes[0]).0["result"].is_object());
    assert_eq!(with(&codes[0]).0["error"]["code"], WRONG_CODE);
    let status = session.call("auth.totp.status", json!({}));
    assert_eq!(status, json!({ "enabled": true, "recoveryCodesLeft": 9 }));
    session.call("auth.totp.disable", json!({ "password": PASSWORD }));
    login(world, json!({ "password": "a marked wrong password" }));

    let mut written = vec![
        world.server.log_from(0),
        world.server.cli(&["db", "dump"]),
        world
            .server
            .cli(&["--json", "db", "log", "--limit", "1000"]),
    ];
    while let Some(frame) = stream.next(Duration::from_millis(300)) {
        written.push(format!("{frame:?}"));
    }
    let rows = world.server.json(&["auth", "audit"]);
    written.push(rows.to_string());
    let token = cookie.unwrap();
    let token = token.split(['=', ';']).nth(1).unwrap().to_owned();
    let bearer = bearer.trim_start_matches("Bearer ").to_owned();
    let mut secrets = vec![PASSWORD.to_owned(), "a marked wrong password".to_owned()];
    // Six digits may stand anywhere, so the code is looked for as a whole value.
    secrets.extend([token, bearer, secret, format!("\"{code}\"")]);
    secrets.extend(codes);
    for written in &written {
        for secret in &secrets {
            let at = written.find(secret.as_str());
            assert!(
                at.is_none(),
                "`{secret}` is written down: {}",
                &written[at.unwrap()..]
            );
        }
    }
    for method in [
        "auth.token.create",
        "auth.token.revoke",
        "auth.key.add",
        "auth.key.remove",
        "auth.totp.enrol",
        "auth.totp.confirm",
        "auth.totp.disable",
    ] {
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .rfind(|row| row["method"] == method);
        let row = row.unwrap_or_else(|| panic!("no row of {method}"));
        assert!(row["error"].is_null(), "{row:#}");
        let of_session = row["account"] == "admin" && row["with"]["kind"] == "session";
        assert!(of_session || row["account"] == "root", "{row:#}");
    }
    let guessed = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["account"] == "anonymous" && row["from"].is_string());
    let errors: Vec<i64> = guessed.filter_map(|row| row["error"].as_i64()).collect();
    for error in [CODE_NEEDED, WRONG_CODE, INCORRECT_PASSWORD, AUTHORIZATION] {
        assert!(errors.contains(&error), "{error}: {errors:?}");
    }
}
