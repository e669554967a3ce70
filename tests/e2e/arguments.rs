//! The part of libtest's command line that cargo, editors and `make test` use.

/// What to run, and how to tell of it.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    /// Only say what there is.
    pub(crate) list: bool,
    /// Print how long each step took, as `<0.123s>`.
    pub(crate) report_time: bool,
}

impl Arguments {
    pub(crate) fn of_process() -> Self {
        let mut found = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => found.list = true,
                "--exact" => found.exact = true,
                "--report-time" => found.report_time = true,
                "--skip" => found.skip.extend(words.next()),
                // These take a value that means nothing here.
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => {
                    drop(words.next())
                }
                flag if flag.starts_with('-') => {}
                filter => found.filters.push(filter.to_owned()),
            }
        }
        found
    }

    pub(crate) fn choose(&self, name: &str) -> bool {
        let matches = |pattern: &String| {
            if self.exact {
                name == pattern
            } else {
                name.contains(pattern.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skip.iter().any(matches)
    }
}
