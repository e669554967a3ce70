//! The actor of one process that Coppice keeps running: the shell around [`step`].
//!
//! A process that dies ends its actor; the supervisor `hosted` starts the next one, which starts the
//! process again or, if it lives after all, adopts it. Ending this actor touches no process.

use std::{path::PathBuf, sync::Arc};

use coppice_clock::Mono;
use coppice_containers::{FileKind, Segment, VolumeMount};
use coppice_supervision::ExitReason;
use coppice_wire::{
    agent::{SIGNAL, Signal, Spawn},
    codes, paths,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;

use super::{
    super::super::{
        Event, ServiceContext,
        agent::{self, AskError, PATIENCE},
        health::Report,
    },
    declared::{Declared, ImageRoot},
    manager::HostingMsg,
    ready,
    step::{Effect, Failure, Input, NotSpawned, State},
};
use crate::{
    link::{CallError, Peer},
    model::Cause,
};

/// Messages of a daemon's actor.
#[derive(Debug)]
pub enum HostedMsg {
    /// Something for the machine.
    Input(Input),
}

/// Keeps one process running; see the module.
#[derive(Debug)]
pub struct HostedActor;

/// What a daemon's actor keeps.
#[derive(Debug)]
pub struct HostedShell {
    service: Arc<ServiceContext>,
    daemon: Arc<Declared>,
    state: Option<State>,
    /// Says when the agent is there; ends with this, because a daemon may have thousands of actors in
    /// the life of one agent.
    watching: tokio::task::JoinHandle<()>,
    /// Looks whether it is ready, while it runs.
    looking: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for HostedShell {
    fn drop(&mut self) {
        self.watching.abort();
        self.look_away();
    }
}

impl Actor for HostedActor {
    type Msg = HostedMsg;
    type State = HostedShell;
    type Arguments = (Arc<ServiceContext>, Arc<Declared>);

    async fn pre_start(
        &self,
        myself: ActorRef<HostedMsg>,
        (service, daemon): Self::Arguments,
    ) -> Result<HostedShell, ActorProcessingErr> {
        let ends = service.hosted.enter(&daemon.process(), myself.clone());
        let (state, effects) = State::begin(ends.then(|| daemon.grace()), Mono::now());
        let mut shell = HostedShell {
            watching: watch_agent(&service, &myself),
            looking: None,
            service,
            daemon,
            state: Some(state),
        };
        for effect in effects {
            shell.perform(effect, &myself);
        }
        Ok(shell)
    }

    async fn handle(
        &self,
        myself: ActorRef<HostedMsg>,
        HostedMsg::Input(input): HostedMsg,
        shell: &mut HostedShell,
    ) -> Result<(), ActorProcessingErr> {
        shell.step(input, &myself);
        match &shell.state {
            Some(State::Failed(failure)) => Err(shell.die(failure.clone())),
            _ => Ok(()),
        }
    }
}

impl HostedShell {
    fn step(&mut self, input: Input, myself: &ActorRef<HostedMsg>) {
        let Some(state) = self.state.take() else {
            return;
        };
        let (state, effects) = state.step(input, Mono::now());
        self.state = Some(state);
        for effect in effects {
            self.perform(effect, myself);
        }
    }

    fn perform(&mut self, effect: Effect, myself: &ActorRef<HostedMsg>) {
        let (service, daemon) = (Arc::clone(&self.service), Arc::clone(&self.daemon));
        match effect {
            Effect::WakeAt(at) => {
                myself.send_after(at.since(Mono::now()), || HostedMsg::Input(Input::Wake));
            }
            Effect::Spawn => answer(myself, async move {
                Some(Input::Spawned(spawn(&service, &daemon).await))
            }),
            Effect::Signal(signal) => {
                // That nothing listens any more is as it should be.
                self.look_away();
                answer(
                    myself,
                    async move { end_with(&service, &daemon, signal).await },
                );
            }
            Effect::TellUp => {
                let process = daemon.process();
                service.hosted.is_up(&process);
                if let Some(ready) = daemon.spec.ready.clone() {
                    let look = ready::look(Arc::clone(&service), daemon.spec.id.clone(), ready);
                    self.looking = Some(tokio::spawn(look));
                }
                service.hosting_slot.cast(HostingMsg::Up(process));
            }
            Effect::TellGone => {
                service
                    .hosting_slot
                    .cast(HostingMsg::Gone(daemon.process()));
            }
        }
    }

    fn look_away(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
    }

    fn die(&mut self, failure: Failure) -> ActorProcessingErr {
        self.state = None;
        let text = failure.to_string();
        if let Some(ready) = &self.daemon.spec.ready {
            let report = ready.failed(&text);
            let id = self.daemon.spec.id.clone();
            self.service.reports.report(Report { id, report });
        }
        let cause = match failure {
            // Its report brings the record, and is acknowledged with it.
            Failure::Ended { .. } => None,
            Failure::Start(message) => Some(Cause::StartFailed { message }),
            Failure::Deadline(waited_for) => Some(Cause::Deadline {
                waited_for: waited_for.to_owned(),
            }),
        };
        if let Some(cause) = cause {
            let what = format!("daemon {}", self.daemon.spec.id);
            self.service
                .record_later(Event::new(what, cause, "it is tried again"));
        }
        ExitReason::Abnormal(coppice_supervision::Failure::text(text)).into()
    }
}

/// Says that the agent is there, now and after every time it was away.
fn watch_agent(
    service: &ServiceContext,
    actor: &ActorRef<HostedMsg>,
) -> tokio::task::JoinHandle<()> {
    let mut agents = service.agent.subscribe();
    let actor = actor.clone();
    tokio::spawn(async move {
        loop {
            let connected = agents.borrow_and_update().is_some();
            if connected && actor.send_message(HostedMsg::Input(Input::Agent)).is_err() {
                break;
            }
            if agents.changed().await.is_err() {
                break;
            }
        }
    })
}

/// Runs `work` beside the actor and sends the input it gives.
fn answer(actor: &ActorRef<HostedMsg>, work: impl Future<Output = Option<Input>> + Send + 'static) {
    let actor = actor.clone();
    tokio::spawn(async move {
        if let Some(input) = work.await {
            // An actor that is gone has a successor that asks the agent.
            let _ = actor.send_message(HostedMsg::Input(input));
        }
    });
}

/// Starts the process, or finds it alive.
async fn spawn(service: &Arc<ServiceContext>, daemon: &Declared) -> Result<i32, NotSpawned> {
    let agent = service.agent.borrow().clone().ok_or(NotSpawned::Lost)?;
    let process = daemon.process();
    if let Some(image) = &daemon.spec.image
        && !service.hosted.has_root(&process)
    {
        // Mounting anew under a living process would take its files away.
        if let Some(pid) = living(&agent, &process).await? {
            service.hosted.note_root(&process);
            return Ok(pid);
        }
        make_root(service, daemon, image)
            .await
            .map_err(NotSpawned::Refused)?;
        service.hosted.note_root(&process);
    }
    let request = request(daemon, service.host.lang());
    Ok(agent::spawn(&agent, &request).await?.pid)
}

async fn living(agent: &Peer, process: &str) -> Result<Option<i32>, NotSpawned> {
    let list = agent::list(agent, PATIENCE).await?;
    let mut all = list.processes.iter();
    Ok(all.find(|one| one.id == process).map(|one| one.pid))
}

impl From<AskError> for NotSpawned {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Call(CallError::Closed) => Self::Lost,
            error => Self::Refused(error.to_string()),
        }
    }
}

