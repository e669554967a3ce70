//! Causes and explanations in plain words, for people who run a server.

use crate::model::{Asked, By, Cause, Link};

/// What happened to something, as it follows its name: `ended with exit code 1`.
#[must_use]
pub fn happened(cause: &Cause) -> String {
    match cause {
        Cause::Exit { code } => format!("ended with exit code {code}"),
        Cause::Signal { signal } => {
            let known = nix::sys::signal::Signal::try_from(*signal);
            let name = known.map_or_else(|_| format!("signal {signal}"), |name| name.to_string());
            format!("was ended by {name}")
        }
        Cause::Oom { .. } => "ended: out of memory".to_owned(),
        Cause::ContainerDied => "went down with its container".to_owned(),
        Cause::RuntimeDied => "went down with the Node runtime".to_owned(),
        Cause::Operator { by, asked } => {
            let done = match asked {
                Asked::Start => "started",
                Asked::Stop => "stopped",
                Asked::Restart => "restarted",
            };
            format!("was {done} by {}", who(by))
        }
        Cause::StartFailed { message } => format!("did not come up: {message}"),
        Cause::StopFailed { message } => format!("did not end in good order: {message}"),
        Cause::Deadline { waited_for } => format!("took too long: {waited_for}"),
        Cause::Internal { message } => format!("failed by a fault of Coppice: {message}"),
        Cause::UpdateFailed { to, message } => format!("did not go to {to}: {message}"),
        Cause::FailedCheck { check, message } => {
            with("failed its check ", check, message.as_deref())
        }
        Cause::ConfigurationMissing {
            package,
            action,
            reason,
        } => with(
            &format!("needs the action {action} of "),
            package,
            reason.as_deref(),
        ),
    }
}

/// Somebody, as a sentence names them.
pub(crate) fn who(by: &By) -> &str {
    match by {
        By::Coppice => "Coppice",
        By::Package => "its package",
        By::Account { name } => name,
    }
}

fn with(before: &str, name: &str, said: Option<&str>) -> String {
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{before}{name}{said}")
}

/// A whole explanation: `web is held because its dependency db is parked because its init failed`.
#[must_use]
pub fn explain(links: &[Link]) -> String {
    chain(None, links)
}

/// The rest of an explanation that began with `of`: `its dependency db is parked because …`.
#[must_use]
pub fn explain_further(of: &str, links: &[Link]) -> String {
    chain(Some(of), links)
}

fn chain(of: Option<&str>, links: &[Link]) -> String {
    let mut spoken_of = of;
    let mut steps = Vec::new();
    for link in links {
        steps.push(step(spoken_of, link));
        spoken_of = service(link).or(spoken_of);
    }
    steps.join(" because ")
}

fn service(link: &Link) -> Option<&str> {
    match link {
        Link::Failed { service, .. }
        | Link::Parked { service }
        | Link::Held { service }
        | Link::Stopped { service }
        | Link::Starting { service }
        | Link::Unwell { service, .. }
        | Link::Missing { service }
        | Link::NeedsTask { service, .. } => Some(service),
        Link::DiskFull { .. } => None,
    }
}

