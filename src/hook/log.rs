//! What is said of a run that does not fail. Of such a one no runtime shows what it wrote to standard
//! error: runc and CRI-O show it with the failure, crun never does.

use crate::hook::NAME;
use crate::message::Level;
use std::os::unix::net::UnixDatagram;
use std::process;

/// Where the system's log listens, journald or another one (syslog(3)).
const SOCKET: &str = "/dev/log";

/// The facility of daemons (syslog(3)).
const DAEMON: u8 = 3 << 3;

/// Says `text`, one line, in the system's log. It does not wait, and where nobody listens nothing is said.
pub(super) fn say(level: Level, text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    let severity = match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug => 7,
    };
    let line = format!("<{}>{NAME}[{}]: {text}", DAEMON | severity, process::id());
    // Standard error has it, too.
    let _ = socket.send_to(line.as_bytes(), SOCKET);
}
