//! The tree of one service, as specifications.
//!
//! Intensities, innermost first: a part of `work` that fails more than 5 times in a minute ends
//! `work`, and with it the container's actor; when it was the package that failed, the container is
//! condemned and made anew ([`super::custody`]). More than 3 such rounds in two minutes end the tree;
//! `services` starts it again twice and then parks it, without a container. A package whose `init`
//! always throws is therefore parked after at most 6 x 4 x 3 tries in some minutes, each with its
//! reason on record.
//!
//! A daemon that the host keeps running ([`super::daemons::hosted`]) and that fails more than 10 times in
//! a minute ends `work` at once, and condemns the container. A program that ends as it starts has had its
//! 11 tries within 23 s, so the service is parked after some five minutes.
//!
//! `one_for_all`, because neither half is of use without the other: work needs the container it
//! began in, and a container in which no work can be kept up has to be looked at anew.

use std::{sync::Arc, time::Duration};

use coppice_supervision::{
    AutoShutdown, Backoff, ChildContext, ChildSpec, Restart, Shutdown, StartError, Supervisor,
    SupervisorSpec,
};

use super::{
    ServiceContext,
    container::ContainerActor,
    daemons::{
        self, DaemonsActor,
        hosted::{self, HostingActor},
    },
    health::HealthActor,
    runtime::RuntimeActor,
    tasks::TasksActor,
};

/// Between two looks for a sibling that is on its way back.
const SIBLING_PAUSE: Duration = Duration::from_millis(20);

/// Everything of one service.
#[must_use]
pub fn instance_spec(service: &Arc<ServiceContext>) -> SupervisorSpec {
    let container = {
        let service = Arc::clone(service);
        ChildSpec::worker("container", move |context| {
            let service = Arc::clone(&service);
            async move { context.spawn(ContainerActor, service).await }
        })
        // An actor that ends leaves its container alone: there is nothing to wait for.
        .shutdown(Shutdown::Timeout(Duration::from_secs(2)))
    };
    SupervisorSpec::one_for_all(service.id.as_str())
        .intensity(3, Duration::from_secs(120))
        .backoff(Backoff::doubling(
            Duration::from_millis(200),
            Duration::from_secs(30),
        ))
        .forget_after(Duration::from_secs(300))
        .in_a_row(3)
        .child(container)
        .child(ChildSpec::supervisor(work_spec(service)))
}

fn work_spec(service: &Arc<ServiceContext>) -> SupervisorSpec {
    let runtime = worker(service, "runtime", |context, service| async move {
        context.spawn(RuntimeActor, service).await
    });
    let health = worker(service, "health", |context, service| async move {
        context.spawn(HealthActor, service).await
    });
    let tasks = worker(service, "tasks", |context, service| async move {
        context.spawn(TasksActor, service).await
    });
    let processes = worker(service, "processes", |context, service| async move {
        let daemons = sibling(&context, daemons::SUPERVISOR).await?;
        context.spawn(DaemonsActor, (service, daemons)).await
    });
    let hosting = worker(service, "hosting", |context, service| async move {
        let hosted = sibling(&context, hosted::SUPERVISOR).await?;
        context.spawn(HostingActor, (service, hosted)).await
    });
    SupervisorSpec::one_for_one("work")
        .intensity(5, Duration::from_secs(60))
        .backoff(Backoff::doubling(
            Duration::from_millis(50),
            Duration::from_secs(10),
        ))
        .forget_after(Duration::from_secs(120))
        .in_a_row(5)
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(runtime)
        .child(ChildSpec::supervisor(SupervisorSpec::dynamic(
            daemons::SUPERVISOR,
        )))
        .child(processes)
        // Its end is that of all the work: a daemon that cannot be kept running needs another container.
        .child(
            ChildSpec::supervisor(hosted::supervisor())
                .restart(Restart::Transient { significant: true }),
        )
        .child(hosting)
        .child(health)
        .child(tasks)
}

/// The supervisor of this name beside the child that is started.
async fn sibling(context: &ChildContext, name: &'static str) -> Result<Supervisor, StartError> {
    let siblings = Supervisor::from_cell(context.parent()).ok_or(StartError::Ignore)?;
    loop {
        let found = siblings.child(name).await.map_err(StartError::failed)?;
        if let Some(found) = found.as_ref().and_then(Supervisor::from_cell) {
            return Ok(found);
        }
        tokio::time::sleep(SIBLING_PAUSE).await;
    }
}

fn worker<F, Fut, C>(service: &Arc<ServiceContext>, id: &'static str, start: F) -> ChildSpec
where
    F: Fn(ChildContext, Arc<ServiceContext>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<C, StartError>> + Send + 'static,
    C: Into<ractor::ActorCell> + Send + 'static,
{
    let service = Arc::clone(service);
    ChildSpec::worker(id, move |context| start(context, Arc::clone(&service)))
        .shutdown(Shutdown::Timeout(Duration::from_secs(2)))
}

#[cfg(test)]
mod tests;
