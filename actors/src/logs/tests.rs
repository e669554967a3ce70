use super::*;

fn line(text: &str) -> String {
    format!(r#"{{"t":1,"run":"r","src":"runtime","stream":"out","line":"{text}"}}"#) + "\n"
}

fn folder(segments: &[(u64, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, content) in segments {
        std::fs::write(folder.path().join(segment_name(*number)), content).unwrap();
    }
    folder
}

fn texts(lines: &[Positioned]) -> Vec<&str> {
    lines.iter().map(|one| one.line.line.as_str()).collect()
}

#[test]
fn the_newest_lines_come_oldest_first_and_across_segments() {
    let dir = folder(&[(1, line("a") + &line("b")), (2, line("c"))]);
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(texts(&logs.tail(2).unwrap()), ["b", "c"]);
    assert_eq!(texts(&logs.tail(9).unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_reader_goes_on_where_it_stopped() {
    let dir = folder(&[(1, line("a") + &line("b")), (2, line("c"))]);
    let logs = ServiceLogs::in_folder(dir.path());
    let first = logs.tail(9).unwrap()[0].next;
    assert_eq!(texts(&logs.after(first, 9).unwrap()), ["b", "c"]);
    assert_eq!(texts(&logs.before(first, 9).unwrap()), ["a"]);
    assert_eq!(first.to_string().parse::<Cursor>(), Ok(first));
}

#[test]
fn half_a_line_is_not_read_before_it_is_whole() {
    let whole = line("a");
    let dir = folder(&[(1, whole.clone() + &whole[..10])]);
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(texts(&logs.tail(9).unwrap()), ["a"]);
    assert_eq!(logs.end().unwrap().offset, whole.len() as u64);
}

#[test]
fn what_is_not_ours_is_skipped_and_links_are_not_followed() {
    let dir = folder(&[(1, "not json\n".to_owned() + &line("a"))]);
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join(segment_name(2))).unwrap();
    std::fs::create_dir(dir.path().join(segment_name(3))).unwrap();
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(texts(&logs.tail(9).unwrap()), ["a"]);
}

#[test]
fn a_service_that_never_ran_has_no_lines_and_no_error() {
    let logs = ServiceLogs::in_folder(Path::new("/nonexistent/logs"));
    assert!(logs.tail(9).unwrap().is_empty());
}

#[test]
fn a_segment_that_is_too_long_to_be_ours_is_not_read() {
    let dir = folder(&[(1, line("a"))]);
    let huge = File::create(dir.path().join(segment_name(2))).unwrap();
    // Sparse: it takes no room, and reading it would.
    huge.set_len(1 << 40).unwrap();
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(texts(&logs.tail(9).unwrap()), ["a"]);
    let start = Cursor {
        segment: 0,
        offset: 0,
    };
    assert_eq!(texts(&logs.after(start, 9).unwrap()), ["a"]);
}

#[test]
fn only_the_newest_segments_are_read() {
    let all: Vec<(u64, String)> = (1..=40)
        .map(|number| (number, line(&number.to_string())))
        .collect();
    let dir = folder(&all);
    let logs = ServiceLogs::in_folder(dir.path());
    let read = logs.tail(100).unwrap();
    assert_eq!(read.len(), SEGMENTS_READ);
    assert_eq!(read.last().unwrap().line.line, "40");
}

#[test]
fn a_name_that_is_nearly_a_segment_is_none() {
    let dir = folder(&[(1, line("a"))]);
    std::fs::write(dir.path().join("2.jsonl"), line("b")).unwrap();
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(logs.segments().unwrap(), BTreeSet::from([1]));
}

#[test]
fn a_line_that_is_too_long_costs_only_itself() {
    let long = line(&"x".repeat(MAX_RAW_LINE));
    let dir = folder(&[(1, line("a") + &long + &line("b"))]);
    let logs = ServiceLogs::in_folder(dir.path());
    assert_eq!(texts(&logs.tail(9).unwrap()), ["a", "b"]);
    let first = logs.tail(9).unwrap()[0].next;
    assert_eq!(texts(&logs.after(first, 9).unwrap()), ["b"]);
}
