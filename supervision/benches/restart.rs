//! From the death of a child to its successor being up: our supervisor and OTP's own, in turn.
//!
//! `cargo bench --profile dev -p coppice-supervision --bench restart -- [--turns N]`
//!
//! Ours is told to end a child, and the clock stops when the supervisor says that the next one is
//! started. OTP's (`restart.erl`) stops its clock a little earlier, at the first word of the next child.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/oracle/erlang_base.rs"]
mod erlang_base;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, ExitCode, Stdio},
    time::Duration,
};

use coppice_supervision::{
    ChildSpec, ExitReason, Failure, SupervisionEvent, Supervisor, SupervisorSpec, What,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{runtime::Runtime, sync::mpsc, time::Instant};

/// Restarts in one turn.
const RESTARTS: usize = 1_000;
/// Restarts before anything counts: caches, and Erlang's own warming up.
const WARM_UP: usize = 500;

struct Mortal;

/// Die.
struct Die;

impl Actor for Mortal {
    type Msg = Die;
    type State = ();
    type Arguments = mpsc::UnboundedSender<ActorRef<Die>>;

    async fn pre_start(
        &self,
        myself: ActorRef<Die>,
        cradle: Self::Arguments,
    ) -> Result<(), ActorProcessingErr> {
        cradle.send(myself)?;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Die>,
        Die: Die,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Err(ExitReason::Abnormal(Failure::text("told to")).into())
    }
}

/// One supervisor of ours over one child.
struct Ours {
    runtime: Runtime,
    root: Supervisor,
    /// There between two turns, as is the next.
    born: Option<mpsc::UnboundedReceiver<ActorRef<Die>>>,
    ups: Option<mpsc::UnboundedReceiver<()>>,
}

impl Ours {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (cradle, born) = mpsc::unbounded_channel();
        let (events, mut ups) = mpsc::unbounded_channel();
        let spec = SupervisorSpec::one_for_one("root")
            .intensity(u32::MAX, Duration::from_secs(1))
            .observer(move |event: SupervisionEvent| {
                if matches!(event.what, What::Started { .. }) {
                    // The receiver lives as long as `main`.
                    let _ = events.send(());
                }
            })
            .child(ChildSpec::worker("mortal", move |child| {
                let cradle = cradle.clone();
                async move { child.spawn(Mortal, cradle).await }
            }));
        let root = runtime.block_on(async {
            let (root, _ended) = Supervisor::start(spec).await.unwrap();
            ups.recv().await.unwrap();
            Supervisor::new(root)
        });
        Self {
            runtime,
            root,
            born: Some(born),
            ups: Some(ups),
        }
    }

    fn restarts(&mut self, count: usize) -> Vec<u64> {
        let (mut born, mut ups) = (self.born.take().unwrap(), self.ups.take().unwrap());
        // A task among others, as what measures OTP's is a process among others: outside of the runtime the
        // kernel would have to wake a thread at either end.
        let measuring = self.runtime.spawn(async move {
            let mut took = Vec::with_capacity(count);
            for _ in 0..count {
                let child = born.recv().await.unwrap();
                let start = Instant::now();
                child.cast(Die).unwrap();
                ups.recv().await.unwrap();
                took.push(u64::try_from(start.elapsed().as_nanos()).unwrap());
            }
            (took, born, ups)
        });
        let (took, born, ups) = self.runtime.block_on(measuring).unwrap();
        (self.born, self.ups) = (Some(born), Some(ups));
        took
    }
}

/// OTP's supervisor over one child, in a node of its own.
struct Otp {
    node: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Otp {
    fn start() -> Self {
        let source = "benches/restart.erl";
        let code = erlang_base::compile(Path::new(source));
        let mut node = erlang_base::program("erl", |erl| {
            erl.args(["-noshell", "-pa"])
                .arg(&code)
                .args(["-s", "restart", "main", "-s", "init", "stop"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        });
        Self {
            to: node.stdin.take(),
            from: BufReader::new(node.stdout.take().unwrap()),
            node,
        }
    }

    fn restarts(&mut self, count: usize) -> Vec<u64> {
        writeln!(self.to.as_mut().unwrap(), "{count}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.split_whitespace()
            .map(|time| time.parse().unwrap())
            .collect()
    }
}

impl Drop for Otp {
    fn drop(&mut self) {
        // It ends when there is nothing more to read.
        self.to = None;
        // The figures are there; how the node ends is no concern of theirs.
        let _ = self.node.wait();
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args()
        .skip_while(|word| word != "--turns")
        .skip(1);
    let turns: usize = words.next().map_or(20, |turns| turns.parse().unwrap());
    let (mut ours, mut otp) = (Ours::start(), Otp::start());
    ours.restarts(WARM_UP);
    otp.restarts(WARM_UP);
    let (mut of_ours, mut of_otp) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        of_ours.extend(ours.restarts(RESTARTS));
        of_otp.extend(otp.restarts(RESTARTS));
    }
    ours.root.shutdown();
    println!("restart of one child, {turns} turns of {RESTARTS}");
    let mut met = true;
    for (name, of_hundred) in [("p50", 50), ("p99", 99)] {
        let [ours, otp] = [&mut of_ours, &mut of_otp].map(|times| {
            times.sort_unstable();
            times[times.len() * of_hundred / 100]
        });
        met &= ours < otp;
        println!(
            "  {name}: ours {:.1} µs, OTP's {:.1} µs, promised to be below it: {}",
            micros(ours),
            micros(otp),
            if ours < otp { "met" } else { "MISSED" }
        );
    }
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}
