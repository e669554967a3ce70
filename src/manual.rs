//! What the command line says of itself beyond its verbs: for `--help`, for shells, and for the manual.
//!
//! The pages in `docs/man` are made of it. Invariant: they say what this program does; a test compares them, and
//! `COPPICE_GEN=1` (`make gen`) writes them.

use std::fmt::Write;

use clap::{Command, CommandFactory};
use coppice_api::cli::exit::CODES;

use crate::Arguments;

/// A heading, and what is said under it: a word and what it means, or a sentence alone.
type Section = (&'static str, Vec<(String, &'static str)>);

fn sections() -> Vec<Section> {
    let plain = |text| (String::new(), text);
    let said = |word: &str, means| (word.to_owned(), means);
    let codes = CODES.iter().map(|(code, means)| (code.to_string(), *means));
    vec![
        ("Exit status", codes.collect()),
        (
            "Output",
            vec![
                plain(
                    "With --json a verb prints one JSON value: the result of the API method that it calls, whose members only \
                     grow in number. With --watch, --follow or in top it prints one value a line. An error is printed in its \
                     place, as {\"error\": {\"code\", \"message\", \"details\"}}; the code is the API's, or else the exit status.",
                ),
                plain(
                    "Text is for people and may change. It has colour on a terminal only, and none when NO_COLOR is set. \
                     Whatever takes longer than a second shows how far it is on standard error, if that is a terminal.",
                ),
            ],
        ),
        (
            "Another machine",
            vec![plain(
                "`coppice login --host https://coppice.local --ca ca.crt` asks for the password and remembers the session and \
                 the certificate; from then on every verb takes --host. Automation puts a token into COPPICE_TOKEN instead. \
                 What is for root alone is done on the server itself.",
            )],
        ),
        (
            "Environment",
            vec![
                said("COPPICE_DATA_DIR", "as --data-dir"),
                said("COPPICE_HOST", "as --host"),
                said("COPPICE_ADDRESS", "as --address"),
                said("COPPICE_CA", "as --ca"),
                said(
                    "COPPICE_TOKEN",
                    "a token for the server at --host, instead of a login",
                ),
                said("COPPICE_LOG", "what the server logs, such as `debug`"),
                said(
                    "COPPICE_SLEEP_AFTER",
                    "after how many quiet seconds the server ends the JavaScript of a service that has nothing to do; 60 when it \
                     is not set, 0 for never",
                ),
                said("NO_COLOR", "no colour, whatever its value"),
            ],
        ),
        (
            "Files",
            vec![said(
                "~/.config/coppice/sessions.json",
                "logins to other machines; a session in it opens that server, so nobody else may read it",
            )],
        ),
    ]
}

