//! `coppice login` and `coppice logout`: sessions on other machines.

use std::io::{BufRead, IsTerminal};

use anyhow::Context as _;
use hyper::{HeaderMap, header};
use serde_json::{Value, json};

use super::{
    CallError, Common, NOT_SIGNED_IN,
    client::Client,
    remote::{Address, Remote},
    sessions::{Known, Sessions},
    show,
};

/// What a server answers whose password was right and that wants a code, too.
const WANTS_CODE: i64 = 1001;

/// Which server is meant; one of this machine needs no login.
fn host(common: &Common) -> anyhow::Result<&Address> {
    common
        .host
        .as_ref()
        .context("say where, with --host https://NAME; on the server itself root needs no login")
}

/// Begins a session and keeps it, with the root certificate that was trusted for it.
pub(super) async fn login(common: &Common) -> anyhow::Result<()> {
    let address = host(common)?;
    let sessions = Sessions::of_user()?;
    let mut all = sessions.read()?;
    let before = all.remove(&address.to_string()).unwrap_or_default();
    let known = Known {
        session: None,
        ca: match &common.ca {
            Some(file) => Some(
                std::fs::read_to_string(file)
                    .with_context(|| format!("`{}` cannot be read", file.display()))?,
            ),
            None => before.ca,
        },
    };
    let client = Client::there(Remote::new(common, address, known.clone())?);
    let password = secret(&format!("Password for {address}"))?;
    let mut params = json!({ "password": password });
    let mut answered = client.exchange("auth.login", params.clone()).await;
    if answered
        .as_ref()
        .is_err_and(|error| is_refused(error, WANTS_CODE))
    {
        params["code"] = secret("Code of the authenticator app")?.into();
        answered = client.exchange("auth.login", params).await;
    }
    let (_, head) = answered?;
    let session = cookie(&head).context("the server gave no session; is it a Coppice?")?;
    all.insert(
        address.to_string(),
        Known {
            session: Some(session),
            ..known
        },
    );
    sessions.write(&all)?;
    show::done(common, &json!({ "host": address.to_string() }), || {
        format!("signed in at {address}")
    });
    Ok(())
}

/// Ends the session, there and here.
pub(super) async fn logout(common: &Common) -> anyhow::Result<()> {
    let address = host(common)?;
    let sessions = Sessions::of_user()?;
    let mut all = sessions.read()?;
    let known = all.get_mut(&address.to_string());
    let Some(known) = known.filter(|known| known.session.is_some()) else {
        anyhow::bail!("you are not signed in at {address}");
    };
    let client = Client::there(Remote::new(common, address, known.clone())?);
    match client.call("auth.logout", json!({})).await {
        Err(error) if !is_refused(&error, NOT_SIGNED_IN) => return Err(error),
        // It had ended by itself.
        Ok(_) | Err(_) => {}
    }
    known.session = None;
    sessions.write(&all)?;
    show::done(common, &Value::Null, || format!("signed out at {address}"));
    Ok(())
}

fn is_refused(error: &anyhow::Error, code: i64) -> bool {
    let refused = error.downcast_ref::<CallError>();
    refused.is_some_and(|refused| refused.code == code)
}

/// The session that an answer begins.
fn cookie(head: &HeaderMap) -> Option<String> {
    let set = head.get_all(header::SET_COOKIE).iter();
    set.filter_map(|value| value.to_str().ok())
        .filter_map(|cookie| cookie.split(';').next()?.split_once('='))
        .find_map(|(name, value)| (name == "session").then(|| value.to_owned()))
}

/// Something that is not shown while it is typed; from a pipe, its first line.
pub(super) fn secret(prompt: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprint!("{prompt}: ");
        return console::Term::stderr()
            .read_secure_line()
            .context("nothing was typed");
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("nothing came on standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_read_from_the_cookie_that_begins_it() {
        let mut head = HeaderMap::new();
        assert_eq!(cookie(&head), None);
        head.append(header::SET_COOKIE, "other=1; Path=/".parse().unwrap());
        let set = "session=abc234; Path=/; Max-Age=2592000; HttpOnly; Secure";
        head.append(header::SET_COOKIE, set.parse().unwrap());
        assert_eq!(cookie(&head), Some("abc234".to_owned()));
    }
}
