//! Runs a script through the shipped supervisor with real actors, on paused time.
//!
//! One thread, whose tasks run in the order in which they were woken: the record is the same each
//! time. It is written in the words of `oracle.erl`.

use std::{
    collections::{BTreeSet, HashMap},
    panic,
    sync::Once,
    time::Duration,
};

use coppice_supervision::{
    AutoShutdown, ChildSpec, ChildState, Clock, CommandError, ExitClass, ExitReason, Restart,
    Shutdown, SupervisionEvent, Supervisor, SupervisorSpec, What,
};
use futures_util::future::{BoxFuture, FutureExt};
use ractor::{ActorCell, ActorId};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    script::{self, Act, Auto, Child, Kind, Name, Script, Shape, Step, Sup},
    worker::{CRASH, Stage},
};

/// As in `oracle.erl`: everything falls within one period.
const PERIOD: Duration = Duration::from_secs(3600);
/// Of paused time, which passes when everyone waits: whatever takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Far more rounds than the longest row of restarts takes.
const ROUNDS: usize = 20_000;

pub(crate) fn run_all(scripts: &[Script]) -> Vec<String> {
    keep_quiet_about_crashes();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut seen = Vec::with_capacity(scripts.len());
        for script in scripts {
            seen.push(Run::new(script).play().await.join(";"));
        }
        seen
    })
}

/// Panics that a script asks for are part of it; thousands of reports would hide the one that
/// matters.
fn keep_quiet_about_crashes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            if text.is_none_or(|text| text != CRASH) {
                report(info);
            }
        }));
    });
}

struct Run<'a> {
    script: &'a Script,
    stage: Stage,
    /// Who lived when things were last settled.
    known: HashMap<Name, ActorCell>,
}

/// The tree as text, and the actors in it.
struct Look {
    text: String,
    cells: HashMap<Name, ActorCell>,
    workers: BTreeSet<ActorId>,
}