/// The sections as text, below the help of the program.
pub(crate) fn more() -> String {
    let mut text = String::new();
    for (heading, entries) in sections() {
        let _ = writeln!(text, "{heading}:");
        for (word, means) in entries {
            let _ = if word.is_empty() {
                writeln!(text, "  {means}")
            } else {
                writeln!(text, "  {word:<18} {means}")
            };
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The command line without the words that are not for people.
pub(crate) fn seen() -> Command {
    without_hidden(Arguments::command())
}

fn without_hidden(command: Command) -> Command {
    let verbs: Vec<Command> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .cloned()
        .map(without_hidden)
        .collect();
    let mut bare = Command::new(command.get_name().to_owned())
        .args(command.get_arguments().cloned())
        .subcommands(verbs);
    bare = match command.get_about() {
        Some(about) => bare.about(about.clone()),
        None => bare,
    };
    let aliases: Vec<String> = command.get_visible_aliases().map(str::to_owned).collect();
    bare = bare.visible_aliases(aliases);
    match command.get_version() {
        Some(version) => bare.version(version.to_owned()),
        None => bare,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use clap_complete::Shell;
    use clap_mangen::Man;

    use super::*;

    /// One page of the manual for the program, and one for each noun.
    fn pages() -> BTreeMap<String, String> {
        let root = seen();
        let mut pages = BTreeMap::from([("coppice.1".to_owned(), page(&root, "coppice"))]);
        for noun in root.get_subcommands().filter(|noun| noun.has_subcommands()) {
            let name = format!("coppice-{}", noun.get_name());
            pages.insert(format!("{name}.1"), page(noun, &name));
        }
        pages
    }

    /// Says what each verb takes, too: a page for each would say little.
    fn page(command: &Command, name: &str) -> String {
        let named = command
            .clone()
            .name(name.to_owned())
            .bin_name(name.replace('-', " "));
        let is_root = !name.contains('-');
        let man = Man::new(named.clone())
            .title(name)
            .source("Coppice")
            .date("");
        let mut page = Vec::new();
        man.render_title(&mut page).unwrap();
        man.render_name_section(&mut page).unwrap();
        man.render_synopsis_section(&mut page).unwrap();
        man.render_description_section(&mut page).unwrap();
        if is_root {
            man.render_options_section(&mut page).unwrap();
        }
        let mut page = String::from_utf8(page).unwrap();
        page.push_str(".SH COMMANDS\n");
        verbs(&named, named.get_bin_name().unwrap(), &mut page);
        if is_root {
            for (heading, entries) in sections() {
                let _ = writeln!(page, ".SH {}", heading.to_uppercase());
                for (word, means) in entries {
                    let mark = if word.is_empty() {
                        ".PP\n".to_owned()
                    } else {
                        format!(".TP\n{}\n", escaped(&word))
                    };
                    let _ = writeln!(page, "{mark}{}", escaped(means));
                }
            }
        } else {
            page.push_str(".SH SEE ALSO\ncoppice(1) tells of the options of every command, exit status and environment.\n");
        }
        page
    }

    /// What every piece of roff begins with; a page needs it once.
    const PREAMBLE: [&str; 2] = [".ie \\n(.g .ds Aq \\(aq", ".el .ds Aq '"];

    fn verbs(command: &Command, path: &str, page: &mut String) {
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name());
            if verb.has_subcommands() && !path.trim_start_matches("coppice ").contains(' ') {
                let about = verb
                    .get_about()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let _ = writeln!(
                    page,
                    ".TP\n{}\n{} See {}(1).",
                    escaped(&path),
                    escaped(&about),
                    escaped(&path.replace(' ', "-"))
                );
                continue;
            }
            let man = Man::new(verb.clone().bin_name(path.clone()).disable_help_flag(true));
            let mut body = Vec::new();
            man.render_synopsis_section(&mut body).unwrap();
            man.render_description_section(&mut body).unwrap();
            man.render_options_section(&mut body).unwrap();
            let _ = writeln!(page, ".SS {}", escaped(&path));
            for line in String::from_utf8(body).unwrap().lines() {
                if line.starts_with(".SH ") {
                    page.push_str(".PP\n");
                } else if !PREAMBLE.contains(&line) {
                    let _ = writeln!(page, "{line}");
                }
            }
            verbs(verb, &path, page);
        }
    }

    /// As roff has it: a `-` that may be copied, and no line that is a request.
    fn escaped(text: &str) -> String {
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        match text.starts_with(['.', '\'']) {
            true => format!("\\&{text}"),
            false => text,
        }
    }

    #[test]
    fn the_committed_manual_is_that_of_this_program() {
        let folder = Path::new("docs/man");
        let now = pages();
        if std::env::var_os("COPPICE_GEN").is_some_and(|value| value == "1") {
            // A noun that is gone takes its page with it.
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder).unwrap();
            for (name, page) in &now {
                fs::write(folder.join(name), page).unwrap();
            }
        }
        let mut was = BTreeMap::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            was.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
        let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&was),
            names(&now),
            "the manual is stale: run `make gen`"
        );
        for (name, page) in now {
            assert!(
                was[&name] == page,
                "docs/man/{name} is stale: run `make gen`"
            );
        }
    }

    #[test]
    fn the_command_line_is_well_made_and_every_word_of_it_is_explained() {
        Arguments::command().debug_assert();
        fn walk(command: &Command, path: &str) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                assert!(
                    verb.get_about().is_some(),
                    "`{path}` says nothing of itself"
                );
                for argument in verb.get_arguments() {
                    let id = argument.get_id();
                    assert!(
                        argument.get_help().is_some(),
                        "`{id}` of `{path}` is not explained"
                    );
                }
                walk(verb, &path);
            }
        }
        walk(&seen(), "coppice");
    }

    #[test]
    fn every_shell_is_told_of_every_noun_and_of_no_hidden_word() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut seen(), "coppice", &mut script);
            let script = String::from_utf8(script).unwrap();
            for noun in seen().get_subcommands() {
                assert!(
                    script.contains(noun.get_name()),
                    "{shell}: {}",
                    noun.get_name()
                );
            }
            assert!(!script.contains("examine"), "{shell}");
            // A shell may write the dashes in its own way.
            assert!(script.contains("keep-services"), "{shell}");
        }
    }

    #[test]
    fn the_help_tells_every_exit_code() {
        let help = Arguments::command().render_long_help().to_string();
        for (code, means) in CODES {
            assert!(help.contains(&format!("{code:<18} {means}")), "{code}");
        }
    }
}
