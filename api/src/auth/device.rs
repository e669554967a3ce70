//! Browsers that have signed in before, so that they do not stand behind strangers.
//!
//! Invariant: such a cookie is given only with the right password, and opens nothing: it says which
//! queue a try stands in. Nothing is kept of it but the key that it is made with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coppice_actors::Problem;
use patchdb::{Secret, SecretStore};
use rand::RngCore;
use ring::hmac;

use super::table::broken;

const PLACE: (&str, &str) = ("devices", "key");
/// Random letters that tell one device from another.
const ID_LETTERS: usize = 16;

/// Makes and knows the cookies.
pub(super) struct Devices {
    secrets: SecretStore,
    /// The key, once it was needed. Whoever makes one holds this, so that there is only one.
    key: Mutex<Option<hmac::Key>>,
}

impl Devices {
    pub(super) const fn new(secrets: SecretStore) -> Self {
        let key = Mutex::new(None);
        Self { secrets, key }
    }

    /// A cookie for a browser that has none yet.
    pub(super) fn cookie(&self) -> Result<String, Problem> {
        let mut held = self.held();
        let key = match self.key(&mut held)? {
            Some(key) => key,
            None => {
                let mut raw = [0; 32];
                rand::rng().fill_bytes(&mut raw);
                let (namespace, name) = PLACE;
                let secret = Secret::new(raw);
                self.secrets.put(namespace, name, &secret).map_err(broken)?;
                held.insert(hmac::Key::new(hmac::HMAC_SHA256, &raw))
            }
        };
        let mut raw = [0; ID_LETTERS / 8 * 5];
        rand::rng().fill_bytes(&mut raw);
        let id = data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase();
        let tag = hmac::sign(key, id.as_bytes());
        Ok(format!(
            "{id}{}",
            data_encoding::HEXLOWER.encode(tag.as_ref())
        ))
    }

    /// The device of a cookie, when it is one of ours.
    pub(super) fn known(&self, cookie: &str) -> Result<Option<String>, Problem> {
        let Some((id, tag)) = cookie.split_at_checked(ID_LETTERS) else {
            return Ok(None);
        };
        let mut held = self.held();
        let (Some(key), Ok(tag)) = (
            self.key(&mut held)?,
            data_encoding::HEXLOWER.decode(tag.as_bytes()),
        ) else {
            return Ok(None);
        };
        let ours = hmac::verify(key, id.as_bytes(), &tag).is_ok();
        Ok(ours.then(|| id.to_owned()))
    }

    fn held(&self) -> MutexGuard<'_, Option<hmac::Key>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key, if one was ever made.
    fn key<'a>(&self, held: &'a mut Option<hmac::Key>) -> Result<Option<&'a hmac::Key>, Problem> {
        if held.is_none() {
            let kept = self.secrets.get(PLACE.0, PLACE.1).map_err(broken)?;
            *held = kept.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        }
        Ok(held.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_by_its_own_cookie_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = SecretStore::open(folder.path()).unwrap();
        let devices = Devices::new(secrets.clone());
        assert_eq!(devices.known(&"a".repeat(80)).unwrap(), None);
        let (one, other) = (devices.cookie().unwrap(), devices.cookie().unwrap());
        let after = Devices::new(secrets);
        let (first, second) = (after.known(&one).unwrap(), after.known(&other).unwrap());
        assert!(first.is_some() && second.is_some() && first != second);
        let (id, tag) = one.split_at(ID_LETTERS);
        for forged in [
            format!("b{}", &one[1..]),
            format!("{id}{}", &other[ID_LETTERS..]),
            id.to_owned(),
            format!("{id}{}", &tag[2..]),
            String::new(),
            "ä".repeat(40),
        ] {
            if forged != one {
                assert_eq!(after.known(&forged).unwrap(), None, "{forged}");
            }
        }
    }
}
