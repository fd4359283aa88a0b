# Makes a root directory of its own on a fresh tmpfs and runs one test in it. Called in a new mount namespace, as root or
# as the root of a new user namespace: $1 mount point, $2 test program, $3 module, $4 name of the test;
# what follows are programs to have in /built.
#
# A bare user namespace will not do: `/` belongs to nobody there, and the store trusts only what root owns, all the
# way from `/`.
mount -t tmpfs -o mode=0755 sandbox "$1"
cd "$1"
umask 022
mkdir -p built dev etc/pam.d etc/security proc run tmp usr var/lib var/spool
chmod 1777 tmp

for dir in usr bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$dir" ]; then
        cp -P "/$dir" "$dir"
    elif [ -d "/$dir" ]; then
        mkdir -p "$dir"
        mount --rbind "/$dir" "$dir"
    fi
done
mount --rbind /proc proc
for node in null zero full random urandom; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
cp /etc/ld.so.cache etc/

cat >etc/nsswitch.conf <<'EOF'
passwd: files
shadow: files
group: files
EOF
cat >etc/passwd <<'EOF'
root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:1001:Bob, not enrolled:/home/bob:/bin/sh
CORP\carol smith:x:1002:1002:from a directory:/home/carol:/bin/sh
EOF
# Everybody's password is `correct horse`.
hash='$6$otptests$Ypp8eIt4o2mDNlnLfmoDIUGj0WjMTZygxL8FEMtYiZrVOtenQRW8HPB/Qwm0zPapFyGDjqNLZarkPYL71a1W1.'
cat >etc/shadow <<EOF
alice:$hash:19000:0:99999:7:::
bob:$hash:19000:0:99999:7:::
EOF
chmod 600 etc/shadow
for hook in auth account session password; do
    echo "$hook required pam_deny.so"
done >etc/pam.d/other
printf 'root:x:0:\nusers:x:1000:\n' >etc/group

: >built/test
: >built/pam_otp.so
mount --bind "$2" built/test
mount --bind "$3" built/pam_otp.so
test=$4
shift 4
for program; do
    name=built/$(basename "$program")
    : >"$name"
    mount --bind "$program" "$name"
done
exec chroot . /built/test --exact "$test" --nocapture --test-threads=1