/// Makes the daemon's root, over its image and with its mounts. May be repeated.
async fn make_root(
    service: &Arc<ServiceContext>,
    daemon: &Declared,
    image: &ImageRoot,
) -> Result<(), String> {
    let segment = |text: &str| Segment::new(text).map_err(|error| error.to_string());
    let backend = &service.host.backend;
    let (guid, id) = (segment(&daemon.spec.id)?, segment(&image.id)?);
    backend
        .create_subcontainer_fs(&service.instance, &id, &guid)
        .await
        .map_err(|error| error.to_string())?;
    let root = root_of(daemon);
    for mount in &image.mounts {
        let mount = VolumeMount {
            source: service.volumes().join(segment(&mount.volume)?.as_str()),
            subpath: PathBuf::from(mount.subpath.as_deref().unwrap_or_default()),
            target: PathBuf::from(format!("{root}{}", mount.mountpoint)),
            readonly: mount.readonly,
            idmap: Vec::new(),
            kind: FileKind::Infer,
        };
        backend
            .mount_into(&service.instance, &mount)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn root_of(daemon: &Declared) -> String {
    format!("{}/{}", paths::SUBCONTAINERS, daemon.spec.id)
}

/// What the agent is asked to run.
fn request(daemon: &Declared, lang: String) -> Spawn {
    let spec = &daemon.spec;
    let mut env = agent::environment(lang);
    let (mut argv, mut cwd) = (Vec::new(), spec.cwd.clone());
    if let Some(image) = &spec.image {
        argv.extend([paths::START_CONTAINER, "subcontainer", "launch"].map(str::to_owned));
        argv.push(format!("--env-file={}/{}.env", paths::IMAGES, image.id));
        // As arguments, because over the environment the image's variables win.
        let own = spec.env.iter();
        argv.extend(own.map(|(name, value)| format!("--env={name}={value}")));
        argv.extend(cwd.take().map(|dir| format!("--workdir={dir}")));
        argv.extend(image.user.iter().map(|user| format!("--user={user}")));
        argv.push(root_of(daemon));
    } else {
        env.extend(spec.env.clone());
    }
    argv.extend(spec.command.iter().cloned());
    Spawn {
        id: daemon.process(),
        generation: None,
        leaf: daemon.leaf(),
        argv,
        env,
        cwd,
        grace_ms: Some(spec.grace_ms),
    }
}

/// Sends a signal; tells only when there is nobody to send it to.
async fn end_with(service: &Arc<ServiceContext>, daemon: &Declared, signal: i32) -> Option<Input> {
    let agent = service.agent.borrow().clone()?;
    let params = json!(Signal {
        id: daemon.process(),
        signal
    });
    match agent.call(SIGNAL, params, PATIENCE).await {
        Err(CallError::Refused(error)) if error.code == codes::NOT_FOUND => Some(Input::NotThere),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(service = service.id, %error, signal, "a daemon was not signalled");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::declared::DaemonSpec, *};

    fn daemon(spec: Value) -> Declared {
        let spec: DaemonSpec = serde_json::from_value(spec).unwrap();
        Declared { revision: 3, spec }
    }

    #[test]
    fn without_an_image_the_program_itself_is_asked_for() {
        let asked = request(
            &daemon(
                json!({ "id": "web", "command": ["/usr/bin/web", "-v"], "cwd": "/tmp", "env": { "A": "b" } }),
            ),
            "en_US.UTF-8".to_owned(),
        );
        assert_eq!(
            (asked.id.as_str(), asked.leaf.as_str()),
            ("web.3", "d-web-host")
        );
        assert_eq!(
            (asked.generation, asked.cwd.as_deref()),
            (None, Some("/tmp"))
        );
        assert_eq!(asked.argv, ["/usr/bin/web", "-v"]);
        assert_eq!(asked.env["A"], "b");
        assert!(asked.env.contains_key("PATH") && asked.env.contains_key("LANG"));
    }

    #[test]
    fn in_an_image_it_is_launched_in_a_root_of_its_own() {
        let asked = request(
            &daemon(json!({
                "id": "db", "command": ["postgres"], "cwd": "/srv", "env": { "A": "b c" },
                "image": { "id": "main", "user": "postgres" },
            })),
            String::new(),
        );
        assert_eq!(
            asked.argv,
            [
                "/usr/bin/start-container",
                "subcontainer",
                "launch",
                "--env-file=/media/startos/images/main.env",
                "--env=A=b c",
                "--workdir=/srv",
                "--user=postgres",
                "/media/startos/subcontainers/db",
                "postgres",
            ]
        );
        assert_eq!(asked.cwd, None, "the directory is the image's");
    }
}
