//! A server of services: a service that keeps failing is parked, the others never notice.
//!
//! ```text
//! core                 rest_for_one
//! └─ services          dynamic, parking
//!    ├─ hello          rest_for_one: container, then work
//!    │  ├─ container
//!    │  └─ work        one_for_one
//!    │     └─ web
//!    └─ blog           the same
//! ```
//!
//! `cargo run -p coppice-supervision --example forest`

use std::time::Duration;

use coppice_supervision::{
    Backoff, ChildSpec, ChildState, Decision, ExitReason, Intensity, NodeState, Parking,
    SupervisionEvent, Supervisor, SupervisorSpec, Tree, What, inspect,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

/// Stands for a process. It runs until it is told that the process has died.
struct Process;

/// What a real process actor would hear from the kernel.
enum ProcessMsg {
    Died { code: i32 },
}

#[derive(Debug, thiserror::Error)]
#[error("exit code {code}")]
struct ExitCode {
    code: i32,
}

impl Actor for Process {
    type Msg = ProcessMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ProcessMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ProcessMsg>,
        ProcessMsg::Died { code }: ProcessMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Err(ExitReason::abnormal(ExitCode { code }).into())
    }
}

fn process(name: &str) -> ChildSpec {
    ChildSpec::worker(name, |child| async move { child.spawn(Process, ()).await })
}

fn service(name: &str) -> ChildSpec {
    let work = SupervisorSpec::one_for_one("work")
        .intensity(2, Duration::from_secs(60))
        .child(process("web"));
    ChildSpec::supervisor(
        SupervisorSpec::rest_for_one(name)
            .intensity(1, Duration::from_secs(60))
            .child(process("container"))
            .child(ChildSpec::supervisor(work)),
    )
}

/// Tells what matters to a person.
fn report(event: &SupervisionEvent) {
    match &event.what {
        What::Exited {
            child,
            reason,
            decision,
            ..
        } => {
            let then = match decision {
                Decision::Restart { .. } => "restarting it",
                Decision::GiveUp => "too often, giving up",
                Decision::Park { .. } => "parking it",
                Decision::TryAgain => "trying again",
                Decision::StayDown
                | Decision::Remove
                | Decision::AutoShutdown
                | Decision::FailStart => "leaving it",
            };
            println!("{}/{child} {reason}: {then}", event.supervisor);
        }
        What::Unparked { child } => println!("{}/{child} is back", event.supervisor),
        _ => {}
    }
}

fn print(tree: &Tree, depth: usize) {
    let state = match &tree.state {
        NodeState::Known(ChildState::Running { .. }) => "up".to_owned(),
        NodeState::Known(ChildState::Parked { reason, .. }) => {
            format!("parked, {}", reason.root_cause())
        }
        other => format!("{other:?}"),
    };
    println!(
        "{:indent$}{} ({state}, {} restarts)",
        "",
        tree.id,
        tree.restarts,
        indent = depth * 2
    );
    for child in &tree.children {
        print(child, depth + 1);
    }
}

/// The actor at the end of a path of names below `root`.
async fn find(root: &Supervisor, path: &[&str]) -> Option<ractor::ActorCell> {
    let mut cell = root.actor().get_cell();
    for name in path {
        cell = Supervisor::from_cell(&cell)?.child(*name).await.ok()??;
    }
    Some(cell)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let services = SupervisorSpec::parking(
        "services",
        Parking {
            intensity: Intensity::new(0, Duration::from_secs(60)),
            probe: Backoff::doubling(Duration::from_secs(60), Duration::from_secs(3600)),
            proven: Duration::from_secs(60),
        },
    );
    let (events, mut news) = tokio::sync::mpsc::unbounded_channel();
    let core = SupervisorSpec::rest_for_one("core")
        .observer(move |event: SupervisionEvent| {
            report(&event);
            // The receiver lives as long as `main`.
            let _ = events.send(event.what);
        })
        .child(ChildSpec::supervisor(services));
    let (core, ended) = Supervisor::start(core).await?;
    let core = Supervisor::new(core);
    let services = Supervisor::from_cell(&find(&core, &["services"]).await.ok_or("no services")?)
        .ok_or("`services` is a supervisor")?;
    services.add(service("hello")).await?;
    services.add(service("blog")).await?;

    // The web process of `hello` dies, and dies again, until its service is parked.
    while !matches!(
        services.which_children().await?.children[0].state,
        ChildState::Parked { .. }
    ) {
        if let Some(web) = find(&services, &["hello", "work", "web"]).await {
            web.send_message(ProcessMsg::Died { code: 1 })?;
        }
        news.recv().await.ok_or("the observer lives")?;
    }
    print(&inspect(&core.actor().get_cell()).await.ok_or("gone")?, 0);

    // Someone repaired it and does not want to wait for the next probe.
    services.unpark("hello").await?;
    print(&inspect(&core.actor().get_cell()).await.ok_or("gone")?, 0);

    core.shutdown();
    println!("core {}", ended.await?);
    Ok(())
}
