//! Opening a store whose file somebody has written into, or cut short. It opens or says why not; this process
//! never ends of it, because another one looks first.

#![no_main]

use std::{
    env,
    path::Path,
    process::{Command, ExitCode, exit},
    sync::OnceLock,
};

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use patchdb::{Change, Examiner, Options, Store, Why, examine_for_parent};

/// Set in the process that looks first: the file.
const EXAMINE: &str = "COPPICE_FUZZ_EXAMINE";

#[derive(Debug, Arbitrary)]
struct Damage {
    /// Bytes that are left of the file, out of 65,536ths.
    cut: Option<u16>,
    /// Where something else is written, in the same measure.
    writes: Vec<(u16, Vec<u8>)>,
}

fn options() -> Options {
    Options {
        map_size: 16 << 20,
        examiner: Some(Examiner::by(|file| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.env(EXAMINE, file);
            command
        })),
        ..Options::default()
    }
}

/// The file of a store with some history.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), options()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            for number in 0..20 {
                let place = format!("/public/packageData/p{number}");
                let value = serde_json::json!({ "text": "x".repeat(number * 40) });
                let change = Change::new().put_with_parents(place.as_str(), value);
                store.commit(change, Why::actor("fuzz")).await.unwrap();
            }
            store.close().await;
        });
        std::fs::read(folder.path().join("data.mdb")).unwrap()
    })
}

fn examine() {
    if let Some(file) = env::var_os(EXAMINE) {
        let found = examine_for_parent(Path::new(&file));
        exit(i32::from(found != ExitCode::SUCCESS));
    }
}

fuzz_target!(init: examine(), |damage: Damage| {
    let mut bytes = sound().to_vec();
    let place = |at: u16| usize::from(at) * sound().len() / 65_536;
    for (at, what) in &damage.writes {
        let at = place(*at);
        let end = (at + what.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&what[..end - at]);
    }
    if let Some(cut) = damage.cut {
        bytes.truncate(place(cut));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.mdb"), bytes).unwrap();
    let Ok(store) = Store::open(folder.path(), options()) else {
        return;
    };
    let _ = store.export_json();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.close());
});
