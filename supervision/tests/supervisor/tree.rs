//! Supervisors under supervisors: the shape that a server of many services has.

use std::time::Duration;

use coppice_supervision::{
    Backoff, ChildKind, ChildSpec, ChildState, Decision, Intensity, NodeState, Parking, Supervisor,
    SupervisorSpec, Tree, What, inspect,
};

use super::kit::{Do, Stage, Start, exited, failure, is_start_of, settle};

const MINUTE: Duration = Duration::from_secs(60);

/// `core` (rest_for_one) over `state` and `services` (parking).
fn core(stage: &Stage) -> SupervisorSpec {
    let services = SupervisorSpec::parking(
        "services",
        Parking {
            intensity: Intensity::new(0, MINUTE),
            probe: Backoff::doubling(MINUTE, 60 * MINUTE),
            proven: MINUTE,
        },
    );
    SupervisorSpec::rest_for_one("core")
        .child(stage.child("state"))
        .child(ChildSpec::supervisor(services))
}

/// One service: `container`, then `work` (one_for_one) over two daemons.
fn service(stage: &Stage, name: &str) -> ChildSpec {
    let work = SupervisorSpec::one_for_one("work")
        .intensity(1, MINUTE)
        .child(stage.child(&format!("{name}-db")))
        .child(stage.child(&format!("{name}-web")));
    ChildSpec::supervisor(
        SupervisorSpec::rest_for_one(name)
            .intensity(1, MINUTE)
            .child(stage.child(&format!("{name}-container")))
            .child(ChildSpec::supervisor(work)),
    )
}

async fn forest(stage: &Stage) -> (Supervisor, Supervisor) {
    let (core, _ended) = stage.up(core(stage)).await;
    let cell = core.child("services").await.unwrap().unwrap();
    let services = Supervisor::from_cell(&cell).unwrap();
    services.add(service(stage, "hello")).await.unwrap();
    services.add(service(stage, "blog")).await.unwrap();
    stage.take_log();
    (core, services)
}

async fn tree_of(core: &Supervisor) -> Tree {
    inspect(&core.actor().get_cell()).await.unwrap()
}

fn outline(tree: &Tree) -> String {
    let mut text = tree.id.to_string();
    if !tree.children.is_empty() {
        let children: Vec<_> = tree.children.iter().map(outline).collect();
        text.push_str(&format!("({})", children.join(" ")));
    }
    text
}

