//! `kubens-generator`: the drop-ins that start services in the pinned mount namespace.
#![forbid(unsafe_code)]

/// Ends with status 0 whatever happens: what it cannot do it leaves, and says so in the log.
fn main() {
    kubens::systemd::generator::run();
}
