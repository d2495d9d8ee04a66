#!/bin/sh
# What tests/common/node.rs runs to make a node: a machine with a real systemd, in namespaces.
#
#   node.sh keep ROOT          in a mount namespace of its own: the disk, until standard input ends
#   node.sh boot TTY WORD...   as process 1 of the node's other namespaces: systemd, on that disk
#
# Between the two lies /run, a tmpfs that only they and node.rs see: root is the disk (an overlay
# above ROOT), own a cgroup, kmsg a FIFO, cmdline what the kernel was told.
set -eu

# What would touch the machine below, or waits for hardware or a person.
masked='
    console-getty.service container-getty@.service getty.target getty-static.service
    serial-getty@.service systemd-firstboot.service systemd-vconsole-setup.service
    initial-setup.service rc-local.service
    systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
    systemd-udevd-varlink.socket systemd-udev-trigger.service systemd-udev-settle.service
    systemd-udev-load-credentials.service systemd-hwdb-update.service kmod-static-nodes.service
    systemd-modules-load.service systemd-tmpfiles-setup-dev.service
    systemd-tmpfiles-setup-dev-early.service systemd-remount-fs.service systemd-repart.service
    systemd-pstore.service systemd-rfkill.service systemd-random-seed.service
    systemd-sysctl.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
    sys-kernel-config.mount sys-fs-fuse-connections.mount
    systemd-logind.service systemd-networkd.service systemd-networkd.socket
    systemd-resolved.service systemd-timesyncd.service systemd-journald-audit.socket
    systemd-oomd.service systemd-oomd.socket auditd.service audit-rules.service
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer
    e2scrub_reap.service man-db.timer logrotate.timer dnf-makecache.timer'
masked_generators='
    systemd-sysv-generator systemd-rc-local-generator systemd-getty-generator
    systemd-gpt-auto-generator postgresql-generator cloud-init-generator anaconda-generator'

# The cgroups that systemd left below $1, and it.
remove_cgroups() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || :
    test ! -e "$1"
}

keep() {
    # The end of standard input ends this, not a signal to all that the terminal runs.
    trap '' INT HUP
    script=$(cat "$0")
    mount -t tmpfs -o mode=755 node /run
    cd /run
    printf '%s\n' "$script" >node.sh
    mkdir upper work root cgroup
    # Two of these never share anything: the names are relative to this /run.
    mount -t overlay -o "lowerdir=$1,upperdir=upper,workdir=work" node root
    # The one hierarchy, wherever the machine has it and whether it uses it or not.
    mount -t cgroup2 node cgroup
    ln -s "$(mktemp -d cgroup/kubens-node-XXXXXX)" own
    mkfifo kmsg

    # Nothing of what the machine below was configured to start.
    rm -rf root/etc/systemd/system root/etc/crypttab root/var/log/journal
    mkdir -p root/etc/systemd/system root/etc/systemd/system-generators
    cd root/etc/systemd
    for unit in $masked; do ln -s /dev/null "system/$unit"; done
    for generator in $masked_generators; do ln -sf /dev/null "system-generators/$generator"; done
    ln -s /usr/lib/systemd/system/multi-user.target system/default.target
    mkdir -p system-preset journald.conf.d
    echo 'disable *' >system-preset/99-node.preset
    # Or it and who reads the FIFO would each get a part.
    printf '[Journal]\nReadKMsg=no\n' >journald.conf.d/node.conf
    cd /run/root/etc
    : >fstab
    echo node >hostname
    rm -f machine-id
    tr -d - </proc/sys/kernel/random/uuid >machine-id
    mount --bind /dev ../dev # for what prepares the disk

    cd /run
    echo ready
    while read -r _; do :; done

    if test -e own/cgroup.kill; then echo 1 >own/cgroup.kill; fi
    own=$(readlink own)
    for _ in $(seq 200); do
        if remove_cgroups "$own"; then return; fi
        sleep 0.02
    done
}

boot() {
    for left in /run/own/*/; do remove_cgroups "$left" || :; done
    echo 0 >/run/own/cgroup.procs
    # From in there, so that the node sees its own cgroup as the root.
    exec unshare --cgroup sh "$0" init "$@"
}

init() {
    tty=$1
    shift
    cd /run/root
    umount dev
    mount -t proc -o nosuid,nodev,noexec proc proc
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755,nosuid dev dev
    mount -t tmpfs -o mode=755,nosuid,nodev run run
    mount -t tmpfs -o mode=1777,nosuid,nodev tmp tmp

    # Parameters of the kernel are the whole machine's, but for the network's.
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount --bind proc/sys/net proc/sys/net
    mount -o remount,bind,rw proc/sys/net
    mount --bind /run/cmdline proc/cmdline

    mkdir dev/pts dev/shm dev/mqueue
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
    while read -r name kind major minor; do
        mknod -m 666 "dev/$name" "$kind" "$major" "$minor"
    done <<-EOT
	null c 1 3
	zero c 1 5
	full c 1 7
	random c 1 8
	urandom c 1 9
	tty c 5 0
	fuse c 10 229
	loop-control c 10 237
	EOT
    for number in $(seq 0 31); do mknod -m 660 "dev/loop$number" b 7 "$number"; done
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    ln -s fd/0 dev/stdin
    ln -s fd/1 dev/stdout
    ln -s fd/2 dev/stderr
    touch dev/console dev/kmsg
    mount --bind "$tty" dev/console
    stty cols 200 rows 50 <dev/console # names of units in full
    mount --bind /run/kmsg dev/kmsg
    if test -e proc/sysrq-trigger; then mount --bind dev/null proc/sysrq-trigger; fi

    pivot_root . .
    umount -l .
    # As systemd itself makes it where it is not told that it is in a container.
    mount --make-rshared /
    exec /usr/lib/systemd/systemd "$@" <>/dev/console >&0 2>&1
}

"$@"
