//! Whether a daemon that Coppice keeps running is ready: while something listens on its port.
//!
//! As the SDK looks, but for the first look, which costs less here: again 2 ms after the start, then less and less often
//! up to once a second, and while it is well as often as the package says. Not well before it ever was counts as
//! starting, for a time.
//!
//! What listens is read from the kernel's table for the network namespace of the container, so that nothing is sent
//! to the daemon and nothing in the container is asked.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    sync::Arc,
    time::Duration,
};

use coppice_clock::Mono;
use serde::{Deserialize, Serialize};

use crate::{
    blocking::blocking,
    model::{HealthReport, HealthResult},
    service::{ServiceContext, health::Report},
};

/// What the SDK waits where nothing is said.
const GRACE_MS: u64 = 10_000;
/// What it waits between two looks where nothing is said.
const EVERY_MS: u64 = 5_000;
const LONGEST_GRACE_MS: u64 = 3_600_000;
/// Less would be seen in the processor's use; more, and the check would count as silent.
const EVERY: std::ops::RangeInclusive<u64> = 100..=60_000;
const NAME_BYTES: usize = 128;
const MESSAGE_BYTES: usize = 1024;

const FIRST: Duration = Duration::from_millis(2);
const SLOWEST: Duration = Duration::from_secs(1);

/// When a daemon counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// The check's name for people; its id is the daemon's.
    pub name: String,
    /// The port that is to be listened on.
    pub port: u16,
    /// Of which kind it is.
    #[serde(default)]
    pub protocol: Protocol,
    /// Milliseconds for which it counts as starting.
    #[serde(default = "usual_grace")]
    pub grace_ms: u64,
    /// Milliseconds between two looks while it is well.
    #[serde(default = "usual_every")]
    pub every_ms: u64,
    /// What is said while it is well.
    #[serde(default)]
    pub well: Option<String>,
    /// What is said while it is not.
    #[serde(default)]
    pub unwell: Option<String>,
}

/// Kinds of ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

const fn usual_grace() -> u64 {
    GRACE_MS
}

const fn usual_every() -> u64 {
    EVERY_MS
}

impl Ready {
    /// Whether it can be looked at as it says.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.port == 0 {
            return Err("`ready.port` is 1 to 65535".to_owned());
        }
        if self.grace_ms > LONGEST_GRACE_MS {
            return Err(format!("`ready.graceMs` is at most {LONGEST_GRACE_MS}"));
        }
        if !EVERY.contains(&self.every_ms) {
            let (least, most) = EVERY.into_inner();
            return Err(format!("`ready.everyMs` is {least} to {most}"));
        }
        let messages = self.well.iter().chain(&self.unwell);
        if self.name.len() > NAME_BYTES || messages.into_iter().any(|one| one.len() > MESSAGE_BYTES)
        {
            return Err(format!(
                "`ready.name` has at most {NAME_BYTES} bytes, and its messages {MESSAGE_BYTES}; shorten them"
            ));
        }
        Ok(())
    }
}

impl Ready {
    /// What is said of a daemon that does not run, and why.
    pub(super) fn failed(&self, why: &str) -> HealthReport {
        HealthReport {
            name: self.name.clone(),
            result: HealthResult::Failure,
            message: Some(why.to_owned()),
        }
    }
}

/// What was seen of one daemon since it was started.
#[derive(Clone, Debug)]
struct Looks {
    since: Mono,
    was_well: bool,
    pause: Duration,
}

impl Looks {
    const fn begin(now: Mono) -> Self {
        Self {
            since: now,
            was_well: false,
            pause: FIRST,
        }
    }

    /// What is to be said after a look, and when the next one is due.
    fn seen(&mut self, ready: &Ready, listens: bool, now: Mono) -> (HealthReport, Duration) {
        let is_early =
            !self.was_well && now.since(self.since) < Duration::from_millis(ready.grace_ms);
        self.was_well |= listens;
        let (result, message) = match (listens, is_early) {
            (true, _) => (HealthResult::Success, ready.well.clone()),
            (false, true) => (HealthResult::Starting, None),
            (false, false) => {
                let port = ready.port;
                let usual = || format!("nothing listens on port {port}");
                (
                    HealthResult::Failure,
                    Some(ready.unwell.clone().unwrap_or_else(usual)),
                )
            }
        };
        let pause = if listens {
            self.pause = FIRST;
            Duration::from_millis(ready.every_ms)
        } else {
            let pause = self.pause;
            self.pause = (pause * 3 / 2).min(SLOWEST);
            pause
        };
        let name = ready.name.clone();
        let report = HealthReport {
            name,
            result,
            message,
        };
        (report, pause)
    }
}

