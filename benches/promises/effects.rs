//! What an effect costs a package: from its call in the container to the host's answer, one after the other,
//! and a crowd at once. The clock is Node's own, in the package.
//!
//! A service may ask 2,048 things at once and 200 a second after that (decision 0018). What is measured is the
//! way, not that limit, so there is a pause before each round; what the limit makes of all in one go is told too.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{
    packages::Package,
    pass,
    samples::{Samples, load, tell},
    scratch::Scratch,
    server::Server,
};

const ROUNDS: u32 = 10;
/// Times [`ROUNDS`], these are the 10,000 that were asked for.
const SEQUENTIAL: u32 = 1_000;
const CONCURRENT: u32 = 1_000;
/// Durable ones: each is on the disk when it is answered.
const DURABLE: u32 = 200;

/// In which the 2,048 are whole again.
const REFILL: Duration = Duration::from_secs(11);

const ID: &str = "asking";

/// Its action `ask` calls an effect so many times, and tells the microseconds of each and of all.
const CODE: &str = "
const nothing = async () => null;
const micros = () => Number(process.hrtime.bigint() / 1000n);
const timed = async call => { const began = micros(); await call(); return micros() - began; };
const calls = {
  read: (effects, n) => effects.getOsIp(),
  durable: (effects, n) => effects.setDataVersion({ version: `1.${n}:0` }),
};
const run = async ({ effects, input: { call, count, crowd } }) => {
  const one = n => timed(() => calls[call](effects, n));
  const began = micros();
  const each = [];
  if (crowd) each.push(...await Promise.all(Array.from({ length: count }, (_, n) => one(n))));
  else for (let n = 0; n < count; n += 1) each.push(await one(n));
  return { version: '1', title: '', message: JSON.stringify({ all: micros() - began, each }), result: null };
};
const metadata = {
  name: 'Ask', description: '', warning: null, visibility: 'enabled', allowedStatuses: 'any', hasInput: false, group: null,
};
module.exports = {
  init: ({ effects }) => effects.action.export({ id: 'ask', metadata }),
  uninit: nothing, createBackup: nothing,
  main: async () => ({ build: async () => ({ term: nothing }) }),
  actions: { get: id => (id === 'ask' ? { run } : undefined) },
};
";

pub(crate) fn measure(server: &Server, scratch: &Scratch) {
    println!(
        "\neffects through the socket, timed in the package; load {}",
        load()
    );
    let folder = scratch.path("asking");
    fs::create_dir_all(&folder).unwrap();
    let package = Package::good().field("/id", ID.into()).javascript(CODE);
    let file = folder.join("asking.s9pk");
    fs::write(&file, package.pack(&folder)).unwrap();
    server.cli(&["package", "install", file.to_str().unwrap()]);
    // What is compiled and opened at the first calls is not what one costs.
    ask(server, "read", 200, false);
    for (what, call, rounds, count, crowd) in [
        (
            "a read, one after the other",
            "read",
            ROUNDS,
            SEQUENTIAL,
            false,
        ),
        ("a read, all at once", "read", 1, CONCURRENT, true),
        (
            "a durable write, one after the other",
            "durable",
            1,
            DURABLE,
            false,
        ),
        (
            "a read, one after the other, in one go",
            "read",
            1,
            ROUNDS * SEQUENTIAL,
            false,
        ),
    ] {
        let (mut samples, mut all) = (Samples::default(), Duration::ZERO);
        for _ in 0..rounds {
            pass(REFILL);
            all += ask(server, call, count, crowd).into_samples(&mut samples);
        }
        let [half, most] = [50, 99].map(|percent| samples.percentile(percent).as_micros());
        tell(
            &format!("{what}, {}: p50, p99", rounds * count),
            &format!("{half} us, {most} us; {:.2} s for all", all.as_secs_f64()),
        );
    }
    server.cli(&["package", "uninstall", ID]);
    tell("load after", &load());
}

/// What one run of the action tells.
struct Told {
    each: Vec<Duration>,
    all: Duration,
}

impl Told {
    /// Adds each time to the samples; gives that of all.
    fn into_samples(self, samples: &mut Samples) -> Duration {
        for one in self.each {
            samples.push(one);
        }
        self.all
    }
}

fn ask(server: &Server, call: &str, count: u32, crowd: bool) -> Told {
    let input = serde_json::json!({ "call": call, "count": count, "crowd": crowd }).to_string();
    let result = server.json(&["action", "run", ID, "ask", "--input", &input]);
    let told: Value = serde_json::from_str(result["message"].as_str().unwrap()).unwrap();
    let micros = |value: &Value| Duration::from_micros(value.as_u64().unwrap());
    let told = Told {
        each: told["each"]
            .as_array()
            .unwrap()
            .iter()
            .map(micros)
            .collect(),
        all: micros(&told["all"]),
    };
    assert_eq!(told.each.len(), count as usize);
    told
}
