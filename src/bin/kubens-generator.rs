//! `kubens-generator`: the drop-ins that start services in the pinned mount namespace.
#![forbid(unsafe_code)]

/// Every boot and reload waits for this program, and musl's allocator asks the kernel for each few pages.
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Ends with status 0 whatever happens: what it cannot do it leaves, and says so in the log.
fn main() {
    kubens::systemd::generator::run();
}
