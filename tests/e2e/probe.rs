//! A package of the tests' own that does what it is told: its one action runs JavaScript with the
//! `effects` of the contract (`service-abi.md`), so a step says in the package's own language what it asks.
//!
//! In that code `effects`, `require`, `module` and `seen` are known. `seen` lives as long as the runtime, and
//! `seen.effects` are those of `init`: what they watch is watched as long (those of the action end when it is
//! run again). `tried(promise)` gives what a promise comes to, as `{value}` or `{code, message}`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    console::succeeded,
    packages::Package,
    until::{seconds, until},
    world::World,
};

/// The action that runs code.
const DO: &str = "do";

/// What a probe does at the points of its life besides answering; JavaScript each.
pub(crate) struct Probe {
    id: String,
    init: String,
    main: String,
    built: String,
    term: String,
    actions: String,
    package: Package,
}

impl Probe {
    pub(crate) fn called(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            init: String::new(),
            main: String::new(),
            built: String::new(),
            term: String::new(),
            actions: String::new(),
            package: Package::good().field("/id", json!(id)),
        }
    }

    /// Code of `init`, which knows `kind`.
    pub(crate) fn init(mut self, code: &str) -> Self {
        self.init = code.to_owned();
        self
    }

    /// Code of `main`.
    pub(crate) fn main(mut self, code: &str) -> Self {
        self.main = code.to_owned();
        self
    }

    /// Code of `build`.
    pub(crate) fn built(mut self, code: &str) -> Self {
        self.built = code.to_owned();
        self
    }

    /// Code of `term`.
    pub(crate) fn term(mut self, code: &str) -> Self {
        self.term = code.to_owned();
        self
    }

    /// More actions: members of an object, `name: { getInput, run }`.
    pub(crate) fn actions(mut self, members: &str) -> Self {
        self.actions = members.to_owned();
        self
    }

    /// Sets a field of the manifest, new or not.
    pub(crate) fn manifest(mut self, name: &str, value: Value) -> Self {
        self.package = self.package.member(name, value);
        self
    }

    /// An image with these programs.
    pub(crate) fn programs(mut self, programs: &[&str]) -> Self {
        self.package = self.package.programs(programs);
        self
    }

    /// Its package, for what is seldom asked of one.
    pub(crate) fn package(mut self, change: impl FnOnce(Package) -> Package) -> Self {
        self.package = change(self.package);
        self
    }

    /// Installs it; what is installed under its name goes first.
    pub(crate) fn install(self, world: &World) {
        if world.is_installed(&self.id) {
            world.server.cli(&["package", "uninstall", &self.id]);
        }
        let folder = world.scratch.path("probes");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}.s9pk", self.id));
        let code = self.code();
        fs::write(&file, self.package.javascript(&code).pack(&folder)).unwrap();
        world
            .server
            .cli(&["package", "install", file.to_str().unwrap()]);
    }

    fn code(&self) -> String {
        let Self {
            init,
            main,
            built,
            term,
            actions,
            ..
        } = self;
        format!(
            "
const seen = {{}};
const note = (list, what) => {{ (seen[list] ??= []).push(what); }};
const tried = promise => promise.then(value => ({{ value }}), error => ({{ code: error.code, message: error.message }}));
const AsyncFunction = (async () => {{}}).constructor;
const described = (name, more) => ({{
  name, description: '', warning: null, visibility: 'enabled', allowedStatuses: 'any', hasInput: false, group: null, ...more,
}});
const actions = {{
  {DO}: {{
    run: async ({{ effects, input }}) => {{
      const code = new AsyncFunction('effects', 'require', 'module', 'seen', 'note', 'tried', 'described', input.code);
      const value = await code(effects, require, module, seen, note, tried, described);
      return {{ version: '1', title: 'done', message: JSON.stringify(value ?? null), result: null }};
    }},
  }},
  {actions}
}};
module.exports = {{
  init: async ({{ effects, kind }}) => {{
    note('inits', kind);
    seen.effects = effects;
    {init}
    await effects.action.export({{ id: '{DO}', metadata: described('Do') }});
  }},
  uninit: async () => null,
  main: async ({{ effects }}) => {{
    {main}
    return {{ build: async () => {{ {built}; return {{ term: async () => {{ {term} }} }}; }} }};
  }},
  createBackup: async () => null,
  actions: {{ get: id => actions[id] }},
}};
"
        )
    }
}

/// What the code comes to in the runtime of a probe.
#[track_caller]
pub(crate) fn ask(world: &World, id: &str, code: &str) -> Value {
    let input = json!({ "code": code }).to_string();
    let words = ["action", "run", id, DO, "--input", &input, "--json"];
    let said = succeeded(code, &world.server.try_cli(&words));
    let result: Value = serde_json::from_str(&said).unwrap();
    let message = result["message"].as_str().unwrap();
    serde_json::from_str(message).unwrap()
}

/// Waits until the runtime of a probe answers, which is a new one perhaps.
pub(crate) fn answers(world: &World, id: &str) {
    let words = ["action", "run", id, DO, "--input", r#"{"code":""}"#];
    until(&format!("`{id}` answers"), seconds(30), || {
        world.server.try_cli(&words).status.success().then_some(())
    });
}

/// The number of the error that the code's promise is refused with, and its text.
#[track_caller]
pub(crate) fn refused(world: &World, id: &str, promise: &str) -> (i64, String) {
    let told = ask(world, id, &format!("return tried({promise})"));
    let code = told["code"].as_i64();
    let code = code.unwrap_or_else(|| panic!("`{promise}` should be refused, and gives {told}"));
    (code, told["message"].as_str().unwrap().to_owned())
}

/// What the document shows of a service.
pub(crate) fn entry(world: &World, id: &str) -> Value {
    world.server.json(&["service", "status", id])["entry"].clone()
}