impl<'a> Run<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            stage: Stage::new(script),
            known: HashMap::new(),
        }
    }

    async fn play(mut self) -> Vec<String> {
        let stage = self.stage.clone();
        let spec = spec_of(&self.script.root, &self.stage)
            .clock(Clock::following_tokio())
            .observer(move |event: SupervisionEvent| {
                if let What::Starting { child, .. } = event.what {
                    stage.decided(child.as_str());
                }
            });
        let (root, mut ended) = match timeout(PATIENCE, Supervisor::start(spec)).await {
            Ok(Ok((actor, ended))) => (Supervisor::new(actor), ended),
            Ok(Err(_)) => return vec![self.line(&[], "failed")],
            Err(_) => return vec!["hung".into()],
        };
        let mut seen = Vec::new();
        let mut answers = Vec::new();
        for step in std::iter::once(None).chain(self.script.steps.iter().map(Some)) {
            if let Some(step) = step {
                answers = self.step(step).await;
            }
            match self.settle(&root, &mut ended).await {
                Some(Ok(tree)) => seen.push(self.line(&answers, &tree)),
                Some(Err(fate)) => {
                    seen.push(self.line(&answers, &fate));
                    return seen;
                }
                None => {
                    seen.push(self.line(&answers, "hung"));
                    return seen;
                }
            }
        }
        root.shutdown();
        seen.push(match timeout(PATIENCE, ended).await {
            Ok(reason) => {
                let fate = self.fate(&reason.unwrap()).await;
                self.line(&[], &fate)
            }
            Err(_) => self.line(&[], "hung"),
        });
        seen
    }

    fn line(&self, answers: &[&str], end: &str) -> String {
        let mut words: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        words.extend(self.stage.take_record());
        words.push(format!("={end}"));
        words.join(" ")
    }

    async fn step(&mut self, step: &Step) -> Vec<&'static str> {
        match step {
            Step::One(act) => vec![answer_of(self.begin(act)).await],
            Step::Batch(sup, acts) => {
                if !self.known.contains_key(sup) {
                    return vec!["none"];
                }
                // Exits go first: see `Deviation::ExitsOvertakeCommands`. The answers are told in
                // the order in which OTP is asked.
                let mut begun: Vec<_> = acts
                    .iter()
                    .map(|act| (!act.is_exit(), self.begin(act)))
                    .collect();
                begun.sort_by_key(|(is_command, _)| *is_command);
                let mut answers = Vec::new();
                for (_, answer) in begun {
                    answers.push(answer_of(answer).await);
                }
                answers
            }
            Step::Kill(sup) => match self.known.get(sup) {
                Some(cell) => {
                    cell.kill();
                    let _ = cell.wait(None).await;
                    vec!["ok"]
                }
                None => vec!["none"],
            },
            Step::Stop(sup) => match self.known.get(sup).and_then(Supervisor::from_cell) {
                Some(supervisor) => {
                    supervisor.shutdown();
                    let _ = supervisor.actor().wait(None).await;
                    vec!["ok"]
                }
                None => vec!["none"],
            },
        }
    }

    /// Sets something going without waiting for what comes of it.
    fn begin(&self, act: &Act) -> Answer {
        let supervisor = |name: &Name| self.known.get(name).and_then(Supervisor::from_cell);
        let (sup, child) = match act {
            Act::Exit(child, exit) => {
                let happens = self
                    .known
                    .get(child)
                    .is_some_and(|cell| self.stage.order(cell.get_id(), *exit));
                return Answer::Known(if happens { "ok" } else { "none" });
            }
            Act::Terminate(sup, child)
            | Act::Restart(sup, child)
            | Act::Delete(sup, child)
            | Act::Add(sup, child) => (sup, child.clone()),
        };
        let Some(supervisor) = supervisor(sup) else {
            return Answer::Known("none");
        };
        let asking: BoxFuture<'static, &'static str> = match act {
            Act::Terminate(..) => async move { told(supervisor.terminate(child).await) }.boxed(),
            Act::Restart(..) => async move { told(supervisor.restart(child).await) }.boxed(),
            Act::Delete(..) => async move { told(supervisor.delete(child).await) }.boxed(),
            Act::Add(..) | Act::Exit(..) => {
                let spec = self
                    .script
                    .late(&child)
                    .expect("only late children are added");
                let spec = child_spec(spec, &self.stage);
                async move {
                    match supervisor.add(spec).await {
                        Ok(None) => "ignored",
                        other => told(other.map(|_| ())),
                    }
                }
                .boxed()
            }
        };
        Answer::Asked(tokio::spawn(asking))
    }

    /// Waits until nothing is under way any more: the tree, or how the root ended; `None` if it
    /// never comes to rest.
    async fn settle(
        &mut self,
        root: &Supervisor,
        ended: &mut JoinHandle<ExitReason>,
    ) -> Option<Result<String, String>> {
        for _ in 0..ROUNDS {
            if ended.is_finished() {
                let reason = ended.await.unwrap();
                return Some(Err(self.fate(&reason).await));
            }
            if let Some(look) = look(root.clone(), self.script).await {
                let living: BTreeSet<_> = self.stage.living().into_iter().collect();
                if look.workers == living {
                    self.known = look.cells;
                    return Some(Ok(look.text));
                }
            }
            // Everyone else goes first; then paused time moves on, for those who wait for a deaf
            // worker.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }

    async fn fate(&self, reason: &ExitReason) -> String {
        for _ in 0..ROUNDS {
            if self.stage.living().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let class = match reason.class() {
            ExitClass::Normal => "normal",
            ExitClass::Shutdown => "shutdown",
            ExitClass::Abnormal => "abnormal",
        };
        format!("ended:{class}")
    }
}

enum Answer {
    Known(&'static str),
    Asked(JoinHandle<&'static str>),
}

async fn answer_of(answer: Answer) -> &'static str {
    match answer {
        Answer::Known(answer) => answer,
        Answer::Asked(asked) => match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.unwrap(),
            Err(_) => "unanswered",
        },
    }
}

fn told(result: Result<(), CommandError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(CommandError::NotFound { .. }) => "not_found",
        Err(CommandError::AlreadyPresent { .. }) => "present",
        Err(CommandError::Running { .. }) => "running",
        Err(CommandError::Restarting { .. }) => "restarting",
        Err(CommandError::StartFailed { .. }) => "failed",
        Err(CommandError::Cancelled { .. }) => "cancelled",
        Err(CommandError::Spec(_)) => "refused",
        Err(CommandError::ShuttingDown | CommandError::Gone) => "gone",
    }
}

/// The tree, if every supervisor in it answers and none of them is about to do anything.
fn look(supervisor: Supervisor, script: &Script) -> BoxFuture<'_, Option<Look>> {
    async move {
        let answer = supervisor.which_children().await.ok()?;
        let name = answer.path.names().last()?.to_string();
        let mut look = Look {
            text: String::new(),
            cells: HashMap::from([(name.clone(), supervisor.actor().get_cell())]),
            workers: BTreeSet::new(),
        };
        let mut texts = Vec::new();
        for child in answer.children {
            let id = child.id.to_string();
            match (child.state, child.actor) {
                (ChildState::Down, None) => texts.push((id.clone(), format!("-{id}"))),
                (ChildState::Running { .. }, Some(cell)) => match Supervisor::from_cell(&cell) {
                    Some(inner) => {
                        let inner = self::look(inner, script).await?;
                        look.cells.extend(inner.cells);
                        look.workers.extend(inner.workers);
                        texts.push((id, inner.text));
                    }
                    None => {
                        look.workers.insert(cell.get_id());
                        look.cells.insert(id.clone(), cell);
                        texts.push((id.clone(), id));
                    }
                },
                _ => return None,
            }
        }
        if script.sup(&name)?.shape.is_dynamic() {
            // OTP's knows no order.
            texts.sort();
        }
        let inside: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
        look.text = format!("{name}({})", inside.join(" "));
        Some(look)
    }
    .boxed()
}

