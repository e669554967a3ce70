//! What the kernel's files say, read from their text.

/// Processor time since the machine booted, of all processors together, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTimes {
    user: u64,
    kernel: u64,
    wait: u64,
    idle: u64,
}

/// How the time of the processors was spent, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CpuShare {
    pub(super) user: f64,
    pub(super) kernel: f64,
    pub(super) wait: f64,
    pub(super) idle: f64,
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user.
pub(super) fn cpu(text: &str) -> Option<CpuTimes> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let &[user, nice, system, idle, ref rest @ ..] = &fields[..] else {
        return None;
    };
    let rest = |index: usize| rest.get(index).copied().unwrap_or(0);
    Some(CpuTimes {
        user: user.saturating_add(nice),
        kernel: [system, rest(1), rest(2)]
            .iter()
            .fold(0, |sum, part| sum.saturating_add(*part)),
        wait: rest(0),
        // What a hypervisor took was not spent here.
        idle: idle.saturating_add(rest(3)),
    })
}

impl CpuTimes {
    /// How the time between the two was spent; all idle when there was none.
    pub(super) fn since(self, before: Self) -> CpuShare {
        // The kernel lets the counter of waiting go back at times.
        let parts = [
            (self.user, before.user),
            (self.kernel, before.kernel),
            (self.wait, before.wait),
            (self.idle, before.idle),
        ]
        .map(|(now, then)| now.saturating_sub(then) as f64);
        let total: f64 = parts.iter().sum();
        if total == 0.0 {
            return CpuShare {
                user: 0.0,
                kernel: 0.0,
                wait: 0.0,
                idle: 100.0,
            };
        }
        let [user, kernel, wait, idle] = parts.map(|part| part * 100.0 / total);
        CpuShare {
            user,
            kernel,
            wait,
            idle,
        }
    }
}

/// Memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) available: u64,
}

impl Memory {
    /// What would not be had without ending something.
    pub(super) const fn used(self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}

/// `/proc/meminfo`.
pub(super) fn memory(text: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.strip_prefix(':')?.trim().strip_suffix(" kB")?;
        number.parse::<u64>().ok()?.checked_mul(1024)
    };
    let total = bytes("MemTotal")?;
    Some(Memory {
        total,
        available: bytes("MemAvailable")?.min(total),
    })
}

/// Swap that is compressed memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Zram {
    pub(super) total: u64,
    pub(super) used: u64,
}

/// `/proc/swaps`: file, type, size and what is used of it in KiB, priority.
pub(super) fn zram(text: &str) -> Zram {
    let lines = text.lines().filter(|line| line.starts_with("/dev/zram"));
    lines.fold(Zram::default(), |sum, line| {
        let mut fields = line.split_whitespace().skip(2);
        let mut bytes = || {
            let field = fields.next().and_then(|field| field.parse::<u64>().ok());
            field.unwrap_or(0).saturating_mul(1024)
        };
        Zram {
            total: sum.total.saturating_add(bytes()),
            used: sum.used.saturating_add(bytes()),
        }
    })
}

/// `/proc/loadavg`: the averages over one, five and fifteen minutes, as the kernel writes them.
pub(super) fn load(text: &str) -> Option<[String; 3]> {
    let mut fields = text.split_whitespace().map(|field| {
        // Whatever it is that stands there, no client is handed anything but a number.
        let number = field
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.map(|_| field.to_owned())
    });
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// One temperature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sensor {
    is_processor: bool,
    degrees: f64,
}

/// Names of the sensors that are in processors: Intel's and AMD's, and those of most small boards.
const PROCESSORS: [&str; 6] = [
    "coretemp",
    "k10temp",
    "zenpower",
    "x86_pkg_temp",
    "cpu",
    "soc",
];
/// Sensors that are not connected say the strangest things.
const PLAUSIBLE: std::ops::Range<f64> = 1.0..150.0;

