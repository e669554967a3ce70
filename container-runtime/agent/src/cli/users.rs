//! Users of a subcontainer, from its own files.
//!
//! Invariant: no name service is asked; the two files are read as text, and a line that is not
//! whole is passed over. A missing file is an empty one: numbers still work then.

use super::{Doing, Failure};

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: Option<String>,
}

/// Reads `/etc/passwd` and `/etc/group` as this process sees them and resolves `<user>[:<group>]`.
pub(super) fn look_up(wanted: Option<&str>) -> Result<Identity, Failure> {
    let read = |path: &str| match std::fs::read(path) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    };
    let passwd = read("/etc/passwd").doing(|| "read /etc/passwd in the subcontainer".into())?;
    let group = read("/etc/group").doing(|| "read /etc/group in the subcontainer".into())?;
    resolve(wanted, &passwd, &group)
}

fn resolve(wanted: Option<&str>, passwd: &str, group: &str) -> Result<Identity, Failure> {
    let (user, explicit_group) = match wanted.unwrap_or("0").split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted.unwrap_or("0"), None),
    };
    let number: Option<u32> = user.parse().ok();
    let line = passwd
        .lines()
        .filter_map(Passwd::read)
        .find(|line| line.name == user || number == Some(line.uid));
    let (uid, mut gid, name, home) = match (&line, number) {
        (Some(line), _) => (
            line.uid,
            line.gid,
            Some(line.name),
            Some(line.home.to_owned()),
        ),
        // A number nobody has a line for is still an id, with the group of root as Docker has it.
        (None, Some(uid)) => (uid, 0, None, None),
        // Every system has a root; an image without a passwd file too.
        (None, None) if user == "root" => (0, 0, Some("root"), None),
        (None, None) => {
            return Err(Failure::new(format!(
                "there is no user `{user}` in /etc/passwd of the subcontainer"
            )));
        }
    };
    let groups = || group.lines().filter_map(Group::read);
    if let Some(wanted) = explicit_group {
        let by_name = groups()
            .find(|line| line.name == wanted)
            .map(|line| line.gid);
        gid = by_name.or_else(|| wanted.parse().ok()).ok_or_else(|| {
            Failure::new(format!(
                "there is no group `{wanted}` in /etc/group of the subcontainer"
            ))
        })?;
    }
    let groups = match name {
        Some(name) => groups()
            .filter(|line| line.members.split(',').any(|member| member == name))
            .map(|line| line.gid)
            .collect(),
        None => Vec::new(),
    };
    Ok(Identity {
        uid,
        gid,
        groups,
        home,
    })
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Passwd<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?;
        Some(Self {
            name,
            uid,
            gid,
            home,
        })
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Self {
            name,
            gid,
            members: fields.next().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33:www:/var/www:/bin/sh\n";
    const GROUP: &str =
        "root:x:0:\nwww-data:x:33:\nssl:x:50:postgres,www-data\nvideo:x:44:www-data\n";

    fn who(wanted: Option<&str>) -> (u32, u32, Vec<u32>, Option<String>) {
        let found = resolve(wanted, PASSWD, GROUP).unwrap();
        (found.uid, found.gid, found.groups, found.home)
    }

    #[test]
    fn users_are_found_by_name_by_number_and_by_default() {
        let www = (33, 33, vec![50, 44], Some("/var/www".to_owned()));
        assert_eq!(who(Some("www-data")), www);
        assert_eq!(who(Some("33")), www);
        assert_eq!(who(Some("33:33")), www);
        assert_eq!(who(None), (0, 0, vec![], Some("/root".to_owned())));
        assert_eq!(who(Some("root")).0, 0);
    }

    #[test]
    fn an_explicit_group_wins_by_name_or_number() {
        assert_eq!(who(Some("www-data:ssl")).1, 50);
        assert_eq!(who(Some("0:7")).1, 7);
    }

    #[test]
    fn a_number_without_a_line_is_just_the_number() {
        assert_eq!(who(Some("1000")), (1000, 0, vec![], None));
    }

    #[test]
    fn unknown_names_are_refused_and_missing_files_only_cost_names() {
        assert!(resolve(Some("nobody-here"), PASSWD, GROUP).is_err());
        assert!(resolve(Some("root:nobody-here"), PASSWD, GROUP).is_err());
        assert_eq!(resolve(Some("root"), "", "").unwrap().uid, 0);
        assert_eq!(resolve(None, "", "").unwrap().uid, 0);
    }
}
