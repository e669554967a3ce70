//! The contract with packages: each of its statements has a row in `docs/service-abi.md`, and the tests named there exist.

use std::fs;

use anyhow::{Context, Result};

use crate::checkout::Checkout;

const TABLE: &str = "docs/service-abi.md";

/// So many statements the contract has, with the differences between versions of the SDK.
const STATEMENTS: usize = 82;

pub(super) fn check(checkout: &Checkout) -> Result<Vec<String>> {
    let path = checkout.root.join(TABLE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(wrong(&text, |file| {
        fs::read_to_string(checkout.root.join(file)).ok()
    }))
}

fn wrong(table: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let rows: Vec<Row<'_>> = table.lines().filter_map(row).collect();
    let mut found = Vec::new();
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    if numbers != (1..=STATEMENTS).collect::<Vec<_>>() {
        found.push(format!(
            "{TABLE}: its rows are not numbered 1 to {STATEMENTS}"
        ));
    }
    for row in rows {
        let number = row.number;
        if row.tests.is_empty() && row.missing.is_empty() {
            found.push(format!(
                "{TABLE}, row {number}: name a test, or say why there is none yet"
            ));
        }
        for (file, test) in row.tests {
            let is_there = read(file).is_some_and(|text| {
                let [rust, typescript] = [format!("fn {test}("), format!("'{test}'")];
                text.contains(&rust) || text.contains(&typescript)
            });
            if !is_there {
                found.push(format!(
                    "{TABLE}, row {number}: there is no test `{test}` in {file}"
                ));
            }
        }
    }
    found
}

/// One statement.
struct Row<'a> {
    number: usize,
    /// Files and the tests in them.
    tests: Vec<(&'a str, &'a str)>,
    /// What is not shown yet.
    missing: &'a str,
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", number, _, shown, missing, ""] = cells[..] else {
        return None;
    };
    let number = number.parse().ok()?;
    let tests = shown.split("; ").filter_map(|one| {
        let (file, test) = one.split_once(' ')?;
        Some((file.trim_matches('`'), test.trim_matches('*')))
    });
    Some(Row {
        number,
        tests: tests.collect(),
        missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> String {
        let filler =
            (rows.len() + 1..=STATEMENTS).map(|n| format!("| {n} | It is so. | | later |"));
        let rows = rows.iter().map(|&row| row.to_owned());
        let head = "| | Statement | Shown by | Not yet |\n| --- | --- | --- | --- |".to_owned();
        [head]
            .into_iter()
            .chain(rows)
            .chain(filler)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn read(file: &str) -> Option<String> {
        match file {
            "a.rs" => Some("fn it_is_so() {}".to_owned()),
            "b.ts" => Some("it('is so', () => {});".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn tests_that_are_there_are_found_in_both_languages() {
        let good = table(&["| 1 | It is so. | `a.rs` *it_is_so*; `b.ts` *is so* | |"]);
        assert_eq!(wrong(&good, read), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_is_gone_or_a_row_without_any_is_told() {
        for (row, says) in [
            (
                "| 1 | It is so. | `a.rs` *it_is* | |",
                "no test `it_is` in a.rs",
            ),
            ("| 1 | It is so. | `c.rs` *it_is_so* | |", "in c.rs"),
            ("| 1 | It is so. | | |", "name a test"),
            ("| 2 | It is so. | | later |", "not numbered"),
        ] {
            let found = wrong(&table(&[row]), read);
            assert!(
                found.iter().any(|one| one.contains(says)),
                "{row}: {found:?}"
            );
        }
    }
}
