//! The contract with packages: actions, tasks, dependencies, notifications (`service-abi.md` §10.3,
//! 43 to 51, 66).

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    probe::{Probe, ask, entry, refused},
    until::{seconds, until},
    world::World,
};

const ACTOR: &str = "actor";
const OTHER: &str = "other-actor";

/// An action as the SDK makes them: `run` wants the validator that `getInput` made under the same event id.
const FORM: &str = "
  form: {
    getInput: async ({ effects, prefill }) => {
      note('forms', { event: effects.eventId, prefill });
      seen.formCame?.();
      (seen.validators ??= {})[effects.eventId] = true;
      return { eventId: effects.eventId, spec: {}, value: seen.value ?? { prune: false, list: [1, 2] } };
    },
    run: async ({ effects, input }) => {
      if (!seen.validators?.[effects.eventId]) throw new Error(`getActionInput has not been called for EventID ${effects.eventId}`);
      note('runs', { event: effects.eventId, input });
      seen.value = input;
      return null;
    },
  },
  old: {
    getInput: async ({ effects }) => ({ eventId: effects.eventId, spec: {}, value: null }),
    run: async () => ({ version: '0', message: 'Done', value: 'abc', copyable: true, qr: false }),
  },
  patient: {
    run: async () => {
      note('order', 'begin');
      note('order', await new Promise(resolve => {
        seen.formCame = () => resolve('a form came');
        setTimeout(resolve, 30000, 'nobody came');
      }));
      return null;
    },
  },
  plain: { run: async () => null },
  fails: { run: async () => { throw new Error('it would not budge'); } },
";
const EXPORT: &str = "
await effects.action.export({ id: 'form', metadata: described('Form', { hasInput: true, access: 'dependent' }) });
await effects.action.export({ id: 'old', metadata: described('Old', { access: 'public' }) });
await effects.action.export({ id: 'patient', metadata: described('Patient') });
await effects.action.export({ id: 'plain', metadata: described('Plain') });
await effects.action.export({ id: 'fails', metadata: described('Fails') });
";

pub(super) fn prepare(world: &mut World) {
    world.up();
    for id in [ACTOR, OTHER] {
        Probe::called(id).actions(FORM).init(EXPORT).install(world);
    }
}

fn run_words(world: &World, words: &[&str]) -> Value {
    world
        .server
        .json(&[&["action", "run", ACTOR], words].concat())
}

/// The refusal of an action that a person wants run.
fn run_refused(world: &World, action: &str) -> String {
    world.server.refused(&["action", "run", ACTOR, action])
}

