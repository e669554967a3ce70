//! OTP's supervisor, small and blocking, to compare ours with.
//!
//! Written from OTP's documentation and the behaviour of `supervisor`, in its terms: one mailbox,
//! starts and stops that happen at once, a list of children. It shares nothing with the state
//! machine under test but the plain types of `rules.rs`.

use std::collections::VecDeque;

use super::rules::{AutoShutdown, Restart, Strategy};
use crate::exit::ExitClass;

/// What can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Start { child: usize, ok: bool },
    Stop { child: usize },
    Answer(Answer),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok,
    NotFound,
    Present,
    Running,
    Restarting,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pid {
    None,
    Some(u64),
    Restarting,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    id: usize,
    restart: Restart,
    pid: Pid,
}

#[derive(Clone, Debug)]
pub(super) enum Letter {
    /// The current incarnation of the child ends now; the news is in the mailbox.
    Exit(usize, ExitClass),
    Add(usize, Restart),
    Terminate(usize),
    Restart(usize),
    Delete(usize),
}

enum Mail {
    Exit(u64, ExitClass),
    TryAgain(usize),
    Letter(Letter),
}

pub(super) struct Otp {
    strategy: Strategy,
    intensity: usize,
    period_ms: u64,
    auto_shutdown: AutoShutdown,
    children: Vec<Child>,
    restarts: Vec<u64>,
    mailbox: VecDeque<Mail>,
    /// Of each start to come, per child: does it succeed? Empty: yes.
    outcomes: Vec<VecDeque<bool>>,
    dead: Vec<u64>,
    next_pid: u64,
    now_ms: u64,
    ended: bool,
    pub(super) seen: Vec<Seen>,
}

impl Otp {
    pub(super) fn start(
        (strategy, auto_shutdown): (Strategy, AutoShutdown),
        (intensity, period_ms): (u32, u64),
        children: &[Restart],
        outcomes: Vec<VecDeque<bool>>,
    ) -> Self {
        let mut otp = Self {
            strategy,
            intensity: intensity as usize,
            period_ms,
            auto_shutdown,
            children: children
                .iter()
                .enumerate()
                .map(|(id, restart)| Child {
                    id,
                    restart: *restart,
                    pid: Pid::None,
                })
                .collect(),
            restarts: Vec::new(),
            mailbox: VecDeque::new(),
            outcomes,
            dead: Vec::new(),
            next_pid: 0,
            now_ms: 0,
            ended: false,
            seen: Vec::new(),
        };
        if otp.start_children(0).is_err() {
            otp.end();
        }
        otp
    }

    pub(super) fn deliver(&mut self, wait_ms: u64, letters: &[Letter]) {
        self.now_ms += wait_ms;
        for letter in letters {
            match letter {
                Letter::Exit(id, class) => {
                    let pid = self.position(*id).map(|at| self.children[at].pid);
                    if let Some(Pid::Some(pid)) = pid
                        && !self.dead.contains(&pid)
                    {
                        self.dead.push(pid);
                        self.mailbox.push_back(Mail::Exit(pid, *class));
                    }
                }
                other => self.mailbox.push_back(Mail::Letter(other.clone())),
            }
        }
        while !self.ended
            && let Some(mail) = self.mailbox.pop_front()
        {
            self.receive(mail);
        }
    }

    fn receive(&mut self, mail: Mail) {
        match mail {
            Mail::Exit(pid, class) => {
                let Some(at) = self.children.iter().position(|c| c.pid == Pid::Some(pid)) else {
                    return;
                };
                let child = self.children[at];
                let again = match child.restart {
                    Restart::Permanent => true,
                    Restart::Transient { .. } => class == ExitClass::Abnormal,
                    Restart::Temporary { .. } => false,
                };
                if again {
                    self.restart(child.id);
                } else {
                    self.del_child(at);
                    self.auto_shutdown(child.restart);
                }
            }
            Mail::TryAgain(id) => {
                if let Some(at) = self.position(id)
                    && self.children[at].pid == Pid::Restarting
                {
                    self.restart(id);
                }
            }
            Mail::Letter(letter) => {
                let answer = self.command(&letter);
                self.seen.push(Seen::Answer(answer));
            }
        }
    }

