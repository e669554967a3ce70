//! How long one password takes, as a login meets it: the store's read, argon2id, the comparison.
//!
//! Run it on a machine with nothing else to do: `cargo bench -p coppice-api --bench password`.

use coppice_api::{Accounts, Login};
use coppice_clock::Mono;
use patchdb::SecretStore;

const TRIES: usize = 21;
const PASSWORD: &str = "a birch, an alder and a hazel";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let accounts = Accounts::new(SecretStore::open(folder.path())?);
    let mut millis = runtime.block_on(async {
        accounts.set_password(PASSWORD.to_owned()).await?;
        let mut millis = Vec::new();
        for _ in 0..TRIES {
            let login = Login {
                password: PASSWORD.to_owned(),
                code: None,
                ephemeral: true,
                user_agent: None,
            };
            let began = Mono::now();
            accounts.sign_in(login, None).await?;
            millis.push(Mono::now().since(began).as_millis());
        }
        Ok::<_, coppice_actors::Problem>(millis)
    })?;
    millis.sort_unstable();
    let (least, median, most) = (millis[0], millis[TRIES / 2], millis[TRIES - 1]);
    println!("one login: {median} ms (least {least}, most {most}, of {TRIES})");
    Ok(())
}
