//! The weight of a line against the memory it really takes, measured by the allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use coppice_wire::{decode, weight};

/// Counts what is allocated, and remembers the most there ever was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the very same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        MOST.fetch_max(held, Ordering::SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test in this file: another thread's allocations would be counted too.
#[test]
fn no_line_takes_more_memory_than_its_weight() {
    for unit in [
        "0",
        "[]",
        "{}",
        "[0]",
        "\"\"",
        "{\"\":0}",
        "{\"\":{\"\":[]}}",
        "[[[[[]]]]]",
        "\"\\n\\n\\n\"",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}",
        "null",
        "1.5e3",
    ] {
        for count in [1, 3, 5, 9, 1_000, 33_000] {
            let list = vec![unit; count].join(",");
            let named: Vec<String> = (0..count).map(|at| format!("\"{at}\":{unit}")).collect();
            let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
            for params in [
                format!("[{list}]"),
                format!("{{{}}}", named.join(",")),
                deep,
            ] {
                let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
                let before = HELD.load(Ordering::SeqCst);
                MOST.store(before, Ordering::SeqCst);
                let message = decode(line.as_bytes()).unwrap();
                let took = MOST.load(Ordering::SeqCst) - before;
                assert!(
                    took <= weight(line.as_bytes()),
                    "{count} of {unit}: took {took} bytes of {}, text {}",
                    weight(line.as_bytes()),
                    line.len()
                );
                drop(message);
            }
        }
    }
}