    fn command(&mut self, letter: &Letter) -> Answer {
        match *letter {
            Letter::Exit(..) => unreachable!("delivered as news"),
            Letter::Add(id, restart) => {
                if self.position(id).is_some() {
                    return Answer::Present;
                }
                match self.start_one(id) {
                    Some(pid) => {
                        self.children.push(Child {
                            id,
                            restart,
                            pid: Pid::Some(pid),
                        });
                        Answer::Ok
                    }
                    None => Answer::Failed,
                }
            }
            Letter::Terminate(id) => {
                let Some(at) = self.position(id) else {
                    return Answer::NotFound;
                };
                self.stop_one(at);
                if matches!(self.children[at].restart, Restart::Temporary { .. }) {
                    self.children.remove(at);
                } else {
                    self.children[at].pid = Pid::None;
                }
                Answer::Ok
            }
            Letter::Restart(id) => {
                let Some(at) = self.position(id) else {
                    return Answer::NotFound;
                };
                match self.children[at].pid {
                    Pid::Some(_) => Answer::Running,
                    Pid::Restarting => Answer::Restarting,
                    Pid::None => match self.start_one(id) {
                        Some(pid) => {
                            self.children[at].pid = Pid::Some(pid);
                            Answer::Ok
                        }
                        None => Answer::Failed,
                    },
                }
            }
            Letter::Delete(id) => {
                let Some(at) = self.position(id) else {
                    return Answer::NotFound;
                };
                match self.children[at].pid {
                    Pid::Some(_) => Answer::Running,
                    Pid::Restarting => Answer::Restarting,
                    Pid::None => {
                        self.children.remove(at);
                        Answer::Ok
                    }
                }
            }
        }
    }

    fn restart(&mut self, id: usize) {
        let (now, period) = (self.now_ms, self.period_ms);
        self.restarts.push(now);
        self.restarts.retain(|then| now <= then + period);
        let at = self.position(id).expect("a child that restarts is listed");
        if self.restarts.len() > self.intensity {
            self.del_child(at);
            self.end();
            return;
        }
        let failed = match self.strategy {
            Strategy::OneForOne => match self.start_one(id) {
                Some(pid) => {
                    self.children[at].pid = Pid::Some(pid);
                    None
                }
                None => Some(id),
            },
            Strategy::OneForAll => {
                self.del_child(at);
                self.stop_from(0);
                self.start_children(0).err()
            }
            Strategy::RestForOne => {
                self.children[at].pid = Pid::None;
                self.stop_from(at);
                self.start_children(at).err()
            }
        };
        if let Some(failed) = failed {
            let at = self.position(failed).expect("it was just tried");
            self.children[at].pid = Pid::Restarting;
            self.mailbox.push_back(Mail::TryAgain(failed));
        }
    }

    fn auto_shutdown(&mut self, ended: Restart) {
        let significant = |restart: Restart| {
            matches!(
                restart,
                Restart::Transient { significant: true } | Restart::Temporary { significant: true }
            )
        };
        let end = significant(ended)
            && match self.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !self
                    .children
                    .iter()
                    .any(|child| child.pid != Pid::None && significant(child.restart)),
            };
        if end {
            self.end();
        }
    }

    fn end(&mut self) {
        self.stop_from(0);
        self.ended = true;
        self.seen.push(Seen::Ended);
    }

    fn start_children(&mut self, from: usize) -> Result<(), usize> {
        for at in from..self.children.len() {
            let id = self.children[at].id;
            let pid = self.start_one(id).ok_or(id)?;
            self.children[at].pid = Pid::Some(pid);
        }
        Ok(())
    }

    fn stop_from(&mut self, from: usize) {
        for at in (from..self.children.len()).rev() {
            self.stop_one(at);
            if matches!(self.children[at].restart, Restart::Temporary { .. }) {
                self.children.remove(at);
            } else {
                self.children[at].pid = Pid::None;
            }
        }
    }

    fn start_one(&mut self, child: usize) -> Option<u64> {
        let ok = self.outcomes[child].pop_front().unwrap_or(true);
        self.seen.push(Seen::Start { child, ok });
        self.next_pid += 1;
        ok.then_some(self.next_pid)
    }

    fn stop_one(&mut self, at: usize) {
        if let Child {
            id,
            pid: Pid::Some(_),
            ..
        } = self.children[at]
        {
            self.seen.push(Seen::Stop { child: id });
        }
    }

    fn del_child(&mut self, at: usize) {
        if matches!(self.children[at].restart, Restart::Temporary { .. }) {
            self.children.remove(at);
        } else {
            self.children[at].pid = Pid::None;
        }
    }

    fn position(&self, id: usize) -> Option<usize> {
        self.children.iter().position(|child| child.id == id)
    }
}
