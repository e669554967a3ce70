//! Simulations, each in a process of its own, and what they must have met together.

use std::{
    env,
    process::{Command, Stdio},
    thread,
};

use super::{Outcome, Rest, coverage, simulate};

/// Before what a process of a simulation tells the one that started it.
const TOLD: &str = "simulated: ";
/// The test that is such a process.
const ALONE: &str = "testing::sim::tests::alone";
/// Steps of all simulations together.
const STEPS: u64 = 1_000_000;
/// Simulations that share them: a failure is found again in one of them, so none may be long.
const SEEDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    let given = env::var(name).ok()?;
    let number = given.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is `{given}`, which is no number")))
}

/// One simulation; what it came to is printed for whoever started this process.
#[test]
#[ignore = "a process of its own is started for it"]
fn alone() {
    let seed = number("COPPICE_SIM_SEED").unwrap_or(1);
    let steps = number("COPPICE_SIM_STEPS").unwrap_or(STEPS / SEEDS);
    let outcome = simulate(seed, steps);
    // On a line of its own, after what the harness begins one with.
    println!("\n{TOLD}{}", serde_json::to_string(&outcome).unwrap());
    if let Some(violation) = outcome.violation {
        panic!("{violation}\n\nThis was seed {seed}.");
    }
}

/// What a simulation in a process of its own came to.
fn simulated(seed: u64, steps: u64) -> Outcome {
    let output = Command::new(env::current_exe().unwrap())
        .args([
            ALONE,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("COPPICE_SIM_SEED", seed.to_string())
        .env("COPPICE_SIM_STEPS", steps.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = told.lines().find_map(|line| line.strip_prefix(TOLD));
    assert!(
        output.status.success() && outcome.is_some(),
        "the simulation with seed {seed} failed; to see it again:\n\n    \
         COPPICE_SIM_SEED={seed} COPPICE_SIM_STEPS={steps} cargo test -p coppice-actors --lib -- {ALONE} \
         --exact --ignored --nocapture\n\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(outcome.unwrap()).unwrap()
}

#[test]
fn the_service_trees_come_to_rest_after_every_storm() {
    let steps = number("COPPICE_SIM_STEPS").unwrap_or(STEPS);
    let first = number("COPPICE_SIM_SEED").unwrap_or(1);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let lanes = (0..cores.min(SEEDS)).map(|lane| {
            scope.spawn(move || {
                let seeds = (first + lane..first + SEEDS).step_by(cores as usize);
                seeds
                    .map(|seed| simulated(seed, steps.div_ceil(SEEDS)))
                    .collect::<Vec<_>>()
            })
        });
        let lanes: Vec<_> = lanes.collect();
        lanes
            .into_iter()
            .flat_map(|lane| {
                lane.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    println!(
        "{} steps in {} lives of the core and {} storms; the longest way to a rest took {} simulated seconds",
        sum(|one| one.steps),
        sum(|one| one.lives),
        sum(|one| one.storms),
        outcomes.iter().map(|one| one.slowest).max().unwrap_or(0),
    );
    assert!(sum(|one| one.steps) >= steps);
    let rests = [
        Rest::NotInstalled,
        Rest::Stopped,
        Rest::Running,
        Rest::Asleep,
        Rest::Parked,
        Rest::Unfinished,
    ];
    for rest in rests {
        let times = outcomes
            .iter()
            .filter_map(|one| one.rests.get(&rest))
            .sum::<u64>();
        println!("{rest:?}: {times}");
        assert!(times > 0, "no service ever came to rest as {rest:?}");
    }
    let complaints = coverage::complaints(&outcomes);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn one_seed_gives_one_course_of_events_and_another_seed_another() {
    let first = simulated(7, 5_000);
    assert_eq!(first, simulated(7, 5_000));
    assert_ne!(first.course, simulated(8, 5_000).course);
}
