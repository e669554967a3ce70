use std::net::IpAddr;

use ed25519_dalek::SigningKey;
use futures_util::FutureExt;

use super::{signature::tests::*, *};
use crate::caller::Scope;

fn accounts() -> (Accounts, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Accounts::new(SecretStore::open(folder.path()).unwrap()),
        folder,
    )
}

const GOOD: &str = "correct horse battery";
const OWNER: (&str, Role) = (ADMIN, Role::Admin);

fn begun(accounts: &Accounts) -> (String, Caller) {
    let of_epoch = *locked(&accounts.shared.epoch);
    let right = RightPassword { of_epoch };
    let SignedIn { token, caller } = accounts.begin(right, None, false).unwrap();
    assert_eq!(accounts.session(&token).unwrap().as_ref(), Some(&caller));
    (token, caller)
}

fn id(caller: &Caller) -> &str {
    caller.credential().unwrap().id()
}

fn login(password: &str, code: Option<&str>) -> Login {
    Login {
        password: password.to_owned(),
        code: code.map(str::to_owned),
        ephemeral: false,
        user_agent: Some("test".into()),
    }
}

fn address(last: u8) -> Option<Source> {
    Some(IpAddr::from([192, 0, 2, last]).into())
}

async fn refusal(accounts: &Accounts, login: Login, from: Option<Source>) -> Kind {
    accounts.sign_in(login, from).await.err().unwrap().kind
}

fn wanted(scope: Scope) -> Wanted {
    Wanted {
        name: "backup".into(),
        scope,
        lasts: USUAL_LIFE,
    }
}

#[tokio::test]
async fn the_right_password_opens_and_a_wrong_one_does_not() {
    let (accounts, _folder) = accounts();
    let unset = refusal(&accounts, login(GOOD, None), None).await;
    assert_eq!(unset, Kind::Uninitialized);
    accounts.set_password(GOOD.into()).await.unwrap();
    let signed_in = accounts.sign_in(login(GOOD, None), None).await.unwrap();
    let caller = accounts.session(&signed_in.token).unwrap();
    assert_eq!(caller, Some(signed_in.caller));
    let wrong = refusal(&accounts, login("wrong horse battery", None), None).await;
    assert_eq!(wrong, Kind::IncorrectPassword);
}

#[tokio::test]
async fn a_short_password_is_refused() {
    let (accounts, _folder) = accounts();
    let short = accounts.set_password("short".into()).await.unwrap_err();
    assert_eq!(short.kind, Kind::InvalidRequest);
}

#[tokio::test]
async fn a_hash_of_other_figures_is_made_anew_at_the_next_login() {
    let (accounts, _folder) = accounts();
    let figures = argon2::Params::new(1024, 1, 1, None).unwrap();
    let weak = argon2::Argon2::from(figures);
    let weak = argon2::password_hash::PasswordHasher::hash_password(&weak, GOOD.as_bytes());
    let weak = weak.unwrap().to_string();
    accounts.keep_password(weak.clone()).unwrap();
    let kept = || accounts.kept_password().unwrap().unwrap();
    let wrong = login("wrong horse battery", None);
    refusal(&accounts, wrong, None).await;
    assert_eq!(kept().expose_str(), Some(&*weak));
    accounts.sign_in(login(GOOD, None), None).await.unwrap();
    let anew = kept();
    assert!(!anew.expose_str().unwrap().contains("m=1024"));
    accounts.sign_in(login(GOOD, None), None).await.unwrap();
    assert!(kept() == anew, "one that is as it should be stays");
}

#[tokio::test]
async fn a_session_lives_until_it_is_ended_or_the_password_changes() {
    let (accounts, _folder) = accounts();
    let ((first, caller), (second, _)) = (begun(&accounts), begun(&accounts));
    accounts.end(id(&caller)).unwrap();
    assert_eq!(accounts.session(&first).unwrap(), None);
    assert!(accounts.session(&second).unwrap().is_some());
    accounts.set_password(GOOD.into()).await.unwrap();
    assert_eq!(accounts.session(&second).unwrap(), None);
}

#[tokio::test]
async fn a_password_that_was_right_before_it_changed_begins_no_session() {
    let (accounts, _folder) = accounts();
    accounts.set_password(GOOD.into()).await.unwrap();
    let right = accounts.right_password(GOOD.into(), None).await.unwrap();
    accounts
        .set_password("another horse battery".into())
        .await
        .unwrap();
    let refused = accounts.begin(right, None, false).err().unwrap();
    assert_eq!(refused.kind, Kind::IncorrectPassword);
}

