//! Tokens and keys: who a program is that shows one.
//!
//! Invariant: a signed request is accepted once, by this core or a later one; `replay.rs` decides, and
//! what it wants kept is on the disk before the request is.

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;

use super::{
    Accounts,
    grants::{Grant, Wanted},
    locked,
    signature::{self, Signed},
    token,
};
use crate::caller::{Caller, Credential, Role};

/// What every token begins with, so that one that got lost is recognised.
const TOKEN_PREFIX: &str = "coppice_";

impl Accounts {
    /// Makes a token; gives its text, which is kept nowhere, its id, and what is kept.
    ///
    /// # Errors
    /// When what is wanted makes no sense, there are too many, or the secret store fails.
    pub fn make_token(
        &self,
        wanted: Wanted,
        owner: (&str, Role),
    ) -> Result<(String, String, Grant), Problem> {
        let text = format!("{TOKEN_PREFIX}{}", token::fresh());
        let id = token::id(text.as_bytes());
        let _writing = locked(&self.shared.epoch);
        let grant = self.shared.tokens.add(&id, wanted, owner, Wall::now())?;
        Ok((text, id, grant))
    }

    /// Every token, by id, with when it was last used.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn tokens(&self) -> Result<Vec<(String, Grant, Option<Wall>)>, Problem> {
        self.shared.tokens.listed(Wall::now())
    }

    /// Revokes a token, and ends every stream opened with it; whether there was one.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn revoke_token(&self, id: &str) -> Result<bool, Problem> {
        let _writing = locked(&self.shared.epoch);
        let was = self.shared.tokens.remove(id)?;
        self.tell_end(id);
        Ok(was)
    }

    /// Whom a bearer token stands for.
    ///
    /// # Errors
    /// When it is none of ours, over or revoked, or the secret store fails.
    pub fn bearer(&self, text: &str) -> Result<Caller, Problem> {
        let (id, now) = (token::id(text.as_bytes()), Wall::now());
        let Some(grant) = self.shared.tokens.living(&id, now)? else {
            return Err(Problem::new(
                Kind::Authorization,
                "the token is not one of this server's, or it has ended or was revoked; make a new one",
            ));
        };
        self.shared.tokens.note_use(&id, now);
        Ok(Caller::Account {
            name: grant.account.into(),
            role: grant.role,
            with: Credential::Token {
                id: id.into(),
                scope: grant.scope,
            },
        })
    }

    /// Enrols a public key (PEM) that requests may be signed with; gives its id and what is kept.
    ///
    /// # Errors
    /// When it is not an Ed25519 key, or as [`Self::make_token`].
    pub fn add_key(
        &self,
        pem: &str,
        wanted: Wanted,
        owner: (&str, Role),
    ) -> Result<(String, Grant), Problem> {
        let Some(key) = signature::public_key(pem) else {
            return Err(Problem::invalid(
                "this is not an Ed25519 public key in PEM, as `openssl pkey -pubout` writes it",
            ));
        };
        let id = token::id(key.as_bytes());
        let _writing = locked(&self.shared.epoch);
        let grant = self.shared.keys.add(&id, wanted, owner, Wall::now())?;
        Ok((id, grant))
    }

    /// Every key, by id, with when it was last used.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn keys(&self) -> Result<Vec<(String, Grant, Option<Wall>)>, Problem> {
        self.shared.keys.listed(Wall::now())
    }

    /// Removes a key, and ends every stream opened with it; whether there was one. What it has signed
    /// stays known, in case it is enrolled again.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn remove_key(&self, id: &str) -> Result<bool, Problem> {
        let _writing = locked(&self.shared.epoch);
        let was = self.shared.keys.remove(id)?;
        self.tell_end(id);
        Ok(was)
    }

    /// Whom a signed request comes from, as far as its header tells: the body is still to be compared.
    /// `names` are those of this server.
    ///
    /// # Errors
    /// When the key is not known, or the signature does not fit, is old, or was accepted before.
    pub(crate) fn signer(&self, signed: &Signed, names: &[String]) -> Result<Caller, Problem> {
        let (id, now) = (token::id(signed.signer.as_bytes()), Wall::now());
        let Some(grant) = self.shared.keys.living(&id, now)? else {
            return Err(Problem::new(
                Kind::Authorization,
                "the key of this signature is not enrolled, or its time has ended; \
                 add it with `coppice auth key add` on the server",
            ));
        };
        let unfit = |why: &dyn std::error::Error| Problem::of(Kind::Authorization, why);
        signed
            .verify(names, now.as_seconds())
            .map_err(|error| unfit(&error))?;
        let mut replay = locked(&self.shared.replay);
        if replay.is_new(&id) {
            let horizon = self.shared.horizons.get(&id)?;
            replay.begin(&id, horizon.unwrap_or(i64::MIN));
        }
        let accepted = replay.accept(&id, signed.timestamp, signed.nonce, now.as_seconds());
        if let Some(horizon) = accepted.map_err(|error| unfit(&error))? {
            // On the disk before anything is done. When that fails, nothing is known to be there.
            let kept = self.shared.horizons.put(&id, &horizon);
            kept.inspect_err(|_| replay.forget(&id))?;
        }
        drop(replay);
        self.shared.keys.note_use(&id, now);
        Ok(Caller::Account {
            name: grant.account.into(),
            role: grant.role,
            with: Credential::Key {
                id: id.into(),
                scope: grant.scope,
            },
        })
    }
}
