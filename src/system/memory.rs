//! How much memory this process may have, which is what the machine has, or less if a cgroup bounds it; and giving back
//! what it has but does not use. Unsafe code, since no safe library gives that back.

use std::{fs, path::Path};

/// In bytes.
pub fn available() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = u64::from(machine.mem_unit).saturating_mul(machine.totalram as u64);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    bound_of_cgroups(Path::new("/sys/fs/cgroup"), &own).map_or(machine, |bound| bound.min(machine))
}

/// The tightest bound of the process's cgroups and those above them. `own` is what /proc says about them; in a
/// container, it may name folders that only the outside can see.
fn bound_of_cgroups(mounted: &Path, own: &str) -> Option<u64> {
    let cgroups = own.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        // Version 2 has one hierarchy, without a list of controllers.
        let (hierarchy, file) = match controllers {
            "" => (mounted.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        Some((hierarchy, Path::new(path.trim_start_matches('/')), file))
    });
    let bounds = cgroups.flat_map(|(hierarchy, path, file)| {
        let folders = path.ancestors().map(move |folder| hierarchy.join(folder).join(file));
        // If there is no bound, it says `max`.
        folders.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
    });
    bounds.min()
}

/// Returns to the system what the allocator keeps of freed memory: every free page, including those between others that
/// are in use, which it never returns by itself. Takes a few milliseconds, and holds up other threads that allocate
/// meanwhile.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_files(files: &[(&str, &str)], own: &str) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        bound_of_cgroups(folder.path(), own)
    }

    #[test]
    fn least_bound_of_a_cgroup_and_those_above_it_counts() {
        let slice = [("a/memory.max", "500\n"), ("a/b/memory.max", "max\n"), ("a/b/c/memory.max", "900\n")];
        assert_eq!(with_files(&slice, "0::/a/b/c\n"), Some(500));
        assert_eq!(with_files(&slice, "0::/a/b/c/d\n"), Some(500));
        assert_eq!(with_files(&slice, "0::/other\n"), None);
        assert_eq!(with_files(&[("memory.max", "700")], "0::/\n"), Some(700));
        // Inside a container, whose own cgroup is mounted as the root.
        assert_eq!(with_files(&[("memory.max", "700")], "0::/machine/outside\n"), Some(700));
    }

    #[test]
    fn first_version_of_cgroups_is_asked_by_its_controller() {
        let own = "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n";
        assert_eq!(with_files(&[("memory/a/memory.limit_in_bytes", "600\n")], own), Some(600));
        assert_eq!(with_files(&[("cpu,cpuacct/a/memory.limit_in_bytes", "1\n")], own), None);
        assert_eq!(with_files(&[], "nonsense"), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!((1 << 26..1 << 60).contains(&available()), "{}", available());
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut pieces: Vec<_> = (0..1000_usize).map(|number| vec![number as u8; 10_000]).collect();
        let mut at = 0..;
        pieces.retain(|_| at.next().is_some_and(|at: usize| at.is_multiple_of(2)));
        trim();
        assert!(
            pieces.iter().enumerate().all(|(at, piece)| piece.iter().all(|&byte| byte == (2 * at) as u8))
        );
    }
}
