//! The contract with packages: subcontainers, mounts, the data version (`service-abi.md` §10.3, 26, 39 to
//! 42, 62, 65).

use std::{fs, os::unix::fs::MetadataExt};

use serde_json::{Value, json};

use crate::{
    probe::{Probe, answers, ask, refused},
    until::{seconds, until},
    world::World,
};

const FILES: &str = "files";
/// A package that the other depends on, with a volume to look into.
const NEIGHBOUR: &str = "files-neighbour";
const STRANGER: &str = "files-stranger";

/// What every step uses: a subcontainer with a leader, and commands in it.
const TOOLS: &str = "
const fs = require('fs');
const { execFile, spawn } = require('child_process');
const run = (...words) => new Promise((resolve, reject) => execFile(words[0], words.slice(1), { env: {} },
  (error, out, err) => error === null ? resolve(out) : reject(new Error(`${words.join(' ')}: ${error.message} ${err}`))));
const sub = async () => {
  const [root, guid] = await effects.subcontainer.createFs({ imageId: 'main', name: null });
  const leader = spawn('start-container', ['subcontainer', 'launch', root], { env: {} });
  for (let tries = 0; !fs.existsSync(`${root}/proc/1`); tries += 1) {
    if (tries > 2000) throw new Error('no leader');
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  return { root, guid, leader };
};
const exec = (root, ...words) => run('start-container', 'subcontainer', 'exec', root, ...words);
const mounts = below => fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').filter(line => line.includes(below));
";

pub(super) fn prepare(world: &mut World) {
    world.up();
    for id in [NEIGHBOUR, STRANGER] {
        Probe::called(id)
            .init("require('fs').writeFileSync('/media/startos/volumes/main/said', 'by ' + kind);")
            .install(world);
    }
    let optional = json!({ "description": "x", "optional": true, "metadata": null, "s9pk": null });
    Probe::called(FILES)
        .programs(&[
            "/bin/sh",
            "/bin/sleep",
            "/bin/cat",
            "/bin/stat",
            "/bin/touch",
        ])
        .manifest("dependencies", json!({ NEIGHBOUR: optional }))
        .install(world);
}

fn tell(world: &World, code: &str) -> Value {
    ask(world, FILES, &format!("{TOOLS} {code}"))
}

pub(super) fn create_fs_gives_a_path_and_a_guid_and_a_writable_root_with_names(world: &mut World) {
    let told = tell(
        world,
        "const made = await effects.subcontainer.createFs({ imageId: 'main', name: 'mine' });
         const [root, guid] = made;
         fs.writeFileSync(`${root}/new`, 'here');
         const own = fs.readFileSync('/etc/hostname', 'utf8').trim();
         return {
           length: made.length, path: root === `/media/startos/subcontainers/${guid}`,
           new: fs.readFileSync(`${root}/new`, 'utf8'), owner: fs.statSync(`${root}/new`).uid,
           hostname: fs.readFileSync(`${root}/etc/hostname`, 'utf8') === `${own}\\n`,
           hosts: fs.readFileSync(`${root}/etc/hosts`, 'utf8').replaceAll(own, 'OWN').trim().split('\\n'),
         }",
    );
    assert_eq!(
        told,
        json!({
            "length": 2, "path": true, "new": "here", "owner": 0, "hostname": true,
            "hosts": ["127.0.0.1\tlocalhost", "127.0.1.1\tOWN", "::1\tlocalhost ip6-localhost ip6-loopback"],
        })
    );
    let (code, said) = refused(
        world,
        FILES,
        "effects.subcontainer.createFs({ imageId: 'none', name: null })",
    );
    assert!(code == 6 && said.contains("none"), "{code} {said}");
}

pub(super) fn destroy_fs_kills_stragglers_leaves_no_mount_and_may_be_repeated(world: &mut World) {
    let told = tell(
        world,
        "const { root, guid, leader } = await sub();
         const straggler = spawn('start-container', ['subcontainer', 'exec', root, 'sleep', '90003'], { env: {} });
         const ended = new Promise(resolve => straggler.on('exit', () => resolve(true)));
         await exec(root, 'cat', '/etc/hostname');
         await effects.subcontainer.destroyFs({ guid });
         const first = { ended: await ended, mounts: mounts(guid).length, there: fs.existsSync(`${root}/bin`) };
         await effects.subcontainer.destroyFs({ guid });
         await effects.subcontainer.destroyFs({ guid: 'never-was' });
         return first",
    );
    assert_eq!(told, json!({ "ended": true, "mounts": 0, "there": false }));
    until("nothing of it runs", seconds(10), || {
        let all = world.server.processes(FILES);
        (!all.iter().any(|one| one.name == "sleep")).then_some(())
    });
}

pub(super) fn a_file_is_mounted_as_a_file_and_an_idmap_changes_who_owns_it(world: &mut World) {
    let told = tell(
        world,
        "const { root, guid } = await sub();
         const volume = '/media/startos/volumes/main';
         fs.writeFileSync(`${volume}/one-file`, 'in one file');
         fs.mkdirSync(`${volume}/shared`, { recursive: true });
         fs.writeFileSync(`${volume}/shared/owned`, '');
         const mount = (...words) => run('start-container', 'bind-mount', ...words);
         await mount('--source', `${volume}/one-file`, '--target', `${root}/mnt/file`, '--file');
         await mount('--source', `${volume}/shared`, '--target', `${root}/mnt/mapped`, '--recursive', '--idmap', '0:1000:1');
         await exec(root, '/bin/sh', '-c', 'touch /mnt/new');
         const owner = await exec(root, 'stat', '-c', '%u', '/mnt/mapped/owned');
         const text = await exec(root, 'cat', '/mnt/file');
         await effects.subcontainer.destroyFs({ guid });
         return { seen: owner.trim(), text, stored: fs.statSync(`${volume}/shared/owned`).uid }",
    );
    assert_eq!(
        told,
        json!({ "seen": "1000", "text": "in one file", "stored": 0 })
    );
}

pub(super) fn files_of_a_user_in_a_subcontainer_are_that_users_on_the_hosts_volume(
    world: &mut World,
) {
    tell(
        world,
        "const { root, guid } = await sub();
         const volume = '/media/startos/volumes/main/of-33';
         fs.mkdirSync(volume);
         fs.chownSync(volume, 33, 33);
         await run('start-container', 'bind-mount', '--source', volume, '--target', `${root}/mnt`, '--recursive');
         await run('start-container', 'subcontainer', 'exec', '--user=33:33', root, 'touch', '/mnt/mine');
         await effects.subcontainer.destroyFs({ guid });",
    );
    let file = world
        .server
        .data
        .join("services")
        .join(FILES)
        .join("volumes/main/of-33/mine");
    assert_eq!(fs::metadata(file).unwrap().uid(), 33);
}

/// Mounts the neighbour's volume; `more` are members of the target.
fn mounting(package: &str, more: &str) -> String {
    format!(
        "effects.mount({{ location: `${{root}}/their`, target: {{ type: 'pointer', packageId: '{package}', volumeId: 'main',
           subpath: null, readonly: false, idmap: [], {more} }} }})"
    )
}

