//! What the hook is compared with: it reads its standard input to the end, and exits.
//!
//! The benchmark compiles this file by itself, for the same target and with the same options.

use std::io::Read;

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map(drop)
}
