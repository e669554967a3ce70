//! What a service may use: Coppice's own limits (docs/decisions/0017), and over them its owner's
//! (docs/decisions/0025).
//!
//! Invariant: what is stored has passed [`check`]. It is stored before it is applied, and applied again
//! to a container that is adopted, so a core that dies in between leaves nothing half done.

use std::sync::Arc;

use coppice_containers::{Limits, OpError};

use super::ServiceContext;
use crate::{
    model::ChosenLimits,
    problem::{Kind, Problem},
};

/// Processes and threads of one service. No package comes near it; a fork bomb ends there, long
/// before the machine does.
const MAX_PIDS: u32 = 8192;

/// What is left of the machine's memory for everybody else, as one part of so many.
const RESERVED_PART: u64 = 4;

/// Below this no share makes sense: Node and a small database need as much, and a machine that has not
/// even that is better off killing by itself.
const LEAST_MEMORY: u64 = 512 << 20;

/// The same for every service: when the processor is scarce, each gets as much as any other.
const CPU_WEIGHT: u16 = 100;

/// The least memory an owner may give: the agent, Node and a package's JavaScript take some 100 MB, and
/// a service that is killed while it comes up helps nobody.
const LEAST_CHOSEN_MEMORY: u64 = 128 << 20;
/// The least processes and threads: Node alone has a dozen.
const LEAST_PIDS: u32 = 64;
/// The kernel has no more pids than this on any machine.
const MOST_PIDS: u32 = 4 << 20;
/// The range of `cpu.weight`.
const WEIGHTS: std::ops::RangeInclusive<u16> = 1..=10_000;

/// Why an owner's limits are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too little to come up with.
    #[error("{asked} bytes of memory are too few for any service; give at least 128M")]
    LittleMemory {
        /// What was asked for.
        asked: u64,
    },
    /// More than there is.
    #[error(
        "{asked} bytes of memory are more than this machine's {total}; give less, or nothing for Coppice's own limit"
    )]
    MuchMemory {
        /// What was asked for.
        asked: u64,
        /// What there is.
        total: u64,
    },
    /// Less than it uses now.
    #[error(
        "`{service}` uses {used} bytes of memory now, more than {asked}; give more, or stop it first"
    )]
    InUse {
        /// The service.
        service: String,
        /// What was asked for.
        asked: u64,
        /// What it uses.
        used: u64,
    },
    /// Too few, or more than any machine has.
    #[error(
        "{asked} cannot be the number of processes and threads; give {LEAST_PIDS} to {MOST_PIDS}"
    )]
    Pids {
        /// What was asked for.
        asked: u32,
    },
    /// Not a weight.
    #[error("{asked} cannot be a processor weight; give 1 to 10000, where 100 is usual")]
    Weight {
        /// What was asked for.
        asked: u16,
    },
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::invalid(refused.to_string())
    }
}

/// What a service with these limits of its owner's may use on this machine.
#[must_use]
pub fn effective(chosen: &ChosenLimits) -> Limits {
    over(of_machine(machine_bytes()), chosen)
}

fn over(own: Limits, chosen: &ChosenLimits) -> Limits {
    Limits {
        memory_bytes: chosen.memory_bytes.or(own.memory_bytes),
        pids: chosen.pids.or(own.pids),
        cpu_weight: chosen.cpu_weight.or(own.cpu_weight),
    }
}