pub(super) fn a_dependencys_volume_is_mounted_as_it_is_asked_for(world: &mut World) {
    let told = tell(
        world,
        &format!(
            "const {{ root, guid }} = await sub();
             fs.mkdirSync(`${{root}}/their`);
             const look = () => fs.readdirSync(`${{root}}/their`);
             const result = await {whole};
             const whole = look();
             await {sub_path};
             const made = look();
             await {read_only};
             let refused = null;
             try {{ fs.writeFileSync(`${{root}}/their/x`, ''); }} catch (error) {{ refused = error.code; }}
             await {mapped};
             const owner = fs.statSync(`${{root}}/their/said`).uid;
             const layers = mounts(`${{guid}}/their`).length;
             await {file};
             const file = fs.statSync(`${{root}}/their`).isFile();
             await effects.subcontainer.destroyFs({{ guid }});
             return {{ result, whole, made, refused, owner, layers, file, left: mounts(guid).length }}",
            whole = mounting(NEIGHBOUR, ""),
            sub_path = mounting(NEIGHBOUR, "subpath: '/made/for/me'"),
            read_only = mounting(NEIGHBOUR, "readonly: true"),
            mapped = mounting(NEIGHBOUR, "idmap: [{ fromId: 0, toId: 1000, range: 1 }]"),
            // On what the SDK makes there beforehand, which is a directory.
            file = mounting(NEIGHBOUR, "subpath: 'said', filetype: 'file'"),
        ),
    );
    assert_eq!(
        told,
        json!({
            "result": null, "whole": ["said"], "made": [], "refused": "EROFS", "owner": 1000, "layers": 1, "file": true,
            "left": 0,
        })
    );
}

