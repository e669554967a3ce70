//! The start of `hello`, from the request to its first successful health check.
//!
//! *Warm*: the service is stopped, its container and the Node runtime in it are up, as after every
//! install. *Cold*: nothing of it runs; container, runtime, the package's `init` and `main` come first.
//! A cold start is had by killing the core and the container's pid 1 at once: the next core finds the
//! service wanted and without a container. It is counted from the log, from the decision to make the
//! container to the report of the check.

use std::time::Duration;

use serde_json::json;

use crate::{
    api::Api,
    bare::Bare,
    now,
    samples::{Samples, load, ratio, tell, verdict},
    scratch::Scratch,
    server::Server,
    timeline::{Timeline, wall},
    until::{seconds, until},
};

pub(crate) const HELLO: &str = "/public/packageData/hello/statusInfo";
/// In what a check publishes, and in nothing else of a status.
pub(crate) const SUCCESS: &str = "\"success\"";

/// A server with `hello` stopped and `miniflux` waiting for its task, both containers up.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) api: Api,
    bare: Bare,
}

/// A part of a start: its name, and the words in the log of the line that ends it.
type Part = (&'static str, &'static [&'static str]);

const WARM: [Part; 3] = [
    (
        "wish written, runtime asked",
        &["runtime service=\"hello\" state=Starting"],
    ),
    (
        "package's main, its daemon declared",
        &["method=\"set-daemons\"", "effect service"],
    ),
    (
        "daemon's actor started",
        &["core/services/hello/work/hosted", "what=Started"],
    ),
];
/// What comes after all of these.
const LAST_OF_WARM: &str = "its root and process, to the first successful check";

const COLD: [Part; 5] = [
    ("container", &["container service=\"hello\" state=Up"]),
    (
        "agent calls",
        &["runtime service=\"hello\" state=Launching"],
    ),
    (
        "Node up and calling",
        &["runtime service=\"hello\" state=Initialising"],
    ),
    ("package loaded", &["effect service=\"hello\" method="]),
    ("package's init", &["runtime service=\"hello\" state=Idle"]),
];
const LAST_OF_COLD: &str = "start, as above";

impl Bench {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let mut server = Server::new(scratch, 0, scratch.path("server.log"));
        server.start();
        for example in ["hello", "miniflux"] {
            server.cli(&[
                "package",
                "install",
                example_file(example).to_str().unwrap(),
            ]);
        }
        let api = Api::of(&server);
        let bare = Bare::new(scratch, &server);
        // The runtime saves the package's compiled code a moment after its first init; later lives have it.
        let code = server.data.join("services/hello/cache/node");
        until("compiled code is kept", seconds(30), || {
            let mut of_this_node = code.read_dir().ok()?.next()?.ok()?.path().read_dir().ok()?;
            of_this_node.next().map(drop)
        });
        Self { server, api, bare }
    }

    pub(crate) fn end(mut self) {
        let _ = self.server.try_cli(&["stop"]);
        self.server.shoot();
    }

    pub(crate) fn measure(&mut self, runs: usize) {
        println!(
            "\nstart of hello, {runs} runs in turn with the peer; load {}",
            load()
        );
        let [mut warm, mut cold, mut lxc, mut node, mut http, mut package] =
            std::array::from_fn(|_| Samples::default());
        let (mut of_warm, mut of_cold) = (
            Parts::of(&WARM, LAST_OF_WARM),
            Parts::of(&COLD, LAST_OF_COLD),
        );
        for _ in 0..runs {
            let took = self.bare.measure(&self.server);
            lxc.push(took.start);
            node.push(took.node);
            http.push(took.http);
            package.push(took.node_with_package);

            let (offset, asked) = (self.server.log_length(), wall());
            let took = start(&self.api);
            warm.push(took);
            let timeline = Timeline::since(&self.server, offset);
            of_warm.take_apart(&timeline, asked, asked + took);

            cold.push(self.cold(&mut of_cold));
            stop(&self.api, &self.server);
        }
        let sum = lxc.median() + node.median();
        tell("bare lxc-start, to init running", &lxc.words());
        tell("bare node -e 0 in it", &node.words());
        tell(
            "bare node in it, to its HTTP server listening",
            &http.words(),
        );
        tell(
            "bare node in it that loads the package and ends",
            &package.words(),
        );
        tell(
            "warm: package.start to first successful check",
            &warm.words(),
        );
        of_warm.tell();
        tell(
            "cold: no container to first successful check",
            &cold.words(),
        );
        of_cold.tell();
        verdict(
            "warm start / (lxc-start + node)",
            ratio(warm.median(), sum),
            3.0,
            "x",
        );
        verdict(
            "cold start / (lxc-start + node)",
            ratio(cold.median(), sum),
            3.0,
            "x",
        );
        verdict(
            "cold start / (lxc-start + node with an HTTP server)",
            ratio(cold.median(), lxc.median() + http.median()),
            1.5,
            "x",
        );
        let with_package = lxc.median() + package.median();
        tell(
            "cold start / (lxc-start + node loading the package)",
            &format!("{:.2}x", ratio(cold.median(), with_package)),
        );
        tell("load after", &load());
    }

    /// `hello` runs and is wanted; takes its container and the core away and waits for it to be well.
    fn cold(&self, parts: &mut Parts) -> Duration {
        let offset = self.server.log_length();
        let (core, init) = (self.server.child("core"), self.server.init("hello"));
        core.shoot();
        init.shoot();
        let mut changes = self.api.changes(HELLO);
        if !changes.before.to_string().contains(SUCCESS) {
            changes.wait_for(SUCCESS);
        }
        let well = wall();
        let timeline = Timeline::since(&self.server, offset);
        let made = timeline.at(
            Duration::ZERO,
            &["container service=\"hello\" state=Creating"],
        );
        let made = made.expect("the next core made no container");
        parts.take_apart(&timeline, made, well);
        well - made
    }
}

/// How long the parts of a start took.
struct Parts {
    known: &'static [Part],
    last: &'static str,
    /// Of each, and of the last.
    took: Vec<Samples>,
}

impl Parts {
    fn of(known: &'static [Part], last: &'static str) -> Self {
        let took = (0..=known.len()).map(|_| Samples::default()).collect();
        Self { known, last, took }
    }

    /// Adds the times between the lines that end the parts.
    fn take_apart(&mut self, timeline: &Timeline, from: Duration, to: Duration) {
        let mut before = from;
        for ((name, words), took) in self.known.iter().zip(&mut self.took) {
            let at = timeline.at(before, words);
            let at = at.unwrap_or_else(|| panic!("no line ends the part \"{name}\""));
            took.push(at - before);
            before = at;
        }
        if let Some(last) = self.took.last_mut() {
            last.push(to.saturating_sub(before));
        }
    }

    fn tell(&self) {
        let names = self.known.iter().map(|(name, _)| *name).chain([self.last]);
        for (name, took) in names.zip(&self.took) {
            tell(&format!("  {name}"), &took.words());
        }
    }
}

/// Starts `hello` and waits for its first successful check; gives the time between.
pub(crate) fn start(api: &Api) -> Duration {
    let mut changes = api.changes(HELLO);
    let began = now();
    api.call("package.start", json!({ "id": "hello" }));
    changes.wait_for(SUCCESS);
    now().duration_since(began)
}

pub(crate) fn stop(api: &Api, server: &Server) {
    api.call("package.stop", json!({ "id": "hello" }));
    until("`hello` is stopped", seconds(30), || {
        server
            .service("hello")
            .filter(|hello| hello["status"] == "stopped")
    });
}

pub(crate) fn example_file(name: &str) -> std::path::PathBuf {
    let folder = std::env::var_os("COPPICE_EXAMPLES")
        .expect("COPPICE_EXAMPLES names the folder of the packed examples");
    std::path::Path::new(&folder).join(format!("{name}.s9pk"))
}
