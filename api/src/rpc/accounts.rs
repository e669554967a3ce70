//! Signing in and out, sessions, and the password.

use std::collections::BTreeMap;

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Call, Failure, shapes::Nothing};
use crate::{
    auth::{self, COOKIE_LIFE, SignedIn},
    caller::Role,
    gateway::identity::{DEVICE, SESSION},
};

/// How long a browser is known that has signed in: a year.
const DEVICE_LIFE: u32 = 365 * 24 * 3600;

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct Login {
    /// The password.
    password: String,
    /// With two-step login on: the code that the app shows, or a recovery code.
    code: Option<String>,
    /// Whether the session ends with the browser.
    ephemeral: Option<bool>,
}

#[derive(Serialize, TS)]
pub(super) struct LoggedIn {
    /// The id of the session; its token is in the cookie only.
    session: Option<String>,
}

pub(super) async fn login(call: Call, params: Login) -> Result<LoggedIn, Failure> {
    let ephemeral = params.ephemeral.unwrap_or_default();
    let login = auth::Login {
        password: params.password,
        code: params.code,
        ephemeral,
        user_agent: call.context.user_agent.clone(),
    };
    let accounts = &call.context.gate.accounts;
    let SignedIn { token, caller } = accounts.sign_in(login, call.context.source()).await?;
    // As long as the session can last. The token is in the cookie only, out of reach of scripts.
    let life = match ephemeral {
        true => String::new(),
        false => format!(" Max-Age={};", COOKIE_LIFE.as_secs()),
    };
    call.set_cookie(format!(
        "{SESSION}={token}; Path=/;{life} HttpOnly; Secure; SameSite=Strict"
    ));
    if call.context.device.is_none() {
        let device = accounts.device_cookie()?;
        call.set_cookie(format!(
            "{DEVICE}={device}; Path=/rpc; Max-Age={DEVICE_LIFE}; HttpOnly; Secure; SameSite=Strict"
        ));
    }
    let session = caller.session().map(ToString::to_string);
    call.sign_in(caller);
    Ok(LoggedIn { session })
}

pub(super) async fn logout(call: Call, _: Nothing) -> Result<(), Failure> {
    if let Some(id) = call.context.caller.session() {
        call.context.gate.accounts.end(id)?;
    }
    call.set_cookie(format!(
        "{SESSION}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
    ));
    Ok(())
}

/// Every session.
#[derive(Serialize, TS)]
pub(super) struct Sessions {
    /// The id of the caller's own.
    current: Option<String>,
    /// All of them, by their ids.
    sessions: BTreeMap<String, ShownSession>,
}

/// One session.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSession {
    /// Whose it is.
    account: String,
    /// What the account may do.
    #[ts(type = "string")]
    role: Role,
    /// When it began.
    #[ts(type = "string")]
    logged_in: Wall,
    /// When it was last used.
    #[ts(type = "string")]
    last_active: Wall,
    /// What the browser calls itself.
    user_agent: Option<String>,
}

pub(super) async fn list(call: Call, _: Nothing) -> Result<Sessions, Failure> {
    let current = call.context.caller.session().map(ToString::to_string);
    let sessions = call.context.gate.accounts.sessions()?;
    let sessions = sessions.into_iter().map(|(id, session, last_active)| {
        let shown = ShownSession {
            account: session.account,
            role: session.role,
            logged_in: session.logged_in,
            last_active,
            user_agent: session.user_agent,
        };
        (id, shown)
    });
    Ok(Sessions {
        current,
        sessions: sessions.collect(),
    })
}

#[derive(Deserialize, TS)]
pub(super) struct KillSessions {
    /// Which.
    ids: Vec<String>,
}

pub(super) async fn kill(call: Call, params: KillSessions) -> Result<(), Failure> {
    for id in params.ids {
        call.context.gate.accounts.end(&id)?;
    }
    Ok(())
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetPassword {
    /// The one that holds now.
    old_password: String,
    /// The one that shall.
    new_password: String,
}

pub(super) async fn reset_password(call: Call, params: ResetPassword) -> Result<(), Failure> {
    let ResetPassword {
        old_password,
        new_password,
    } = params;
    let accounts = &call.context.gate.accounts;
    accounts
        .check_password(old_password, call.context.source())
        .await?;
    Ok(accounts.set_password(new_password).await?)
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct SetPassword {
    /// The password.
    password: String,
    /// Only if none was ever set.
    only_first: Option<bool>,
}

pub(super) async fn set_password(call: Call, params: SetPassword) -> Result<(), Failure> {
    let SetPassword {
        password,
        only_first,
    } = params;
    let accounts = &call.context.gate.accounts;
    if only_first.unwrap_or_default() && accounts.is_set_up()? {
        return Err(Problem::new(
            Kind::Duplicate,
            "a password is set already; to set another, run `coppice auth set-password` without --only-first",
        )
        .into());
    }
    Ok(accounts.set_password(password).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_named_as_everywhere_else() {
        let only_first = |params| {
            let SetPassword { only_first, .. } = serde_json::from_value(params).unwrap();
            only_first
        };
        let said = only_first(json!({ "password": "x", "onlyFirst": true }));
        assert_eq!(said, Some(true));
        assert_eq!(only_first(json!({ "password": "x" })), None);
    }
}
