//! The machine that a run was made on, as its kernel describes it: what it has, and how it schedules. Nothing here names a
//! host or a path, since it is published.

use std::{collections::BTreeMap, fs, thread};

/// What is known, by name; what the kernel does not say is absent.
pub type Machine = BTreeMap<&'static str, String>;

/// The kernel's parameters that change how fast things go; no other is told.
const PARAMETERS: [&str; 17] = [
    "clocksource",
    "idle",
    "intel_idle.max_cstate",
    "intel_pstate",
    "isolcpus",
    "maxcpus",
    "mitigations",
    "nohz",
    "nohz_full",
    "nosmt",
    "preempt",
    "processor.max_cstate",
    "psi",
    "rcu_nocbs",
    "skew_tick",
    "transparent_hugepage",
    "tsc",
];

/// The machine that this runs on.
pub fn read() -> Machine {
    let [cpuinfo, meminfo, load, kernel, parameters] =
        ["cpuinfo", "meminfo", "loadavg", "sys/kernel/osrelease", "cmdline"]
            .map(|name| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default());
    let kib = field(&meminfo, "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
    let autogroup = whole("/proc/sys/kernel/sched_autogroup_enabled");
    let parameters = told(&parameters);
    let all = [
        ("cpu", field(&cpuinfo, "model name").map(str::to_owned)),
        ("cores", thread::available_parallelism().ok().map(|cores| cores.to_string())),
        ("memory", kib.map(|kib| format!("{:.1} GiB", kib as f64 / f64::from(1 << 20)))),
        ("load before the run (1 min)", load.split_ascii_whitespace().next().map(str::to_owned)),
        ("kernel", Some(format!("Linux {}", upstream_release(kernel.trim())))),
        ("kernel parameters", (!parameters.is_empty()).then_some(parameters)),
        ("autogroup", autogroup.map(|on| if on == "0" { "off" } else { "on" }.to_owned())),
        ("pressure stalls", whole("/proc/pressure/cpu").map(|_| "counted".to_owned())),
        ("governor", whole("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        ("cgroup depth", whole("/proc/self/cgroup").map(|text| depth(&text).to_string())),
        ("huge pages", whole("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| chosen(&text))),
        ("clock", whole("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("scheduler features", whole("/sys/kernel/debug/sched/features")),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A line for each.
pub(crate) fn text(machine: &Machine) -> String {
    machine.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

fn whole(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The first `name : value` of a file in /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let matching = |line: &'a str| line.split_once(':').filter(|(key, _)| key.trim() == name);
    text.lines().find_map(matching).map(|(_, value)| value.trim())
}

/// The version without what a distributor or a host adds to it.
pub(crate) fn upstream_release(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    &release[..end]
}

/// The named parameters of a kernel's command line.
fn told(parameters: &str) -> String {
    let is_told = |word: &&str| PARAMETERS.contains(&word.split('=').next().unwrap_or(word));
    parameters.split_ascii_whitespace().filter(is_told).collect::<Vec<_>>().join(" ")
}

/// How many groups the processor's time passes through on its way here: of the line of the processor's controller, or of
/// the one hierarchy.
fn depth(cgroups: &str) -> usize {
    let path = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_it = controllers.is_empty() || controllers.split(',').any(|controller| controller == "cpu");
        is_it.then(|| path.split('/').filter(|name| !name.is_empty()).count())
    };
    cgroups.lines().filter_map(path).max().unwrap_or(0)
}

/// The word in brackets, of several.
fn chosen(text: &str) -> Option<String> {
    text.split_once('[')?.1.split_once(']').map(|(word, _)| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_by_its_upstream_release() {
        assert_eq!(upstream_release("6.1.0-18-amd64"), "6.1.0");
        assert_eq!(upstream_release("6.1"), "6.1");
    }

    #[test]
    fn fields_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\nMemTotal:    1024 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU"));
        assert_eq!(field(text, "MemTotal"), Some("1024 kB"));
        assert_eq!(field(text, "bogus"), None);
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
    }

    #[test]
    fn of_the_kernels_parameters_only_known_ones_are_told() {
        let line = "BOOT_IMAGE=/boot/vmlinuz root=UUID=1 mitigations=off quiet psi=1 ip=10.0.0.1:host nohz_full=1-3\n";
        assert_eq!(told(line), "mitigations=off psi=1 nohz_full=1-3");
    }

    #[test]
    fn a_group_is_as_deep_as_its_path() {
        assert_eq!(depth("0::/a/b.slice/c\n"), 3);
        assert_eq!(depth("4:memory:/a/b\n3:cpuacct,cpu:/a\n0::/\n"), 1);
        assert_eq!(depth(""), 0);
    }
}