#[tokio::test]
async fn the_end_of_a_session_is_heard_by_every_handle_even_when_it_came_before() {
    let (accounts, _folder) = accounts();
    let ((_, first), (_, second)) = (begun(&accounts), begun(&accounts));
    let hears = accounts.clone().ended(&first);
    let other = accounts.ended(&second);
    accounts.end(id(&first)).unwrap();
    hears.await;
    accounts.ended(&first).await;
    let mut other = Box::pin(other);
    assert!(other.as_mut().now_or_never().is_none());
    accounts.set_password(GOOD.into()).await.unwrap();
    other.await;
}

#[tokio::test]
async fn ends_of_many_other_sessions_are_not_taken_for_the_end_of_this_one() {
    let (accounts, _folder) = accounts();
    let (_, caller) = begun(&accounts);
    let mut ended = Box::pin(accounts.ended(&caller));
    for other in 0..200 {
        accounts.end(&other.to_string()).unwrap();
    }
    assert!(ended.as_mut().now_or_never().is_none());
    accounts.end(id(&caller)).unwrap();
    ended.await;
}

#[tokio::test]
async fn of_a_batch_of_wrong_passwords_from_one_address_one_is_looked_at() {
    let (accounts, _folder) = accounts();
    accounts.set_password(GOOD.into()).await.unwrap();
    let tries = (0..64).map(|_| refusal(&accounts, login("a wrong password", None), address(1)));
    let answers = futures_util::future::join_all(tries).await;
    let looked_at = answers
        .into_iter()
        .filter(|kind| *kind == Kind::IncorrectPassword);
    assert_eq!(looked_at.count(), 1);
    accounts
        .sign_in(login(GOOD, None), address(2))
        .await
        .unwrap();
}

/// Accounts with a password and an app; gives what the app shows in so many seconds, and the codes on paper.
async fn with_app() -> (Accounts, tempfile::TempDir, Vec<u8>, Vec<String>) {
    let (accounts, folder) = accounts();
    accounts.set_password(GOOD.into()).await.unwrap();
    let offered = accounts.offer_second_factor(ADMIN, "willow.local").unwrap();
    let secret = data_encoding::BASE32_NOPAD
        .decode(offered.secret.as_bytes())
        .unwrap();
    let code = totp::tests::shown(&secret, Wall::now());
    let paper = accounts.confirm_second_factor(ADMIN, &code).unwrap();
    (accounts, folder, secret, paper)
}

/// The code of the next step: it is accepted already, and was not used for setting up.
fn next_code(secret: &[u8]) -> String {
    totp::tests::shown(secret, later(Wall::now(), Duration::from_secs(30)))
}

#[tokio::test]
async fn with_the_app_set_up_the_password_alone_opens_nothing() {
    let (accounts, _folder, secret, paper) = with_app().await;
    let alone = refusal(&accounts, login(GOOD, None), address(1)).await;
    assert_eq!(alone, Kind::CodeNeeded);
    let wrong = refusal(&accounts, login(GOOD, Some("no code")), address(1)).await;
    assert_eq!(wrong, Kind::WrongCode);
    let code = next_code(&secret);
    let with_wrong_password = login("wrong horse battery", Some(&code));
    let wrong = refusal(&accounts, with_wrong_password, address(1)).await;
    assert_eq!(wrong, Kind::IncorrectPassword);
    let right = accounts.sign_in(login(GOOD, Some(&code)), address(1)).await;
    right.unwrap();
    let again = refusal(&accounts, login(GOOD, Some(&code)), address(1)).await;
    assert_eq!(again, Kind::WrongCode, "each code opens once");
    let paper = login(GOOD, Some(&paper[0]));
    accounts.sign_in(paper, address(1)).await.unwrap();
    assert_eq!(accounts.recovery_codes_left(ADMIN).unwrap(), Some(9));
}

#[tokio::test]
async fn who_knows_the_password_cannot_try_all_codes_from_many_addresses() {
    let (accounts, _folder, secret, paper) = with_app().await;
    let device = Some(Source::Device("owner".into()));
    for last in 0..10 {
        let wrong = refusal(&accounts, login(GOOD, Some("000000")), address(last)).await;
        assert_eq!(wrong, Kind::WrongCode);
    }
    let refused = refusal(&accounts, login(GOOD, Some("000000")), address(99)).await;
    assert_eq!(refused, Kind::RateLimited);
    // Neither the owner's browser nor a code on paper has to wait for that.
    let owner = login(GOOD, Some(&next_code(&secret)));
    accounts.sign_in(owner, device).await.unwrap();
    let paper = login(GOOD, Some(&paper[0]));
    accounts.sign_in(paper, address(100)).await.unwrap();
}

