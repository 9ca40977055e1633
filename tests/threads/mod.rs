//! Work spread over the cores, its results in the order of its inputs.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// A simulation copies documents more than anything else: this allocator does that in three quarters of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A number from the environment.
#[allow(dead_code, reason = "each test uses what it needs")]
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The commit that is tested, as git names it.
#[allow(dead_code, reason = "each test uses what it needs")]
pub fn commit() -> String {
    let mut git = std::process::Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = git.output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
    said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// Applies `work` to every item.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    results.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