pub(super) fn a_form_and_its_submission_share_an_event_and_effects_do_both_in_one(
    world: &mut World,
) {
    run_words(world, &["form", "--input", r#"{"prune":true}"#]);
    let told = ask(
        world,
        ACTOR,
        "const { runs: [first], forms } = seen;
         const form = await effects.action.getInput({ actionId: 'form', prefill: { prune: null } });
         await effects.action.run({ actionId: 'form', input: { prune: false } });
         const foreign = await effects.action.getInput({ packageId: 'actor', actionId: 'plain' });
         return {
           same: forms.some(one => one.event === first.event), value: form.value, event: form.eventId === effects.eventId,
           prefill: forms.at(-1).prefill, input: seen.runs.at(-1).input, none: foreign,
         }",
    );
    assert_eq!(
        told,
        json!({
            "same": true, "value": { "prune": true }, "event": true, "prefill": { "prune": null },
            "input": { "prune": false }, "none": null,
        })
    );
}

pub(super) fn what_an_action_allows_is_enforced(world: &mut World) {
    let export = |more: &str| {
        ask(
            world,
            ACTOR,
            &format!(
                "await effects.action.export({{ id: 'plain', metadata: described('Plain', {{ {more} }}) }})"
            ),
        );
    };
    export("visibility: { disabled: 'not before noon' }");
    assert!(run_refused(world, "plain").contains("not before noon"));
    let (code, said) = refused(world, ACTOR, "effects.action.run({ actionId: 'plain' })");
    assert!(
        code == 36 && said.contains("not before noon"),
        "{code} {said}"
    );
    export("visibility: 'hidden'");
    run_words(world, &["plain"]);
    export("allowedStatuses: 'only-running'");
    assert!(run_refused(world, "plain").contains("start it first"));
    world.server.cli(&["service", "start", ACTOR]);
    world.wait_status(ACTOR, "running");
    run_words(world, &["plain"]);
    export("allowedStatuses: 'only-stopped'");
    assert!(run_refused(world, "plain").contains("stop it first"));
    export("");
    assert!(run_refused(world, "fails").contains("it would not budge"));
    let (code, said) = refused(world, ACTOR, "effects.action.run({ actionId: 'fails' })");
    assert!(
        code == 36 && said.contains("it would not budge"),
        "{code} {said}"
    );
    let (code, _) = refused(world, ACTOR, "effects.action.run({ actionId: 'none' })");
    assert_eq!(code, 6);
}

pub(super) fn what_other_packages_may_run_is_enforced(world: &mut World) {
    let of = |action: &str| {
        format!("effects.action.run({{ packageId: '{ACTOR}', actionId: '{action}', input: {{}} }})")
    };
    let (code, said) = refused(world, OTHER, &of("plain"));
    assert!(code == 38 && said.contains(OTHER), "{code} {said}");
    let result = ask(world, OTHER, &format!("return {}", of("old")));
    assert_eq!(
        result["version"], "0",
        "a package gets what the package gave: {result}"
    );
    let (code, _) = refused(world, OTHER, &of("form"));
    assert_eq!(code, 38, "it does not depend on it yet");
    ask(
        world,
        OTHER,
        &format!(
            "await effects.setDependencies({{ dependencies: [{{ kind: 'exists', id: '{ACTOR}', versionRange: '*' }}] }});
             await {}",
            of("form")
        ),
    );
}

pub(super) fn two_actions_at_once_run_one_after_the_other_and_a_form_beside_them(
    world: &mut World,
) {
    ask(world, ACTOR, "seen.order = []");
    let mut both: Vec<_> = (0..2)
        .map(|_| world.server.command(&["action", "run", ACTOR, "patient"]))
        .map(|mut command| command.stdout(Stdio::null()).spawn().unwrap())
        .collect();
    // Each ends when a form is asked for while it runs.
    until("both have ended", seconds(60), || {
        world.server.json(&["action", "form", ACTOR, "form"]);
        both.iter_mut()
            .all(|one| one.try_wait().unwrap().is_some())
            .then_some(())
    });
    let each = ["begin", "a form came"];
    assert_eq!(
        ask(world, ACTOR, "return seen.order"),
        json!([each, each].concat())
    );
    let shown = run_words(world, &["old"]);
    assert_eq!(
        (&shown["version"], &shown["title"]),
        (&json!("1"), &json!("Old"))
    );
    assert_eq!(
        shown["result"],
        json!({ "type": "single", "value": "abc", "copyable": true, "qr": false, "masked": false })
    );
}

fn create_task(id: &str, package: &str, more: &str) -> String {
    format!(
        "effects.action.createTask({{ replayId: '{id}', packageId: '{package}', actionId: 'form', {more} }})"
    )
}

fn task(world: &World, source: &str, id: &str) -> Value {
    entry(world, source)["tasks"][id].clone()
}

pub(super) fn a_critical_task_stops_the_service_and_blocks_its_start_until_the_action_ran(
    world: &mut World,
) {
    world.wait_status(ACTOR, "running");
    ask(
        world,
        ACTOR,
        &format!(
            "await {}",
            create_task("soft", ACTOR, "severity: 'important', reason: 'x'")
        ),
    );
    world.wait_status(ACTOR, "running");
    ask(
        world,
        ACTOR,
        &format!(
            "await {}",
            create_task(
                "hard",
                ACTOR,
                "severity: 'critical', reason: 'choose first'"
            )
        ),
    );
    world.wait_status(ACTOR, "needs-task");
    assert!(
        world
            .server
            .refused(&["service", "start", ACTOR])
            .contains("choose first")
    );
    run_words(world, &["form", "--input", "{}"]);
    assert!(task(world, ACTOR, "hard").is_null() && task(world, ACTOR, "soft").is_null());
    world.server.cli(&["service", "start", ACTOR]);
    world.wait_status(ACTOR, "running");
}

pub(super) fn a_task_with_a_condition_follows_its_targets_input(world: &mut World) {
    let when = |once: bool, accept: &str| {
        format!(
            "severity: 'optional', when: {{ condition: 'input-not-matches', once: {once} }},
             input: {{ kind: 'partial', accept: {accept}, set: {{}} }}"
        )
    };
    ask(world, ACTOR, "seen.value = { prune: false, list: [1, 2] }");
    let creates = [
        ("met", when(false, "[{ list: [2] }]")),
        ("met once", when(true, "[{ prune: false }]")),
        ("missing", when(false, "[{ txindex: null }]")),
        (
            "one of two",
            when(false, "[{ prune: true }, { prune: false }]"),
        ),
        ("not met", when(false, "[{ prune: true }]")),
        ("not met once", when(true, "[{ list: [3] }]")),
        (
            "legacy",
            "severity: 'optional', when: { condition: 'input-not-matches', once: false },
                    input: { kind: 'partial', value: { prune: true } }"
                .to_owned(),
        ),
    ];
    for (id, more) in &creates {
        ask(
            world,
            OTHER,
            &format!("await {}", create_task(id, ACTOR, more)),
        );
    }
    let active: Vec<Value> = creates
        .iter()
        .map(|(id, _)| task(world, OTHER, id)["active"].clone())
        .collect();
    let wanted = [
        json!(false),
        Value::Null,
        json!(false),
        json!(false),
        json!(true),
        json!(true),
        json!(true),
    ];
    assert_eq!(active, wanted);
    let legacy = task(world, OTHER, "legacy")["task"]["input"].clone();
    assert_eq!(
        (&legacy["accept"], &legacy["set"]),
        (&json!([{ "prune": true }]), &json!({ "prune": true }))
    );
    // The action is run with what some of them wait for.
    run_words(world, &["form", "--input", r#"{"prune":true,"list":[3]}"#]);
    for (id, wanted) in [
        ("met", json!(true)),
        ("not met", json!(false)),
        ("not met once", Value::Null),
    ] {
        assert_eq!(task(world, OTHER, id)["active"], wanted, "{id}");
    }
    // The target says it anew when it exports the action.
    ask(
        world,
        ACTOR,
        &format!("seen.value = {{ prune: false, list: [1, 2] }}; {EXPORT}"),
    );
    until("the tasks were looked at", seconds(10), || {
        (task(world, OTHER, "met")["active"] == false
            && task(world, OTHER, "not met")["active"] == true)
            .then_some(())
    });
    let (code, said) = refused(
        world,
        OTHER,
        &create_task(
            "no input",
            ACTOR,
            "severity: 'optional', when: { condition: 'input-not-matches', once: false }",
        ),
    );
    assert!(code == 38 && said.contains("no input"), "{code} {said}");
    ask(
        world,
        OTHER,
        "await effects.action.clearTasks({ only: ['met', 'never-was'] })",
    );
    assert!(task(world, OTHER, "met").is_null() && !task(world, OTHER, "not met").is_null());
    ask(
        world,
        OTHER,
        "await effects.action.clearTasks({ except: ['legacy'] })",
    );
    assert!(task(world, OTHER, "not met").is_null() && !task(world, OTHER, "legacy").is_null());
}

pub(super) fn a_task_on_a_package_that_is_not_there_is_active_until_that_one_is_installed(
    world: &mut World,
) {
    const LATE: &str = "late-actor";
    let more = "severity: 'optional', when: { condition: 'input-not-matches', once: false },
                input: { kind: 'partial', accept: [{ prune: false }], set: {} }";
    ask(
        world,
        OTHER,
        &format!("await {}", create_task("late", LATE, more)),
    );
    assert_eq!(task(world, OTHER, "late")["active"], true);
    Probe::called(LATE)
        .actions(FORM)
        .init(EXPORT)
        .install(world);
    until("the task was looked at", seconds(10), || {
        (task(world, OTHER, "late")["active"] == false).then_some(())
    });
    world.server.cli(&["package", "uninstall", LATE]);
    ask(
        world,
        OTHER,
        &format!("await {}", create_task("late", LATE, more)),
    );
    assert_eq!(
        task(world, OTHER, "late")["active"],
        false,
        "said again, it stays what it was"
    );
}

pub(super) fn clearing_actions_removes_those_that_are_not_listed_and_no_task(world: &mut World) {
    ask(
        world,
        ACTOR,
        &format!(
            "await {}",
            create_task("kept", ACTOR, "severity: 'optional'")
        ),
    );
    ask(
        world,
        ACTOR,
        "await effects.action.clear({ except: ['do', 'old', 'never-was'] })",
    );
    let shown = entry(world, ACTOR);
    let left: Vec<&String> = shown["actions"].as_object().unwrap().keys().collect();
    assert_eq!(left, ["do", "old"]);
    assert!(shown["tasks"]["kept"].is_object());
    let (code, _) = refused(world, ACTOR, "effects.action.run({ actionId: 'plain' })");
    assert_eq!(code, 6);
}

pub(super) fn dependencies_are_told_of_as_they_are_and_block_no_start(world: &mut World) {
    world.server.cli(&["service", "stop", ACTOR]);
    world.wait_status(ACTOR, "stopped");
    let told = ask(
        world,
        OTHER,
        &format!(
            "const dependencies = [
               {{ kind: 'running', id: '{ACTOR}', versionRange: '>=9:0', healthChecks: ['web'] }},
               {{ kind: 'exists', id: 'never-was', versionRange: '*' }},
             ];
             await effects.setDependencies({{ dependencies }});
             const [asked, one] = [await effects.checkDependencies({{}}), await effects.checkDependencies({{ packageIds: ['{ACTOR}', 'x'] }})];
             return {{ get: await effects.getDependencies(), asked, one: one.map(each => each.packageId) }}"
        ),
    );
    let (first, second) = (&told["asked"][0], &told["asked"][1]);
    assert_eq!(told["one"], json!([ACTOR]));
    assert_eq!(told["get"][0]["versionRange"], ">=9:0");
    assert_eq!(told["get"][0]["healthChecks"], json!(["web"]));
    assert_eq!(
        told["get"][1],
        json!({ "kind": "exists", "id": "never-was", "versionRange": "*" })
    );
    assert_eq!(
        (&first["installedVersion"], &first["isRunning"]),
        (&json!("1.0.0:0"), &json!(false))
    );
    assert_eq!(
        (&first["title"], &first["satisfies"]),
        (&json!("Seedling"), &json!([]))
    );
    assert_eq!(first["tasks"]["legacy"]["task"]["packageId"], ACTOR);
    assert_eq!(
        second,
        &json!({
            "packageId": "never-was", "title": null, "installedVersion": null, "satisfies": [], "isRunning": false,
            "tasks": {}, "healthChecks": {},
        })
    );
    world.server.cli(&["service", "start", OTHER]);
    world.wait_status(OTHER, "running");
    world.server.cli(&["service", "start", ACTOR]);
    world.wait_status(ACTOR, "running");
    ask(
        world,
        ACTOR,
        "await effects.setHealth({ id: 'web', name: 'Web', result: 'failure', message: 'no page' })",
    );
    until("the check is told", seconds(10), || {
        let told = ask(
            world,
            OTHER,
            &format!("return effects.checkDependencies({{ packageIds: ['{ACTOR}'] }})"),
        );
        (told[0]["isRunning"] == true
            && told[0]["healthChecks"]["web"]
                == json!({ "name": "Web", "result": "failure", "message": "no page" }))
        .then_some(())
    });
}

pub(super) fn a_notification_is_the_packages_own_and_its_data_may_be_missing(world: &mut World) {
    let told = ask(
        world,
        ACTOR,
        &format!(
            "return [
               await effects.notification.create({{ level: 'warning', title: 'Low', message: 'on water', packageId: '{OTHER}', data: '**now**' }}),
               await effects.notification.create({{ level: 'info', title: 'Well', message: 'watered' }}),
               (await tried(effects.notification.create({{ level: 'info', title: 'x'.repeat(300), message: '' }}))).code,
               (await tried(effects.notification.create({{ level: 'shout', title: 'x', message: '' }}))).code,
             ]"
        ),
    );
    assert_eq!(told, json!([null, null, 38, -32602]));
    let shown = world.server.json(&["db", "dump", "/public/notifications"])["value"].clone();
    let rows: Vec<&Value> = shown.as_object().unwrap().values().collect();
    let own: Vec<_> = rows
        .iter()
        .filter(|row| row["packageId"] == ACTOR)
        .collect();
    assert!(
        rows.iter().all(|row| row["packageId"] != OTHER),
        "{shown:#}"
    );
    assert_eq!(own.len(), 2, "{shown:#}");
    assert_eq!(
        (&own[0]["level"], &own[0]["data"]),
        (&json!("warning"), &json!("**now**"))
    );
    assert_eq!(
        (&own[1]["title"], &own[1]["data"]),
        (&json!("Well"), &Value::Null)
    );
    for id in [ACTOR, OTHER] {
        world.server.cli(&["package", "uninstall", id]);
    }
}