#[tokio::test]
async fn a_right_password_without_a_code_does_not_make_wrong_codes_forgotten() {
    let (accounts, _folder, ..) = with_app().await;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(refusal(&accounts, login(GOOD, Some("000000")), address(1)).await);
        kinds.push(refusal(&accounts, login(GOOD, None), address(1)).await);
    }
    let (wrong, needed) = (Kind::WrongCode, Kind::CodeNeeded);
    assert_eq!(kinds[..5], [wrong, needed, wrong, needed, wrong]);
    assert_eq!(kinds[5..], [Kind::RateLimited; 3]);
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_and_then_its_streams_end() {
    let (accounts, _folder) = accounts();
    let (text, id, grant) = accounts.make_token(wanted(Scope::Read), OWNER).unwrap();
    assert!(text.starts_with("coppice_") && !id.contains(&text[8..]));
    assert_eq!(grant.scope, Scope::Read);
    let caller = accounts.bearer(&text).unwrap();
    assert_eq!(caller.credential().unwrap().scope(), Some(Scope::Read));
    let mut ended = Box::pin(accounts.ended(&caller));
    assert!(ended.as_mut().now_or_never().is_none());
    accounts.set_password(GOOD.into()).await.unwrap();
    assert!(
        ended.as_mut().now_or_never().is_none(),
        "it is of no session"
    );
    assert!(accounts.revoke_token(&id).unwrap());
    ended.await;
    let revoked = accounts.bearer(&text).unwrap_err();
    assert_eq!(revoked.kind, Kind::Authorization);
}

#[tokio::test]
async fn what_a_token_has_opened_ends_with_it() {
    let (accounts, _folder) = accounts();
    let short = Wanted {
        lasts: Duration::from_millis(300),
        ..wanted(Scope::Read)
    };
    let (text, ..) = accounts.make_token(short, OWNER).unwrap();
    let caller = accounts.bearer(&text).unwrap();
    let ended = accounts.ended(&caller);
    tokio::time::timeout(LOOK_EVERY / 2, ended).await.unwrap();
    assert!(accounts.bearer(&text).is_err());
}

#[test]
fn of_a_token_nothing_is_kept_that_opens() {
    let (accounts, folder) = accounts();
    let (text, ..) = accounts.make_token(wanted(Scope::Admin), OWNER).unwrap();
    let (session, _) = begun(&accounts);
    let bytes = std::fs::read(folder.path().join("data.mdb")).unwrap();
    for opens in [text.as_bytes(), &text.as_bytes()[8..], session.as_bytes()] {
        assert!(!bytes.windows(opens.len()).any(|window| window == opens));
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn names() -> [String; 1] {
    ["willow.local".to_owned()]
}

fn signed(key: &SigningKey, off: i64, nonce: u64) -> Signed {
    let at = Wall::now().as_seconds() + off;
    Signed::parse(&header(key, "willow.local", (at, nonce), b"{}")).unwrap()
}

#[test]
fn a_signature_of_an_enrolled_key_opens_once() {
    let (accounts, _folder) = accounts();
    let first = signed(&key(), 0, 1);
    let stranger = accounts.signer(&first, &names()).unwrap_err();
    assert_eq!(stranger.kind, Kind::Authorization);
    let (id, _) = accounts
        .add_key(&pem_of(&key()), wanted(Scope::Services), OWNER)
        .unwrap();
    let caller = accounts.signer(&first, &names()).unwrap();
    let expected = Credential::Key {
        id: id.clone().into(),
        scope: Scope::Services,
    };
    assert_eq!(caller.credential(), Some(&expected));
    assert!(accounts.signer(&first, &names()).is_err(), "again");
    assert!(
        accounts.signer(&signed(&key(), -40, 2), &names()).is_err(),
        "old"
    );
    let elsewhere = accounts.signer(&signed(&key(), 0, 3), &["oak.local".to_owned()]);
    assert!(elsewhere.is_err());
    assert!(accounts.signer(&signed(&key(), 1, 4), &names()).is_ok());
    assert!(accounts.remove_key(&id).unwrap());
    assert!(accounts.signer(&signed(&key(), 2, 5), &names()).is_err());
    assert!(
        accounts
            .add_key("no key", wanted(Scope::Read), OWNER)
            .is_err()
    );
}

#[test]
fn a_signed_request_is_refused_by_the_next_core_too() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = SecretStore::open(folder.path()).unwrap();
    let accounts = Accounts::new(secrets.clone());
    accounts
        .add_key(&pem_of(&key()), wanted(Scope::Read), OWNER)
        .unwrap();
    let request = signed(&key(), 0, 1);
    accounts.signer(&request, &names()).unwrap();
    let next = Accounts::new(secrets);
    assert!(next.signer(&request, &names()).is_err());
    assert!(next.signer(&signed(&key(), 5, 1), &names()).is_ok());
}
