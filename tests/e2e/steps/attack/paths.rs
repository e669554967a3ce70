//! Paths that the host reads or mounts later, in places that the package writes.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use coppice_clock::Mono;
use serde_json::json;

use super::{INTRUDER, SUBCONTAINER, VOLUME, WORD, canary, unharmed};
use crate::{
    console::text,
    intruder::INSIDE_IMAGE,
    probe::ask,
    until::{seconds, until},
    world::World,
};

/// A line as the agent writes them; a made-up one is shown, if it is read at all.
fn line(says: &str) -> String {
    let line = json!({ "t": 1, "run": "none", "src": "runtime", "stream": "out", "line": says });
    format!("{line}\n")
}

pub(crate) fn what_lies_in_its_log_folder_leads_nowhere(world: &mut World) {
    let secret = world.scratch.path("canary.jsonl");
    fs::write(&secret, line(WORD)).unwrap();
    let up = "../".repeat(24);
    let honest = line("written by hand");
    let told = unharmed(world, || {
        ask(
            world,
            INTRUDER,
            &format!(
                "const fs = require('fs');
                 const name = number => `/media/coppice/logs/${{String(number).padStart(16, '0')}}.jsonl`;
                 fs.writeFileSync(name(9000000000000000), {honest:?});
                 fs.symlinkSync({secret:?}, name(9000000000000001));
                 fs.symlinkSync({relative:?}, name(9000000000000002));
                 require('child_process').execFileSync('/usr/bin/mkfifo', [name(9000000000000003)]);
                 fs.mkdirSync(name(9000000000000004));
                 fs.closeSync(fs.openSync(name(9000000000000005), 'w'));
                 fs.truncateSync(name(9000000000000005), 2 ** 40);
                 fs.symlinkSync('/media/coppice', name(9000000000000006));
                 return fs.readdirSync('/media/coppice/logs').length",
                relative = format!("{up}{}", secret.to_str().unwrap().trim_start_matches('/')),
            ),
        )
    });
    assert!(told.as_u64().unwrap() >= 7, "{told}");
    let began = Mono::now();
    let said = world
        .server
        .cli(&["service", "logs", INTRUDER, "-n", "1000"]);
    assert!(Mono::now().since(began) < seconds(10));
    assert!(
        said.contains("written by hand"),
        "what is read is shown: {said}"
    );
    assert!(!said.contains(WORD), "{said}");
    ask(
        world,
        INTRUDER,
        "const fs = require('fs');
         for (let number = 9000000000000000; number <= 9000000000000006; number += 1) {
           fs.rmSync(`/media/coppice/logs/${number}.jsonl`, { recursive: true, force: true });
         }",
    );
}

/// Its own folder and links out of its volume change places as fast as the kernel lets them, while the host
/// opens the folder to mount it, and makes the place to mount it at.
pub(crate) fn a_mount_is_never_of_what_was_swapped_in(world: &mut World) {
    let file = canary(world);
    let told = unharmed(world, || {
        ask(
            world,
            INTRUDER,
            &format!(
                "{SUBCONTAINER}
                 const volume = '{VOLUME}';
                 const intruder = '/media/startos/images/main/{INSIDE_IMAGE}';
                 const away = ['/', '{up}', '/proc/1/root', '/media/startos/rpc'];
                 const counts = {{ own: 0, other: 0, refused: 0, out: 0 }};
                 const look = () => fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n')
                   .map(line => line.split(' ')[4] ?? '').filter(place => place.endsWith('/place'))
                   .map(place => [place, fs.readdirSync(place), fs.existsSync(`${{place}}{file}`)]);
                 // What is swapped away between two looks at it is looked at again.
                 const held = look => {{
                   for (let tries = 0; tries < 1000; tries += 1) try {{ return look(); }} catch (error) {{ if (error.code !== 'ENOENT') throw error; }}
                   throw new Error('it never held still');
                 }};
                 for (const [number, to] of away.entries()) {{
                   const [at, there, other] = [`${{root}}/at${{number}}`, `${{volume}}/there${{number}}`, `${{root}}/other${{number}}`];
                   const here = `${{volume}}/here${{number}}`;
                   for (const folder of [at, here]) fs.mkdirSync(folder, {{ recursive: true }});
                   fs.writeFileSync(`${{here}}/own`, '');
                   for (const link of [there, other]) {{
                     fs.rmSync(link, {{ recursive: true, force: true }});
                     fs.symlinkSync(to, link);
                   }}
                   const swaps = [[here, there], [at, other]]
                     .map(names => require('child_process').spawn(intruder, ['swap', ...names]));
                   for (let tries = 0; tries < 40; tries += 1) {{
                     const target = {{ type: 'pointer', packageId: '{INTRUDER}', volumeId: 'main', subpath: `here${{number}}`,
                       readonly: false, idmap: [] }};
                     const made = await tried(effects.mount({{ location: `${{at}}/place`, target }}));
                     if (made.code !== undefined) {{ counts.refused += 1; continue; }}
                     for (const [place, names, seen] of held(look)) {{
                       if (names.includes('own')) counts.own += 1; else counts.other += 1;
                       if (seen) counts.out += 1;
                       if (names.includes('here0') || names.includes('there0') || names.includes('own') || names.length === 0) continue;
                       counts.out += 1;
                       counts.shown = [place, ...names];
                     }}
                   }}
                   for (const swap of swaps) swap.kill('SIGKILL');
                   await Promise.all(swaps.map(swap => new Promise(resolve => swap.on('exit', resolve))));
                 }}
                 await effects.subcontainer.destroyFs({{ guid }});
                 return counts",
                up = "../".repeat(24),
                file = file.display(),
            ),
        )
    });
    println!("     {told}");
    assert_eq!(told["out"], 0, "{told:#}");
    assert!(told["own"].as_u64().unwrap() > 0, "{told:#}");
}

pub(crate) fn files_for_root_on_a_volume_are_nobodys_on_the_host(world: &mut World) {
    ask(
        world,
        INTRUDER,
        &format!(
            "const fs = require('fs');
             fs.copyFileSync('/media/startos/images/main/{INSIDE_IMAGE}', '{VOLUME}/as-root');
             fs.chownSync('{VOLUME}/as-root', 0, 0);
             fs.chmodSync('{VOLUME}/as-root', 0o4755);"
        ),
    );
    let file = world
        .server
        .data
        .join("services")
        .join(INTRUDER)
        .join("volumes/main/as-root");
    let found = fs::metadata(&file).unwrap();
    // As backups and other machines need it: ids on disk are the package's own.
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o4755));
    let says = |program: &str, before: &[&str]| {
        // The shell is what the rights of root are given up for, before it looks for the program.
        let run = ["/bin/sh", "-c", "exec \"$0\" none", file.to_str().unwrap()];
        let output = Command::new(program)
            .args(before.iter().chain(&run))
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = says("/usr/bin/env", &[]);
    assert_eq!(code, Some(2), "root runs it: {said}");
    let (code, said) = says(
        "setpriv",
        &[
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
        ],
    );
    assert_ne!(code, Some(2), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    until("the program is gone", seconds(10), || {
        ask(
            world,
            INTRUDER,
            &format!("require('fs').rmSync('{VOLUME}/as-root', {{ force: true }})"),
        );
        (!file.exists()).then_some(())
    });
}
