//! What the steps work with.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    client::{Client, Session},
    lan::SERVER,
    scratch::Scratch,
    server::Server,
    traces::Traces,
    until::{patiently, seconds, until},
};

/// The server's password.
pub(crate) const PASSWORD: &str = "a birch, an alder and a hazel";

/// A server on a machine of its own, and how far the steps are with it.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) server: Server,
    /// What the server has made on the machine before any service was there.
    pub(crate) bare: Option<Traces>,
    session: Option<Session>,
}

impl World {
    pub(crate) fn new(scratch: Scratch) -> Self {
        let server = Server::new(&scratch, 0, scratch.path("server.log"));
        Self {
            scratch,
            server,
            bare: None,
            session: None,
        }
    }

    /// The server runs; started if it does not.
    pub(crate) fn up(&mut self) {
        if !self.server.runs() {
            self.server.start();
            self.server
                .cli_with_input(&["auth", "set-password", "--only-first"], PASSWORD);
            self.bare.get_or_insert_with(|| Traces::of(&self.server));
        }
    }

    /// The server runs and lets JavaScript sleep after so many quiet seconds; of services, that which starts from
    /// now on. They stay.
    pub(crate) fn sleeps_after(&mut self, seconds_of_quiet: u32) {
        self.up();
        self.server.signal(Signal::SIGINT);
        self.server.ended(seconds(30));
        self.server.sleep_after = seconds_of_quiet;
        self.server.start();
    }

    /// The root certificate, as a browser gets it, in a file.
    pub(crate) fn ca(&self) -> PathBuf {
        let file = self.scratch.path("ca.crt");
        if !file.exists() {
            let answer = crate::lan::neighbour_runs(
                "curl",
                &[
                    "-sSf",
                    "-H",
                    "Host: coppice.local",
                    &format!("http://{SERVER}/ca.crt"),
                ],
            );
            fs::write(&file, crate::console::succeeded("GET /ca.crt", &answer)).unwrap();
        }
        file
    }

    /// A browser on the neighbour's machine that trusts the server.
    pub(crate) fn client(&self) -> Client {
        Client::trusting(&fs::read(self.ca()).unwrap())
    }

    /// Somebody who is signed in.
    pub(crate) fn session(&mut self) -> Session {
        let client = self.client();
        self.session
            .get_or_insert_with(|| Session::sign_in(client, PASSWORD))
            .clone()
    }

    /// Nobody is, any more: whoever needs a session begins another.
    pub(crate) fn sign_out(&mut self) {
        self.session = None;
    }

    pub(crate) fn example(name: &str) -> PathBuf {
        let folder = std::env::var_os("COPPICE_EXAMPLES").unwrap();
        let file = Path::new(&folder).join(format!("{name}.s9pk"));
        assert!(
            file.exists(),
            "{} is not there; `make test` packs it",
            file.display()
        );
        file
    }

    pub(crate) fn is_installed(&self, id: &str) -> bool {
        self.server.service(id).is_some()
    }

    /// The service is installed and healthy; brought there if it is not.
    pub(crate) fn running(&mut self, id: &str) {
        self.up();
        if !self.is_installed(id) {
            self.server
                .cli(&["package", "install", World::example(id).to_str().unwrap()]);
        }
        if self
            .server
            .service(id)
            .is_some_and(|service| service["status"] != "running")
        {
            self.server.cli(&["service", "start", id]);
        }
        self.healthy(id);
    }

    /// Waits until the service runs and all its checks succeed. Some are made only while it starts.
    pub(crate) fn healthy(&self, id: &str) {
        let mut last = Value::Null;
        let healthy = patiently(seconds(60), Duration::from_millis(50), || {
            last = self.server.json(&["service", "status", id]);
            let checks = last["entry"]["statusInfo"]["health"].as_object()?;
            let wanted = if ["miniflux", "reading-room"].contains(&id) {
                2
            } else {
                1
            };
            let well =
                checks.len() >= wanted && checks.values().all(|check| check["result"] == "success");
            (last["summary"]["status"] == "running" && well).then_some(())
        });
        assert!(
            healthy.is_some(),
            "`{id}` did not get well within 60 s: {:#}, {:#}\nIts log:\n{}",
            last["summary"],
            last["entry"]["statusInfo"],
            self.server.cli(&["service", "logs", id, "-n", "60"])
        );
    }

    /// Waits until the service has the status.
    pub(crate) fn wait_status(&self, id: &str, status: &str) -> Value {
        until(&format!("`{id}` is {status}"), seconds(60), || {
            self.server
                .service(id)
                .filter(|service| service["status"] == status)
        })
    }

    /// Kills the core and waits for its successor to answer.
    pub(crate) fn another_core(&mut self) {
        let core = self.server.child("core");
        core.shoot();
        until("there is a new core", seconds(10), || {
            (self.server.child("core") != core).then_some(())
        });
        self.server.answers();
    }

    /// Takes down what runs; what cannot be is removed by the outer process.
    pub(crate) fn end(&mut self) {
        if self.server.runs() {
            let _ = self.server.try_cli(&["stop"]);
        }
        self.server.shoot();
    }
}
