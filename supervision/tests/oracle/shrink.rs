//! Makes a script that shows a difference small, by leaving things out for as long as it still
//! shows one.

use super::{
    deviation::{Verdict, compare},
    erlang::Erlang,
    ours,
    script::{Child, Kind, Script, Start, Step, Sup},
};

/// The smallest script found, and what OTP and ours show of it.
pub(crate) fn shrink(script: &Script, erlang: &mut Erlang) -> (Script, String, String) {
    let mut best = script.clone();
    let (_, mut otp, mut ours) = differs(&best, erlang);
    loop {
        let smaller = smaller(&best).into_iter().find_map(|candidate| {
            let (differs, otp, ours) = differs(&candidate, erlang);
            differs.then_some((candidate, otp, ours))
        });
        match smaller {
            Some(found) => (best, otp, ours) = found,
            None => return (best, otp, ours),
        }
    }
}

fn differs(script: &Script, erlang: &mut Erlang) -> (bool, String, String) {
    let one = std::slice::from_ref(script);
    let (mut theirs, mut ours) = erlang.run_beside(one, || ours::run_all(one));
    let (theirs, ours) = (theirs.remove(0), ours.remove(0));
    let differs = matches!(compare(script, &theirs, &ours), Verdict::Different { .. });
    (differs, theirs, ours)
}

/// Each script that has one thing less.
fn smaller(script: &Script) -> Vec<Script> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut Script)| {
        let mut candidate = script.clone();
        change(&mut candidate);
        found.push(candidate);
    };
    for n in (0..script.steps.len()).rev() {
        with(&|script| drop(script.steps.remove(n)));
        if let Step::Batch(_, acts) = &script.steps[n] {
            for m in 0..acts.len() {
                with(&|script| {
                    if let Step::Batch(_, acts) = &mut script.steps[n] {
                        acts.remove(m);
                    }
                });
            }
            if let [act] = acts.as_slice() {
                with(&|script| script.steps[n] = Step::One(act.clone()));
            }
        }
    }
    let added = |name: &str| {
        script
            .steps
            .iter()
            .any(|step| script.step_term(step).starts_with(&format!("{{add,{name}")))
    };
    for child in script.children() {
        let name = child.name.clone();
        if !added(&name) {
            with(&|script| {
                remove(&mut script.root, &name);
                let used = script.steps.iter().any(|step| uses(step, &name));
                script.late.retain(|child| child.name != name || used);
            });
        }
        if let Kind::Worker { deaf, starts, then } = &child.kind {
            if *deaf || *then != Start::Up {
                with(&|script| plain(script, &name, |_| {}));
            }
            for n in 0..starts.len() {
                with(&|script| {
                    plain(script, &name, |starts| {
                        starts.remove(n);
                    })
                });
            }
        }
    }
    // A candidate that is no smaller would be tried for ever.
    let size = |script: &Script| script.to_string().len();
    found.retain(|candidate| size(candidate) < size(script));
    found
}

fn uses(step: &Step, name: &str) -> bool {
    match step {
        Step::One(act) => act.child() == name,
        Step::Batch(_, acts) => acts.iter().any(|act| act.child() == name),
        Step::Kill(sup) | Step::Stop(sup) => sup == name,
    }
}

fn remove(sup: &mut Sup, name: &str) {
    sup.children.retain(|child| child.name != name);
    for child in &mut sup.children {
        if let Kind::Sup(sup) = &mut child.kind {
            remove(sup, name);
        }
    }
}

/// A worker without peculiarities but its first starts, which `change` may shorten.
fn plain(script: &mut Script, name: &str, change: impl Fn(&mut Vec<Start>)) {
    fn visit(child: &mut Child, name: &str, change: &dyn Fn(&mut Vec<Start>)) {
        let found = child.name == name;
        match &mut child.kind {
            Kind::Worker { deaf, starts, then } if found => {
                let before = starts.len();
                change(starts);
                if starts.len() == before {
                    // Not its shutdown time: one that runs out in reality needs a deaf worker.
                    *then = Start::Up;
                    *deaf = false;
                }
            }
            Kind::Worker { .. } => {}
            Kind::Sup(sup) => {
                for child in &mut sup.children {
                    visit(child, name, change);
                }
            }
        }
    }
    for child in script.root.children.iter_mut().chain(&mut script.late) {
        visit(child, name, &change);
    }
}