/// Looks, and says what it sees, until it is dropped. At every turn of the service it says so again, since what
/// was said before the turn may be void.
pub(super) async fn look(service: Arc<ServiceContext>, daemon: String, ready: Ready) {
    let mut looks = Looks::begin(Mono::now());
    let mut phase = service.phase.subscribe();
    loop {
        phase.borrow_and_update();
        let pause = match listens(&service, &ready).await {
            Ok(listens) => {
                let (report, pause) = looks.seen(&ready, listens, Mono::now());
                let id = daemon.clone();
                service.reports.report(Report { id, report });
                pause
            }
            Err(error) => {
                tracing::debug!(service = service.id, daemon, error, "it was not looked at");
                SLOWEST
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

async fn listens(service: &ServiceContext, ready: &Ready) -> Result<bool, String> {
    let inspected = service.host.backend.inspect(&service.instance).await;
    let life = inspected.map_err(|error| error.to_string())?.running();
    let pid = life.ok_or("the container does not run")?.init_pid;
    let (port, protocol) = (ready.port, ready.protocol);
    let looked = blocking(move || {
        let (tables, state) = match protocol {
            Protocol::Tcp => (["tcp", "tcp6"], LISTENS),
            Protocol::Udp => (["udp", "udp6"], IS_BOUND),
        };
        tables.into_iter().any(|table| {
            // One that is not there has no lines: IPv6 can be switched off.
            let table = File::open(format!("/proc/{pid}/net/{table}"));
            table.is_ok_and(|table| is_in(BufReader::new(table), port, state))
        })
    });
    looked.await.map_err(|error| error.to_string())
}

/// The kernel's number for a socket that listens.
const LISTENS: &str = "0A";
/// And for one that is bound, and connected to nobody.
const IS_BOUND: &str = "07";

/// Whether a table has a socket of this port in this state.
fn is_in(table: impl BufRead, port: u16, state: &str) -> bool {
    let port = format!("{port:04X}");
    table.lines().map_while(Result::ok).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().and_then(|local| local.rsplit_once(':'));
        local.is_some_and(|(_, of)| of == port) && words.nth(1) == Some(state)
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const NOW: Mono = Mono::from_millis(1_000);

    fn ready() -> Ready {
        serde_json::from_value(serde_json::json!({ "name": "Page", "port": 8080, "well": "Up" }))
            .unwrap()
    }

    #[test]
    fn what_is_not_well_yet_is_starting_and_what_was_well_has_failed() {
        let mut looks = Looks::begin(NOW);
        let mut seen = |listens, at| looks.seen(&ready(), listens, at).0;
        assert_eq!(seen(false, NOW).result, HealthResult::Starting);
        assert_eq!(
            seen(false, NOW + Duration::from_millis(9_999)).message,
            None
        );
        let late = seen(false, NOW + Duration::from_secs(10));
        assert_eq!(late.result, HealthResult::Failure);
        assert_eq!(
            late.message.as_deref(),
            Some("nothing listens on port 8080")
        );
        let well = seen(true, NOW + Duration::from_secs(11));
        assert_eq!(
            (well.result, well.message.as_deref()),
            (HealthResult::Success, Some("Up"))
        );
        let mut looks = Looks::begin(NOW);
        assert_eq!(
            looks.seen(&ready(), true, NOW).0.result,
            HealthResult::Success
        );
        assert_eq!(
            looks.seen(&ready(), false, NOW).0.result,
            HealthResult::Failure
        );
    }

    #[test]
    fn it_is_looked_at_often_until_it_is_well_and_then_as_it_says() {
        let mut looks = Looks::begin(NOW);
        let pauses: Vec<u128> = (0..18)
            .map(|_| looks.seen(&ready(), false, NOW).1.as_micros())
            .collect();
        assert_eq!(pauses[..3], [2_000, 3_000, 4_500]);
        assert_eq!(pauses[17], 1_000_000);
        assert_eq!(looks.seen(&ready(), true, NOW).1, Duration::from_secs(5));
        assert_eq!(looks.seen(&ready(), false, NOW).1, FIRST);
    }

    #[test]
    fn a_port_is_found_in_the_kernels_table_by_number_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                     \x20  0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n\
                     \x20  1: 0100007F:1F91 0100007F:C3A2 01 00000000:00000000\n";
        assert!(is_in(table.as_bytes(), 8080, LISTENS));
        assert!(!is_in(table.as_bytes(), 8081, LISTENS), "it is connected");
        assert!(!is_in(table.as_bytes(), 80, LISTENS));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let living = || BufReader::new(File::open("/proc/self/net/tcp").unwrap());
        assert!(is_in(living(), port, LISTENS));
        drop(listener);
        assert!(!is_in(living(), port, LISTENS));
    }

    #[test]
    fn whoever_is_refused_is_told_why() {
        assert_eq!(ready().check(), Ok(()));
        for (wrong, words) in [
            (Ready { port: 0, ..ready() }, "`ready.port` is 1 to 65535"),
            (
                Ready {
                    every_ms: 99,
                    ..ready()
                },
                "`ready.everyMs` is 100 to 60000",
            ),
            (
                Ready {
                    every_ms: 60_001,
                    ..ready()
                },
                "`ready.everyMs`",
            ),
            (
                Ready {
                    grace_ms: 3_600_001,
                    ..ready()
                },
                "`ready.graceMs` is at most",
            ),
            (
                Ready {
                    name: "n".repeat(129),
                    ..ready()
                },
                "shorten them",
            ),
            (
                Ready {
                    unwell: Some("n".repeat(1025)),
                    ..ready()
                },
                "shorten them",
            ),
        ] {
            assert!(wrong.check().unwrap_err().contains(words), "{wrong:?}");
        }
    }
}
