//! Many at one instant: processes or threads that get ready, wait behind one barrier, and are let go together.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;

/// Runs it in so many processes; in how many it held. Each gets its number and a function that waits for the instant.
pub fn processes(count: usize, holds: impl Fn(usize, &dyn Fn()) -> bool) -> usize {
    let (ready, start, results) = (pipe(), pipe(), pipe());
    let mut children = Vec::with_capacity(count);
    for n in 0..count {
        // SAFETY: this process has one thread, so the child may do whatever it could.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(start.1);
            let wait = || {
                (&ready.1).write_all(b".").unwrap();
                let _ = (&start.0).read(&mut [0]);
            };
            let held = catch_unwind(AssertUnwindSafe(|| holds(n, &wait)));
            let byte = if held.unwrap_or(false) { b"+" } else { b"-" };
            (&results.1).write_all(byte).unwrap();
            // SAFETY: the child ends here, without the test harness's farewell.
            unsafe { libc::_exit(0) };
        }
        children.push(child);
    }
    (&ready.0).read_exact(&mut vec![0; count]).unwrap();
    drop(start.1);
    drop(results.1);
    let mut told = String::new();
    (&results.0).read_to_string(&mut told).unwrap();
    for child in children {
        // SAFETY: it is our child, and nobody else waits for it.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    assert_eq!(told.len(), count, "every process has an answer");
    told.matches('+').count()
}

/// The same for those that have nothing to get ready.
pub fn at_once(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    processes(count, |n, wait| {
        wait();
        holds(n)
    })
}

/// The same in threads of this process, which has no others when this returns.
pub fn threads(count: usize, holds: impl Fn(usize, &dyn Fn()) -> bool + Sync) -> usize {
    let barrier = Barrier::new(count);
    let wait = || {
        barrier.wait();
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|n| {
                let (holds, wait) = (&holds, &wait);
                scope.spawn(move || holds(n, wait))
            })
            .collect();
        let held = all.into_iter().map(|one| one.join().unwrap());
        held.filter(|held| *held).count()
    })
}

/// The reading and the writing end of a pipe.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors, which are ours alone afterwards.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}
