#!/bin/busybox sh
# The first process of the guest: the host's files below, what is written above them in memory, and then the command.
/bin/busybox mkdir -p /bin /proc /sys /dev /host /memory /root /hot
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" || echo "init: no module $module"
done </modules/order
share=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o ro,cache=loose,$share host /host
mount -t tmpfs memory /memory
mkdir /memory/upper /memory/work
# A layer in memory saves what the emulation is slowest at: asking the host for each of thousands of small files.
mount -t overlay -o lowerdir=/hot:/host,upperdir=/memory/upper,workdir=/memory/work overlay /root
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts pts /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
# Without a syslog daemon daemons log to the console, and wait for it.
ln -sf null /root/dev/console
mkdir -p /root/run/lock /root/run/report /root/lib/modules
mount -t 9p -o rw,$share report /root/run/report
ln -s "$(cat /modules/folder)" /root/lib/modules/
ip link set lo up
hostname guest
# The kernel looks for modprobe where the first process lives, and whoever enters a mount namespace lands on its
# uppermost root: so it becomes the root wholly, without the removal of /hot that switch_root would do.
cd /root
mount --move . /
exec chroot . /bin/sh -c '
    /bin/sh /run/report/command
    echo "the command ended with exit status $?"
    echo o >/proc/sysrq-trigger
    sleep 100
' >/dev/ttyS0 2>&1 </dev/null
