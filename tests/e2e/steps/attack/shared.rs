//! What a service and its neighbours have in common: the core that listens to them, and the one kernel.

use std::fs;

use serde_json::json;

use super::{INTRUDER, NEIGHBOUR, unharmed};
use crate::{
    intruder::{INSIDE_IMAGE, running},
    probe::{answers, ask},
    until::{seconds, until},
    world::World,
};

/// What the core may grow by for it.
const MOST_KIB: u64 = 256 << 10;

fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let word = line.unwrap().split_whitespace().nth(1);
    word.unwrap().parse().unwrap()
}

/// Says something on a connection of its own, again and again, and tells how often until it was closed.
const SAY: &str = "
const say = (bytes, times) => new Promise(resolve => {
  const socket = require('net').connect('/media/startos/rpc/host.sock');
  let sent = 0;
  const ended = () => { socket.destroy(); resolve(sent); };
  socket.on('error', ended).on('close', ended).on('data', () => {});
  const more = () => {
    while (sent < times) {
      sent += 1;
      if (!socket.write(bytes)) { socket.once('drain', more); return; }
    }
    socket.end();
  };
  socket.on('connect', more);
});
const hello = (role, more) => Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'hello',
  params: { protocol: 1, oldest: 1, build: 'x', boot: 'not-this-one', role, ...more } }) + '\\n');
";

pub(crate) fn nonsense_on_the_hosts_socket_costs_nobody_anything(world: &mut World) {
    let core = world.server.child("core").pid;
    let before = resident_kib(core);
    let told = unharmed(world, || {
        let code = format!(
            "{SAY}
             const results = {{
               endless: await say(Buffer.alloc(1 << 20, 0x61), 512),
               deep: await say(Buffer.from('['.repeat(1 << 20)), 16),
               nobody: await say(hello('core'), 1),
             }};
             await Promise.all(Array.from({{ length: 200 }}, () => say(Buffer.from('\\n{{}}\\n\\0'), 1)));
             return results"
        );
        ask(world, INTRUDER, &code)
    });
    // The line that never ends was not read to its end.
    assert!(told["endless"].as_u64().unwrap() < 64, "{told:#}");
    let grown = resident_kib(core).saturating_sub(before);
    assert!(grown < MOST_KIB, "the core grew by {grown} KiB");
}

/// The package takes the places of its own agent and runtime, and leaves them: the real ones come back.
pub(crate) fn a_service_that_takes_its_own_runtimes_place_is_not_stuck(world: &mut World) {
    let pid = ask(world, INTRUDER, "return process.pid");
    unharmed(world, || {
        // Later, because the answer to this goes over the connection whose place is taken.
        let code = format!(
            "{SAY}
             seen.taken = false;
             setTimeout(async () => {{
               await say(hello('agent'), 1);
               await say(hello('runtime', {{ generation: 4000000000 }}), 1);
               seen.taken = true;
             }}, 200);"
        );
        ask(world, INTRUDER, &code);
        until("the real runtime is back", seconds(30), || {
            let code = json!({ "code": "return seen.taken" }).to_string();
            let words = ["action", "run", INTRUDER, "do", "--input", &code, "--json"];
            let output = world.server.try_cli(&words);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.contains("\"true\"").then_some(())
        });
    });
    assert_eq!(ask(world, INTRUDER, "return process.pid"), pid);
}

pub(crate) fn a_service_that_takes_all_watches_leaves_some_for_others(world: &mut World) {
    let code = format!(
        "return new Promise(resolve => {{
           seen.hog = require('child_process').spawn('/media/startos/images/main/{INSIDE_IMAGE}', ['watches']);
           seen.hog.stdout.once('data', text => resolve(Number(text)));
         }})"
    );
    let taken = unharmed(world, || {
        let taken = ask(world, INTRUDER, &code);
        let watch = "const watcher = require('fs').watch('/tmp', () => {}); watcher.close(); return 'watched'";
        assert_eq!(ask(world, NEIGHBOUR, watch), "watched", "after {taken}");
        taken
    });
    println!("     it took {taken}");
    assert!(taken.as_u64().unwrap() > 0, "{taken}");
    ask(world, INTRUDER, "seen.hog.kill('SIGKILL')");
}

pub(crate) fn a_restart_of_the_machine_is_one_of_the_service(world: &mut World) {
    let boot = || fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let (before, life) = (boot(), world.server.init(INTRUDER));
    let program = format!("/media/startos/images/main/{INSIDE_IMAGE}");
    let code = running(&[&program], &["reboot"]);
    let input = json!({ "code": code }).to_string();
    unharmed(world, || {
        // Its answer dies with the container.
        let words = ["action", "run", INTRUDER, "do", "--input", &input];
        let _ = world.server.try_cli(&words);
        until("its container is another", seconds(60), || {
            let all = world.server.processes(INTRUDER);
            (!life.lives() && !all.is_empty()).then_some(())
        });
        answers(world, INTRUDER);
    });
    assert_eq!(boot(), before);
    for id in [INTRUDER, NEIGHBOUR] {
        world.server.cli(&["package", "uninstall", id]);
    }
}