fn find<'a>(tree: &'a Tree, id: &str) -> &'a Tree {
    fn search<'a>(tree: &'a Tree, id: &str) -> Option<&'a Tree> {
        if tree.id.as_str() == id {
            return Some(tree);
        }
        tree.children.iter().find_map(|child| search(child, id))
    }
    search(tree, id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_live_tree_shows_every_actor_with_its_state_age_and_restarts() {
    let stage = Stage::default();
    let (core, _services) = forest(&stage).await;
    stage.exit("hello-web", failure("bad")).await;
    settle().await;
    let tree = tree_of(&core).await;
    assert_eq!(
        outline(&tree),
        "core(state services(hello(hello-container work(hello-db hello-web)) \
         blog(blog-container work(blog-db blog-web))))"
    );
    let web = find(&tree, "hello-web");
    assert_eq!((web.kind, web.restarts), (ChildKind::Worker, 1));
    assert!(web.started_at.is_some());
    assert_eq!(find(&tree, "hello").kind, ChildKind::Supervisor);
    assert_eq!(find(&tree, "hello-db").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_fails_once_restarts_alone() {
    let stage = Stage::default();
    let (_core, _services) = forest(&stage).await;
    stage.exit("hello-web", failure("bad")).await;
    settle().await;
    assert_eq!(stage.take_log(), "+hello-web");
}

#[tokio::test(start_paused = true)]
async fn a_dead_container_restarts_everything_in_its_service_and_nothing_outside() {
    let stage = Stage::default();
    let (_core, _services) = forest(&stage).await;
    stage.exit("hello-container", failure("bad")).await;
    settle().await;
    assert_eq!(
        stage.take_log(),
        "-hello-web -hello-db +hello-container +hello-db +hello-web"
    );
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_keeps_failing_ends_with_its_service_parked_and_the_others_untouched() {
    let stage = Stage::default();
    let (core, services) = forest(&stage).await;
    // Two ends are one too many for `work`; two ends of `work` are one too many for `hello`.
    for n in 0..4 {
        let seen = stage.seen();
        stage
            .exit("hello-web", failure(&format!("crash {n}")))
            .await;
        if n < 3 {
            stage.after(seen, is_start_of("hello-web")).await;
        }
    }
    stage
        .until(|what| matches!(what, What::Parked { .. }))
        .await;
    let tree = tree_of(&core).await;
    let NodeState::Known(ChildState::Parked { reason, .. }) = &find(&tree, "hello").state else {
        panic!("not parked: {tree:#?}");
    };
    assert_eq!(reason.root_cause(), &failure("crash 3"));
    assert_eq!(
        reason.to_string(),
        "shut down: `work` needed too many restarts; last it shut down: `hello-web` needed too \
         many restarts; last it failed: crash 3"
    );
    assert_eq!(find(&tree, "blog-web").restarts, 0);
    assert_eq!(find(&tree, "services").restarts, 0);
    services.unpark("hello").await.unwrap();
    let tree = tree_of(&core).await;
    assert!(find(&tree, "hello-web").started_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn events_carry_the_path_of_their_supervisor() {
    let stage = Stage::default();
    let (_core, _services) = forest(&stage).await;
    stage.exit("hello-web", failure("bad")).await;
    let path = stage
        .events_with_paths()
        .into_iter()
        .find(|(_, what)| exited(what) == Some("hello-web"))
        .unwrap()
        .0;
    assert_eq!(path, "core/services/hello/work");
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_is_up_only_when_its_children_are() {
    let stage = Stage::default();
    let (_core, services) = forest(&stage).await;
    stage.next_starts("late-web", [Start::Fail]);
    let error = services.add(service(&stage, "late")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "child `late` did not start: child `work` did not start: child `late-web` did not start: \
         no luck"
    );
    assert_eq!(
        stage.take_log(),
        "+late-container +late-db -late-db -late-container"
    );
}

#[tokio::test(start_paused = true)]
async fn terminating_a_service_whose_grandchild_hangs_in_its_start_leaves_nothing_behind() {
    let stage = Stage::default();
    let (core, services) = forest(&stage).await;
    stage.next_starts("slow-web", [Start::Hang]);
    let adding = tokio::spawn({
        let (services, slow) = (services.clone(), service(&stage, "slow"));
        async move { services.add(slow).await }
    });
    stage.until(is_start_of("slow-db")).await;
    settle().await;
    let left = [stage.cell("slow-container"), stage.cell("slow-db")];
    services.terminate("slow").await.unwrap();
    assert!(adding.await.unwrap().is_err());
    for cell in left {
        cell.wait(Some(Duration::from_secs(1))).await.unwrap();
    }
    assert!(!outline(&tree_of(&core).await).contains("slow"));
}

#[tokio::test(start_paused = true)]
async fn a_killed_nested_supervisor_is_restarted_with_its_children() {
    let stage = Stage::default();
    let (_core, services) = forest(&stage).await;
    let hello = Supervisor::from_cell(&services.child("hello").await.unwrap().unwrap()).unwrap();
    let work = hello.child("work").await.unwrap().unwrap();
    let seen = stage.seen();
    work.kill();
    stage.after(seen, is_start_of("work")).await;
    settle().await;
    // Killed children get no chance to say goodbye.
    assert_eq!(stage.take_log(), "+hello-db +hello-web");
}

#[tokio::test(start_paused = true)]
async fn when_core_loses_its_state_actor_the_services_below_start_over() {
    let stage = Stage::default();
    let (core, _services) = forest(&stage).await;
    let seen = stage.seen();
    stage.tell("state", Do::Exit(failure("bad")));
    let exit = stage
        .after(seen, |what| exited(what) == Some("state"))
        .await;
    assert!(matches!(
        exit,
        What::Exited {
            decision: Decision::Restart { .. },
            ..
        }
    ));
    stage.after(seen, is_start_of("services")).await;
    // Children that were added are not in the spec: whoever added them adds them again.
    assert_eq!(outline(&tree_of(&core).await), "core(state services)");
}
