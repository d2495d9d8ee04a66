//! `--help` and `--version`: the only things that the hook writes to standard output.

/// The text of `--help`.
pub(crate) const HELP: &str = "\
An OCI hook: become another hook in the pinned mount namespace, or prove that
the container runtime is in it

Usage: kubens-hook [OPTION]... [--] HOOK [ARG]...
       kubens-hook [OPTION]...

The runtime gives the container's state on standard input. With HOOK,
kubens-hook joins the pinned namespace and becomes HOOK, with the same state on
its standard input. Without, it checks that the runtime is in the namespace, and
that the container's volumes which ask for propagation are joined to it.

Options end at '--' or at the first word that is not one:
  -n, --namespace PATH  the namespace pinned at PATH instead of $KUBENSMNT or
                        /run/kubens/mnt
      --require         refuse when nothing is pinned at the default
      --policy POLICY   what a check does when it fails: 'enforce' fails the
                        creation of the container (the default), 'warn' only
                        says so, in the system's log too
  -p, --profile NAME    take from HOOK what the profile NAME, or a file,
                        which has a slash, says (kubens-profile(5))
      --argv0 NAME      give HOOK this argv[0], any value
      --timeout SECONDS end by then, HOOK included; 1 to 86400
      --record DIR      stay as HOOK's parent, and record in DIR how long it took
  -h, --help            print this
  -V, --version         print the version

Exit status: 0 yes, 1 no or refused, with the reason in one line; or HOOK's.
A container that is stopped never fails for a reason of ours.

Example, a hooks.d file for createRuntime, poststop:
  \"hook\": {
    \"path\": \"/usr/libexec/oci/hooks.d/kubens-hook\",
    \"args\": [\"kubens-hook\", \"--require\", \"--\", \"/usr/libexec/my-hook\"]
  }
More: kubens-hook(8)
";

/// The text of `--version`.
pub(crate) const VERSION: &str = concat!("kubens-hook ", env!("CARGO_PKG_VERSION"), "\n");
