//! Which processors a thread may run on. A process that it starts inherits them, and so do its threads.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Those that the calling thread may run on.
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect())
}

/// Does something with the calling thread on one processor, and lets it run where it might before.
pub(crate) fn only_on<T>(processor: usize, action: impl FnOnce() -> T) -> io::Result<T> {
    among(&[processor], action)
}

/// Does something with the calling thread on any processor but that one, or on any if there is no other.
pub(crate) fn not_on<T>(processor: usize, action: impl FnOnce() -> T) -> io::Result<T> {
    let others: Vec<_> = allowed()?.into_iter().filter(|other| *other != processor).collect();
    if others.is_empty() { Ok(action()) } else { among(&others, action) }
}

fn among<T>(processors: &[usize], action: impl FnOnce() -> T) -> io::Result<T> {
    let before = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    sched_setaffinity(None, &set)?;
    let done = action();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_let_go_where_it_came_from() {
        let before = allowed().unwrap();
        let first = before[0];
        assert_eq!(only_on(first, || allowed().unwrap()).unwrap(), [first]);
        let others = not_on(first, || allowed().unwrap()).unwrap();
        assert!(before.len() == 1 || (!others.contains(&first) && others.len() + 1 == before.len()));
        assert_eq!(allowed().unwrap(), before);
    }
}