pub(super) fn a_mount_that_leads_out_or_to_a_stranger_is_refused(world: &mut World) {
    let told = tell(
        world,
        &format!(
            "const {{ root, guid }} = await sub();
             fs.mkdirSync(`${{root}}/their`);
             fs.symlinkSync('/etc', '/media/startos/volumes/main/out');
             const results = {{
               out: await tried({out}), stranger: await tried({stranger}), link: await tried({link}),
               nobody: await tried({nobody}),
             }};
             fs.rmSync('/media/startos/volumes/main/out');
             await effects.subcontainer.destroyFs({{ guid }});
             return results",
            out = mounting(NEIGHBOUR, "subpath: '../../../state'"),
            stranger = mounting(STRANGER, ""),
            link = mounting(FILES, "subpath: 'out', readonly: true"),
            nobody = mounting("never-was", ""),
        ),
    );
    for name in ["out", "stranger", "link", "nobody"] {
        assert!(told[name]["code"].is_number(), "{name}: {told:#}");
    }
    assert_eq!(told["stranger"]["code"], 38, "{told:#}");
    assert!(
        told["stranger"]["message"]
            .as_str()
            .unwrap()
            .contains(STRANGER),
        "{told:#}"
    );
}

pub(super) fn a_data_version_is_durable_before_it_is_answered_and_null_deletes_it(
    world: &mut World,
) {
    let file = world
        .server
        .data
        .join("services")
        .join(FILES)
        .join("volumes/.version");
    let range = ">=1.0:0 <2:0";
    let told = ask(
        world,
        FILES,
        &format!(
            "await effects.setDataVersion({{ version: '{range}' }}); return effects.getDataVersion()"
        ),
    );
    assert_eq!(told, range);
    world.server.child("core").shoot();
    assert_eq!(fs::read_to_string(&file).unwrap(), range);
    world.server.answers();
    answers(world, FILES);
    let told = ask(
        world,
        FILES,
        "const kept = await effects.getDataVersion();
         for (let i = 0; i < 2; i += 1) await effects.setDataVersion({ version: null });
         return [kept, await effects.getDataVersion()]",
    );
    assert_eq!(told, json!([range, null]));
    assert!(!file.exists());
}

pub(super) fn progress_outside_an_operation_is_taken_and_dropped(world: &mut World) {
    let told = ask(
        world,
        FILES,
        "const full = { overall: { done: 1, total: 2, units: 'steps' }, phases: [{ name: 'a', progress: true }] };
         return [
           await effects.setInitProgress({ progress: full }), await effects.setBackupProgress({ progress: full }),
           await effects.setInitProgress({ progress: null }), await effects.setBackupProgress({ progress: true }),
         ]",
    );
    assert_eq!(told, json!([null, null, null, null]));
    for id in [FILES, NEIGHBOUR, STRANGER] {
        world.server.cli(&["package", "uninstall", id]);
    }
}