fn spec_of(sup: &Sup, stage: &Stage) -> SupervisorSpec {
    let name = sup.name.as_str();
    let spec = match sup.shape {
        Shape::OneForOne => SupervisorSpec::one_for_one(name),
        Shape::OneForAll => SupervisorSpec::one_for_all(name),
        Shape::RestForOne => SupervisorSpec::rest_for_one(name),
        Shape::Dynamic(..) => SupervisorSpec::dynamic(name),
    };
    let spec = spec
        .intensity(sup.intensity, PERIOD)
        .auto_shutdown(match sup.auto {
            Auto::Never => AutoShutdown::Never,
            Auto::Any => AutoShutdown::AnySignificant,
            Auto::All => AutoShutdown::AllSignificant,
        });
    sup.children
        .iter()
        .fold(spec, |spec, child| spec.child(child_spec(child, stage)))
}

fn child_spec(child: &Child, stage: &Stage) -> ChildSpec {
    let significant = child.rules.significant;
    let spec = match &child.kind {
        Kind::Sup(sup) => ChildSpec::supervisor(spec_of(sup, stage)),
        Kind::Worker { .. } => {
            let (stage, name) = (stage.clone(), child.name.clone());
            ChildSpec::worker(child.name.as_str(), move |context| {
                let (stage, name) = (stage.clone(), name.clone());
                async move { stage.start(&context, &name).await }
            })
        }
    };
    spec.restart(match child.rules.restart {
        script::Restart::Permanent => Restart::Permanent,
        script::Restart::Transient => Restart::Transient { significant },
        script::Restart::Temporary => Restart::Temporary { significant },
    })
    .shutdown(match child.rules.shutdown {
        script::Shutdown::Brutal => Shutdown::BrutalKill,
        script::Shutdown::Millis(millis) => Shutdown::Timeout(Duration::from_millis(millis.into())),
        script::Shutdown::Infinity => Shutdown::Infinity,
    })
}
