//! Commands that enter a namespace themselves.

use crate::message::plain;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The programs that enter a namespace themselves.
const WRAPPERS: [&str; 4] = ["nsenter", "kubensenter", "kubenswrapper", "kubens-exec"];

/// What among the words of a command enters a namespace by itself: nsenter, another wrapper, or the
/// path of the pin; also in the text of a shell's `-c`. As it stands there.
pub fn existing_wrapper<'a>(
    words: impl IntoIterator<Item = &'a [u8]>,
    pin: &Path,
) -> Option<String> {
    let pin = pin.as_os_str().as_bytes();
    let in_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    for word in words {
        for part in word.split(|byte| !in_path(byte)) {
            let name = part.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            if let Some(known) = WRAPPERS.iter().find(|known| known.as_bytes() == name) {
                return Some((*known).to_owned());
            }
        }
        let ends = |at: usize| word.get(at + pin.len()).is_none_or(|byte| !in_path(byte));
        let found = |(at, window): (usize, &[u8])| window == pin && ends(at);
        if !pin.is_empty() && word.windows(pin.len()).enumerate().any(found) {
            return Some(plain(OsStr::from_bytes(pin)).to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_found_in_any_word() {
        let found = |words: &[&str], pin: &str| {
            existing_wrapper(words.iter().map(|word| word.as_bytes()), Path::new(pin))
        };
        let pin = "/run/kubens/mnt";
        assert_eq!(found(&["/bin/x", "-a", "sh -c 'a&&/b/nsenter -t1'"], pin).unwrap(), "nsenter");
        assert_eq!(found(&["/opt/kubens-exec"], pin).unwrap(), "kubens-exec");
        assert_eq!(found(&["x", "--mount=/run/kubens/mnt"], pin).unwrap(), pin);
        assert_eq!(
            found(&["x", "--mount=/run/kubens/mnt/a", "nsenter.sh", "my-nsenter"], pin),
            None
        );
        assert_eq!(found(&["x", "/other pin"], "/other pin").unwrap(), "/other pin");
        assert_eq!(found(&["x", ""], ""), None);
    }
}
