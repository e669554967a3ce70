//! What a service may use until somebody says otherwise; docs/decisions/0017 says why.

use coppice_containers::Limits;

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

/// The limits of a service on this machine.
pub(super) fn of_this_machine() -> Limits {
    // Without /proc/meminfo there is no share to compute, and the other limits hold all the same.
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    of_machine(total_bytes(&meminfo))
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
        assert!(of_this_machine().memory_bytes >= Some(LEAST_MEMORY));
    }
}
