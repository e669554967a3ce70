use super::*;

/// Before what a process of a simulation tells the one that started it.
const TOLD: &str = "simulated: ";

/// One simulation; what it came to is printed for whoever started this process.
#[test]
#[ignore = "a process of its own is started for it"]
fn alone() {
    let number = |name: &str, otherwise: u64| {
        let given = std::env::var(name).ok();
        given.map_or(otherwise, |given| given.parse().unwrap())
    };
    let (seed, steps) = (
        number("COPPICE_SIM_SEED", 1),
        number("COPPICE_SIM_STEPS", 100_000),
    );
    let outcome = simulate(seed, steps);
    println!("{TOLD}{}", serde_json::to_string(&outcome).unwrap());
    if let Some(violation) = outcome.violation {
        panic!("seed {seed}: {violation}");
    }
}
