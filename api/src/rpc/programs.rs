//! Tokens and keys, for programs. Only a person makes and revokes them.

use std::time::Duration;

use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Nothing},
};
use crate::{
    auth::{Grant, USUAL_LIFE, Wanted},
    caller::{Role, Scope},
};

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct MakeToken {
    /// What uses it.
    name: String,
    /// What it may do.
    scope: Scope,
    /// Seconds until it ends; 90 days without.
    #[ts(as = "Option<Count>")]
    expires_in: Option<u64>,
}

impl MakeToken {
    fn wanted(self) -> Wanted {
        Wanted {
            name: self.name,
            scope: self.scope,
            lasts: self.expires_in.map_or(USUAL_LIFE, Duration::from_secs),
        }
    }
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct AddKey {
    /// The public half, an Ed25519 key in PEM.
    public_key: String,
    /// What uses it.
    name: String,
    /// What it may do.
    scope: Scope,
    /// Seconds until it ends; 90 days without.
    #[ts(as = "Option<Count>")]
    expires_in: Option<u64>,
}

/// A token or a key.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownGrant {
    /// The hash of the token or of the public key.
    id: String,
    /// What uses it.
    name: String,
    /// Whose it is.
    account: String,
    /// What the account may do.
    #[ts(type = "string")]
    role: Role,
    /// How much of that it may do.
    scope: Scope,
    /// When it was made.
    #[ts(type = "string")]
    created: Wall,
    /// When it ends.
    #[ts(type = "string")]
    expires: Wall,
    /// When it was last used since Coppice started.
    #[ts(type = "string | null")]
    last_used: Option<Wall>,
}

impl ShownGrant {
    fn of((id, grant, last_used): (String, Grant, Option<Wall>)) -> Self {
        Self {
            id,
            name: grant.name,
            account: grant.account,
            role: grant.role,
            scope: grant.scope,
            created: grant.created,
            expires: grant.expires,
            last_used,
        }
    }
}

#[derive(Serialize, TS)]
pub(super) struct MadeToken {
    /// The token. It is kept nowhere and never told again.
    token: String,
    /// Its id.
    id: String,
    /// When it ends.
    #[ts(type = "string")]
    expires: Wall,
}

pub(super) async fn make_token(call: Call, params: MakeToken) -> Result<MadeToken, Failure> {
    let owner = call.context.caller.own();
    let accounts = &call.context.gate.accounts;
    let (token, id, grant) = accounts.make_token(params.wanted(), owner)?;
    call.made(id.clone());
    Ok(MadeToken {
        token,
        id,
        expires: grant.expires,
    })
}

pub(super) async fn tokens(call: Call, _: Nothing) -> Result<Vec<ShownGrant>, Failure> {
    let tokens = call.context.gate.accounts.tokens()?;
    Ok(tokens.into_iter().map(ShownGrant::of).collect())
}

pub(super) async fn add_key(call: Call, params: AddKey) -> Result<ShownGrant, Failure> {
    let wanted = MakeToken {
        name: params.name,
        scope: params.scope,
        expires_in: params.expires_in,
    };
    let owner = call.context.caller.own();
    let accounts = &call.context.gate.accounts;
    let (id, grant) = accounts.add_key(&params.public_key, wanted.wanted(), owner)?;
    call.made(id.clone());
    Ok(ShownGrant::of((id, grant, None)))
}

pub(super) async fn keys(call: Call, _: Nothing) -> Result<Vec<ShownGrant>, Failure> {
    let keys = call.context.gate.accounts.keys()?;
    Ok(keys.into_iter().map(ShownGrant::of).collect())
}

#[derive(Deserialize, TS)]
pub(super) struct RevokeThese {
    /// Their ids.
    ids: Vec<String>,
}

pub(super) async fn revoke_tokens(call: Call, params: RevokeThese) -> Result<(), Failure> {
    for id in params.ids {
        call.context.gate.accounts.revoke_token(&id)?;
    }
    Ok(())
}

pub(super) async fn remove_keys(call: Call, params: RevokeThese) -> Result<(), Failure> {
    for id in params.ids {
        call.context.gate.accounts.remove_key(&id)?;
    }
    Ok(())
}