/// One step; `spoken_of` is the service that the step before was about.
fn step(spoken_of: Option<&str>, link: &Link) -> String {
    let name = |service: &String| match spoken_of {
        None => service.clone(),
        Some(before) if before == service => "it".to_owned(),
        Some(_) => format!("its dependency {service}"),
    };
    match link {
        Link::Failed {
            service,
            what,
            cause,
        } => {
            let whose = match name(service) {
                it if it == "it" => "its".to_owned(),
                name => format!("{name}'s"),
            };
            match cause {
                Cause::StartFailed { message } if what == "init" => {
                    format!("{whose} init failed: {message}")
                }
                cause => format!("{whose} {what} {}", happened(cause)),
            }
        }
        Link::Parked { service } => format!("{} is parked", name(service)),
        Link::Held { service } => format!("{} is held", name(service)),
        Link::Stopped { service } => format!("{} is stopped", name(service)),
        Link::Starting { service } => format!("{} is not up yet", name(service)),
        Link::Unwell {
            service,
            check,
            message,
        } => with(
            &format!("{} fails its check ", name(service)),
            check,
            message.as_deref(),
        ),
        Link::Missing { service } => format!("{} is not installed", name(service)),
        Link::NeedsTask {
            service,
            action,
            reason,
        } => with(
            &format!("{} waits for somebody to run ", name(service)),
            action,
            reason.as_deref(),
        ),
        Link::DiskFull { free } => format!("the disk is full ({} MiB left)", free >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_three_services_reads_in_plain_words_from_end_to_end() {
        let links = [
            Link::Held {
                service: "web".into(),
            },
            Link::Held {
                service: "api".into(),
            },
            Link::Parked {
                service: "db".into(),
            },
            Link::Failed {
                service: "db".into(),
                what: "init".into(),
                cause: Cause::StartFailed {
                    message: "no such table".into(),
                },
            },
        ];
        assert_eq!(
            explain(&links),
            "web is held because its dependency api is held because its dependency db is parked \
             because its init failed: no such table"
        );
        assert_eq!(
            explain_further("web", &links[2..]),
            "its dependency db is parked because its init failed: no such table"
        );
    }

    #[test]
    fn a_part_that_failed_is_named_with_whose_it_is() {
        let links = [Link::Failed {
            service: "miniflux".into(),
            what: "daemon postgres".into(),
            cause: Cause::Oom { kills: 1 },
        }];
        assert_eq!(
            explain(&links),
            "miniflux's daemon postgres ended: out of memory"
        );
        assert_eq!(
            explain_further("miniflux", &links),
            "its daemon postgres ended: out of memory"
        );
    }

    #[test]
    fn every_other_way_to_be_down_has_its_words() {
        let service = || "db".to_owned();
        let said = |link: Link| explain_further("web", &[link]);
        assert_eq!(
            said(Link::Stopped { service: service() }),
            "its dependency db is stopped"
        );
        assert_eq!(
            said(Link::Starting { service: service() }),
            "its dependency db is not up yet"
        );
        assert_eq!(
            said(Link::Missing { service: service() }),
            "its dependency db is not installed"
        );
        assert_eq!(
            said(Link::Unwell {
                service: service(),
                check: "Web".into(),
                message: Some("no answer".into())
            }),
            "its dependency db fails its check Web: no answer"
        );
        assert_eq!(
            said(Link::NeedsTask {
                service: service(),
                action: "create-user".into(),
                reason: None
            }),
            "its dependency db waits for somebody to run create-user"
        );
        assert_eq!(
            said(Link::DiskFull { free: 3 << 20 }),
            "the disk is full (3 MiB left)"
        );
    }

    #[test]
    fn causes_follow_a_name() {
        for (cause, words) in [
            (Cause::Exit { code: 3 }, "ended with exit code 3"),
            (Cause::Signal { signal: 9 }, "was ended by SIGKILL"),
            (Cause::Signal { signal: 60 }, "was ended by signal 60"),
            (
                Cause::Operator {
                    by: By::Account {
                        name: "admin".into(),
                    },
                    asked: Asked::Stop,
                },
                "was stopped by admin",
            ),
            (
                Cause::UpdateFailed {
                    to: "2:0".into(),
                    message: "no such table".into(),
                },
                "did not go to 2:0: no such table",
            ),
            (
                Cause::FailedCheck {
                    check: "Web".into(),
                    message: None,
                },
                "failed its check Web",
            ),
            (
                Cause::ConfigurationMissing {
                    package: "db".into(),
                    action: "config".into(),
                    reason: Some("choose a size".into()),
                },
                "needs the action config of db: choose a size",
            ),
        ] {
            assert_eq!(happened(&cause), words);
        }
    }
}