/// Sets an owner's limits: stored, and applied to the container if one runs.
///
/// # Errors
/// When they make no sense or are below what the service uses now (nothing is changed then), when they
/// cannot be stored, or cannot be applied: then they count from the container's next start.
pub async fn set(service: &Arc<ServiceContext>, chosen: ChosenLimits) -> Result<(), Problem> {
    check(&chosen, machine_bytes())?;
    let backend = &service.host.backend;
    if let Some(asked) = chosen.memory_bytes
        && let Ok(usage) = backend.usage(&service.instance, None).await
        && let Some(used) = usage.working_set_bytes.filter(|used| *used > asked)
    {
        let service = service.id.clone();
        return Err(Refused::InUse {
            service,
            asked,
            used,
        }
        .into());
    }
    service
        .update("limits", move |entry| {
            entry.limits = chosen;
            Ok(())
        })
        .await?;
    apply(service, &chosen).await.map_err(|error| {
        let problem = Problem::of(Kind::Lxc, &error);
        Problem {
            details: format!(
                "the limits are kept and count from the next start of `{}`, but could not be applied \
                 to what runs now: {}; restart it with `coppice service restart {}`",
                service.id, problem.details, service.id
            ),
            ..problem
        }
    })
}

/// Applies an owner's limits to a container that was not made by this core. One without any keeps those
/// it was made with.
pub(super) async fn renew(service: &Arc<ServiceContext>) {
    let chosen = service.entry().map(|entry| entry.limits);
    let Some(chosen) = chosen
        .ok()
        .filter(|chosen| *chosen != ChosenLimits::default())
    else {
        return;
    };
    if let Err(error) = apply(service, &chosen).await {
        tracing::warn!(service = service.id, %error, "its limits were not applied");
    }
}

/// A container that does not run gets them when it is made.
async fn apply(service: &Arc<ServiceContext>, chosen: &ChosenLimits) -> Result<(), OpError> {
    let limits = effective(chosen);
    let backend = &service.host.backend;
    match backend.set_limits(&service.instance, &limits).await {
        Err(OpError::NotRunning { .. }) => Ok(()),
        other => other,
    }
}

fn check(chosen: &ChosenLimits, machine: Option<u64>) -> Result<(), Refused> {
    if let Some(asked) = chosen.memory_bytes {
        if asked < LEAST_CHOSEN_MEMORY {
            return Err(Refused::LittleMemory { asked });
        }
        if let Some(total) = machine.filter(|total| asked > *total) {
            return Err(Refused::MuchMemory { asked, total });
        }
    }
    if let Some(asked) = chosen.pids
        && !(LEAST_PIDS..=MOST_PIDS).contains(&asked)
    {
        return Err(Refused::Pids { asked });
    }
    if let Some(asked) = chosen.cpu_weight
        && !WEIGHTS.contains(&asked)
    {
        return Err(Refused::Weight { asked });
    }
    Ok(())
}

