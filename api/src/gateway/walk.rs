//! Every method there is, walked with everything that must not open it.

use axum::http::{HeaderMap, HeaderName};
use coppice_actors::Kind;
use coppice_clock::Wall;
use ed25519_dalek::SigningKey;
use patchdb::{Secret, SecretStore};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Door, identity::Identity};
use crate::{
    Accounts, Caller, Role, Scope, Wanted,
    auth::{USUAL_LIFE, signed},
    rpc::{METHODS, Needs, allowed},
};

const OWNER: (&str, Role) = ("admin", Role::Admin);

struct House {
    accounts: Accounts,
    secrets: SecretStore,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = SecretStore::open(folder.path()).unwrap();
        Self {
            accounts: Accounts::new(secrets.clone()),
            secrets,
            _folder: folder,
        }
    }

    /// Writes what is kept of something that opened until a second ago.
    fn over(&self, namespace: &str, text: &str, mut record: serde_json::Value) {
        let ended = Wall::from_millis(Wall::now().as_millis() - 1000);
        record["account"] = json!("admin");
        record["role"] = json!("admin");
        record["expires"] = json!(ended);
        let id = data_encoding::BASE32_NOPAD
            .encode(&Sha256::digest(text))
            .to_lowercase();
        let record = Secret::new(record.to_string());
        self.secrets.put(namespace, &id, &record).unwrap();
    }

    /// Who the core takes somebody for who sends this.
    fn identity(&self, shown: &[(&'static str, String)], body: &[u8]) -> Identity {
        let mut headers = HeaderMap::new();
        for (name, value) in shown {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let names = || vec!["willow.local".to_owned()];
        let mut identity = Identity::of(&self.accounts, Door::Edge, &headers, names).unwrap();
        identity.compare(body);
        identity
    }

    /// Nothing is open to who sends this but what is open to everybody.
    fn opens_nothing(&self, what: &str, shown: &[(&'static str, String)], body: &[u8]) {
        let identity = self.identity(shown, body);
        assert_eq!(identity.caller, Caller::Anonymous, "{what}");
        for method in METHODS {
            let refused = allowed(method, &identity.caller).err();
            let open = method.needs == Needs::Nobody;
            assert_eq!(refused.is_none(), open, "{what}: {}", method.name);
            if let Some(refused) = refused {
                assert_eq!(refused.kind, Kind::Authorization, "{what}: {}", method.name);
            }
        }
    }
}

fn wanted(scope: Scope) -> Wanted {
    Wanted {
        name: "walk".into(),
        scope,
        lasts: USUAL_LIFE,
    }
}

fn cookie(token: &str) -> [(&'static str, String); 1] {
    [("cookie", format!("session={token}"))]
}

fn bearer(token: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {token}"))]
}

#[test]
fn no_method_is_open_to_who_shows_nothing_or_a_session_that_opens_nothing() {
    let house = House::new();
    house.opens_nothing("nothing", &[], b"");
    house.opens_nothing("an unknown session", &cookie("aaaa"), b"");
    let now = Wall::now();
    house.over(
        "sessions",
        "old",
        json!({ "loggedIn": now, "userAgent": null }),
    );
    house.over("sessions", "damaged", json!({ "loggedIn": 7 }));
    house.opens_nothing("an expired session", &cookie("old"), b"");
    house.opens_nothing("a damaged session", &cookie("damaged"), b"");
    let root = [("x-coppice-peer", "127.0.0.1".to_owned())];
    house.opens_nothing("an address of this machine", &root, b"");
}

#[test]
fn no_method_is_open_to_a_token_that_opens_nothing() {
    let house = House::new();
    house.opens_nothing("an unknown token", &bearer("coppice_aaaa"), b"");
    house.opens_nothing("no token", &bearer(""), b"");
    let (text, id, _) = house
        .accounts
        .make_token(wanted(Scope::Admin), OWNER)
        .unwrap();
    let basic = [("authorization", format!("Basic {text}"))];
    house.opens_nothing("another scheme", &basic, b"");
    house.opens_nothing("a token as a session", &cookie(&text), b"");
    house.opens_nothing("its id", &bearer(&id), b"");
    assert_ne!(
        house.identity(&bearer(&text), b"").caller,
        Caller::Anonymous
    );
    house.accounts.revoke_token(&id).unwrap();
    house.opens_nothing("a revoked token", &bearer(&text), b"");
    let told = house.identity(&bearer(&text), b"").refusal.unwrap();
    assert!(told.details.contains("revoked"), "{}", told.details);
    let record = json!({ "name": "x", "scope": "admin", "created": Wall::now() });
    house.over("tokens", "coppice_old", record);
    house.opens_nothing("an expired token", &bearer("coppice_old"), b"");
}

#[test]
fn a_token_opens_no_method_that_its_scope_lacks() {
    let house = House::new();
    let (text, ..) = house
        .accounts
        .make_token(wanted(Scope::Read), OWNER)
        .unwrap();
    let identity = house.identity(&bearer(&text), b"");
    for method in METHODS {
        let open = match method.needs {
            Needs::Nobody => true,
            Needs::Role(_) => method.scope() == Scope::Read,
            Needs::Person(_) | Needs::Root => false,
        };
        assert_eq!(
            allowed(method, &identity.caller).is_ok(),
            open,
            "{}",
            method.name
        );
    }
}

#[test]
fn no_method_is_open_to_a_signature_that_does_not_fit() {
    let house = House::new();
    let (key, body) = (SigningKey::from_bytes(&[7; 32]), &b"{\"method\":\"x\"}"[..]);
    let now = Wall::now().as_seconds();
    let shown = |header: String| [("x-startos-auth-sig", header)];
    let good = |nonce| signed::header(&key, "willow.local", (now, nonce), body);
    house.opens_nothing("a key that is not enrolled", &shown(good(1)), body);
    let pem = signed::pem_of(&key);
    let (id, _) = house
        .accounts
        .add_key(&pem, wanted(Scope::Admin), OWNER)
        .unwrap();
    assert_ne!(
        house.identity(&shown(good(2)), body).caller,
        Caller::Anonymous
    );
    house.opens_nothing("a replay", &shown(good(2)), body);
    house.opens_nothing("another body", &shown(good(3)), b"{\"method\":\"y\"}");
    house.opens_nothing("its replay with the right one", &shown(good(3)), body);
    let elsewhere = signed::header(&key, "oak.local", (now, 4), body);
    house.opens_nothing("a signature for another server", &shown(elsewhere), body);
    let old = signed::header(&key, "willow.local", (now - 60, 5), body);
    house.opens_nothing("an old signature", &shown(old), body);
    let early = signed::header(&key, "willow.local", (now + 60, 6), body);
    house.opens_nothing("a signature of the future", &shown(early), body);
    house.opens_nothing("no signature", &shown("timestamp=1".into()), body);
    let other = SigningKey::from_bytes(&[8; 32]);
    let other = signed::header(&other, "willow.local", (now, 7), body);
    house.opens_nothing("another key", &shown(other), body);
    house.accounts.remove_key(&id).unwrap();
    house.opens_nothing("a removed key", &shown(good(8)), body);
}