impl Sensor {
    /// What a sensor says, in thousandths of a degree Celsius.
    pub(super) fn read(name: &str, value: &str) -> Option<Self> {
        let degrees = value.trim().parse::<f64>().ok()? / 1000.0;
        let name = name.trim().to_ascii_lowercase();
        PLAUSIBLE.contains(&degrees).then(|| Self {
            is_processor: PROCESSORS.iter().any(|known| name.starts_with(known)),
            degrees,
        })
    }
}

/// The hottest sensor of a processor; where none is known, the hottest of all.
pub(super) fn temperature(sensors: &[Sensor]) -> Option<f64> {
    let hottest = |processors: bool| {
        let those = sensors
            .iter()
            .filter(|sensor| sensor.is_processor == processors);
        those.map(|sensor| sensor.degrees).reduce(f64::max)
    };
    hottest(true).or_else(|| hottest(false))
}

/// A part of a whole; nothing of nothing is nothing.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_of_the_processor_is_told_apart_by_who_had_it() {
        let before = cpu("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n").unwrap();
        let now = cpu("cpu  130 10 60 830 55 5 5 5 9 9\ncpu0 1 2 3 4\n").unwrap();
        let share = now.since(before);
        assert_eq!(
            share,
            CpuShare {
                user: 40.0,
                kernel: 20.0,
                wait: 5.0,
                idle: 35.0
            }
        );
        assert_eq!(now.since(now).idle, 100.0);
        // An old kernel counts less.
        assert!(cpu("cpu  1 2 3 4\n").is_some());
        for bad in ["", "cpu0 1 2 3 4", "cpu  1 2 3", "cpu  a b c d"] {
            assert_eq!(cpu(bad), None, "{bad}");
        }
    }

    #[test]
    fn memory_that_the_kernel_would_give_back_is_not_used() {
        let text = "MemTotal:       2048 kB\nMemFree:         10 kB\nMemAvailable:    512 kB\n";
        let memory = memory(text).unwrap();
        assert_eq!(memory.total, 2 << 20);
        assert_eq!(memory.used(), 1536 << 10);
        assert_eq!(super::memory("MemTotal: 2048 kB\n"), None);
    }

    #[test]
    fn only_swap_in_memory_is_zram() {
        let text = "Filename Type Size Used Priority\n/dev/zram0 partition 1024 512 100\n\
                    /dev/sda2 partition 4096 2048 -2\n/dev/zram1 partition 1024 0 100\n";
        let both = Zram {
            total: 2 << 20,
            used: 512 << 10,
        };
        assert_eq!(zram(text), both);
        assert_eq!(zram(""), Zram::default());
    }

    #[test]
    fn the_load_is_given_as_the_kernel_writes_it() {
        let read = load("0.07 1.34 13.48 1/574 14885\n").unwrap();
        assert_eq!(read, ["0.07", "1.34", "13.48"]);
        for bad in ["", "0.1 0.2", "a b c", "0.1 nan 0.2"] {
            assert_eq!(load(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_processors_own_sensor_goes_before_a_hotter_one() {
        let all = |sensors: &[(&str, &str)]| {
            let read = sensors
                .iter()
                .filter_map(|(name, value)| Sensor::read(name, value));
            temperature(&read.collect::<Vec<_>>())
        };
        let disk = ("nvme\n", "61000\n");
        assert_eq!(
            all(&[disk, ("coretemp\n", "48000\n"), ("coretemp", "52500")]),
            Some(52.5)
        );
        assert_eq!(all(&[disk, ("acpitz", "30000")]), Some(61.0));
        assert_eq!(
            all(&[("cpu-thermal", "-128000"), ("acpitz", "999000")]),
            None
        );
        assert_eq!(all(&[]), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(?s).{0,200}", numbers in "[a-zA-Z:/ 0-9.\n]{0,200}") {
            for text in [&text, &numbers] {
                let lines = format!("cpu  {text}\nMemTotal: {text} kB\n/dev/zram0 {text}\n");
                let times = cpu(&lines).unwrap_or_default();
                let share = times.since(CpuTimes::default());
                let sum = share.user + share.kernel + share.wait + share.idle;
                prop_assert!((99.9..100.1).contains(&sum), "{sum}");
                let _ = (memory(&lines), zram(&lines), load(text), Sensor::read(text, text));
            }
        }
    }
}
