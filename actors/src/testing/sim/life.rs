//! One life of the core: planted on what is on the disk, living among what runs already, until it is cut.

use std::{path::Path, sync::Arc};

use coppice_containers::{HostLayout, Segment};
use coppice_supervision::{ChildSpec, Supervisor, SupervisorSpec};
use futures_util::{FutureExt, future::BoxFuture};
use patchdb::Options;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::task::JoinHandle;

use super::{ground::Ground, machine::below};
use crate::{
    boot,
    coppice::Coppice,
    forest,
    host::Host,
    jobs::Jobs,
    observer,
    testing::{Fuse, open_host, settle},
};

/// A core that lives.
pub(super) struct Core {
    pub(super) coppice: Coppice,
    pub(super) jobs: Jobs,
    pub(super) host: Arc<Host>,
    pub(super) root: Supervisor,
    /// What the last life left half done, and the trees of what is installed.
    pub(super) brought_up: JoinHandle<()>,
}

/// Stands for who serves the API.
struct Gateway;

impl Actor for Gateway {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Where a simulated server keeps what it has.
pub(super) fn layout(folder: &Path) -> HostLayout {
    HostLayout {
        run: folder.join("run"),
        ..HostLayout::new(Segment::new("abcdef").unwrap(), folder.join("data"))
    }
}

impl Core {
    /// As `boot` does it, without a network.
    pub(super) async fn plant(folder: &Path, ground: &Arc<Ground>, fuse: Arc<Fuse>) -> Self {
        let options = Options {
            // A simulation never fills the disk, and copies nothing.
            map_size: 256 << 20,
            history: 16,
            in_place: true,
            ..Options::default()
        };
        let host = open_host(layout(folder), Arc::clone(ground) as _, fuse, options);
        settle(&host).await;
        boot::tidy(&host).await;
        let (observe, events) = observer::channel(&host);
        tokio::spawn(observer::follow(Arc::clone(&host), events));
        let gateway = ChildSpec::worker("gateway", |context| async move {
            context.spawn(Gateway, ()).await
        });
        let branch = SupervisorSpec::one_for_one;
        let spec = forest::trunk(branch("state"), branch("network"), gateway).observer(observe);
        let (root, _ended) = Supervisor::start(spec).await.unwrap();
        let root = Supervisor::new(root);
        let jobs = Jobs::below(&root, Arc::clone(&host)).await.unwrap();
        ground.wake();
        let own = jobs.clone();
        Self {
            coppice: Coppice::new(jobs.clone(), root.clone()),
            brought_up: tokio::spawn(async move { boot::bring_up(&own).await }),
            jobs,
            host,
            root,
        }
    }

    /// Services and the server know one another; whoever ends a life parts them.
    pub(super) fn part(&self) {
        for service in self.host.services() {
            self.host.remove_service(&service.id);
        }
    }

    /// Kills an actor of a service, or a whole branch, by chance; gives its place.
    pub(super) async fn kill_something(&self) -> Option<String> {
        let mut path = forest::SERVICES.to_owned();
        let mut cell = self.root.child(forest::SERVICES).await.ok()??;
        // Now and then the branch itself, above all not the one that holds them all.
        while let Some(supervisor) = Supervisor::from_cell(&cell) {
            let children = supervisor.which_children().await.ok()?.children;
            let living: Vec<_> = children
                .into_iter()
                .filter_map(|child| Some((child.id, child.actor?)))
                .collect();
            let stay = if path == forest::SERVICES { 200 } else { 8 };
            if living.is_empty() || below(stay) == 0 {
                break;
            }
            let chosen = below(living.len() as u64) as usize;
            let (id, next) = living.into_iter().nth(chosen)?;
            path = format!("{path}/{id}");
            cell = next;
        }
        kill_from_below(cell).await;
        Some(path)
    }
}

/// ractor ends the children of a killed actor in the order of a hash map; this way there is one.
fn kill_from_below(cell: ActorCell) -> BoxFuture<'static, ()> {
    async move {
        if let Some(supervisor) = Supervisor::from_cell(&cell)
            && let Ok(known) = supervisor.which_children().await
        {
            for child in known.children.into_iter().rev() {
                if let Some(cell) = child.actor {
                    kill_from_below(cell).await;
                }
            }
        }
        cell.kill();
    }
    .boxed()
}