/// The machine's memory. Without /proc/meminfo there is no share to compute, and the other limits hold
/// all the same.
fn machine_bytes() -> Option<u64> {
    total_bytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

fn of_machine(memory_bytes: Option<u64>) -> Limits {
    Limits {
        memory_bytes: memory_bytes.map(|all| (all - all / RESERVED_PART).max(LEAST_MEMORY)),
        pids: Some(MAX_PIDS),
        cpu_weight: Some(CPU_WEIGHT),
    }
}

/// `MemTotal:       16316412 kB`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_gets_three_quarters_of_the_memory_and_an_equal_share_of_the_processor() {
        let limits = of_machine(Some(16 << 30));
        assert_eq!(limits.memory_bytes, Some(12 << 30));
        assert_eq!((limits.pids, limits.cpu_weight), (Some(8192), Some(100)));
    }

    #[test]
    fn a_small_machine_does_not_starve_its_services_by_arithmetic() {
        assert_eq!(of_machine(Some(600 << 20)).memory_bytes, Some(512 << 20));
        assert_eq!(of_machine(None).memory_bytes, None, "a share of what?");
        assert_eq!(of_machine(None).pids, Some(8192));
    }

    #[test]
    fn the_total_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       16316412 kB\nMemFree:         1024 kB\n";
        assert_eq!(total_bytes(text), Some(16_316_412 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        assert_eq!(total_bytes("MemTotal: many kB\n"), None);
        assert!(effective(&ChosenLimits::default()).memory_bytes >= Some(LEAST_MEMORY));
    }

    #[test]
    fn what_the_owner_says_counts_and_the_rest_is_coppices() {
        let chosen = ChosenLimits {
            pids: Some(100),
            ..ChosenLimits::default()
        };
        let limits = over(of_machine(Some(16 << 30)), &chosen);
        assert_eq!(limits.pids, Some(100));
        assert_eq!(
            (limits.memory_bytes, limits.cpu_weight),
            (Some(12 << 30), Some(100))
        );
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_with_what_to_do() {
        let none = ChosenLimits::default();
        let memory = |bytes| ChosenLimits {
            memory_bytes: Some(bytes),
            ..none
        };
        let pids = |pids| ChosenLimits {
            pids: Some(pids),
            ..none
        };
        let weight = |weight| ChosenLimits {
            cpu_weight: Some(weight),
            ..none
        };
        let machine = Some(4 << 30);
        for good in [
            none,
            memory(128 << 20),
            memory(4 << 30),
            pids(64),
            weight(10_000),
        ] {
            assert_eq!(check(&good, machine), Ok(()));
        }
        for (bad, words) in [
            (memory(0), "at least 128M"),
            (memory((128 << 20) - 1), "at least 128M"),
            (memory(5 << 30), "more than this machine's 4294967296"),
            (pids(63), "give 64 to 4194304"),
            (pids(u32::MAX), "give 64 to 4194304"),
            (weight(0), "give 1 to 10000"),
            (weight(10_001), "give 1 to 10000"),
        ] {
            let refused = check(&bad, machine).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
        assert_eq!(check(&memory(5 << 30), None), Ok(()), "who knows?");
    }

    fn limits_set(backend: &coppice_containers::InMemoryBackend) -> Vec<Limits> {
        use coppice_containers::Called;
        let calls = backend.calls().into_iter();
        let set = calls.filter_map(|call| match call {
            Called::SetLimits(_, limits) => Some(limits),
            _ => None,
        });
        set.collect()
    }

    #[tokio::test]
    async fn limits_are_kept_and_applied_to_what_runs_and_again_when_it_is_adopted() {
        let at = crate::service::testing::host();
        let service = at.installed("a").await;
        let chosen = ChosenLimits {
            memory_bytes: Some(256 << 20),
            ..ChosenLimits::default()
        };
        set(&service, chosen).await.unwrap();
        assert_eq!(
            service.entry().unwrap().limits,
            chosen,
            "kept for its start"
        );
        at.runs_already(&service).await;
        renew(&service).await;
        let applied = limits_set(&at.backend).pop().unwrap();
        assert_eq!(applied.memory_bytes, Some(256 << 20));
        assert_eq!(applied.cpu_weight, Some(CPU_WEIGHT));
        set(&service, ChosenLimits::default()).await.unwrap();
        let lifted = limits_set(&at.backend).pop().unwrap();
        assert_eq!(lifted, effective(&ChosenLimits::default()));
        let before = limits_set(&at.backend).len();
        renew(&service).await;
        assert_eq!(
            limits_set(&at.backend).len(),
            before,
            "it keeps what it has"
        );
    }

    #[tokio::test]
    async fn less_memory_than_a_service_uses_now_is_refused_and_changes_nothing() {
        let at = crate::service::testing::host();
        let service = at.installed("a").await;
        at.runs_already(&service).await;
        let usage = coppice_containers::Usage {
            working_set_bytes: Some(300 << 20),
            ..Default::default()
        };
        at.backend.set_usage(&service.instance, None, usage);
        let chosen = ChosenLimits {
            memory_bytes: Some(256 << 20),
            ..ChosenLimits::default()
        };
        let refused = set(&service, chosen).await.unwrap_err();
        assert!(refused.details.contains("stop it first"), "{refused}");
        assert_eq!(service.entry().unwrap().limits, ChosenLimits::default());
        assert!(limits_set(&at.backend).is_empty());
    }
}
